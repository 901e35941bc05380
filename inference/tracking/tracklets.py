"""Tracklets: detections of one person in neighbouring frames, ended wherever it is not clear who is who.

A tracklet may be short but must be pure: no later step takes it apart. So a detection continues a tracklet only if no
other assignment of the people around explains the frame nearly as well; otherwise all tracklets concerned end there.
"""

from __future__ import annotations

import numpy as np

from inference.tracking.appearance import MAX_DISTANCE, Appearance, overlapping, pose_distance_either_side
from pose.progress import Progress

#: Weight of the newest displacement in a tracklet's velocity, and of the newest height.
_SMOOTHING = 0.35
#: How much wider the gate is for each frame that is bridged.
_WIDER_PER_FRAME = 0.2
#: Largest change of the logarithm of the apparent height from frame to frame, where joints don't jump.
_MAX_LOG_SIZE_CHANGE = 0.7
#: The usual step is looked at in about so many frames, of at most so many people.
SAMPLED, FEW = 300, 10
#: Cost of what cannot be.
_IMPOSSIBLE = 1e3


def find_tracklets(
    people: Appearance, used: np.ndarray, gate: float, ambiguity_margin: float, max_step: int, jumpy: bool = False
) -> list[np.ndarray]:
    """Rows of each tracklet, in order of time; every row of `used` (N,) bool is in one.

    gate: how far joints may be from where they are expected from frame to frame, in heights. ambiguity_margin: how much
    worse, in heights, every other assignment must be. max_step: in frames, for tracklets of at least as many rows.
    jumpy: joints jump, and with those of the legs the apparent height, which then tells nothing.
    """
    label = np.full(len(people), -1)
    # By label: last row, number of rows, height in px, velocity in px/frame.
    last, length, height, velocity = (np.zeros(len(people), dtype=t) for t in (int, int, float, (float, 2)))
    active, count = np.zeros(0, dtype=int), 0  # labels of the tracklets that may still go on
    rows = np.flatnonzero(used)
    starts = np.flatnonzero(np.diff(people.frame[rows], prepend=-1))
    frames = zip(starts, np.append(starts[1:], len(rows)), strict=True)
    for start, end in Progress("tracking", len(starts)).each(frames):
        here = rows[start:end]
        passed = people.frame[here[0]] - people.frame[last[active]]
        active = active[passed <= np.minimum(max_step, length[active])]
        pairs = _possible(people, last[active], velocity[active], height[active], here, gate, jumpy)
        index, chosen, ended = _clear_pairs(*pairs, len(active), len(here), ambiguity_margin)
        going, following = active[index], here[chosen]
        passed = people.frame[following] - people.frame[last[going]]
        moved = (people.centre[following] - people.centre[last[going]]) / passed[:, None]
        velocity[going] += _SMOOTHING * (moved - velocity[going])
        height[going] += _SMOOTHING * (people.height[following] - height[going])
        label[following] = going
        new = here[label[here] < 0]
        label[new] = np.arange(count, count + len(new))
        height[label[new]] = people.height[new]
        last[label[here]] = here
        length[label[here]] += 1
        active = np.append(active[~ended], label[new])
        count += len(new)
    order = rows[np.argsort(label[rows], kind="stable")]
    return np.split(order, np.flatnonzero(np.diff(label[order])) + 1) if len(order) else []


