"""Duplicates, for the tracker: second boxes of one person in a frame, and short tracks that lie on a longer one."""

from __future__ import annotations

import numpy as np

from inference.tracking.appearance import Appearance, pose_distance

#: The torso of a duplicate track is nearer than this to that of a longer track, in heights, ...
_MAX_DISTANCE = 0.2
#: ... in at least this fraction of its frames, ...
_MIN_FRACTION = 0.5
#: ... and it is this much shorter, ...
_LENGTH_RATIO = 5
#: ... and has at most so many rows, a second of video at the usual rate.
_MAX_ROWS = 30


def duplicate_boxes(people: Appearance, max_distance: float) -> np.ndarray:
    """(N,) bool: a box of higher score in the same frame has a pose closer than `max_distance` heights."""
    duplicate = np.zeros(len(people), dtype=bool)
    for a, b, height in people.pairs():
        distance = pose_distance(people.joints[a], people.weight[a], people.joints[b], people.weight[b], height)
        lower = np.where(people.score[a] < people.score[b], a, b)
        duplicate[lower[distance < max_distance]] = True
    return duplicate


def without_duplicates(people: Appearance, tracks: list[np.ndarray]) -> list[np.ndarray]:
    """The tracks, rows each, that are not duplicates of a longer one: of its person or of halves of two people."""
    length = np.zeros(len(people), dtype=int)  # of the track of each row
    for rows in tracks:
        length[rows] = len(rows)
    near_longer = np.zeros(len(people), dtype=bool)
    for a, b, height in people.pairs():
        near = np.linalg.norm(people.centre[a] - people.centre[b], axis=1) / height < _MAX_DISTANCE
        near_longer[a[near & (length[b] >= _LENGTH_RATIO * length[a])]] = True
        near_longer[b[near & (length[a] >= _LENGTH_RATIO * length[b])]] = True
    return [rows for rows in tracks if len(rows) > _MAX_ROWS or near_longer[rows].mean() < _MIN_FRACTION]
