"""Linking: which track goes on as which, over gaps, decided for all at once.

What the end of one track and the start of another say about being one person: place and velocity, apparent size and
facing (motion.py), the pose where the gap is short, and whether somebody else was there to hide the person. The links
of a video are the cheapest assignment of ends to starts, so that two people who come out of an occlusion are told
apart together and not one after the other; where that is too close to call, no link is made.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from inference.tracking.appearance import People, unlikeness
from inference.tracking.motion_model import Motion

#: Half of the width of a person, in heights: nearer than this means hidden behind.
_HIDDEN_WITHIN = 0.22
#: Places in a gap at which it is asked what hid the person.
_LOOKS = 6
#: Tracks of one person may overlap so long, seconds: one of them ends or begins on a second box.
_OVERLAP_S = 0.1
#: Seconds of a track's end that its size is read from.
_SIZE_S = 1.0
#: Spread in seconds below which the frames of a track hardly tell a velocity.
_STILL_S = 0.03
#: Faster than this, in heights per second, nobody moves out of sight.
_RUN = 2.0
#: Pairs whose costs are worked out at once, for the memory's sake.
_AT_ONCE = 50_000


@dataclass(frozen=True, eq=False)
class _Ends:
    """One end of each of C tracks: frame (C,), place (C, 2) px, velocity (C, 2) px/s, log of the height (C,) and its
    variance (C,), facing (C, 2) as in People."""

    frame: np.ndarray
    place: np.ndarray
    velocity: np.ndarray
    log_height: np.ndarray
    spread: np.ndarray
    facing: np.ndarray


def _ends(people: People, tracks: list[np.ndarray], last: bool, fps: float, span_s: float) -> _Ends:
    """What the last (or first) seconds of each track say: `span_s` of places, _SIZE_S of sizes."""
    place, size = np.zeros((len(tracks), 2, 2)), np.zeros((len(tracks), 2))
    facing = np.zeros((len(tracks), 2))
    frames = np.array([people.frame[rows[-1 if last else 0]] for rows in tracks])
    longest = int(max(span_s, _SIZE_S) * fps) + 2
    for number, rows in enumerate(tracks):
        rows = rows[-longest:] if last else rows[:longest]
        t = (people.frame[rows] - frames[number]) / fps
        near = np.abs(t) <= span_s
        place[number] = _line(t[near], people.centre[rows[near]], people.weight[rows[near]].sum(1))
        weight = people.facing_sure[rows[near]] + 1e-6
        facing[number] = (weight * people.facing[rows[near]]).sum(0) / weight.sum(0)
        rows = rows[np.abs(t) <= _SIZE_S]
        weight, log_height = _shares(people.height_sure[rows]), np.log(people.height[rows])
        level = weight @ log_height
        size[number] = level, weight @ (log_height - level) ** 2
    return _Ends(frames, place[:, 0], place[:, 1], size[:, 0], size[:, 1], facing)


def _shares(weight: np.ndarray) -> np.ndarray:
    return weight / weight.sum() if weight.sum() > 0 else np.full(len(weight), 1 / len(weight))


def _line(t: np.ndarray, values: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Value at t = 0 and slope of the weighted line through `values` (n, D).

    A slope needs time: it is held near zero as if by a spread of _STILL_S.
    """
    weight = _shares(weight)
    middle, level = weight @ t, weight @ values
    lever = t - middle
    slope = (weight * lever) @ (values - level) / (weight @ lever**2 + _STILL_S**2)
    return level - slope * middle, slope


@dataclass(frozen=True)
class Links:
    """What a link may cost.

    max_gap_s: longest gap. span_s: seconds at the end of a track from which its velocity is read. new: cost of a
    track that ends for good and another that starts, instead of a link. border: how much cheaper each of these is at
    the border of the image. seen: cost of a gap in which nothing hides the person, however long.
    doubt: where two links could exchange partners at less than this cost, neither is made: two tracks more, but no
    identity that two people share. 0 takes the better one always.
    """

    max_gap_s: float
    span_s: float = 0.3
    new: float = 10.0
    border: float = 3.0
    seen: float = 3.0
    doubt: float = 1.5
    motion: Motion = field(default_factory=Motion)


