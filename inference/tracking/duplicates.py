"""Duplicates, for the tracker: second boxes of one person in a frame, and short tracks that lie on a longer one."""

from __future__ import annotations

import numpy as np

from data.keypoints.detections import VideoDetections
from inference.tracking.appearance import Appearance, pose_distance

#: The torso of a duplicate track is nearer than this to that of a longer track, in heights, ...
_MAX_DISTANCE = 0.2
#: ... in at least this fraction of its frames, ...
_MIN_FRACTION = 0.5
#: ... and it is this much shorter, ...
_LENGTH_RATIO = 5
#: ... and has at most so many rows, a second of video at the usual rate.
_MAX_ROWS = 30
#: In a frame; of more, those of the highest scores are tracked.
MAX_PEOPLE = 1000


def excess(detections: VideoDetections) -> np.ndarray:
    """(N,) bool: the rows of lowest score in frames of more than MAX_PEOPLE, which no detector means."""
    order = np.lexsort((-detections.box_score, detections.frame))
    frame = detections.frame[order]
    beyond = np.zeros(len(detections), dtype=bool)
    beyond[order] = np.arange(len(order)) - np.searchsorted(frame, frame) >= MAX_PEOPLE
    return beyond


def excess_note(beyond: np.ndarray) -> str:
    """What a user must know of the rows that `excess` finds."""
    return (
        f"Crowds: {int(beyond.sum())} detections of the lowest scores are not used, in frames of more than "
        f"{MAX_PEOPLE} people; does the detector take more than people for people?"
    )


def duplicate_boxes(people: Appearance, max_distance: float) -> np.ndarray:
    """(N,) bool: a box of higher score in the same frame has a pose closer than `max_distance` heights."""
    duplicate = np.zeros(len(people), dtype=bool)
    for a, b, height in people.pairs(people.boxes, max_distance):
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
    for a, b, height in people.pairs((people.centre, people.centre), _MAX_DISTANCE):
        near = np.linalg.norm(people.centre[a] - people.centre[b], axis=1) / height < _MAX_DISTANCE
        near_longer[a[near & (length[b] >= _LENGTH_RATIO * length[a])]] = True
        near_longer[b[near & (length[a] >= _LENGTH_RATIO * length[b])]] = True
    return [rows for rows in tracks if len(rows) > _MAX_ROWS or near_longer[rows].mean() < _MIN_FRACTION]
