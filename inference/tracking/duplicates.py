"""Shadows: short tracks that lie on a longer one: second boxes of somebody, boxes of halves of two people."""

from __future__ import annotations

import numpy as np

from inference.tracking.appearance import People

#: A shadow's torso is nearer than this to that of a longer track, in heights, ...
_NEAR = 0.2
#: ... in this share of its frames, ...
_SHARE = 0.5
#: ... and it is this much shorter, ...
_SHORTER = 5
#: ... and at most so many rows, a second of video at the usual rate.
_AT_MOST = 30


def without_shadows(people: People, tracks: list[np.ndarray]) -> list[np.ndarray]:
    """The tracks that are people of their own, rows each."""
    length = np.zeros(len(people), dtype=int)  # of the track of each row
    for rows in tracks:
        length[rows] = len(rows)
    shadowed = np.zeros(len(people), dtype=bool)
    step = 1
    while True:  # rows are sorted by frame: compare each with the next, then with the one after it, ...
        a = np.flatnonzero(people.frame[step:] == people.frame[:-step])
        if not len(a):
            break
        b = a + step
        apart = np.linalg.norm(people.centre[a] - people.centre[b], axis=1) / np.maximum(
            people.height[a], people.height[b]
        )
        shadowed[a[(apart < _NEAR) & (length[b] >= _SHORTER * length[a])]] = True
        shadowed[b[(apart < _NEAR) & (length[a] >= _SHORTER * length[b])]] = True
        step += 1
    return [rows for rows in tracks if len(rows) > _AT_MOST or shadowed[rows].mean() < _SHARE]
