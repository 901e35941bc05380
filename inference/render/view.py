"""A scene in space and a camera that looks at it: views of the world and its floor, figures that stand in it.

World coordinates are metres (right, forward, up) with the floor at up = 0 (pose/level.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inference.render.drawing import ALL_OBSERVED, BALL_BONES, GRID, HEAD, HIP, LINE_BONES, SHADOW, Sketch
from pose.cameras import Camera
from pose.level import World

if TYPE_CHECKING:
    from inference.render.canvas import Canvas

Array = NDArray[np.floating]

MARGIN_M = 0.6  # of floor around the people
MAX_LINES = 40  # of the floor's grid, per direction
FLOOR = "#F4F4F4"
BONE_M, MIN_BONE_PX, MAX_BONE_PX, HEAD_M = 0.05, 3.5, 30.0, 0.1  # thickness of bones, radius of heads
THIN_PX = 1.8
ON_FLOOR = np.array([1.0, 1.0, 0.0])
_NEAR_M, _FAR_PX = 1e-3, 1e5


def extent(points: Array) -> Array:
    """Corners (2, 3) of what to show of points (..., 3), all in world metres: floor round them and their height.

    Nearly all points count, so that a single wild one does not rule. Without any it is a place for one person.
    """
    points = points[np.isfinite(points).all(-1)]
    if not len(points):
        return np.array([[-1.0, -1.0, 0.0], [1.0, 1.0, 1.8]])
    low, high = np.percentile(points, [1, 99], axis=0)
    return np.array([[*low[:2] - MARGIN_M, 0.0], [*high[:2] + MARGIN_M, max(high[2], 1.0) + 0.1]])


class DrawnPerson(NamedTuple):
    """A person to draw: refined (or predicted) `pose` (17, 3) in m, thick, hollow where not `observed` (17,), and
    `other` (17, 3), thin beneath it: what it is compared with."""

    pose: Array
    observed: np.ndarray
    colour: str
    other_colour: str
    other: Array


@dataclass(frozen=True)
class View:
    """A pinhole camera in the world: its picture `size` px, `distance` m from `centre`; axes (3, 3): its right, down,
    forward; scale: focal length in px, across and down; offset: px of the centre."""

    axes: Array
    centre: Array
    distance: float
    size: tuple[int, int]
    scale: Array | float = 1.0
    offset: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def fit(cls, box: Array, width: int, max_height: int, azimuth: float = 22, elevation: float = 21) -> View:
        """The box with corners (2, 3) from the front and a little to the left, `width` px wide and as high as needed.

        azimuth and elevation in degrees. It is drawn smaller than `width` allows where `max_height` demands it.
        """
        axes = looking(azimuth, elevation)
        unit = cls(axes, box.mean(0), 2 * math.dist(*box), (width, max_height))
        seen = unit.pixels(corners(box))
        used = 0.94 * np.array([width, max_height]) / np.ptp(seen, axis=0)
        height = min(max_height, math.ceil(max_height * used[0] / used[1]))
        x, y = np.array([width, height]) / 2 - used.min() * (seen.min(0) + seen.max(0)) / 2
        return cls(axes, unit.centre, unit.distance, (width, height), float(used.min()), (float(x), float(y)))

    @classmethod
    def of_camera(cls, camera: Camera, world: World, size: tuple[int, int]) -> View:
        """What `camera` sees, its whole image in the middle of a picture of `size` px."""
        scale = min(size[0] / camera.width, size[1] / camera.height)
        x, y = ((side - scale * full) / 2 for side, full in zip(size, (camera.width, camera.height), strict=True))
        place = np.array([0.0, 0.0, -world.floor_mm / 1000.0])
        focal = scale * np.array([camera.fx, camera.fy])
        return cls(world.axes.T, place, 0.0, size, focal, (x + scale * camera.cx, y + scale * camera.cy))

    def pixels(self, points: Array) -> Array:
        """World points (..., 3) in m -> (..., 2) px; NaN for points at the viewer's back or far out of the picture."""
        seen = (points - self.centre) @ self.axes.T
        depth = seen[..., 2:] + self.distance
        pixels = seen[..., :2] / np.where(depth > _NEAR_M, depth, np.nan) * self.scale + np.array(self.offset)
        return np.where(np.abs(pixels) < _FAR_PX, pixels, np.nan)

    def depth(self, points: Array) -> Array:
        """World points (..., 3) in m -> (...) m in front of the camera, not below 1 mm."""
        return np.maximum((points - self.centre) @ self.axes[2] + self.distance, _NEAR_M)

    def draw_floor(self, canvas: Canvas, floor: Floor) -> None:
        """What is there before anything stands on it: the floor with its grid, on white."""
        canvas.fill("white")
        outline = self.pixels(floor.outline)
        if np.isfinite(outline).all():
            canvas.polygons(outline[None], FLOOR)
        lines = Sketch()
        lines.lines(self.pixels(floor.lines), 1.0)
        lines.paint(canvas, GRID)

    def draw(self, canvas: Canvas, people: Sequence[DrawnPerson]) -> None:
        """Draw people with their shadows on the floor into a picture of this view, far ones first."""
        if not people:
            return
        poses = np.stack([(one.pose * ON_FLOOR, one.pose, one.other) for one in people])
        pixels, depth = self.pixels(poses), self.depth(poses)
        per_metre = np.mean(self.scale) / depth
        bones = (BONE_M * np.median(per_metre, axis=-1)).clip(MIN_BONE_PX, MAX_BONE_PX)
        balls = np.minimum(HEAD_M * per_metre[..., HEAD], 4 * MAX_BONE_PX)

        def figure(i: int, which: int, observed: np.ndarray = ALL_OBSERVED) -> Sketch:
            """Thick, with a ball for the head."""
            sketch = Sketch()
            if np.isfinite(bones[i, which]):
                sketch.skeleton(pixels[i, which], BALL_BONES, bones[i, which], observed, balls[i, which])
            return sketch

        for i in range(len(people)):
            figure(i, 0).paint(canvas, SHADOW)
        for i in np.argsort(-np.nan_to_num(depth[:, 1, HIP]), kind="stable"):
            person, thin = people[i], Sketch()
            thin.skeleton(pixels[i, 2], LINE_BONES, THIN_PX)
            thin.paint(canvas, person.other_colour)
            figure(i, 1, person.observed).paint(canvas, person.colour, "white", 1.2)