def link(
    people: People,
    tracks: list[np.ndarray],
    links: Links,
    fps: float,
    size: tuple[int, int] | None,
    closed: frozenset[int] = frozenset(),
) -> tuple[list[np.ndarray], frozenset[int]]:
    """The tracks joined over gaps: rows of each, in order of time. Links are chosen for all tracks together.

    closed: rows at ends and starts that are never to be linked; returned with those that are in doubt.
    """
    if len(tracks) < 2:
        return tracks, closed
    ends = _ends(people, tracks, True, fps, links.span_s)
    starts = _ends(people, tracks, False, fps, links.span_s)
    last, first = (np.array([int(rows[at]) for rows in tracks]) for at in (-1, 0))
    a, b = _within(ends.frame, starts.frame, int(links.max_gap_s * fps) + 1, round(_OVERLAP_S * fps))
    a, b = _reachable(ends, starts, a, b, fps)
    open_ = ~np.isin(last[a], list(closed)) & ~np.isin(first[b], list(closed))
    a, b = a[open_], b[open_]
    end_cost, start_cost = (links.new / 2 - links.border * _at_border(e, size) for e in (ends, starts))
    parts = np.array_split(np.arange(len(a)), len(a) // _AT_ONCE + 1)
    cost = np.concatenate([_link_cost(people, tracks, ends, starts, a[p], b[p], links, fps) for p in parts])
    chosen = assign(a, b, cost - start_cost[b], end_cost)
    if links.doubt > 0:
        doubtful = _in_doubt(a, b, cost, chosen, links.doubt)
        chosen[doubtful] = False
        closed |= {*last[a[doubtful]].tolist(), *first[b[doubtful]].tolist()}
    follower = dict(zip(a[chosen].tolist(), b[chosen].tolist(), strict=True))
    firsts = sorted(set(range(len(tracks))) - set(follower.values()))
    return [_joined(people, [tracks[i] for i in _chain(first, follower)]) for first in firsts], closed


def _in_doubt(a: np.ndarray, b: np.ndarray, cost: np.ndarray, chosen: np.ndarray, doubt: float) -> np.ndarray:
    """(M,) bool: the chosen links that are too close to call, and the links that they are too close to.

    In doubt are two links that could exchange partners for less than `doubt`, and one whose start (or end) could as
    cheaply be given to an end (or start) that has no link. That other end is in doubt too: it must not take the next
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
        if other < doubt:
            found[[pair, *links]] = True
    return found


def _chain(first: int, follower: dict[int, int]) -> list[int]:
    chain = [first]
    while chain[-1] in follower:
        chain.append(follower[chain[-1]])
    return chain


def _joined(people: People, parts: list[np.ndarray]) -> np.ndarray:
    """The rows of all parts in order; where they overlap, the surer row of a frame."""
    rows = np.concatenate(parts)
    rows = rows[np.lexsort((-people.score[rows], people.frame[rows]))]
    return rows[np.diff(people.frame[rows], prepend=-1) > 0]


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
    rows, columns = np.concatenate([index_a, alone]), np.concatenate([index_b, len(names_b) + alone])
    table = coo_array(
        (
            values - values.min() + 1.0,  # a stored zero would mean that there is no pair
            (rows.astype(np.int32), columns.astype(np.int32)),  # SciPy 1.11's matching takes no wider ones
        ),
        shape=(n, len(names_b) + n),
    ).tocsr()
    left, right = min_weight_full_bipartite_matching(table)
    partner = np.full(n, -1)
    partner[left] = right
    chosen[worth] = partner[index_a] == index_b
    return chosen


def _within(end: np.ndarray, start: np.ndarray, longest: int, overlap: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (a, b) with end[a] - overlap <= start[b] <= end[a] + longest."""
    order = np.argsort(start, kind="stable")
    first = np.searchsorted(start[order], end - overlap, side="left")
    last = np.searchsorted(start[order], end + longest, side="right")
    counts = last - first
    a = np.repeat(np.arange(len(end)), counts)
    offset = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return a, order[np.repeat(first, counts) + offset]


def _reachable(ends: _Ends, starts: _Ends, a: np.ndarray, b: np.ndarray, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """The pairs that nobody would have to run for."""
    # Of overlapping tracks the later one must also end later, or links could run in circles.
    possible = (starts.frame[a] < starts.frame[b]) & (ends.frame[a] < ends.frame[b])
    seconds = np.maximum(starts.frame[b] - ends.frame[a], 0) / fps
    apart = np.abs(starts.place[b] - ends.place[a]).max(1) / np.exp(
        np.maximum(starts.log_height[b], ends.log_height[a])
    )
    possible &= apart < 0.5 + _RUN * seconds
    return a[possible], b[possible]


def _at_border(ends: _Ends, size: tuple[int, int] | None) -> np.ndarray:
    """(C,) bool: the torso is within a quarter of a height of the left, right or lower border."""
    if size is None:
        return np.zeros(len(ends.frame), dtype=bool)
    near = 0.25 * np.exp(ends.log_height)
    x, y = ends.place.T
    return (x < near) | (x > size[0] - near) | (y > size[1] - near)


def _link_cost(
    people: People,
    tracks: list[np.ndarray],
    ends: _Ends,
    starts: _Ends,
    a: np.ndarray,
    b: np.ndarray,
    links: Links,
    fps: float,
) -> np.ndarray:
    seconds = np.maximum(starts.frame[b] - ends.frame[a], 1) / fps
    height = np.exp((ends.log_height[a] + starts.log_height[b]) / 2)[:, None]
    cost = links.motion.place_cost(
        (starts.place[b] - ends.place[a]) / height, ends.velocity[a] / height, starts.velocity[b] / height, seconds
    )
    cost += links.motion.size_cost(
        starts.log_height[b] - ends.log_height[a], ends.spread[a] + starts.spread[b], seconds
    )
    cost += links.motion.facing_cost(starts.facing[b] - ends.facing[a], seconds)

    last = np.array([rows[-1] for rows in tracks])[a]
    first = np.array([rows[0] for rows in tracks])[b]
    moved = ((ends.velocity[a] + starts.velocity[b]) / 2 * seconds[:, None])[:, None]
    unlike = unlikeness(
        people.joints[last] + moved, people.weight[last], people.joints[first], people.weight[first], height[:, 0]
    )
    cost += 0.5 * np.minimum((unlike / (0.02 + 0.2 * seconds)) ** 2, 9)
    return cost + links.seen * np.minimum(seconds / 0.5, 1) * _in_sight(people, ends, starts, a, b)


def _in_sight(people: People, ends: _Ends, starts: _Ends, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(M,) share of the way from end to start on which no other detection is where the person must be."""
    first_row = np.searchsorted(people.frame, np.arange(people.frame.max() + 2))
    hidden = np.zeros(len(a))
    for look in range(_LOOKS):
        share = (look + 0.5) / _LOOKS
        frame = np.round(ends.frame[a] + share * (starts.frame[b] - ends.frame[a])).astype(int)
        place = ends.place[a] + share * (starts.place[b] - ends.place[a])
        reach = _HIDDEN_WITHIN * np.exp(ends.log_height[a])
        begin, stop = first_row[frame], first_row[frame + 1]
        covered = np.zeros(len(a), dtype=bool)
        for number in range(int((stop - begin).max(initial=0))):
            row = np.minimum(begin + number, len(people) - 1)
            covered |= (begin + number < stop) & (np.abs(people.centre[row, 0] - place[:, 0]) < reach)
        hidden += covered / _LOOKS
    return 1 - hidden
