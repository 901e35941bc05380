"""The stage of a 3D clip: a floor under the scene, an oblique view of it and skeletons drawn with Pillow.

World coordinates are metres (right, forward, up) with the floor at up = 0. The floor is not known: it is fitted to
the lowest joints of the annotation, which also sets a tilted camera's picture upright.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw, ImageFont

from pose.joint_sets import JointSet

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]

# Colours that colour-blind readers can tell apart (Okabe and Ito, 2008).
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
PERSON_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
ANNOTATION, GRID, FLOOR, SHADOW = "#B0B0B0", "#DCDCDC", "#F4F4F4", "#E0E0E0"
TEXT, TEXT_PALE = "#333333", "#666666"

PANEL_WIDTH, MAX_PANEL_HEIGHT, HEADER_PX = 480, 360, 30
FOOT_PX = 26
HEAD_M = 0.1  # radius of the ball
MIN_BONE_PX = 3.5  # thickness in a wide scene
TRAIL_S = 1.0  # of the hip's path, drawn on the floor
OVERSAMPLING = 3  # drawn this many times larger and reduced, for smooth edges


@dataclass(frozen=True)
class World:
    """Camera coordinates in mm -> world coordinates in m: a rotation `axes` (3, 3) and the height of the floor."""

    axes: Array
    floor_mm: float

    @classmethod
    def fit(cls, poses: Array) -> World:
        """Level the floor y = a + b x + c z under the lowest joint of every pose (..., J, 3) in mm.

        Feet leave the floor but never go below it, so a point below the plane weighs nine times one above it. The
        slopes are held near zero by the weight of a spread of 80 mm: people who stand still cannot tell a slope.
        """
        poses = poses[np.isfinite(poses).all(axis=(-2, -1))].reshape(-1, *poses.shape[-2:])
        lowest = np.take_along_axis(poses, poses[..., 1].argmax(-1)[:, None, None], axis=1)[:, 0]
        centre = lowest.mean(0) if len(lowest) else np.zeros(3)
        x, y, z = (lowest - centre).T
        design = np.stack([np.ones_like(x), x, z], axis=1)
        plane, prior = np.zeros(3), np.diag([1e-9, 80.0**2, 80.0**2])
        for _ in range(20):
            weight = np.where(y > design @ plane, 0.9, 0.1)
            weight /= max(weight.sum(), 1e-9)
            plane = np.linalg.solve(design.T @ (design * weight[:, None]) + prior, design.T @ (weight * y))
        up = np.array([plane[1], -1.0, plane[2]])
        up /= np.linalg.norm(up)
        right = np.array([1.0, 0.0, 0.0]) - up[0] * up
        right /= np.linalg.norm(right)
        floor_point = centre + np.array([0.0, plane[0], 0.0])
        return cls(np.stack([right, np.cross(up, right), up]), float(up @ floor_point))

    def __call__(self, poses: Array) -> Array:
        """(..., 3) mm -> (..., 3) m: right, forward, up."""
        return (poses @ self.axes.T - np.array([0.0, 0.0, self.floor_mm])) / 1000.0


@dataclass(frozen=True)
class View:
    """A perspective camera `distance` m from `centre`, its picture `size` px; axes (3, 3): its right, down, forward."""

    axes: Array
    centre: Array
    distance: float
    size: tuple[int, int]
    scale: float = 1.0
    offset: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def fit(cls, points: Array, width: int, max_height: int, azimuth: float = 22, elevation: float = 21) -> View:
        """All `points` (N, 3) seen from the front and a little to the left, `width` px wide and as high as needed.

        azimuth and elevation in degrees. The points are made smaller than `width` allows where `max_height` demands it.
        """
        a, e = math.radians(azimuth), math.radians(elevation)
        forward = np.array([math.sin(a) * math.cos(e), math.cos(a) * math.cos(e), -math.sin(e)])
        right = np.array([math.cos(a), -math.sin(a), 0.0])
        low, high = points.min(0), points.max(0)
        axes = np.stack([right, np.cross(forward, right), forward])
        unit = cls(axes, (low + high) / 2, 2 * math.dist(low, high), (width, max_height))
        seen = unit.pixels(points)
        used = 0.94 * np.array([width, max_height]) / np.ptp(seen, axis=0)
        height = min(max_height, math.ceil(max_height * used[0] / used[1]))
        x, y = np.array([width, height]) / 2 - used.min() * (seen.min(0) + seen.max(0)) / 2
        return cls(axes, unit.centre, unit.distance, (width, height), float(used.min()), (float(x), float(y)))

    def pixels(self, points: Array) -> Array:
        """World points (..., 3) in m -> (..., 2) px; NaN for points at the viewer's back or far out of the picture."""
        seen = (points - self.centre) @ self.axes.T
        before = seen[..., 2:] + self.distance
        pixels = seen[..., :2] / np.where(before > 0, before, np.nan) * self.scale + np.array(self.offset)
        return np.where(np.abs(pixels) < 1e5, pixels, np.nan)

    def depth(self, points: Array) -> Array:
        """World points (..., 3) -> their depth (...) in m, larger is farther."""
        return (points - self.centre) @ self.axes[2]


