"""What a tracker gives: who each detection is, and from that one `PoseSequence` per person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from data.keypoints.detections import VideoDetections
from pose.cameras import Camera
from pose.errors import ConfigError, MismatchError, check_number, check_shape
from pose.joint_sets import COCO_19
from pose.sequence import PoseSequence

#: Identity of a detection that belongs to no track: a second box of a person, noise.
UNUSED = -1


@dataclass(frozen=True, eq=False)
class Tracks:
    """Identities of N detections.

    identity (N,) int: whose detection a row is, UNUSED for none. Identities count from 0 in order of the frames that
    they cover, the longest first. frames_covered: that number for each identity, so its length is how many people
    there are. Raises ShapeError or ConfigError for identities that are not numbered so; `numbered` makes them so.
    """

    identity: np.ndarray
    frames_covered: tuple[int, ...]

    def __post_init__(self) -> None:
        check_shape("identity", self.identity, ("N",))
        counts = np.bincount(self.identity[self.identity != UNUSED], minlength=len(self.frames_covered))
        if tuple(counts.tolist()) != self.frames_covered or list(counts) != sorted(counts, reverse=True):
            raise ConfigError(
                "identity: must count from 0 in order of the frames covered, the longest first; use numbered()"
            )

    @classmethod
    def numbered(cls, label: np.ndarray) -> Tracks:
        """Tracks from any labels (N,) of people, negative ones for unused rows; of equals the earlier comes first."""
        used = label >= 0
        names, first, index, counts = np.unique(label[used], return_index=True, return_inverse=True, return_counts=True)
        order = np.lexsort((first, -counts))
        number = np.empty(len(names), dtype=int)
        number[order] = np.arange(len(names))
        identity = np.full(len(label), UNUSED)
        identity[used] = number[index]
        return cls(identity, tuple(counts[order].tolist()))

    def __len__(self) -> int:
        return len(self.frames_covered)

    def __repr__(self) -> str:
        return f"Tracks({len(self)} people, {int((self.identity == UNUSED).sum())} of {len(self.identity)} rows unused)"


class Tracker(Protocol):
    """Gives every detection of a video its identity. Built by `conf/tracker/*.yaml`."""

    def __call__(self, detections: VideoDetections) -> Tracks: ...


def sequences(
    detections: VideoDetections, tracks: Tracks, camera: Camera | None, fps: float, people: int | None = None
) -> list[PoseSequence]:
    """One sequence per identity, from its first to its last frame, named after the source; COCO-19, no 3D poses.

    Frames without a detection hold zeros and `detected` false. fps: frames per second of the video. people: only
    that many, the longest. Raises ConfigError for a number below 1, MismatchError for tracks of other detections.

    >>> step = np.arange(60)[:, None, None]
    >>> walk = np.array([400.0, 500.0]) + 4.0 * step * [1, 0] + np.random.default_rng(0).uniform(-80, 80, (1, 19, 2))
    >>> found = VideoDetections(
    ...     np.arange(60), walk, np.full((60, 19), 0.9), np.full(60, 0.9), 60, fps=30.0, image_size=(1920, 1080)
    ... )
    >>> sequences(found, Tracks.numbered(np.zeros(60, dtype=int)), camera=None, fps=30.0)
    [PoseSequence(detections/0, 60 frames at 30 fps, COCO-19 -> MuPoTS-17, None)]
    """
    if people is not None:
        check_number("people", people, low=1, whole=True, hint="or null to keep all")
    if len(tracks.identity) != len(detections):
        raise MismatchError(f"tracks of {len(tracks.identity)} rows do not belong to {detections!r}")
    kept = len(tracks) if people is None else min(people, len(tracks))
    return [_sequence(detections, tracks.identity == person, person, camera, fps) for person in range(kept)]


def _sequence(
    detections: VideoDetections, rows: np.ndarray, person: int, camera: Camera | None, fps: float
) -> PoseSequence:
    frame = detections.frame[rows]
    if len(np.unique(frame)) != len(frame):
        raise MismatchError(f"{detections.source}: identity {person} has two detections in one frame")
    length = int(frame[-1] - frame[0]) + 1
    at = torch.from_numpy(frame - frame[0])
    keypoints_2d = torch.zeros(length, len(COCO_19), 2)
    confidence = torch.zeros(length, len(COCO_19))
    detected = torch.zeros(length, dtype=torch.bool)
    keypoints_2d[at] = torch.from_numpy(detections.keypoints_2d[rows]).float()
    confidence[at] = torch.from_numpy(detections.confidence[rows]).float()
    detected[at] = True
    return PoseSequence(
        sequence=detections.source,
        person=person,
        camera=camera,
        fps=fps,
        keypoints_2d=keypoints_2d,
        confidence=confidence,
        detected=detected,
        frame=torch.arange(length) + int(frame[0]),
    )
