"""Filling: short tracklets put into the gaps of long tracks, where the pose expected there fits.

In the middle of a crossing only short pieces are certain. Who they are is clearest once the long tracks before and
after are linked: then each piece is compared with poses between the two sides of every gap that is open at that time.
"""

from __future__ import annotations

import numpy as np

from inference.tracking.appearance import People, unlikeness
from inference.tracking.linking import assign

#: Largest unlikeness of a piece and the expected poses: beside the gap's edge, and more per second away from it.
_FIT, _FIT_PER_S = 0.05, 0.10
_FIT_MOST = 0.12
#: Of two boxes that fit, the surer one: what a score of 1 is worth.
_SURER = 0.5
#: Beyond a track's ends a pose is expected for so long, seconds.
_BEYOND_S = 0.35


def fill(
    people: People, tracks: list[np.ndarray], pieces: list[np.ndarray], fps: float
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Tracks with the pieces that fit, and the pieces left over. Each round puts at most one piece into a gap."""
    while tracks and pieces:
        owner, before, after = _gaps(tracks)
        gap, piece = _candidates(people, before, after, pieces, fps)
        fits = np.array(
            [_fit(people, int(before[g]), int(after[g]), pieces[p], fps) for g, p in zip(gap, piece, strict=True)]
        )
        made = assign(gap, piece, fits, np.ones(len(owner))) if len(gap) else np.zeros(0, dtype=bool)
        if not made.any():
            break
        taken: dict[int, list[np.ndarray]] = {}
        for g, p in zip(gap[made], piece[made], strict=True):
            taken.setdefault(int(owner[g]), []).append(pieces[p])
        tracks = [
            np.sort(np.concatenate([rows, *taken[number]])) if number in taken else rows
            for number, rows in enumerate(tracks)
        ]
        gone = set(piece[made].tolist())
        pieces = [rows for number, rows in enumerate(pieces) if number not in gone]
    return tracks, pieces


def _gaps(tracks: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Track, last row before and first row after each gap, open ends included (-1: no row)."""
    owner = np.concatenate([np.full(len(rows) + 1, number) for number, rows in enumerate(tracks)])
    before = np.concatenate([np.append(-1, rows) for rows in tracks])
    after = np.concatenate([np.append(rows, -1) for rows in tracks])
    return owner, before, after


def _candidates(
    people: People, before: np.ndarray, after: np.ndarray, pieces: list[np.ndarray], fps: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (gap, piece) where the piece lies within the gap in time."""
    beyond = round(_BEYOND_S * fps)
    low = np.where(before >= 0, people.frame[before], people.frame[after] - beyond - 1)
    high = np.where(after >= 0, people.frame[after], people.frame[before] + beyond + 1)
    first = np.array([people.frame[rows[0]] for rows in pieces])
    last = np.array([people.frame[rows[-1]] for rows in pieces])
    order = np.argsort(first, kind="stable")
    begin = np.searchsorted(first[order], low, side="right")
    end = np.searchsorted(first[order], high, side="left")
    wide = np.flatnonzero(end > begin)
    if not len(wide):
        return np.zeros(0, dtype=int), np.zeros(0, dtype=int)
    gap = np.repeat(wide, (end - begin)[wide])
    piece = np.concatenate([order[begin[g] : end[g]] for g in wide])
    inside = last[piece] < high[gap]
    return gap[inside], piece[inside]


def _fit(people: People, before: int, after: int, rows: np.ndarray, fps: float) -> float:
    """How unlike the expected poses the piece is, as a share of what is allowed."""
    t = people.frame[rows]
    sides = [side for side in (before, after) if side >= 0]
    away = np.min([np.abs(t - people.frame[side]) for side in sides], axis=0) / fps
    if len(sides) == 2:
        share = ((t - people.frame[before]) / (people.frame[after] - people.frame[before]))[:, None]
        joints = people.joints[before] * (1 - share)[..., None] + people.joints[after] * share[..., None]
        weight = people.weight[before] * (1 - share) + people.weight[after] * share
    else:
        joints, weight = people.joints[sides[0]][None], people.weight[sides[0]][None]
    height = np.mean([people.height[side] for side in sides])
    unlike = unlikeness(joints, weight, people.joints[rows], people.weight[rows], np.full(len(rows), height))
    fit = float(np.mean(unlike / np.minimum(_FIT + _FIT_PER_S * away, _FIT_MOST)))
    return fit if fit > 1 else fit - _SURER * float(np.mean(people.score[rows]))