class Stage:
    """Draws frames of a scene: one panel per prediction, side by side, over the same floor and in the same view.

    annotation (P, F, J, 3) in mm, NaN where there is none; predictions: name -> (P, F, J, 3); hidden (P, F): drawn
    hollow; fps: of these frames, for the length of the trails; foot: a line of text.
    """

    def __init__(
        self,
        joints: JointSet,
        annotation: Array,
        predictions: Mapping[str, Array],
        hidden: Mask,
        fps: float,
        foot: str = "",
    ):
        everyone = np.concatenate(list(predictions.values()))
        reference = annotation if np.isfinite(annotation).any() else everyone
        world = World.fit(reference)
        self.joints, self.root, self.hidden, self.foot = joints, joints.root or 0, hidden, foot
        self.head = joints.names.index("head") if "head" in joints.names else None
        self.drawn = np.array([name != "head_top" or self.head is None for name in joints.names])  # the ball covers it
        self.annotation = world(annotation)
        self.predictions = {name: world(poses) for name, poses in predictions.items()}
        self.trail = max(1, round(TRAIL_S * fps))
        low, high = self._floor(world(reference), world(everyone))
        points = world(reference[np.isfinite(reference).all(axis=-1)])
        width, max_height = OVERSAMPLING * PANEL_WIDTH, OVERSAMPLING * MAX_PANEL_HEIGHT
        self.view = View.fit(np.concatenate([_corners(low, high), points]), width, max_height)
        metre_px = self.view.scale / self.view.distance
        self.bone_px, self.head_px = max(0.06 * metre_px, MIN_BONE_PX * OVERSAMPLING), HEAD_M * metre_px
        self.background = self._background(low, high)
        self.palette = _palette()

    def frame(self, index: int, label: str) -> Image.Image:
        """Frame `index` as a palette image with `label` (a time) at the foot."""
        width, height = PANEL_WIDTH, self.view.size[1] // OVERSAMPLING + HEADER_PX
        picture = Image.new("RGB", (width * len(self.predictions), height + FOOT_PX), "white")
        for column, name in enumerate(self.predictions):
            picture.paste(self._panel(name, index).reduce(OVERSAMPLING), (column * width, HEADER_PX))
        pen = ImageDraw.Draw(picture)
        for column, name in enumerate(self.predictions):
            pen.text((column * width + 14, 8), name, fill=TEXT, font=_font(18, bold=True))
        if len(self.predictions) > 1:
            pen.line([(width, 8), (width, height - 8)], fill=GRID)
        legend = "grey: annotation   hollow: hidden"
        pen.text((picture.width - 14, 10), legend, fill=TEXT_PALE, font=_font(13), anchor="ra")
        pen.text((14, height), label, fill=TEXT, font=_font(15, bold=True))
        pen.text((picture.width - 14, height + 2), self.foot, fill=TEXT_PALE, font=_font(13), anchor="ra")
        return picture.quantize(palette=self.palette, dither=Image.Dither.NONE)

    def _floor(self, reference: Array, everyone: Array) -> tuple[Array, Array]:
        """Corners (2,) and (2,) in m of a floor under all of `reference` and nearly all of what else is near it."""
        hips = [poses[:, :, self.root, :2].reshape(-1, 2) for poses in (reference, everyone)]
        known, all_hips = (places[np.isfinite(places).all(axis=1)] for places in hips)
        if not len(known):
            return np.zeros(2), np.ones(2)
        nearby = np.clip(all_hips, known.min(0) - 1.0, known.max(0) + 1.0) if len(all_hips) else known
        low = np.minimum(known.min(0), np.percentile(nearby, 2, axis=0))
        high = np.maximum(known.max(0), np.percentile(nearby, 98, axis=0))
        return low - 0.4, high + 0.4

    def _background(self, low: Array, high: Array) -> Image.Image:
        picture = Image.new("RGB", self.view.size, "white")
        pen = ImageDraw.Draw(picture)
        pen.polygon(_pairs(self.view.pixels(_corners(low, high))), fill=FLOOR)
        for axis in (0, 1):
            for place in np.arange(math.ceil(2 * low[axis]), 2 * high[axis]) / 2:
                ends = np.array([[*low, 0.0], [*high, 0.0]])
                ends[:, axis] = place
                pen.line(_pairs(self.view.pixels(ends)), fill=GRID, width=OVERSAMPLING)
        return picture

    def _panel(self, name: str, index: int) -> Image.Image:
        picture = self.background.copy()
        pen = ImageDraw.Draw(picture)
        poses = self.predictions[name]
        on_floor = np.array([1.0, 1.0, 0.0])
        for pose in poses[:, index]:
            self._skeleton(pen, pose * on_floor, SHADOW, self.bone_px)
        for person, track in enumerate(poses):
            trail = self.view.pixels(track[max(0, index - self.trail) : index + 1, self.root] * on_floor)
            trail = trail[np.isfinite(trail).all(axis=-1)]
            if len(trail) > 1:
                pen.line(_pairs(trail), fill=_colour(person), width=2 * OVERSAMPLING, joint="curve")
        for pose in self.annotation[:, index]:
            self._skeleton(pen, pose, ANNOTATION, self.bone_px / 2)
        for person in np.argsort(-np.nan_to_num(self.view.depth(poses[:, index, self.root]))):
            pose = poses[person, index]
            self._skeleton(pen, pose, "white", self.bone_px, inset=-OVERSAMPLING)  # sets people apart where they cross
            self._skeleton(pen, pose, _colour(person), self.bone_px)
            if self.hidden[person, index]:
                self._skeleton(pen, pose, "white", self.bone_px, inset=1.2 * OVERSAMPLING)
        return picture

    def _skeleton(self, pen: ImageDraw.ImageDraw, pose: Array, colour: str, width: float, inset: float = 0) -> None:
        """Bones `width` px wide with round ends and a ball for the head, all made thinner by `inset` px a side."""
        pixels, radius = self.view.pixels(pose), width / 2 - inset
        points, seen = _pairs(pixels), np.isfinite(pixels).all(axis=-1) & self.drawn
        for child, parent in self.joints.bones:
            if seen[child] and seen[parent]:
                pen.line([points[child], points[parent]], fill=colour, width=max(1, round(2 * radius)))
        for joint in np.flatnonzero(seen):
            ball = self.head_px - inset if joint == self.head else radius
            (x, y), ball = points[joint], max(0.5, ball)
            pen.ellipse((x - ball, y - ball, x + ball, y + ball), fill=colour)


def _pairs(pixels: Array) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in pixels]


def _corners(low: Array, high: Array) -> Array:
    return np.array([[low[0], low[1], 0], [high[0], low[1], 0], [high[0], high[1], 0], [low[0], high[1], 0]])


def _colour(person: int) -> str:
    return PERSON_COLOURS[person % len(PERSON_COLOURS)]


@cache
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def _palette() -> Image.Image:
    """One palette for all frames: greys and each person's colour blended into white, for smooth edges.

    Pillow looks colours up to 4 levels: the greys next to white keep away from it, so that white stays white.
    """
    greys = [(255, 255, 255), *((level, level, level) for level in range(0x20, 0xF8, 4))]
    blends = []
    for colour in PERSON_COLOURS:
        rgb = np.array(ImageColor.getrgb(colour))
        blends += [tuple((rgb + (255 - rgb) * share).round().astype(int)) for share in np.linspace(0, 0.92, 32)]
    image = Image.new("P", (1, 1))
    image.putpalette([int(value) for entry in [*greys, *blends] for value in entry])
    return image
