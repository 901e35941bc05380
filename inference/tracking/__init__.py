"""Trackers: who is who in a video's detections. `Tracker` is the protocol, `conf/tracker/*.yaml` the options.

tracks        `Tracker`, `Tracks` (an identity for each row), `sequences` (one PoseSequence per identity)
given         `GivenTracker`: the identities of the file
online        `OnlineTracker`, of live streams, which looks at nothing later
offline       `OfflineTracker`, the default; its parts:
appearance    what is compared between detections    tracklets    certain pieces of tracks
linking       tracklets over gaps                    motion_model how hidden people move
gap_filling   short tracklets into gaps              duplicates   second boxes of one person
side_swaps    left and right exchanged for a while, undone

To add a tracker: a class with `__call__(detections) -> Tracks` (`Tracks.numbered(labels)` makes the result from any
labels), a file in conf/tracker that names it, and a test like those in tests/inference/tracking.
"""

from inference.tracking.given import GivenTracker
from inference.tracking.offline import OfflineTracker
from inference.tracking.online import OnlineTracker
from inference.tracking.tracks import Tracker, Tracks, sequences

__all__ = ["GivenTracker", "OfflineTracker", "OnlineTracker", "Tracker", "Tracks", "sequences"]
