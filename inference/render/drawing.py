"""Smooth line drawings of people on Pillow images, for the videos.

Pillow's lines have jagged edges. A `Sketch` collects the shapes of one person and paints them at once: enlarged, in a
mask no larger than the person, which is then reduced and pasted in one colour. That takes 1 to 3 ms a person.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from inference.render.clip_renderer import PERSON_COLOURS
from inference.scene import PredictedPerson, PredictedScene
from pose.joint_sets import COCO_19, MUPOTS_17

#: Bones of the detections, as COCO-19 indices.
COCO_BONES = tuple(
    (COCO_19.index(a), COCO_19.index(b))
    for a, b in [
        ("nose", "neck"),
        ("neck", "hip"),
        *(
            (f"{side}_{a}", f"{side}_{b}")
            for side in ("left", "right")
            for a, b in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))
        ),
        ("left_shoulder", "right_shoulder"),
        ("left_hip", "right_hip"),
    ]
)

HEAD, HEAD_TOP = MUPOTS_17.index("head"), MUPOTS_17.index("head_top")
#: Bones of a figure whose head is a ball about `head`, and of one whose head is a line up to `head_top`.
BALL_BONES = tuple(bone for bone in MUPOTS_17.bones if bone[0] != HEAD_TOP)
LINE_BONES = tuple(bone for bone in MUPOTS_17.bones if bone[0] != HEAD)

MIN_SCORE = 0.1  # a detected joint below it counts as not detected
MARGIN_M = 0.6  # of floor around the people
_ENLARGED = 2
_FAR_PX = 20_000  # farther out than this nothing is drawn
_DASH, _GAP = 2.2, 1.6  # times the width of the line


def colour_of(person: int) -> str:
    """The colour of a person in every picture, video and page."""
    return PERSON_COLOURS[person % len(PERSON_COLOURS)]


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def people_at(scene: PredictedScene, frame: int) -> Iterator[tuple[int, PredictedPerson, int]]:
    """(index in scene.people, the person, the person's row) of everybody who is in the scene at a frame."""
    for index, person in enumerate(scene.people):
        row = frame - int(person.frame[0]) if len(person) else -1
        if 0 <= row < len(person):
            yield index, person, row


def project(scene: PredictedScene, poses: np.ndarray) -> np.ndarray:
    """Camera coordinates (..., 3) in mm -> pixels (..., 2) of the scene's image, NaN at the camera's back."""
    camera = scene.camera
    depth = np.where(poses[..., 2:] > 1.0, poses[..., 2:], np.nan)
    return poses[..., :2] / depth * [camera.fx, camera.fy] + [camera.cx, camera.cy]


def extent(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners (3,) and (3,) of what to show of points (N, 3), all in world metres: floor round them and their height.

    Nearly all points count, so that a single wild one does not rule. Without any it is a place for one person.
    """
    points = points[np.isfinite(points).all(-1)]
    if not len(points):
        return np.array([-1.0, -1.0, 0.0]), np.array([1.0, 1.0, 1.8])
    low, high = np.percentile(points, [1, 99], axis=0)
    return np.append(low[:2] - MARGIN_M, 0.0), np.append(high[:2] + MARGIN_M, max(high[2], 1.0) + 0.1)


class Sketch:
    """Shapes of one colour, in pixels of the picture that they will be painted on.

    Hollow shapes let the picture (or the edge, where `paint` is given one) show through; where they meet, one outline
    runs round all of them.
    """

    def __init__(self) -> None:
        self._lines: list[tuple[float, float, float, float, float, bool]] = []  # x, y, x, y, width, hollow
        self._discs: list[tuple[float, float, float, bool]] = []  # x, y, radius, hollow

    def line(self, start: Sequence[float], end: Sequence[float], width: float, hollow: bool = False) -> None:
        (x0, y0), (x1, y1) = start, end
        if abs(x0) < _FAR_PX and abs(y0) < _FAR_PX and abs(x1) < _FAR_PX and abs(y1) < _FAR_PX:  # false for NaN
            self._lines.append((x0, y0, x1, y1, width, hollow))

    def dashes(self, start: Sequence[float], end: Sequence[float], width: float) -> None:
        """A dashed line that begins and ends with a dash."""
        (x0, y0), (x1, y1) = start, end
        length, dash = math.hypot(x1 - x0, y1 - y0), _DASH * width
        if not dash < length < 2 * _FAR_PX:
            self.line(start, end, width)
            return
        count = max(1, round((length - dash) / ((_DASH + _GAP) * width)))
        for i in range(count + 1):
            a = i / count * (1 - dash / length)
            b = a + dash / length
            self.line((x0 + a * (x1 - x0), y0 + a * (y1 - y0)), (x0 + b * (x1 - x0), y0 + b * (y1 - y0)), width)

    def disc(self, centre: Sequence[float], radius: float, hollow: bool = False) -> None:
        x, y = centre
        if abs(x) < _FAR_PX and abs(y) < _FAR_PX:
            self._discs.append((x, y, radius, hollow))

    def skeleton(
        self,
        pixels: np.ndarray,
        bones: Sequence[tuple[int, int]],
        width: float,
        sure: np.ndarray,
        ball: float = 0.0,
        dashed: bool = False,
    ) -> None:
        """Bones between pixels (J, 2), NaN for none, and round joints.

        A joint that is not sure (J,) is hollow, and so is a bone with such an end, or with `dashed` it is dashed (which
        tells more where bones are thin). ball: radius of the head about `head`, 0 for none.
        """
        points = pixels.tolist()
        for child, parent in bones:
            bone_sure = bool(sure[child] and sure[parent])
            if dashed and not bone_sure:
                self.dashes(points[child], points[parent], width)
            else:
                self.line(points[child], points[parent], width, hollow=not bone_sure)
        for joint in {joint for bone in bones for joint in bone}:
            radius = 0.8 * width if dashed and not sure[joint] else 0.5 * width
            self.disc(points[joint], ball if ball and joint == HEAD else radius, not sure[joint])

    def paint(self, picture: Image.Image, colour: str, edge: str | None = None, edge_px: float = 0.0) -> None:
        """Draw everything in `colour`, first in `edge` and `edge_px` wider on every side."""
        box = self._box(picture, edge_px + 1)
        if box is None:
            return
        if edge is not None and edge_px > 0:
            picture.paste(edge, box, self._mask(box, edge_px))
        picture.paste(colour, box, self._mask(box, 0.0, hollow=True))

    def _box(self, picture: Image.Image, margin: float) -> tuple[int, int, int, int] | None:
        if not self._lines and not self._discs:
            return None
        places = [(x, y, width) for x0, y0, x1, y1, width, _ in self._lines for x, y in ((x0, y0), (x1, y1))]
        x, y, radius = np.array(places + [(x, y, radius) for x, y, radius, _ in self._discs]).T
        reach = radius + margin
        left, top = max(0, math.floor((x - reach).min())), max(0, math.floor((y - reach).min()))
        right = min(picture.width, math.ceil((x + reach).max()))
        bottom = min(picture.height, math.ceil((y + reach).max()))
        return (left, top, right, bottom) if left < right and top < bottom else None

    def _mask(self, box: tuple[int, int, int, int], grow: float, hollow: bool = False) -> Image.Image:
        """What is covered of the box, every shape `grow` px larger; with `hollow` the hollow ones as outlines."""
        mask = Image.new("L", ((box[2] - box[0]) * _ENLARGED, (box[3] - box[1]) * _ENLARGED))
        pen = ImageDraw.Draw(mask)
        if hollow and any(shape[-1] for shape in (*self._lines, *self._discs)):
            self._draw(pen, box, 255, 0.0, only=True)
            self._draw(pen, box, 0, None, only=True)
            self._draw(pen, box, 255, grow, only=False)
        else:
            self._draw(pen, box, 255, grow)
        return mask.reduce(_ENLARGED)

    def _draw(
        self,
        pen: ImageDraw.ImageDraw,
        box: tuple[int, int, int, int],
        fill: int,
        grow: float | None,
        only: bool | None = None,
    ) -> None:
        """Shapes, or only those that are hollow or are not, `grow` px larger; None: the inside of hollow ones."""
        left, top = box[:2]
        for x0, y0, x1, y1, width, hollow in self._lines:
            if only is None or hollow is only:
                ends = (
                    (x0 - left) * _ENLARGED,
                    (y0 - top) * _ENLARGED,
                    (x1 - left) * _ENLARGED,
                    (y1 - top) * _ENLARGED,
                )
                inset = -_wall(width) if grow is None else grow
                pen.line(ends, fill=fill, width=max(1, round((width + 2 * inset) * _ENLARGED)))
        for x, y, radius, hollow in self._discs:
            if only is None or hollow is only:
                reach = (radius + (-_wall(2 * radius) if grow is None else grow)) * _ENLARGED
                x, y = (x - left) * _ENLARGED, (y - top) * _ENLARGED
                pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=fill)


def _wall(width: float) -> float:
    """Thickness in px of the outline of a hollow shape of that width."""
    return min(2.4, 0.32 * width)


@lru_cache(maxsize=64)
def _plate(text: str, colour: str, size: int) -> Image.Image:
    """`text` in white on a rounded plate, RGBA."""
    left, _, right, _ = font(size).getbbox(text)
    plate = Image.new("RGBA", (round(right - left + 0.9 * size), round(1.4 * size)))
    pen = ImageDraw.Draw(plate)
    pen.rounded_rectangle((0, 0, plate.width - 1, plate.height - 1), radius=0.4 * size, fill=colour)
    pen.text((plate.width / 2, plate.height / 2), text, fill="white", font=font(size), anchor="mm")
    return plate


def write_plate(
    picture: Image.Image, at: Sequence[float], text: str, colour: str, size: int, anchor: tuple[float, float]
) -> int:
    """Put `text` on a plate of `colour` whose point `anchor`, as parts of its size, lies at `at`; its width in px."""
    plate = _plate(text, colour, size)
    picture.paste(plate, (round(at[0] - anchor[0] * plate.width), round(at[1] - anchor[1] * plate.height)), plate)
    return plate.width
