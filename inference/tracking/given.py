"""The tracker that believes the file: people are who its `track_id`, `idx` or `id` says."""

from __future__ import annotations

from dataclasses import dataclass

from data.keypoints.detections import VideoDetections
from inference.tracking.tracks import Tracks
from pose.errors import ConfigError


@dataclass(frozen=True)
class GivenTracker:
    """Identities of the file as they are; rows without one are not used."""

    def __call__(self, detections: VideoDetections) -> Tracks:
        """ConfigError where the file has no identities."""
        if detections.identity is None:
            raise ConfigError(
                f"tracker=given: {detections.source} does not say who is who: each person needs a track_id, idx or id "
                "that stays the same from frame to frame and is there once in a frame; leave tracker=given out, and "
                "people are tracked"
            )
        return Tracks.numbered(detections.identity)
