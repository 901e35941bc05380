"""Feet that rest, and what resting on a floor does to a solution: a foot keeps its place and its height.

    sum over steps of resting feet |p_t - p_(t-1)|² / SLIDE_MM_S²  +  sum over frames of them (n p_t - h)² / HEIGHT_MM²

with p the foot, root plus relative joint, and the floor n p = h. In the root's solve the joint is fixed, in the joint's
the root, so both remain banded systems of points. As elsewhere the feet are the ankles, which is what skeletons have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pose.joint_sets import MUPOTS_17

Array = np.ndarray

#: A foot comes to rest below the first speed and leaves it above the second, mm/s, and rests for at least so long.
REST_MM_S, MOVE_MM_S, LEAST_REST_S = 120.0, 240.0, 0.1
#: Speeds are those over so many seconds; along the viewing ray they count so much, since depth is not seen.
SPEED_S, DEPTH_WEIGHT = 0.1, 0.4
#: At fewer frames a second nobody sees a foot rest: it may have gone and come back between two.
SLOWEST_FPS = 5.0
#: A foot that rests carries where the hip is higher by this fraction of the leg: not where somebody lies or sits low.
LEG_FRACTION = 0.4
#: Standard deviations: of the speed of a foot that rests, mm/s, and of its height over the floor, mm (at TUNED_FPS).
SLIDE_MM_S, HEIGHT_MM = 50.0, 40.0
#: Hips, knees and ankles, left and right.
LEGS = np.array(
    [[MUPOTS_17.index(f"{side}_{joint}") for side in ("left", "right")] for joint in ("hip", "knee", "ankle")]
)
#: The rate at which a frame counts once.
TUNED_FPS = 30.0


def spans_of(mask: Array) -> Array:
    """(T,) bool -> (N, 2): first frames and the frames after the last.

    >>> spans_of(np.array([True, True, False, True])).tolist()
    [[0, 2], [3, 4]]
    """
    return np.flatnonzero(np.diff(np.concatenate([[0], mask, [0]]))).reshape(-1, 2)


def hysteresis(enter: Array, stay: Array) -> Array:
    """(T,) bool: the spans of `stay` in which `enter` is true anywhere."""
    return _kept(stay, lambda start, end: bool(enter[start:end].any()))


def resting(poses: Array, observed: Array, up: Array, fps: float) -> Array:
    """(T, 2) bool: feet of poses (T, 17, 3) mm that hardly move and carry, where they are observed (T, 17)."""
    hips, knees, feet = (poses[:, joints] for joints in LEGS)
    lag = max(1, round(SPEED_S * fps / 2))
    rest = np.zeros(feet.shape[:2], dtype=bool)
    if len(feet) <= 2 * lag or fps < SLOWEST_FPS:
        return rest
    velocity = np.empty_like(feet)
    velocity[lag:-lag] = (feet[2 * lag :] - feet[: -2 * lag]) * (fps / (2 * lag))
    velocity[:lag], velocity[-lag:] = velocity[lag], velocity[-lag - 1]
    ray = feet / np.maximum(np.linalg.norm(feet, axis=-1, keepdims=True), 1e-6)
    along = (velocity * ray).sum(axis=-1, keepdims=True)
    speed = np.linalg.norm(velocity - (1 - DEPTH_WEIGHT) * along * ray, axis=-1)
    leg = np.median(np.linalg.norm(hips - knees, axis=-1) + np.linalg.norm(knees - feet, axis=-1))
    may = observed[:, LEGS[2]] & ((hips - feet) @ up > LEG_FRACTION * leg)
    for foot in range(2):
        found = hysteresis(speed[:, foot] < REST_MM_S, (speed[:, foot] < MOVE_MM_S) & may[:, foot])
        rest[:, foot] = _kept(found, lambda start, end: end - start >= LEAST_REST_S * fps)
    return rest


def _kept(mask: Array, good: Callable[[int, int], bool]) -> Array:
    kept = np.zeros(len(mask), dtype=bool)
    for start, end in spans_of(mask).tolist():
        kept[start:end] = good(start, end)
    return kept


@dataclass(frozen=True, eq=False)
class Contact:
    """up (3,), height_mm: the floor n p = h; hold (T, 2) and level (T, 2), 1/mm²: precision of a foot's step to a frame
    and of its height in it, 0 where it is free."""

    up: Array
    height_mm: float
    hold: Array
    level: Array

    @classmethod
    def of(cls, touch: Array, fps: float, up: Array, height_mm: float) -> Contact:
        """Of the frames (T, 2) in which the feet touch the floor."""
        hold = np.zeros(touch.shape)
        hold[1:] = (touch[1:] & touch[:-1]) * (TUNED_FPS * fps / SLIDE_MM_S**2)
        return cls(up, height_mm, hold, touch * (TUNED_FPS / fps / HEIGHT_MM**2))

    def terms(self, others: Array) -> tuple[Array, Array, Array]:
        """A (T, 2, 3, 3), b (T, 2, 3) and first differences (T, 2) of the point that makes the feet with others (T, 2,
        3): the root with the relative joints or the other way round."""
        A = self.level[..., None, None] * np.outer(self.up, self.up)
        b = (self.level * (self.height_mm - others @ self.up))[..., None] * self.up
        step = self.hold[1:, :, None] * np.diff(others, axis=0)
        b[1:] -= step
        b[:-1] += step
        return A, b, self.hold
