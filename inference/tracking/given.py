"""The tracker that believes the file: people are who its `track_id`, `idx` or `id` says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data.keypoints.detections import VideoDetections
from inference.tracking.online import LiveTracks
from inference.tracking.tracks import Tracks
from pose.errors import ConfigError


@dataclass(frozen=True)
class GivenTracker:
    """Identities of the file as they are; rows without one are not used."""

    def __call__(self, detections: VideoDetections) -> Tracks:
        """ConfigError where the file has no identities."""
        return Tracks.numbered(_identity(detections))

    def start(self, fps: float) -> LiveTracks:
        """Of a stream: the labels of its people are their identities."""
        return lambda frame, found: _identity(found)


def _identity(detections: VideoDetections) -> np.ndarray:
    if detections.identity is not None:
        return detections.identity
    if not len(detections):
        return np.zeros(0, dtype=np.int64)
    raise ConfigError(
        f"tracker=given: {detections.source} does not say who is who: each person needs a track_id, idx or id that "
        "stays the same from frame to frame and is there once in a frame; leave tracker=given out, and people are "
        "tracked"
    )
