"""Gap filling: short tracklets put into the gaps of long tracks, where the pose expected there fits.

In the middle of a crossing only short tracklets are certain. Who they are is clearest once the long tracks before and
after are linked: then each is compared with poses between the two sides of every gap that is open at that time.
"""

from __future__ import annotations

import numpy as np

from inference.tracking.appearance import Appearance, pairs_within, pose_distance
from inference.tracking.linking import assign

#: Largest distance of a tracklet from the expected poses: beside the gap's edge, more per second away from it, at most.
_GATE, _GATE_PER_S, _MAX_GATE = 0.05, 0.10, 0.12
#: Of two tracklets that fit, the more confident one: what a score of 1 is worth.
_SCORE_BONUS = 0.5
#: Beyond a track's ends a pose is expected for so long, seconds.
_BEYOND_S = 0.35


def fill_gaps(
    people: Appearance, tracks: list[np.ndarray], tracklets: list[np.ndarray], fps: float
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Tracks with the tracklets that fit, and the tracklets left over. A round puts at most one into each gap."""
    tracks = list(tracks)
    while tracks and tracklets:
        owner, before, after = _gaps(tracks)
        gap, piece = _candidates(people, before, after, tracklets, fps)
        fits = np.array(
            [_fit(people, int(before[g]), int(after[g]), tracklets[p], fps) for g, p in zip(gap, piece, strict=True)]
        )
        made = assign(gap, piece, fits, np.ones(len(owner))) if len(gap) else np.zeros(0, dtype=bool)
        if not made.any():
            break
        for g, p in zip(gap[made], piece[made], strict=True):
            tracks[owner[g]] = np.sort(np.concatenate([tracks[owner[g]], tracklets[p]]))
        used = set(piece[made].tolist())
        tracklets = [rows for number, rows in enumerate(tracklets) if number not in used]
    return tracks, tracklets


def _gaps(tracks: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Track, last row before and first row after each gap, open ends included (-1: no row)."""
    owner = np.concatenate([np.full(len(rows) + 1, number) for number, rows in enumerate(tracks)])
    before = np.concatenate([np.append(-1, rows) for rows in tracks])
    after = np.concatenate([np.append(rows, -1) for rows in tracks])
    return owner, before, after


def _candidates(
    people: Appearance, before: np.ndarray, after: np.ndarray, tracklets: list[np.ndarray], fps: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (gap, tracklet) where the tracklet lies within the gap in time."""
    beyond = round(_BEYOND_S * fps)
    low = np.where(before >= 0, people.frame[before], people.frame[after] - beyond - 1)
    high = np.where(after >= 0, people.frame[after], people.frame[before] + beyond + 1)
    first, last = (np.array([people.frame[rows[at]] for rows in tracklets]) for at in (0, -1))
    gap, piece = pairs_within(low + 1, high - 1, first)
    inside = last[piece] < high[gap]
    return gap[inside], piece[inside]


def _fit(people: Appearance, before: int, after: int, rows: np.ndarray, fps: float) -> float:
    """How far the tracklet is from the expected poses, as a fraction of the gate; lower with its score."""
    t = people.frame[rows]
    sides = [side for side in (before, after) if side >= 0]
    away = np.min([np.abs(t - people.frame[side]) for side in sides], axis=0) / fps
    if len(sides) == 2:
        fraction = ((t - people.frame[before]) / (people.frame[after] - people.frame[before]))[:, None]
        joints = people.joints[before] * (1 - fraction)[..., None] + people.joints[after] * fraction[..., None]
        weight = people.weight[before] * (1 - fraction) + people.weight[after] * fraction
    else:
        joints, weight = people.joints[sides[0]][None], people.weight[sides[0]][None]
    height = np.full(len(rows), np.mean([people.height[side] for side in sides]))
    distance = pose_distance(joints, weight, people.joints[rows], people.weight[rows], height)
    fit = float(np.mean(distance / np.minimum(_GATE + _GATE_PER_S * away, _MAX_GATE)))
    return fit if fit > 1 else fit - _SCORE_BONUS * float(np.mean(people.score[rows]))
