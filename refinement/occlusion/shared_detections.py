"""Frames in which two tracks hold the same person's keypoints, and which of the two it isn't.

A detector that looks for a hidden person where it must be often finds the one in front, with high scores. Then two
tracks of a scene have one skeleton. It belongs to the track that leads up to it and away from it; the other one jumps
there and back, or would have to move much faster. Where both would, or neither, nothing is decided. A track that is
another one's from its first frame to its last stays as it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pose.sequence import PoseSequence
from refinement.occlusion.contact import hysteresis, spans_of
from refinement.occlusion.person import Person

Array = np.ndarray

#: Two skeletons are one where their joints are within the first fraction of the body's extent (root mean square about
#: its middle), until the second.
SAME, STILL_SAME = 0.15, 0.3
#: Keypoints below this score do not count; with fewer than so many in common nothing is compared.
MIN_SCORE, MIN_JOINTS = 0.2, 5
#: A joint jitters by this fraction of the extent, and people move by so many extents a second at most.
JITTER, EXTENTS_S = 0.1, 5.0
#: The other track moves into the span and out of it this much faster.
FASTER = 2.0


@dataclass(frozen=True, eq=False)
class KeypointTrack:
    """frames (T,): numbers, ascending; points (T, M, 2), in any unit that all tracks share, and scores (T, M)."""

    frames: Array
    points: Array
    scores: Array
    fps: float


def without_foreign_detections(sequences: Sequence[PoseSequence], people: Sequence[Person]) -> list[Person]:
    """The people with zero scores in frames whose keypoints are another's of the same `sequence` before one camera."""
    clean, scenes = list(people), {}
    for number, (sequence, person) in enumerate(zip(sequences, people, strict=True)):
        if person.rays is not None:
            scenes.setdefault((sequence.sequence, sequence.camera, sequence.joints_2d), []).append(number)
    for numbers in scenes.values():
        tracks = [
            KeypointTrack(sequences[i].frame.cpu().numpy(), people[i].rays, people[i].keypoint_score, people[i].fps)
            for i in numbers
        ]
        for i, frames in zip(numbers, foreign_frames(tracks), strict=True):
            clean[i] = people[i].unseen(frames) if frames.any() else people[i]
    return clean


def foreign_frames(tracks: Sequence[KeypointTrack]) -> list[Array]:
    """Of each track (T,) bool: frames whose keypoints are another track's."""
    found = [np.zeros(len(track.frames), dtype=bool) for track in tracks]
    shared = [np.zeros(len(track.frames), dtype=bool) for track in tracks]
    spans = []
    for i, j in itertools.combinations(range(len(tracks)), 2):
        a, b = tracks[i], tracks[j]
        _, of_a, of_b = np.intersect1d(a.frames, b.frames, assume_unique=True, return_indices=True)
        apart = np.full(len(of_a), np.inf)
        good = (a.scores[of_a] > MIN_SCORE) & (b.scores[of_b] > MIN_SCORE)
        enough = good.sum(axis=1) >= MIN_JOINTS
        apart[enough] = _apart(a.points[of_a[enough]], b.points[of_b[enough]], good[enough])
        for start, end in spans_of(hysteresis(apart < SAME, apart < STILL_SAME)):
            spans.append(((i, of_a[start:end]), (j, of_b[start:end])))
            shared[i][of_a[start:end]] = shared[j][of_b[start:end]] = True
    for pair in spans:
        fast, slow = sorted(pair, key=lambda one: -_speed(tracks[one[0]], one[1], shared[one[0]]))
        speeds = [_speed(tracks[i], frames, shared[i]) for i, frames in (fast, slow)]
        if speeds[0] > max(FASTER * speeds[1], 1.0):
            found[fast[0]][fast[1]] = True
    return found


def _apart(a: Array, b: Array, good: Array) -> Array:
    """(N,) root mean square distance of the good joints of skeletons (N, M, 2), in extents of the first."""
    count = good.sum(axis=1)[:, None]
    middle = (a * good[..., None]).sum(axis=1) / count
    extent = (((a - middle[:, None]) ** 2).sum(axis=-1) * good).sum(axis=1)
    return np.sqrt((((a - b) ** 2).sum(axis=-1) * good).sum(axis=1) / np.maximum(extent, 1e-12))


def _speed(track: KeypointTrack, frames: Array, shared: Array) -> float:
    """How fast the track moves into and out of these frames, of what people can, the faster; from and to frames in
    which its keypoints are nobody else's."""
    good = track.scores > MIN_SCORE
    own = np.flatnonzero((good.sum(axis=1) >= MIN_JOINTS) & ~shared)
    speed = 0.0
    for inside, outside in ((frames[0], own[own < frames[0]][-1:]), (frames[-1], own[own > frames[-1]][:1])):
        for other in outside:
            both = good[inside] & good[other]
            if both.sum() >= MIN_JOINTS:
                moved = _apart(track.points[[inside]], track.points[[other]], both[None])[0]
                seconds = abs(int(track.frames[inside] - track.frames[other])) / track.fps
                speed = max(speed, float(moved) / (JITTER + EXTENTS_S * seconds))
    return speed
