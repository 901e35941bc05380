"""What a detector found in a video: people in each frame, in no order and without identity.

The type between the inputs (keypoint files, detectors) and the tracker. Missing joints are kept as such: score 0 and
x = y = 0, never invented.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pose.errors import ConfigError, check_shape
from pose.joint_sets import COCO_19


@dataclass(frozen=True, eq=False)
class VideoDetections:
    """N detections, rows sorted by frame.

    frame (N,) int: 0-based frame of the row. keypoints_2d (N, 19, 2) px and confidence (N, 19) in 0..1: COCO-19.
    box_score (N,): the detector's confidence in the person as a whole, the mean joint score where it gave none.
    n_frames: frames of the video, those without detections included. fps: frames per second, None if unknown.
    image_size: (width, height) in px, None if unknown. source: what messages call it.
    identity (N,) int: who each is by the file's own tracks, -1 for unknown; None without them. notes: what a user must
    know of the input, a sentence each.

    Raises ShapeError for arrays that do not agree, ConfigError for frames out of order or out of range.

    >>> found = VideoDetections(
    ...     frame=np.array([0, 0, 1]),  # two people in the first frame, one in the second
    ...     keypoints_2d=np.full((3, 19, 2), 500.0),
    ...     confidence=np.full((3, 19), 0.9),
    ...     box_score=np.full(3, 0.9),
    ...     n_frames=2,
    ...     fps=30.0,
    ...     image_size=(1920, 1080),
    ... )
    >>> found
    VideoDetections(detections: 3 detections in 2 frames)
    """

    frame: np.ndarray
    keypoints_2d: np.ndarray
    confidence: np.ndarray
    box_score: np.ndarray
    n_frames: int
    fps: float | None = None
    image_size: tuple[int, int] | None = None
    source: str = "detections"
    identity: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        sizes = {"K": len(COCO_19)}
        for name, pattern in {
            "frame": ("N",),
            "keypoints_2d": ("N", "K", 2),
            "confidence": ("N", "K"),
            "box_score": ("N",),
        }.items():
            check_shape(f"{self.source}: {name}", getattr(self, name), pattern, sizes)
        if self.identity is not None:
            check_shape(f"{self.source}: identity", self.identity, ("N",), sizes)
        outside = (self.frame < 0) | (self.frame >= self.n_frames)
        if outside.any() or (np.diff(self.frame) < 0).any():
            raise ConfigError(
                f"{self.source}: frame: numbers from 0 to {self.n_frames - 1} in ascending order are expected"
            )

    def __len__(self) -> int:
        return len(self.frame)

    def selected(self, rows: np.ndarray) -> VideoDetections:
        """The same video with these rows alone, indices in order of time or (N,) bool."""
        columns = ("frame", "keypoints_2d", "confidence", "box_score")
        identity = None if self.identity is None else self.identity[rows]
        return replace(self, identity=identity, **{key: getattr(self, key)[rows] for key in columns})

    @property
    def stride(self) -> int:
        """2 where people are in every second frame alone, as where only such were looked at; so for more; else 1."""
        frames = np.unique(self.frame)
        return max(1, int(np.gcd.reduce(np.diff(frames)))) if len(frames) > 3 else 1

    def compact(self) -> VideoDetections:
        """Of every `stride` frames the one in which people are, as a video of its own rate."""
        step, first = self.stride, int(self.frame[0]) % self.stride if len(self) else 0
        fps = None if self.fps is None else self.fps / step
        n_frames = (self.n_frames - 1 - first) // step + 1
        return replace(self, frame=(self.frame - first) // step, n_frames=n_frames, fps=fps)

    def __repr__(self) -> str:
        return f"VideoDetections({self.source}: {len(self)} detections in {self.n_frames} frames)"