class Floor(NamedTuple):
    """In world metres: outline (4, 3), and the lines of a grid (N, 2, 3)."""

    outline: Array
    lines: Array

    @classmethod
    def of(cls, box: Array) -> Floor:
        return cls(corners(box)[[0, 2, 6, 4]], _grid(box))


def looking(azimuth: float, elevation: float) -> Array:
    """Axes (3, 3) of a view from so many degrees to the left and above."""
    a, e = math.radians(azimuth), math.radians(elevation)
    forward = np.array([math.sin(a) * math.cos(e), math.cos(a) * math.cos(e), -math.sin(e)])
    right = np.array([math.cos(a), -math.sin(a), 0.0])
    return np.stack([right, np.cross(forward, right), forward])


def corners(box: Array) -> Array:
    """(2, 3) -> (8, 3): all corners, the last coordinate changing fastest."""
    return np.stack(np.meshgrid(*box.T, indexing="ij"), axis=-1).reshape(8, 3)


def _grid(box: Array) -> Array:
    """Lines (N, 2, 3) of the floor, at half a metre or more, in pieces of which some may lie at the camera's back."""
    pieces = []
    step = max(0.5, math.ceil(2 * float(np.ptp(box, axis=0)[:2].max()) / MAX_LINES) / 2)
    for axis in (0, 1):
        for place in np.arange(math.ceil(box[0, axis] / step), box[1, axis] / step) * step:
            ends = box * ON_FLOOR
            ends[:, axis] = place
            line = np.linspace(ends[0], ends[1], 5)
            pieces.append(np.stack([line[:-1], line[1:]], axis=1))
    return np.concatenate(pieces)
