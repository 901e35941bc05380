"""Tracklets: detections of one person in neighbouring frames, ended wherever it is not clear who is who.

A tracklet may be short but must be pure: no later step takes it apart. So a detection continues a tracklet only if no
other assignment of the people around explains the frame nearly as well; otherwise all tracklets concerned end there.
"""

from __future__ import annotations

import numpy as np

from inference.tracking.appearance import Appearance, pose_distance_either_side

#: Weight of the newest displacement in a tracklet's velocity, and of the newest height.
_SMOOTHING = 0.35
#: How much wider the gate is for each frame that is bridged.
_WIDER_PER_FRAME = 0.2
#: Largest change of the logarithm of the apparent height from frame to frame.
_MAX_LOG_SIZE_CHANGE = 0.7
#: Cost of what cannot be.
_IMPOSSIBLE = 1e3


def find_tracklets(
    people: Appearance, used: np.ndarray, gate: float, ambiguity_margin: float, max_step: int
) -> list[np.ndarray]:
    """Rows of each tracklet, in order of time; every row of `used` (N,) bool is in one.

    gate: how far joints may be from where they are expected from frame to frame, in heights. ambiguity_margin: how much
    worse, in heights, every other assignment must be. max_step: in frames, for tracklets of at least as many rows.
    """
    label = np.full(len(people), -1)
    # By label: last row, number of rows, height in px, velocity in px/frame.
    last, length, height, velocity = (np.zeros(len(people), dtype=t) for t in (int, int, float, (float, 2)))
    active, count = np.zeros(0, dtype=int), 0  # labels of the tracklets that may still go on
    rows = np.flatnonzero(used)
    starts = np.flatnonzero(np.diff(people.frame[rows], prepend=-1))
    for start, end in zip(starts, np.append(starts[1:], len(rows)), strict=True):
        here = rows[start:end]
        passed = people.frame[here[0]] - people.frame[last[active]]
        active = active[passed <= np.minimum(max_step, length[active])]
        cost = _costs(people, last[active], velocity[active], height[active], here, gate)
        index, chosen, ended = _clear_pairs(cost, ambiguity_margin)
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


def _costs(
    people: Appearance, last: np.ndarray, velocity: np.ndarray, height: np.ndarray, rows: np.ndarray, gate: float
) -> np.ndarray:
    """(tracklets, rows): distance from the expected pose, _IMPOSSIBLE beyond the gate."""
    passed = people.frame[rows[0]] - people.frame[last]
    expected = people.joints[last] + (velocity * passed[:, None])[:, None]
    cost = pose_distance_either_side(
        expected[:, None],
        people.weight[last][:, None],
        people.joints[rows][None],
        people.weight[rows][None],
        np.repeat(height[:, None], len(rows), axis=1),
    )
    size_change = np.abs(np.log(people.height[rows][None] / height[:, None]))
    limit = gate * (1 + _WIDER_PER_FRAME * (passed - 1))[:, None]
    return np.where((size_change < _MAX_LOG_SIZE_CHANGE) & (cost < limit), cost, _IMPOSSIBLE)


def _clear_pairs(cost: np.ndarray, margin: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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
