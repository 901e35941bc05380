"""Linking: which track goes on as which, over gaps, decided for all at once.

What the end of one track and the start of another say about being one person: place and velocity, apparent size and
facing (motion_model.py), the pose where the gap is short, and whether another person was there to hide this one. The
links of a video are the cheapest assignment of ends to starts, so that two people who come out of an occlusion are told
apart together and not one after the other; where that is ambiguous, no link is made.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy  # its parts load when they are used

from inference.tracking.appearance import Appearance, pairs_within, pose_distance
from inference.tracking.motion_model import MotionModel

#: Half of the width of a person, in heights: nearer than this means hidden behind.
_HALF_WIDTH = 0.22
#: Times within a gap at which it is asked what hid the person.
_SAMPLES = 6
#: Tracks of one person may overlap so long, seconds: one of them ends or begins on a duplicate box.
_OVERLAP_S = 0.1
#: Seconds of a track's end that its size is read from.
_SIZE_WINDOW_S = 1.0
#: Spread in seconds below which the frames of a track hardly tell a velocity.
_MIN_SPREAD_S = 0.03
#: No hidden person moves faster than this, in heights per second.
_MAX_SPEED = 2.0
#: Pairs whose costs are computed together, to bound the memory.
_CHUNK = 50_000
#: Seconds of a track's end that its velocity is read from.
_VELOCITY_WINDOW_S = 0.3
#: Cost of a track that ends for good and another that starts, instead of a link; each of the two is cheaper by the
#: second value at the border of the image.
_UNLINKED, _BORDER_DISCOUNT = 10.0, 3.0
#: Cost of a gap in which nothing hides the person, however long.
_IN_SIGHT = 3.0
_MOTION = MotionModel()


@dataclass(frozen=True, eq=False)
class _Ends:
    """One end of each of C tracks: row (C,), frame (C,), place (C, 2) px, velocity (C, 2) px/s, log of the height (C,)
    and its variance (C,), facing (C, 2) as in Appearance."""

    row: np.ndarray
    frame: np.ndarray
    place: np.ndarray
    velocity: np.ndarray
    log_height: np.ndarray
    variance: np.ndarray
    facing: np.ndarray


def _ends(people: Appearance, tracks: list[np.ndarray], last: bool, fps: float) -> _Ends:
    """What the last (or first) seconds of each track say: _VELOCITY_WINDOW_S of places, _SIZE_WINDOW_S of sizes."""
    place, facing = np.zeros((len(tracks), 2, 2)), np.zeros((len(tracks), 2))
    level, variance = np.zeros(len(tracks)), np.zeros(len(tracks))
    end = np.array([rows[-1 if last else 0] for rows in tracks])
    longest = int(max(_VELOCITY_WINDOW_S, _SIZE_WINDOW_S) * fps) + 2
    for number, rows in enumerate(tracks):
        rows = rows[-longest:] if last else rows[:longest]
        t = (people.frame[rows] - people.frame[end[number]]) / fps
        near = np.abs(t) <= _VELOCITY_WINDOW_S
        place[number] = _line(t[near], people.centre[rows[near]], people.weight[rows[near]].sum(1))
        weight = people.facing_weight[rows[near]] + 1e-6
        facing[number] = (weight * people.facing[rows[near]]).sum(0) / weight.sum(0)
        rows = rows[np.abs(t) <= _SIZE_WINDOW_S]
        weight, log_height = _normalised(people.height_weight[rows]), np.log(people.height[rows])
        level[number] = weight @ log_height
        variance[number] = weight @ (log_height - level[number]) ** 2
    return _Ends(end, people.frame[end], place[:, 0], place[:, 1], level, variance, facing)


def _normalised(weight: np.ndarray) -> np.ndarray:
    return weight / weight.sum() if weight.sum() > 0 else np.full(len(weight), 1 / len(weight))


def _line(t: np.ndarray, values: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Value at t = 0 and slope of the weighted line through `values` (n, D).

    A slope needs time: it is held near zero as if by a spread of _MIN_SPREAD_S.
    """
    weight = _normalised(weight)
    middle, level = weight @ t, weight @ values
    lever = t - middle
    slope = (weight * lever) @ (values - level) / (weight @ lever**2 + _MIN_SPREAD_S**2)
    return level - slope * middle, slope


