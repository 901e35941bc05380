"""The clip: a looped GIF of the people of one evaluated scene in 3D, lifted on the left, refined on the right.

Numbers hide what an occlusion does to a track, so annotation, lifted prediction and refinement are side by side and
people in hidden frames are hollow. Times are those of the source video, in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from fileio.atomic import atomic_path
from inference.render import drawing
from inference.render.canvas import Canvas
from inference.render.drawing import Sketch, colour_of, font
from inference.render.figures import check_same_frames, hidden_frames, poses_mm, source_fps
from inference.render.view import ON_FLOOR, Array, DrawnPerson, Floor, View, extent
from pose.coordinates import same_coordinates
from pose.errors import DataError, MismatchError, check_number
from pose.level import World
from pose.sequence import PoseSequence

PANEL_WIDTH, MAX_PANEL_HEIGHT, HEADER, FOOTER = 480, 360, 30, 26
TRAIL_S = 1.0  # of the hip's path, drawn on the floor
TRAIL_PX = 2.0
NEARBY_M = 1.0  # predictions farther than this from all annotated places do not widen the view


def scene_clip(
    path: Path | str,
    annotated: Sequence[PoseSequence],
    lifted: Sequence[PoseSequence],
    refined: Sequence[PoseSequence],
    fps_out: float = 15.0,
    max_frames: int = 100,
    *,
    focus: tuple[int, int] | None = None,
    note: str = "",
) -> None:
    """Draw the people of one scene in 3D as a looped GIF at true speed: lifted on the left, refined on the right.

    The lists hold the same people in the same order. The annotation is grey, a person in hidden frames hollow. About
    fps_out pictures per second (a whole number of source frames apart), at most max_frames of them, around the source
    frames focus = (start, end) or else from the beginning. note: a line at the foot.

    Raises DataError for no people or frames, MismatchError where lists, frames, rates or coordinates differ,
    ConfigError for fps_out or max_frames out of range.
    """
    check_number("fps_out", fps_out, above=0, hint="pictures per second")
    check_number("max_frames", max_frames, low=1, whole=True)
    predictions = {"lifted": lifted, "refined": refined}
    _check_scene(annotated, predictions)
    first = annotated[0]
    all_frames = np.unique(np.concatenate([sequence.frame.cpu().numpy() for sequence in annotated]))
    rate = source_fps(first.fps, all_frames)
    step = max(1, round(first.fps / fps_out))
    frames = _clip_frames(all_frames, step, max_frames, focus)
    clip = Clip(
        np.stack([_at_frames(poses_mm(sequence, only_annotated=True), sequence, frames) for sequence in annotated]),
        {name: np.stack([_at_frames(poses_mm(s), s, frames) for s in people]) for name, people in predictions.items()},
        np.stack([_at_frames(hidden_frames(sequence), sequence, frames) for sequence in annotated]),
        first.fps / step,
        foot="   ".join(part for part in (first.sequence, note) if part),
    )
    pictures = [clip.frame(i, f"{frame / rate:.2f} s") for i, frame in enumerate(frames)]
    options: dict[str, Any] = {"append_images": pictures[1:], "duration": _durations(frames / rate), "loop": 0}
    with atomic_path(path) as temporary:
        pictures[0].save(temporary, format="GIF", save_all=True, **options)


class Clip:
    """Draws frames of a scene: one panel per prediction, side by side, over the same floor and in the same view.

    annotation (P, F, 17, 3) in mm, NaN where there is none; predictions: name -> (P, F, 17, 3); hidden (P, F): drawn
    hollow; fps: of these frames, for the length of the trails; foot: a line of text.
    """

    def __init__(self, annotation: Array, predictions: Mapping[str, Array], hidden: np.ndarray, fps: float, foot: str):
        predicted = np.concatenate(list(predictions.values()))
        world = World.fit(annotation if np.isfinite(annotation).any() else predicted)
        self.annotation, self.hidden, self.foot = world(annotation), hidden, foot
        self.predictions = {name: world(poses) for name, poses in predictions.items()}
        self.trail = max(1, round(TRAIL_S * fps))
        points = world(predicted).reshape(-1, 3)
        known = self.annotation[np.isfinite(self.annotation).all(axis=-1)]
        if len(known):
            points = np.concatenate([np.clip(points, known.min(0) - NEARBY_M, known.max(0) + NEARBY_M), known])
        box = extent(points)
        self.view = View.fit(box, PANEL_WIDTH, MAX_PANEL_HEIGHT)
        self.floor, self.palette = Canvas(self.view.size), _palette()
        self.view.draw_floor(self.floor, Floor.of(box))

    def frame(self, index: int, label: str) -> Image.Image:
        """Frame `index` as a palette image with `label` (a time) at the foot."""
        width, height = PANEL_WIDTH, self.view.size[1] + HEADER
        picture = Image.new("RGB", (width * len(self.predictions), height + FOOTER), "white")
        pen = ImageDraw.Draw(picture)
        for column, (name, poses) in enumerate(self.predictions.items()):
            picture.paste(self._panel(poses, index), (column * width, HEADER))
            pen.text((column * width + 14, HEADER / 2), name, fill=drawing.TEXT, font=font(18), anchor="lm")
            if column:
                pen.line([(width, 8), (width, height - 8)], fill=drawing.GRID)
        right = picture.width - 14
        legend = "grey: annotation   hollow: hidden"
        pen.text((right, HEADER / 2), legend, fill=drawing.TEXT_PALE, font=font(13), anchor="rm")
        pen.text((14, height + FOOTER / 2), label, fill=drawing.TEXT, font=font(15), anchor="lm")
        pen.text((right, height + FOOTER / 2), self.foot, fill=drawing.TEXT_PALE, font=font(13), anchor="rm")
        return picture.quantize(palette=self.palette, dither=Image.Dither.NONE)

    def _panel(self, poses: Array, index: int) -> Image.Image:
        picture = Canvas(self.view.size)
        picture.pixels[:] = self.floor.pixels
        for person, track in enumerate(poses):
            trail, path = Sketch(), track[max(0, index - self.trail) : index + 1, drawing.HIP] * ON_FLOOR
            places = self.view.pixels(path[np.isfinite(path).all(-1)])
            trail.lines(np.stack([places[:-1], places[1:]], axis=1), TRAIL_PX)
            trail.paint(picture, colour_of(person))
        people = [
            DrawnPerson(pose, np.full(len(pose), not hidden), colour_of(number), drawing.ANNOTATION, annotated)
            for number, (pose, hidden, annotated) in enumerate(
                zip(poses[:, index], self.hidden[:, index], self.annotation[:, index], strict=True)
            )
        ]
        self.view.draw(picture, people)
        return picture.image()


def _palette() -> Image.Image:
    """One palette for all frames: greys and each person's colour blended into white, for smooth edges.

    Pillow looks colours up to 4 levels: the greys next to white keep away from it, so that white stays white.
    """
    greys = [(255, 255, 255), *((level, level, level) for level in range(0x20, 0xF8, 4))]
    blends = []
    for colour in drawing.PERSON_COLOURS:
        rgb = np.array(ImageColor.getrgb(colour))
        blends += [tuple((rgb + (255 - rgb) * white).round().astype(int)) for white in np.linspace(0, 0.92, 32)]
    image = Image.new("P", (1, 1))
    image.putpalette([int(value) for entry in [*greys, *blends] for value in entry])
    return image


def _clip_frames(frames: Array, step: int, count: int, focus: tuple[int, int] | None) -> Array:
    """Every `step`-th of the source frame numbers, at most `count` of them, around `focus` where it is given."""
    wanted, first = step * count, 0
    if focus is not None and len(frames) > wanted:
        middle = int(np.searchsorted(frames, (focus[0] + focus[1]) // 2))
        first = min(max(0, middle - wanted // 2), len(frames) - wanted)
    return frames[first : first + wanted : step]


def _durations(seconds: Array) -> list[int]:
    """How long each picture stays, ms. GIF counts in 10 ms: times are rounded, so the clip keeps its length."""
    last = seconds[-1] - seconds[-2] if len(seconds) > 1 else 1.0
    ticks = np.round(np.append(seconds, seconds[-1] + last) * 100).astype(int)
    return [max(20, 10 * int(tick)) for tick in np.diff(ticks)]


def _at_frames(values: np.ndarray, sequence: PoseSequence, frames: Array) -> np.ndarray:
    """Rows of `values` (T, ...) at source frame numbers (F,) -> (F, ...); NaN or false where the track has none."""
    chosen = np.full((len(frames), *values.shape[1:]), False if values.dtype == bool else np.nan)
    _, ours, theirs = np.intersect1d(frames, sequence.frame.cpu().numpy(), return_indices=True)
    chosen[ours] = values[theirs]
    return chosen


def _check_scene(annotated: Sequence[PoseSequence], predictions: Mapping[str, Sequence[PoseSequence]]) -> None:
    if not any(len(sequence) for sequence in annotated):
        raise DataError(f"scene_clip: {len(annotated)} people without a frame, at least one frame is needed")
    first = annotated[0]
    for sequence in annotated[1:]:
        if (sequence.sequence, sequence.fps) != (first.sequence, first.fps):
            raise MismatchError(
                f"{sequence.name} at {sequence.fps:g} fps, {first.name} at {first.fps:g} fps: "
                "the people of a clip must come from one scene at one frame rate"
            )
        same_coordinates(sequence.name, sequence.coordinates, first.coordinates)
    for name, people in predictions.items():
        if len(people) != len(annotated):
            raise MismatchError(
                f"{first.sequence}: {len(people)} {name} people, {len(annotated)} annotated ones; "
                "give the same people in the same order"
            )
        for annotation, sequence in zip(annotated, people, strict=True):
            check_same_frames(name, sequence, annotation)
