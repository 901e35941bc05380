"""Trackers: who is who in a video's detections. `Tracker` is the protocol, `conf/tracker/*.yaml` the options.

tracks      `Tracker`, `Tracks` (an identity for each row), `sequences` (one PoseSequence per identity)
offline     `OfflineTracker`, the default; its parts: people, tracklets, linking, motion, filling, shadows

A tracker of one's own is a class with `__call__(detections) -> Tracks` and a file in conf/tracker that names it;
`Tracks.numbered(labels)` makes the result from any labels.
"""

from inference.tracking.offline import OfflineTracker
from inference.tracking.tracks import Tracker, Tracks, sequences

__all__ = ["OfflineTracker", "Tracker", "Tracks", "sequences"]
