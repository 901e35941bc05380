"""How people look in every picture: colours, bones, smooth strokes and plates of text on Pillow images.

Pillow's lines have jagged edges. A `Sketch` collects the shapes of one person and paints them at once: enlarged, in a
mask no larger than the person, which is then reduced and pasted in one colour. That takes 1 to 3 ms a person.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from inference.scene import Scene
from pose.joint_sets import COCO_19, MUPOTS_17
from pose.sequence import PoseSequence

# Colours that colour-blind readers can tell apart (Okabe and Ito, 2008).
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
PERSON_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
ANNOTATION, GRID, SHADOW, TEXT, TEXT_PALE = "#B0B0B0", "#DCDCDC", "#E0E0E0", "#333333", "#666666"

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
HEAD, HEAD_TOP, HIP = (MUPOTS_17.index(name) for name in ("head", "head_top", "hip"))
#: Bones of a figure whose head is a ball about `head`, and of one whose head is a line up to `head_top`.
BALL_BONES = tuple(bone for bone in MUPOTS_17.bones if bone[0] != HEAD_TOP)
LINE_BONES = tuple(bone for bone in MUPOTS_17.bones if bone[0] != HEAD)
ALL_OBSERVED = np.ones(len(MUPOTS_17), bool)

_ENLARGED = 2
_FAR_PX = 20_000  # farther out than this nothing is drawn
_DASH, _GAP = 2.2, 1.6  # times the width of the line


def colour_of(person: int) -> str:
    """The colour of a person in every picture, video and page."""
    return PERSON_COLOURS[person % len(PERSON_COLOURS)]


def paler(colour: str) -> str:
    """Halfway between `colour` and white."""
    return "#" + "".join(f"{(value + 256) // 2:02x}" for value in ImageColor.getrgb(colour)[:3])


def people_at(scene: Scene, frame: int) -> Iterator[tuple[int, PoseSequence, int]]:
    """(index in scene.people, the person, the person's row) of all people who are in the scene at a frame."""
    for index, person in enumerate(scene.people):
        row = frame - int(person.frame[0]) if len(person) else -1
        if 0 <= row < len(person):
            yield index, person, row


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


#: Ends of a straight line in px (a disc, if they are one place), its width, and whether it is hollow.
_Shape = tuple[float, float, float, float, float, bool]


class Sketch:
    """Shapes of one colour, in pixels of the picture that they will be painted on.

    Hollow shapes let the picture (or the edge, where `paint` is given one) show through; where they meet, one outline
    runs round all of them.
    """

    def __init__(self) -> None:
        self._shapes: list[_Shape] = []

    def line(self, start: Sequence[float], end: Sequence[float], width: float, hollow: bool = False) -> None:
        (x0, y0), (x1, y1), far = start, end, _FAR_PX
        if -far < x0 < far and -far < y0 < far and -far < x1 < far and -far < y1 < far:  # false for NaN
            self._shapes.append((x0, y0, x1, y1, width, hollow))

    def disc(self, centre: Sequence[float], radius: float, hollow: bool = False) -> None:
        self.line(centre, centre, 2 * radius, hollow)

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

    def skeleton(
        self,
        pixels: np.ndarray,
        bones: Sequence[tuple[int, int]],
        width: float,
        observed: np.ndarray = ALL_OBSERVED,
        ball: float = 0.0,
        dashed: bool = False,
    ) -> None:
        """Bones between pixels (J, 2), NaN for none, and round joints.

        A joint that is not observed (J,) is hollow, and so is a bone with such an end, or with `dashed` it is dashed
        (which tells more where bones are thin). ball: radius of the head about `head`, 0 for none.
        """
        points = pixels.tolist()
        for child, parent in bones:
            hollow = not (observed[child] and observed[parent])
            if dashed and hollow:
                self.dashes(points[child], points[parent], width)
            else:
                self.line(points[child], points[parent], width, hollow)
        for joint in {joint for bone in bones for joint in bone}:
            radius = 0.8 * width if dashed and not observed[joint] else 0.5 * width
            self.disc(points[joint], ball if ball and joint == HEAD else radius, not observed[joint])

    def paint(self, picture: Image.Image, colour: str, edge: str | None = None, edge_px: float = 0.0) -> None:
        """Draw everything in `colour`, first in `edge` and `edge_px` wider on every side."""
        if not self._shapes:
            return
        shapes = np.array(self._shapes)
        reach = shapes[:, 4:5] / 2 + edge_px + 1
        low = np.floor((np.minimum(shapes[:, :2], shapes[:, 2:4]) - reach).min(0)).astype(int)
        high = np.ceil((np.maximum(shapes[:, :2], shapes[:, 2:4]) + reach).max(0)).astype(int)
        left, top = max(0, int(low[0])), max(0, int(low[1]))
        box = (left, top, min(picture.width, int(high[0])), min(picture.height, int(high[1])))
        if left >= box[2] or top >= box[3]:
            return
        if edge is not None and edge_px > 0:
            picture.paste(edge, box, self._mask(box, edge_px, outlined=False))
        picture.paste(colour, box, self._mask(box, 0.0))

    def _mask(self, box: tuple[int, int, int, int], grow: float, outlined: bool = True) -> Image.Image:
        """What is covered of the box, every shape `grow` px larger; with `outlined` the hollow ones as outlines."""
        mask = Image.new("L", ((box[2] - box[0]) * _ENLARGED, (box[3] - box[1]) * _ENLARGED))
        pen = ImageDraw.Draw(mask)

        def draw(shape: _Shape, fill: int, grow: float) -> None:
            x0, y0, x1, y1, width, _ = shape
            width = _ENLARGED * (width + 2 * grow)
            x0, y0 = _ENLARGED * (x0 - box[0]), _ENLARGED * (y0 - box[1])
            x1, y1 = _ENLARGED * (x1 - box[0]), _ENLARGED * (y1 - box[1])
            if x0 == x1 and y0 == y1:
                pen.ellipse((x0 - width / 2, y0 - width / 2, x0 + width / 2, y0 + width / 2), fill=fill)
            else:
                pen.line((x0, y0, x1, y1), fill=fill, width=max(1, round(width)))

        hollow = [shape for shape in self._shapes if outlined and shape[-1]]
        for shape in hollow:
            draw(shape, 255, 0.0)
        for shape in hollow:
            draw(shape, 0, -min(2.0, 0.25 * shape[4]))
        for shape in self._shapes:
            if not (outlined and shape[-1]):
                draw(shape, 255, grow)
        return mask.reduce(_ENLARGED)


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
    """Put `text` on a plate of `colour` whose point `anchor`, as fractions of its size, lies at `at`; its width, px."""
    plate = _plate(text, colour, size)
    picture.paste(plate, (round(at[0] - anchor[0] * plate.width), round(at[1] - anchor[1] * plate.height)), plate)
    return plate.width
