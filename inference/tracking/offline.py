"""The product's tracker: it looks at the whole video before it decides who is who.

1. Second boxes of the same pose in one frame are set aside (people.py).
2. Tracklets end wherever it is not clear who is who (tracklets.py).
3. Those long enough to have a velocity are linked over gaps, all at once (linking.py, motion.py).
4. Shorter ones fill the gaps where they fit (filling.py); what is left is linked among itself.
5. A short track that lies on a longer one is a second box of that person (shadows.py): its rows are not used.
"""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass

import numpy as np

from data.keypoints.detections import VideoDetections
from inference.tracking.appearance import People, second_boxes
from inference.tracking.duplicates import without_shadows
from inference.tracking.gap_filling import fill
from inference.tracking.linking import Links, link
from inference.tracking.tracklets import Gates, find_tracklets
from inference.tracking.tracks import Tracks
from pose.errors import ConfigError

logger = logging.getLogger(__name__)

#: Longest gap in which single detections are linked among themselves, seconds.
_BRIEF_S = 0.25
#: Longest gap in which tracks and pieces shorter than steady_s are linked, seconds.
_NEAR_S = 1.0
#: Where the video's rate is unknown.
_FPS = 30.0


@dataclass(frozen=True)
class OfflineTracker:
    """Tracklets of keypoints, linked over the whole video.

    max_gap_s: longest time out of sight that an identity survives. step: how far joints may be from where they are
    expected from frame to frame, at 30 frames per second. margin: how much worse any other assignment must be for a
    tracklet to go on. second_box: poses nearer than this in one frame are one person. All three are mean distances of
    the joints as shares of the person's height. steady_s: tracklets shorter than this have no velocity of their own,
    and what is shorter in the end is taken for noise. doubt: two identities of which it is not clear that they did not
    change places out of sight, by odds of less than e to this power, end both and start anew; 0: never.
    Raises ConfigError for values that are not positive (doubt: below 0).

    >>> step = np.arange(60)[:, None, None]
    >>> walk = np.array([400.0, 500.0]) + 4.0 * step * [1, 0] + np.random.default_rng(0).uniform(-80, 80, (1, 19, 2))
    >>> found = VideoDetections(
    ...     np.arange(60), walk, np.full((60, 19), 0.9), np.full(60, 0.9), 60, fps=30.0, image_size=(1920, 1080)
    ... )
    >>> OfflineTracker()(found)
    Tracks(1 people, 0 of 60 rows unused)
    """

    max_gap_s: float = 5.0
    step: float = 0.06
    margin: float = 0.03
    second_box: float = 0.03
    steady_s: float = 0.2
    doubt: float = 1.5

    def __post_init__(self) -> None:
        for key, value in vars(self).items():
            if not (value > 0 or (key == "doubt" and value == 0)):
                least = "at least 0" if key == "doubt" else "positive"
                raise ConfigError(f"tracker.{key}={value}: must be {least}")

    def __call__(self, detections: VideoDetections) -> Tracks:
        """Identities of the rows; no tracks where nobody was found."""
        label = np.full(len(detections), -1)
        if not len(detections):
            return Tracks.numbered(label)
        fps = detections.fps or _FPS
        people = People.of(detections)
        used = ~second_boxes(people, self.second_box)
        gates = Gates(self.step * max(1.0, _FPS / fps) ** 0.5, self.margin, size=0.7, coast=max(1, round(0.07 * fps)))
        tracklets = find_tracklets(people, used, gates)
        steady = max(2, round(self.steady_s * fps))
        least = min(steady, max(1, detections.n_frames // 2))  # so that a video of one frame has people too
        links = Links(self.max_gap_s, doubt=self.doubt)
        brief = dataclasses.replace(links, max_gap_s=min(_BRIEF_S, self.max_gap_s))
        size = detections.image_size

        tracks, closed = link(people, [t for t in tracklets if len(t) >= steady], links, fps, size)
        tracks, rest = fill(people, tracks, [t for t in tracklets if len(t) < steady], fps)
        rest, closed = link(people, rest, brief, fps, size, closed)
        rest = [t for t in rest if len(t) >= least / 2]
        # What is too short to have a velocity is not followed far: at the end of a long gap it could be anybody.
        near = dataclasses.replace(links, max_gap_s=min(_NEAR_S, self.max_gap_s))
        tracks, closed = link(people, tracks + rest, near, fps, size, closed)
        tracks, _ = link(people, [t for t in tracks if len(t) >= least], links, fps, size, closed)
        for number, rows in enumerate(without_shadows(people, tracks)):
            if len(rows) >= least:
                label[rows] = number
        found = Tracks.numbered(label)
        logger.info("%s: %d tracklets, %d people", detections.source, len(tracklets), len(found))
        return found
