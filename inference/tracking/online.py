"""The tracker of live streams: who is who, decided frame by frame from what was seen before.

Each frame's people and the tracks that are alive are paired so that the distances are least in all: that of the joints
from where they are expected, then, of those who are left, that of the torso. What no later frame can correct errs more
often than `OfflineTracker`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from data.keypoints.detections import VideoDetections
from inference.tracking.appearance import Appearance, pose_distance_either_side
from inference.tracking.duplicates import duplicate_boxes
from inference.tracking.tracks import UNUSED, Tracks
from pose.errors import check_number

#: Up to here the whole pose is compared, and velocity counts, seconds.
_BRIEF_S = 0.25
#: How much wider a gate is for each second out of sight, and its limit; the least for torsos, in heights.
_WIDER_PER_S, _WIDEST, _TORSO = 6.0, 0.5, 0.25
#: Largest change of the logarithm of the apparent height.
_MAX_LOG_SIZE_CHANGE = 0.5
#: Weight of the newest displacement in the velocity, and of the newest height.
_SMOOTHING = 0.35
_IMPOSSIBLE = 1e3


class LiveTracks(Protocol):
    """Follows the people of a stream."""

    def __call__(self, frame: int, found: VideoDetections) -> np.ndarray:
        """Labels (N,) of the people of the frame of that number, negative for none; frames come in order."""
        ...


@dataclass
class _Followed:
    label: int
    frame: int
    seen: Appearance  # of one row
    velocity: np.ndarray  # px per frame
    height: float


@dataclass(frozen=True)
class OnlineTracker:
    """Pairs people with tracks frame by frame, looking at nothing later.

    max_gap_s: a person out of sight for longer is a new one. gate: how far joints may be from where they are expected
    from frame to frame, in heights. duplicate_distance: poses nearer than this are one person. Raises ConfigError for
    values that are not positive.

    >>> step = np.arange(60)[:, None, None]
    >>> walk = np.array([400.0, 500.0]) + 4.0 * step * [1, 0] + np.random.default_rng(0).uniform(-80, 80, (1, 19, 2))
    >>> found = VideoDetections(
    ...     np.arange(60), walk, np.full((60, 19), 0.9), np.full(60, 0.9), 60, fps=30.0, image_size=(1920, 1080)
    ... )
    >>> OnlineTracker()(found)
    Tracks(1 people, 0 of 60 rows unused)
    """

    max_gap_s: float = 2.0
    gate: float = 0.1
    duplicate_distance: float = 0.03

    def __post_init__(self) -> None:
        for key, value in vars(self).items():
            check_number(f"tracker.{key}", value, above=0)

    def start(self, fps: float) -> LiveTracks:
        """Follows the people of one stream."""
        return _Following(self, fps)

    def __call__(self, detections: VideoDetections) -> Tracks:
        """Identities of the rows of a whole video, found as in a stream."""
        follow, label = self.start(detections.fps or 30.0), np.full(len(detections), UNUSED)
        frames, starts = np.unique(detections.frame, return_index=True)
        for frame, rows in zip(frames.tolist(), np.split(np.arange(len(label)), starts[1:]), strict=False):
            label[rows] = follow(frame, detections.selected(rows))
        return Tracks.numbered(label)


class _Following:
    def __init__(self, settings: OnlineTracker, fps: float):
        self._settings, self._fps = settings, fps
        self._tracks: list[_Followed] = []
        self._next = 0

    def __call__(self, frame: int, found: VideoDetections) -> np.ndarray:
        people = Appearance.of(found)
        rows = np.flatnonzero(~duplicate_boxes(people, self._settings.duplicate_distance))
        longest = self._settings.max_gap_s * self._fps
        self._tracks = [track for track in self._tracks if frame - track.frame <= longest]
        label = np.full(len(found), UNUSED)
        free = list(self._tracks)
        for distance in (self._of_poses, self._of_torsos):
            left = rows[label[rows] < 0]
            for track, row in _pairs(free, left, [distance(track, people, left, frame) for track in free]):
                label[row] = track.label
                self._go_on(track, _row(people, row), frame)
            free = [track for track in free if track.frame < frame]
        for row in rows[label[rows] < 0].tolist():
            one = _row(people, row)
            self._tracks.append(_Followed(self._next, frame, one, np.zeros(2), float(one.height[0])))
            label[row], self._next = self._next, self._next + 1
        return label

    def _of_poses(self, track: _Followed, people: Appearance, rows: np.ndarray, frame: int) -> np.ndarray:
        """(n,) distance as a fraction of the gate: of the joints, not long after the track was seen."""
        passed, seen = (frame - track.frame) / self._fps, track.seen
        gate = self._settings.gate * max(1.0, 30.0 / self._fps) ** 0.5
        if passed > _BRIEF_S:
            return np.full(len(rows), np.inf)
        moved = track.velocity * (frame - track.frame)
        distance = pose_distance_either_side(
            seen.joints + moved, seen.weight, people.joints[rows], people.weight[rows], np.full(len(rows), track.height)
        )
        return self._alike(track, people, rows, distance / _wider(gate, passed))

    def _of_torsos(self, track: _Followed, people: Appearance, rows: np.ndarray, frame: int) -> np.ndarray:
        """The same of the torso, for who is left: out of sight for longer, or suddenly in another pose."""
        passed = (frame - track.frame) / self._fps
        moved = track.velocity * min(frame - track.frame, _BRIEF_S * self._fps)
        distance = np.linalg.norm(people.centre[rows] - track.seen.centre - moved, axis=1) / track.height
        gate = max(_TORSO, _wider(self._settings.gate, passed))
        return self._alike(track, people, rows, distance / gate)

    def _alike(self, track: _Followed, people: Appearance, rows: np.ndarray, distance: np.ndarray) -> np.ndarray:
        same_size = np.abs(np.log(people.height[rows] / track.height)) < _MAX_LOG_SIZE_CHANGE
        return np.where(same_size, distance, np.inf)

    def _go_on(self, track: _Followed, seen: Appearance, frame: int) -> None:
        moved = (seen.centre[0] - track.seen.centre[0]) / (frame - track.frame)
        track.velocity = track.velocity + _SMOOTHING * (moved - track.velocity)
        track.height += _SMOOTHING * (float(seen.height[0]) - track.height)
        track.seen, track.frame = seen, frame


def _wider(gate: float, passed_s: float) -> float:
    return min(_WIDEST, gate * (1 + _WIDER_PER_S * max(0.0, passed_s - 1 / 30)))


def _pairs(tracks: list[_Followed], rows: np.ndarray, distances: list[np.ndarray]) -> list[tuple[_Followed, int]]:
    """The tracks with their rows: as many as distances below 1 allow, and of these the least in all."""
    if not tracks or not len(rows):
        return []
    from scipy.optimize import linear_sum_assignment  # takes half a second to import

    cost = np.minimum(np.stack(distances), _IMPOSSIBLE)
    cost[cost >= 1] = _IMPOSSIBLE
    chosen = zip(*linear_sum_assignment(cost), strict=True)
    return [(tracks[index], int(rows[column])) for index, column in chosen if cost[index, column] < 1]


def _row(people: Appearance, row: int) -> Appearance:
    return Appearance(**{one.name: getattr(people, one.name)[row : row + 1] for one in dataclasses.fields(people)})
