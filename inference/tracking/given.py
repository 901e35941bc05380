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
                f"tracker=given: {detections.source} tells no people apart (track_id, idx or id of each person); use "
                "tracker=offline"
            )
        return Tracks.numbered(detections.identity)