def usual_step(people: Appearance, used: np.ndarray) -> float:
    """Median distance in heights, at most MAX_DISTANCE, of a detection from the nearest one in the frame before, by
    their poses; of SAMPLED frames with few people. 0 where there are no such frames."""
    rows = np.flatnonzero(used)
    frames, starts, sizes = np.unique(people.frame[rows], return_index=True, return_counts=True)
    follows = (np.diff(frames) == 1) & (sizes[1:] <= FEW) & (sizes[:-1] <= FEW)
    second = 1 + np.flatnonzero(follows)
    steps = [np.zeros(0)]
    for k in second[:: max(1, len(second) // SAMPLED)].tolist():
        before, now = (rows[starts[i] : starts[i] + sizes[i]] for i in (k - 1, k))
        pairs = (people.joints[now][:, None], people.weight[now][:, None], people.joints[before], people.weight[before])
        steps.append(pose_distance_either_side(*pairs, people.height[now][:, None]).min(1))
    return float(np.median(found)) if len(found := np.concatenate(steps)) else 0.0


def _possible(
    people: Appearance,
    last: np.ndarray,
    velocity: np.ndarray,
    height: np.ndarray,
    rows: np.ndarray,
    gate: float,
    jumpy: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs (tracklets, rows) within the gate, and each one's distance from the expected pose."""
    passed = people.frame[rows[0]] - people.frame[last]
    moved = velocity * passed[:, None]
    limit = gate * (1 + _WIDER_PER_FRAME * (passed - 1))
    # Where a mean distance is within the gate some joint is, unless the gate takes poses without a common joint.
    low, high = people.boxes
    aside = np.where(limit > MAX_DISTANCE, np.inf, limit * height)[:, None]
    a, b = overlapping(low[last] + moved - aside, high[last] + moved + aside, low[rows], high[rows])
    alike = jumpy | (np.abs(np.log(people.height[rows[b]] / height[a])) < _MAX_LOG_SIZE_CHANGE)
    a, b = a[alike], b[alike]
    cost = pose_distance_either_side(
        people.joints[last[a]] + moved[a][:, None],
        people.weight[last[a]],
        people.joints[rows[b]],
        people.weight[rows[b]],
        height[a],
    )
    good = cost < limit[a]
    return a[good], b[good], cost[good]


def _clear_pairs(
    a: np.ndarray, b: np.ndarray, cost: np.ndarray, tracklets: int, rows: int, margin: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Those of the possible pairs (a, b) that the best assignment makes clearly, and (tracklets,) bool: ended by
    ambiguity. People who have no possible pair in common are looked at apart: time is that of the crowds."""
    ended = np.zeros(tracklets, dtype=bool)
    alone = (np.bincount(a, minlength=tracklets)[a] == 1) & (np.bincount(b, minlength=rows)[b] == 1)
    index, chosen = [a[alone]], [b[alone]]
    a, b, cost = a[~alone], b[~alone], cost[~alone]
    if len(a):
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        graph = coo_array((np.ones(len(a)), (a, tracklets + b)), shape=(tracklets + rows,) * 2)
        group = connected_components(graph, directed=False)[1][a]
        order = np.argsort(group, kind="stable")
        for one in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
            own_a, row = np.unique(a[one], return_inverse=True)
            own_b, column = np.unique(b[one], return_inverse=True)
            table = np.full((len(own_a), len(own_b)), _IMPOSSIBLE)
            table[row, column] = cost[one]
            made, partner, over = _clear(table, margin)
            index.append(own_a[made])
            chosen.append(own_b[partner])
            ended[own_a[over]] = True
    return np.concatenate(index), np.concatenate(chosen), ended


def _clear(cost: np.ndarray, margin: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs (tracklets, rows) of the best assignment that are clear, and (tracklets,) bool: ended by ambiguity.

    A pair is ambiguous if exchanging partners with another pair, or taking a row or tracklet that is left over, costs
    less than `margin` more.
    """
    from scipy.optimize import linear_sum_assignment  # takes half a second to import

    index, chosen = linear_sum_assignment(cost)
    possible = cost[index, chosen] < _IMPOSSIBLE
    index, chosen = index[possible], chosen[possible]
    own = cost[index, chosen]
    # [a, b]: what it costs more if a takes b's row and b takes a's.
    crossed = cost[np.ix_(index, chosen)]
    exchange = crossed + crossed.T - own[:, None] - own[None]
    np.fill_diagonal(exchange, np.inf)
    spare_row, spare_tracklet = np.ones(cost.shape[1], dtype=bool), np.ones(cost.shape[0], dtype=bool)
    spare_row[chosen], spare_tracklet[index] = False, False
    ambiguous = exchange.min(1, initial=np.inf) < margin
    ambiguous |= (cost[np.ix_(index, np.flatnonzero(spare_row))] - own[:, None]).min(1, initial=np.inf) < margin
    ambiguous |= (cost[np.ix_(np.flatnonzero(spare_tracklet), chosen)] - own).min(0, initial=np.inf) < margin
    ended = np.zeros(len(cost), dtype=bool)
    ended[index[ambiguous]] = True
    # A tracklet that could have had an ambiguous row ends too: who goes on is decided later, for all of them.
    ended |= spare_tracklet & (cost[:, chosen[ambiguous]] < _IMPOSSIBLE).any(1)
    return index[~ambiguous], chosen[~ambiguous], ended
