"""The default tracker: it looks at the whole video before it decides who is who.

1. Duplicate boxes of one pose in a frame are set aside (duplicates.py).
2. Tracklets end wherever it is not clear who is who (tracklets.py).
3. Those long enough to have a velocity are linked over gaps, all at once (linking.py, motion_model.py).
4. Shorter ones fill the gaps where they fit (gap_filling.py); what is left is linked among itself.
5. Short tracks that lie on a longer one are duplicates (duplicates.py): their rows are not used.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from data.keypoints.detections import VideoDetections
from inference.tracking.appearance import Appearance
from inference.tracking.duplicates import duplicate_boxes, excess, excess_note, without_duplicates
from inference.tracking.gap_filling import fill_gaps
from inference.tracking.linking import link
from inference.tracking.tracklets import find_tracklets, usual_step
from inference.tracking.tracks import Tracks
from pose.errors import check_number

logger = logging.getLogger(__name__)

#: Longest gap in which single detections are linked among themselves, seconds.
_BRIEF_S = 0.25
#: Longest gap in which tracks and tracklets shorter than min_tracklet_s are linked, seconds.
_NEAR_S = 1.0
#: The gate is no narrower than so many steps as the joints usually take, so that noisy detections are tracked too.
_STEPS = 2.5
#: Where the video's rate is unknown.
_FPS = 30.0


@dataclass(frozen=True)
class OfflineTracker:
    """Tracklets of keypoints, linked over the whole video.

    max_gap_s: longest time out of sight that an identity survives. gate: how far joints may be from where they are
    expected from frame to frame, at 30 frames per second; farther where they usually jump farther. ambiguity_margin:
    how much worse any other assignment must be for a tracklet to go on. duplicate_distance: poses nearer than this in
    one frame are one person. These three are mean distances of the joints as fractions of the person's height.
    min_tracklet_s: shorter tracklets have no velocity of their own, and what is shorter in the end counts as noise.
    link_ambiguity_margin: two identities that may have changed places while hidden, by odds of less than e to this
    power, both end and two new ones begin; 0: never.
    Raises ConfigError for values that are not positive (link_ambiguity_margin: below 0).

    >>> step = np.arange(60)[:, None, None]
    >>> walk = np.array([400.0, 500.0]) + 4.0 * step * [1, 0] + np.random.default_rng(0).uniform(-80, 80, (1, 19, 2))
    >>> found = VideoDetections(
    ...     np.arange(60), walk, np.full((60, 19), 0.9), np.full(60, 0.9), 60, fps=30.0, image_size=(1920, 1080)
    ... )
    >>> OfflineTracker()(found)
    Tracks(1 people, 0 of 60 rows unused)
    """

    max_gap_s: float = 5.0
    gate: float = 0.06
    ambiguity_margin: float = 0.03
    duplicate_distance: float = 0.03
    min_tracklet_s: float = 0.2
    link_ambiguity_margin: float = 1.5

    def __post_init__(self) -> None:
        for key, value in vars(self).items():
            if key == "link_ambiguity_margin":
                check_number(f"tracker.{key}", value, low=0)
            else:
                check_number(f"tracker.{key}", value, above=0)

    def __call__(self, detections: VideoDetections) -> Tracks:
        """Identities of the rows; no tracks where there are no detections."""
        label = np.full(len(detections), -1)
        if not len(detections):
            return Tracks.numbered(label)
        fps = detections.fps or _FPS
        beyond = excess(detections)
        if beyond.any():
            logger.warning("%s: %s", detections.source, excess_note(beyond))
            label[~beyond] = self(detections.selected(~beyond)).identity
            return Tracks.numbered(label)
        people = Appearance.of(detections)
        used = ~duplicate_boxes(people, self.duplicate_distance)
        gate, step = self.gate * max(1.0, _FPS / fps) ** 0.5, _STEPS * usual_step(people, used)
        tracklets = find_tracklets(
            people, used, max(gate, step), self.ambiguity_margin, max(1, round(0.07 * fps)), jumpy=step > gate
        )
        steady = max(2, round(self.min_tracklet_s * fps))
        least = min(steady, max(1, detections.n_frames // 2))  # so that a video of one frame has people too
        long, near, brief = self.max_gap_s, min(_NEAR_S, self.max_gap_s), min(_BRIEF_S, self.max_gap_s)
        margin, size = self.link_ambiguity_margin, detections.image_size

        tracks, closed = link(people, [t for t in tracklets if len(t) >= steady], margin, long, fps, size)
        tracks, rest = fill_gaps(people, tracks, [t for t in tracklets if len(t) < steady], fps)
        rest, closed = link(people, rest, margin, brief, fps, size, closed)
        rest = [t for t in rest if len(t) >= least / 2]
        # What is too short to have a velocity is not followed far: at the end of a long gap it could be anyone.
        tracks, closed = link(people, tracks + rest, margin, near, fps, size, closed)
        tracks, _ = link(people, [t for t in tracks if len(t) >= least], margin, long, fps, size, closed)
        for number, rows in enumerate(without_duplicates(people, tracks)):
            if len(rows) >= least:
                label[rows] = number
        found = Tracks.numbered(label)
        logger.info("%s: %d tracklets, %d people", detections.source, len(tracklets), len(found))
        return found