def link(
    people: Appearance,
    tracks: list[np.ndarray],
    ambiguity_margin: float,
    max_gap_s: float,
    fps: float,
    size: tuple[int, int] | None,
    closed: frozenset[int] = frozenset(),
) -> tuple[list[np.ndarray], frozenset[int]]:
    """The tracks joined over gaps: rows of each, in order of time. Links are chosen for all tracks together.

    ambiguity_margin: where two links could exchange partners at less than this cost, neither is made: two tracks more,
    but no identity that two people have in common; 0 takes the better one always. max_gap_s: longest gap. closed: rows
    at ends and starts that are never to be linked; returned with the ambiguous.
    """
    if len(tracks) < 2:
        return tracks, closed
    ends = _ends(people, tracks, True, fps)
    starts = _ends(people, tracks, False, fps)
    overlap = round(_OVERLAP_S * fps)
    a, b = pairs_within(ends.frame - overlap, ends.frame + int(max_gap_s * fps) + 1, starts.frame)
    a, b = _reachable(ends, starts, a, b, fps)
    is_open = ~np.isin(ends.row[a], list(closed)) & ~np.isin(starts.row[b], list(closed))
    a, b = a[is_open], b[is_open]
    end_cost, start_cost = (_UNLINKED / 2 - _BORDER_DISCOUNT * _at_border(e, size) for e in (ends, starts))
    parts = np.array_split(np.arange(len(a)), len(a) // _CHUNK + 1)
    cost = np.concatenate([_link_cost(people, ends, starts, a[p], b[p], fps) for p in parts])
    chosen = assign(a, b, cost - start_cost[b], end_cost)
    if ambiguity_margin > 0:
        ambiguous = _ambiguous(a, b, cost, chosen, ambiguity_margin)
        chosen[ambiguous] = False
        closed |= {*ends.row[a[ambiguous]].tolist(), *starts.row[b[ambiguous]].tolist()}
    follower = dict(zip(a[chosen].tolist(), b[chosen].tolist(), strict=True))
    joined = []
    for first in sorted(set(range(len(tracks))) - set(follower.values())):
        chain = [first]
        while chain[-1] in follower:
            chain.append(follower[chain[-1]])
        rows = np.concatenate([tracks[i] for i in chain])
        rows = rows[np.lexsort((-people.score[rows], people.frame[rows]))]
        joined.append(rows[np.diff(people.frame[rows], prepend=-1) > 0])  # of a frame the row with the higher score
    return joined, closed


def _ambiguous(a: np.ndarray, b: np.ndarray, cost: np.ndarray, chosen: np.ndarray, margin: float) -> np.ndarray:
    """(M,) bool: the chosen links that are too close to call, and the links that they are too close to.

    Ambiguous are two links that could exchange partners for less than `margin`, and one whose start (or end) could as
    cheaply be given to an end (or start) that has no link. That other end is ambiguous too: it must not take the next
    best start, which may be a short piece of the person that it lost to.
    """
    pick = np.flatnonzero(chosen)
    of_end = dict(zip(a[pick].tolist(), pick.tolist(), strict=True))
    of_start = dict(zip(b[pick].tolist(), pick.tolist(), strict=True))
    price = dict(zip(zip(a.tolist(), b.tolist(), strict=True), cost.tolist(), strict=True))
    found = np.zeros(len(a), dtype=bool)
    for pair, ((end, start), value) in enumerate(price.items()):
        mine, theirs = of_end.get(end), of_start.get(start)
        if (mine is None and theirs is None) or mine == theirs:
            continue
        links = [link for link in (mine, theirs) if link is not None]
        other = value - sum(float(cost[link]) for link in links)
        if mine is not None and theirs is not None:
            other += price.get((int(a[theirs]), int(b[mine])), np.inf)
        if other < margin:
            found[[pair, *links]] = True
    return found


def assign(a: np.ndarray, b: np.ndarray, cost: np.ndarray, without: np.ndarray) -> np.ndarray:
    """(M,) bool: which of the pairs (a, b) of cost (M,) are made, at most one for each a and each b.

    An a that is left alone costs without[a]; the total is the least possible. Pairs that cost more are never made.
    """
    chosen = np.zeros(len(a), dtype=bool)
    worth = np.flatnonzero(cost < without[a])
    if not len(worth):
        return chosen
    names_a, index_a = np.unique(a[worth], return_inverse=True)
    names_b, index_b = np.unique(b[worth], return_inverse=True)
    n = len(names_a)
    alone = np.arange(n)
    values = np.concatenate([cost[worth], without[names_a]])
    values = values - values.min() + 1.0  # a stored zero would mean that there is no pair
    rows = np.concatenate([index_a, alone]).astype(np.int32)  # SciPy 1.11's matching takes no wider ones
    columns = np.concatenate([index_b, len(names_b) + alone]).astype(np.int32)
    table = scipy.sparse.coo_array((values, (rows, columns)), shape=(n, len(names_b) + n)).tocsr()
    left, right = scipy.sparse.csgraph.min_weight_full_bipartite_matching(table)
    partner = np.full(n, -1)
    partner[left] = right
    chosen[worth] = partner[index_a] == index_b
    return chosen


def _reachable(ends: _Ends, starts: _Ends, a: np.ndarray, b: np.ndarray, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """The pairs that need no speed above _MAX_SPEED."""
    # Of overlapping tracks the later one must also end later, or links could run in circles.
    possible = (starts.frame[a] < starts.frame[b]) & (ends.frame[a] < ends.frame[b])
    seconds = np.maximum(starts.frame[b] - ends.frame[a], 0) / fps
    height = np.exp(np.maximum(starts.log_height[b], ends.log_height[a]))
    possible &= np.abs(starts.place[b] - ends.place[a]).max(1) / height < 0.5 + _MAX_SPEED * seconds
    return a[possible], b[possible]


def _at_border(ends: _Ends, size: tuple[int, int] | None) -> np.ndarray:
    """(C,) bool: the torso is within a quarter of a height of the left, right or lower border."""
    if size is None:
        return np.zeros(len(ends.frame), dtype=bool)
    near = 0.25 * np.exp(ends.log_height)
    x, y = ends.place.T
    return (x < near) | (x > size[0] - near) | (y > size[1] - near)


def _link_cost(people: Appearance, ends: _Ends, starts: _Ends, a: np.ndarray, b: np.ndarray, fps: float) -> np.ndarray:
    """(M,) log odds against the pairs (a, b) being one person."""
    seconds = np.maximum(starts.frame[b] - ends.frame[a], 1) / fps
    height = np.exp((ends.log_height[a] + starts.log_height[b]) / 2)[:, None]
    cost = _MOTION.place_cost(
        (starts.place[b] - ends.place[a]) / height, ends.velocity[a] / height, starts.velocity[b] / height, seconds
    )
    cost += _MOTION.size_cost(starts.log_height[b] - ends.log_height[a], ends.variance[a] + starts.variance[b], seconds)
    cost += _MOTION.facing_cost(starts.facing[b] - ends.facing[a], seconds)

    last, first = ends.row[a], starts.row[b]
    moved = ((ends.velocity[a] + starts.velocity[b]) / 2 * seconds[:, None])[:, None]
    distance = pose_distance(
        people.joints[last] + moved, people.weight[last], people.joints[first], people.weight[first], height[:, 0]
    )
    cost += 0.5 * np.minimum((distance / (0.02 + 0.2 * seconds)) ** 2, 9)
    return cost + _IN_SIGHT * np.minimum(seconds / 0.5, 1) * _in_sight(people, ends, starts, a, b)


def _in_sight(people: Appearance, ends: _Ends, starts: _Ends, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(M,) fraction of the way from end to start on which no other detection is where the person must be."""
    first_row = np.searchsorted(people.frame, np.arange(people.frame.max() + 2))
    hidden = np.zeros(len(a))
    for sample in range(_SAMPLES):
        fraction = (sample + 0.5) / _SAMPLES
        frame = np.round(ends.frame[a] + fraction * (starts.frame[b] - ends.frame[a])).astype(int)
        place = ends.place[a] + fraction * (starts.place[b] - ends.place[a])
        reach = _HALF_WIDTH * np.exp(ends.log_height[a])
        begin, stop = first_row[frame], first_row[frame + 1]
        covered = np.zeros(len(a), dtype=bool)
        for number in range(int((stop - begin).max(initial=0))):
            row = np.minimum(begin + number, len(people) - 1)
            covered |= (begin + number < stop) & (np.abs(people.centre[row, 0] - place[:, 0]) < reach)
        hidden += covered / _SAMPLES
    return 1 - hidden
