"""Feet that keep their place in a stream, where each frame comes from a window of its own.

While a foot rests (contact.py), what the windows move it is taken back by an offset, which fades within FADE_S, so that
a foot that was put down in the wrong place creeps to the right one; once it is free the offset goes within RELEASE_S.
The body moves by the mean of both feet's offsets, the legs bend by the rest.
"""

from __future__ import annotations

import numpy as np

from refinement.occlusion.contact import LEGS

Array = np.ndarray

#: Time constants of an offset while the foot rests and while it is free, seconds.
FADE_S, RELEASE_S = 1.0, 0.15
#: Offsets are never longer than this, mm.
MOST_MM = 150.0


class Foothold:
    """The state of one person's stream: call it with each frame's pose (17, 3) mm and the feet that rest (2,)."""

    def __init__(self, fps: float) -> None:
        self._keep = np.exp(-1 / (fps * np.array([RELEASE_S, FADE_S])))
        self._offset, self._last, self._rested = np.zeros((2, 3)), None, np.zeros(2, dtype=bool)

    def __call__(self, pose: Array, rests: Array) -> Array:
        feet = pose[LEGS[2]]
        if self._last is not None:
            held = (rests & self._rested)[:, None]
            self._offset = self._keep[rests.astype(int)][:, None] * (self._offset - held * (feet - self._last))
            size = np.linalg.norm(self._offset, axis=1, keepdims=True)
            self._offset *= np.minimum(1.0, MOST_MM / np.maximum(size, 1e-6))
        self._last, self._rested = feet, rests
        return with_feet(pose + self._offset.mean(axis=0), feet + self._offset)


def with_feet(pose: Array, feet: Array) -> Array:
    """The pose (17, 3) with ankles at feet (2, 3), or as near as the legs reach: knees bend in their planes, and the
    bones keep their lengths."""
    placed = pose.copy()
    for hip, knee, ankle, foot in zip(*LEGS, feet, strict=True):
        start, thigh, shank = pose[hip], pose[knee] - pose[hip], pose[ankle] - pose[knee]
        upper, lower = np.linalg.norm(thigh), np.linalg.norm(shank)
        leg = foot - start
        reach = np.clip(np.linalg.norm(leg), abs(upper - lower) + 1e-6, upper + lower - 1e-6)
        leg = leg / max(np.linalg.norm(leg), 1e-9)
        ahead = thigh - (thigh @ leg) * leg
        along = (reach**2 + upper**2 - lower**2) / (2 * reach)
        aside = np.sqrt(max(upper**2 - along**2, 0.0))
        placed[knee] = start + along * leg + aside * ahead / max(np.linalg.norm(ahead), 1e-9)
        placed[ankle] = start + reach * leg
    return placed
