"""The overlay video: what was detected and the 3D poses projected back, drawn over the frames that they came from.

Thick lines are the refined 3D poses in the camera's picture, dashed with hollow joints where they were inferred; white
dots and thin lines are the detections. Both lie on the person if camera and poses are right.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from itertools import repeat
from pathlib import Path

import numpy as np
from PIL import Image

from fileio.video import VideoFrame, VideoWriter
from inference.render import drawing
from inference.render.canvas import Canvas
from inference.render.drawing import Sketch, colour_of
from inference.render.view import View
from inference.scene import Scene, array_of
from pose.errors import MismatchError, check_number
from pose.features import MIN_SCORE
from pose.level import World
from pose.sequence import PoseSequence

logger = logging.getLogger(__name__)

BACKGROUND, EDGE, DETECTION = "#20242B", "#101216", "#FFFFFF"
BONE_PART, DETECTION_PART = 1 / 190, 1 / 560  # thickness of a line, as a fraction of the picture's shorter side
SAME_ASPECT = 0.01
_BONES = np.array(drawing.COCO_BONES)
LEGEND = "thick: 3D, refined    dashed: inferred    white: detected"


def write_overlay(
    scene: Scene,
    frames: Iterable[VideoFrame] | Iterable[np.ndarray] | None,
    path: Path | str,
    max_width: int | None = None,
) -> None:
    """Draw every frame of the scene as an mp4 video at the scene's rate.

    frames: the video's, from the first on, as `read_video` gives them or as (H, W, 3) uint8 arrays; None draws over
    a plain background. Their size may differ from the camera's, not their proportions. max_width: px, larger pictures
    are made smaller. Ends with the frames or the scene, whichever is shorter, and logs a warning if they differ.
    Raises ConfigError for max_width, MismatchError for the wrong proportions, DataError where no frame is left.
    """
    if max_width is not None:
        check_number("max_width", max_width, low=16, whole=True, hint="px, or leave it out for the video's own size")
    canvas = Canvas((1, 1))
    with VideoWriter(path, scene.fps, total=scene.n_frames) as writer:
        for number, (size, image) in enumerate(_pictures(scene, frames, max_width)):
            canvas = canvas if canvas.size == size else Canvas(size)
            canvas.pixels[:] = image
            draw_overlay(scene, number, canvas)
            writer.write(canvas.pixels)
    if writer.n_frames < scene.n_frames:
        logger.warning("%s: the video ended after %d of %d frames", path, writer.n_frames, scene.n_frames)


def draw_overlay(scene: Scene, frame: int, canvas: Canvas) -> None:
    """Draw one frame's people into its picture."""
    view = View.of_camera(scene.camera, World(np.eye(3), 0.0), canvas.size)
    scale = canvas.size[0] / scene.camera.width
    side = min(canvas.size)
    bone, thin, letters = max(2.0, BONE_PART * side), max(1.0, DETECTION_PART * side), max(11, round(side / 48))
    labels = []
    here = [(person, row, array_of(person, "poses_3d")[row]) for _, person, row in drawing.people_at(scene, frame)]
    for person, row, pose in sorted(here, key=lambda one: -one[2][:, 2].mean()):  # far to near
        pixels, colour = view.pixels(pose / 1000.0), colour_of(person.person)
        body = Sketch()
        body.skeleton(pixels, drawing.LINE_BONES, bone, array_of(person, "observed")[row], dashed=True)
        body.paint(canvas, colour, EDGE, 0.3 * bone)
        _detection(person, row, scale, thin).paint(canvas, DETECTION, EDGE, 0.5 * thin)
        if np.isfinite(pixels).all(-1).any():
            labels.append((np.nanmean(pixels[:, 0]), np.nanmin(pixels[:, 1]) - 1.2 * letters, person, row))
    for x, y, person, row in labels:
        text = f"{person.person}" if array_of(person, "observed")[row].any() else f"{person.person} inferred"
        drawing.write_plate(canvas, (x, max(y, 1.5 * letters)), text, colour_of(person.person), letters, (0.5, 1.0))
    _captions(canvas, f"{frame / scene.fps:.2f} s   frame {frame}", letters)


def _detection(person: PoseSequence, row: int, scale: float, width: float) -> Sketch:
    points, confidence = array_of(person, "keypoints_2d")[row] * scale, array_of(person, "confidence")[row]
    seen, sketch = confidence >= MIN_SCORE, Sketch()
    sketch.lines(points[_BONES[seen[_BONES].all(axis=1)]], width)
    sketch.discs(points[seen], (0.9 + 1.1 * confidence[seen]) * width)
    return sketch


def _captions(canvas: Canvas, time: str, letters: int) -> None:
    gap, bottom = letters, canvas.size[1] - letters
    used = drawing.write_plate(canvas, (gap, bottom), time, EDGE, letters, (0.0, 1.0))
    if canvas.size[0] - used > 32 * letters:
        drawing.write_plate(canvas, (canvas.size[0] - gap, bottom), LEGEND, EDGE, letters, (1.0, 1.0))


def _pictures(
    scene: Scene, frames: Iterable[VideoFrame] | Iterable[np.ndarray] | None, max_width: int | None
) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    """Size and pixels (height, width, 4) of what to draw on."""
    camera = scene.camera
    if frames is None:
        scale = min(1.0, (max_width or camera.width) / camera.width)
        size = round(camera.width * scale), round(camera.height * scale)
        yield from repeat((size, Canvas(size, BACKGROUND).pixels), scene.n_frames)
        return
    for number, frame in enumerate(frames):
        if number == scene.n_frames:
            logger.warning("%s: the video goes on after the scene's %d frames", scene.source, scene.n_frames)
            return
        picture = Image.fromarray(frame.image if isinstance(frame, VideoFrame) else frame)
        if abs(picture.width * camera.height / (picture.height * camera.width) - 1) > SAME_ASPECT:
            raise MismatchError(
                f"{scene.source}: frames of {picture.width}x{picture.height}, but camera.image_size is "
                f"{camera.width}x{camera.height}; give the video that the keypoints came from, or its image size"
            )
        if max_width is not None and picture.width > max_width:
            height = round(picture.height * max_width / picture.width)
            picture = picture.resize((max_width, height), Image.Resampling.BILINEAR, reducing_gap=1.0)
        yield picture.size, np.asarray(picture.convert("RGBA"))
