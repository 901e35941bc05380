"""How people look in every picture: colours, bones, strokes and plates of text on a `Canvas`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from inference.scene import Scene
from pose.joint_sets import COCO_19, MUPOTS_17
from pose.sequence import PoseSequence

if TYPE_CHECKING:
    from inference.render.canvas import Canvas  # brings Matplotlib

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

_FAR_PX = 20_000  # farther out than this nothing is drawn
_DASH, _GAP = 2.2, 1.6  # times the width of the line
_OUTLINE_PX = 2.0  # of hollow shapes, at most


def colour_of(person: int) -> str:
    """The colour of a person in every picture, video and page."""
    return PERSON_COLOURS[person % len(PERSON_COLOURS)]


@cache
def rgb(colour: str) -> tuple[int, ...]:
    return ImageColor.getrgb(colour)[:3]


def paler(colour: str) -> str:
    """Halfway between `colour` and white."""
    return "#" + "".join(f"{(value + 256) // 2:02x}" for value in rgb(colour))


def people_at(scene: Scene, frame: int) -> Iterator[tuple[int, PoseSequence, int]]:
    """(index in scene.people, the person, the person's row) of all people who are in the scene at a frame."""
    for index, person in enumerate(scene.people):
        row = frame - int(person.frame[0]) if len(person) else -1
        if 0 <= row < len(person):
            yield index, person, row


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


class Sketch:
    """Shapes of one colour, in pixels of the canvas that they will be painted on; of those that are not numbers, or far
    out, nothing is seen. Where hollow shapes meet, one outline runs round all of them."""

    def __init__(self) -> None:
        self._lines: list[tuple[np.ndarray, float, bool]] = []
        self._discs: list[tuple[np.ndarray, np.ndarray, bool]] = []

    def lines(self, ends: np.ndarray, width: float, hollow: bool = False) -> None:
        """Straight lines between ends (N, 2, 2)."""
        if len(ends := _near(ends)):
            self._lines.append((ends, width, hollow))

    def discs(self, centres: np.ndarray, radii: np.ndarray, hollow: bool = False) -> None:
        """Discs about centres (N, 2)."""
        ends = np.concatenate([centres, radii[:, None]], axis=1)
        if len(ends := _near(ends)):
            self._discs.append((ends[:, :2], ends[:, 2], hollow))

    def dashes(self, ends: np.ndarray, width: float) -> None:
        """Dashed lines between ends (N, 2, 2), each of which begins and ends with a dash."""
        for start, end in ends:
            length, dash = math.dist(start, end), _DASH * width
            if not dash < length < 2 * _FAR_PX:
                self.lines(np.stack([start, end])[None], width)
                continue
            count = max(1, round((length - dash) / ((_DASH + _GAP) * width)))
            first = np.linspace(0, 1 - dash / length, count + 1)
            half = 0.5 * width / length  # of the round ends
            along = np.stack([first + half, first + dash / length - half], axis=1)[..., None]
            self.lines(start + along * (end - start), width)

    def skeleton(
        self,
        pixels: np.ndarray,
        bones: tuple[tuple[int, int], ...],
        width: float,
        observed: np.ndarray = ALL_OBSERVED,
        ball: float = 0.0,
        dashed: bool = False,
    ) -> None:
        """Bones between pixels (J, 2), NaN for none, and round joints.

        A joint that is not observed (J,) is hollow, and so is a bone with such an end, or with `dashed` it is dashed
        (which tells more where bones are thin). ball: radius of the head about `head`, 0 for none.
        """
        ends, joints = _bones(bones)
        solid = observed[ends].all(axis=1)
        self.lines(pixels[ends[solid]], width)
        if not solid.all():
            alone = joints[~np.isin(joints, ends[solid])]  # others have the round ends of their bones
            hollow = pixels[ends[~solid]]
            self.dashes(hollow, width) if dashed else self.lines(hollow, width, True)
            radii = np.full(len(pixels), 0.5 * width)
            radii[~observed] *= 1.6 if dashed else 1.0
            for is_hollow in (False, True):
                chosen = alone[observed[alone] != is_hollow]
                self.discs(pixels[chosen], radii[chosen], is_hollow)
        if ball:
            self.discs(pixels[[HEAD]], np.array([ball]), not observed[HEAD])

    def paint(self, canvas: Canvas, colour: str, edge: str = "white", edge_px: float = 0.0) -> None:
        """Draw everything in `colour`, first in `edge` and `edge_px` wider on every side; hollow shapes are filled with
        `edge`."""
        if edge_px > 0:
            self._draw(canvas, edge, (False, True), edge_px)
        if any(shape[-1] for shape in self._lines + self._discs):
            self._draw(canvas, colour, (True,), 0.0)
            self._draw(canvas, edge, (True,), None)
        self._draw(canvas, colour, (False,), 0.0)

    def _draw(self, canvas: Canvas, colour: str, which: tuple[bool, ...], grow: float | None) -> None:
        """Shapes that are hollow or not, so many px larger; None: smaller by the width of an outline."""
        for ends, width, hollow in self._lines:
            if hollow in which:
                canvas.lines(ends, width + 2 * (-min(_OUTLINE_PX, 0.25 * width) if grow is None else grow), colour)
        for centres, radii, hollow in self._discs:
            if hollow in which:
                canvas.discs(centres, radii + (-np.minimum(_OUTLINE_PX, 0.5 * radii) if grow is None else grow), colour)


def _near(shapes: np.ndarray) -> np.ndarray:
    """Those of (N, ...) that are numbers and not far out."""
    near = np.abs(shapes) < _FAR_PX  # false for NaN
    return shapes if near.all() else shapes[near.reshape(len(shapes), -1).all(axis=1)]


@cache
def _bones(bones: tuple[tuple[int, int], ...]) -> tuple[np.ndarray, np.ndarray]:
    """As an array (B, 2), and the joints in them."""
    return np.array(bones), np.unique(bones)


@lru_cache(maxsize=1024)
def _letter(letter: str, size: int) -> np.ndarray:
    """How much of each pixel (h, w) a letter covers, 0 to 1; as wide as it takes in a line."""
    cover = Image.new("L", (max(1, round(font(size).getlength(letter))), round(1.4 * size)))
    ImageDraw.Draw(cover).text((0, cover.height / 2), letter, fill=255, font=font(size), anchor="lm")
    return np.asarray(cover, np.float32) / 255


def _written(text: str, size: int) -> np.ndarray:
    """Letter by letter, as numbers change in every frame: (h, w, 1)."""
    return np.concatenate([_letter(letter, size) for letter in text], axis=1)[..., None]


@lru_cache(maxsize=64)
def _plate(width: int, height: int, radius: float) -> np.ndarray:
    cover = Image.new("L", (width, height))
    ImageDraw.Draw(cover).rounded_rectangle((0, 0, width - 1, height - 1), radius=radius, fill=255)
    return np.asarray(cover, np.float32)[..., None] / 255


@lru_cache(maxsize=64)
def _labelled(text: str, colour: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    written, side = _written(text, size), round(0.45 * size)
    image = np.pad(written, ((0, 0), (side, side), (0, 0)))
    image = np.array(rgb(colour), np.float32) * (1 - image) + 255 * image
    return image, _plate(image.shape[1], image.shape[0], 0.4 * size)


def write_line(canvas: Canvas, at: Sequence[float], text: str, colour: str, size: int) -> None:
    """Text that begins at x of `at` and has its middle at y."""
    cover = _written(text, size)
    image = np.broadcast_to(np.array(rgb(colour), np.float32), (*cover.shape[:2], 3))
    canvas.blend(image, cover, round(at[0]), round(at[1] - cover.shape[0] / 2))


def write_plate(
    canvas: Canvas, at: Sequence[float], text: str, colour: str, size: int, anchor: tuple[float, float]
) -> int:
    """Put `text` on a plate of `colour` whose point `anchor`, as fractions of its size, lies at `at`; its width, px."""
    image, cover = _labelled(text, colour, size)
    height, width = cover.shape[:2]
    canvas.blend(image, cover, round(at[0] - anchor[0] * width), round(at[1] - anchor[1] * height))
    return width
