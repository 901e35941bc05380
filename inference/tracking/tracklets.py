"""Tracklets: detections of one person in neighbouring frames, ended wherever it is not clear who is who.

A tracklet may be short but must be pure: no later step takes it apart. So a detection continues a tracklet only if no
other assignment of the people around explains the frame nearly as well; otherwise all tracklets that could be meant
end there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from inference.tracking.appearance import People, unlikeness

#: Share of the newest displacement in a tracklet's velocity.
_NEW = 0.35
#: How much wider the gate is for each frame that is bridged.
_WIDER = 0.2
#: Cost of what cannot be.
_NEVER = 1e3


@dataclass(frozen=True)
class Gates:
    """step: how far joints may be from where they were expected, in heights, from frame to frame. margin: how much
    worse, in heights, every other assignment must be. size: largest change of the logarithm of the apparent size.
    coast: the longest
    step in frames, for tracklets of at least as many rows."""

    step: float
    margin: float
    size: float
    coast: int


class _Active:
    """The tracklets that may still go on, as arrays over them."""

    def __init__(self) -> None:
        self.name = np.zeros(0, dtype=int)
        self.joints, self.weight = np.zeros((0, 17, 2)), np.zeros((0, 17))
        self.centre, self.velocity = np.zeros((0, 2)), np.zeros((0, 2))
        self.height, self.frame, self.rows = np.zeros(0), np.zeros(0, dtype=int), np.zeros(0, dtype=int)

    def __len__(self) -> int:
        return len(self.name)

    def keep(self, chosen: np.ndarray) -> None:
        for key, value in vars(self).items():
            setattr(self, key, value[chosen])

    def update(self, index: np.ndarray, people: People, rows: np.ndarray, frame: int) -> None:
        """Tracklets `index` continue with `rows`."""
        passed = (frame - self.frame[index])[:, None]
        moved = (people.centre[rows] - self.centre[index]) / passed
        self.velocity[index] += _NEW * (moved - self.velocity[index])
        self.height[index] += _NEW * (people.height[rows] - self.height[index])
        self.joints[index], self.weight[index] = people.joints[rows], people.weight[rows]
        self.centre[index], self.frame[index] = people.centre[rows], frame
        self.rows[index] += 1

    def add(self, names: np.ndarray, people: People, rows: np.ndarray, frame: int) -> None:
        new = {
            "name": names,
            "joints": people.joints[rows],
            "weight": people.weight[rows],
            "centre": people.centre[rows],
            "velocity": np.zeros((len(rows), 2)),
            "height": people.height[rows],
            "frame": np.full(len(rows), frame),
            "rows": np.ones(len(rows), dtype=int),
        }
        for key, value in new.items():
            setattr(self, key, np.concatenate([getattr(self, key), value]))


def find_tracklets(people: People, used: np.ndarray, gates: Gates) -> list[np.ndarray]:
    """Rows of each tracklet, in order of time; every row of `used` (N,) bool is in one."""
    label = np.full(len(people), -1)
    active, count = _Active(), 0
    rows = np.flatnonzero(used)
    starts = np.flatnonzero(np.diff(people.frame[rows], prepend=-1))
    for start, end in zip(starts, np.append(starts[1:], len(rows)), strict=True):
        here = rows[start:end]
        frame = int(people.frame[here[0]])
        active.keep(frame - active.frame <= np.minimum(gates.coast, active.rows))
        cost = _costs(active, people, here, frame, gates)
        index, chosen, ended = _clear_pairs(cost, gates.margin)
        label[here[chosen]] = active.name[index]
        active.update(index, people, here[chosen], frame)
        active.keep(~ended)
        new = here[label[here] < 0]
        label[new] = np.arange(count, count + len(new))
        active.add(label[new], people, new, frame)
        count += len(new)
    order = rows[np.argsort(label[rows], kind="stable")]
    return np.split(order, np.flatnonzero(np.diff(label[order])) + 1) if len(order) else []


def _costs(active: _Active, people: People, rows: np.ndarray, frame: int, gates: Gates) -> np.ndarray:
    """(tracklets, rows): unlikeness to the expected pose, _NEVER beyond the gates."""
    passed = frame - active.frame
    expected = active.joints + (active.velocity * passed[:, None])[:, None]
    cost = unlikeness(
        expected[:, None],
        active.weight[:, None],
        people.joints[rows][None],
        people.weight[rows][None],
        np.repeat(active.height[:, None], len(rows), axis=1),
    )
    size = np.abs(np.log(people.height[rows][None] / active.height[:, None]))
    limit = gates.step * (1 + _WIDER * (passed - 1))[:, None]
    return np.where((size < gates.size) & (cost < limit), cost, _NEVER)


def _clear_pairs(cost: np.ndarray, margin: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs (tracklets, rows) of the best assignment that are beyond doubt, and (tracklets,) bool: ended by doubt.

    In doubt is a pair if exchanging partners with another pair, or taking a row or tracklet that is left over, costs
    less than `margin` more.
    """
    index, chosen = linear_sum_assignment(cost)
    possible = cost[index, chosen] < _NEVER
    index, chosen = index[possible], chosen[possible]
    own = cost[index, chosen]
    # [a, b]: what it costs more if a takes b's row and b takes a's.
    crossed = cost[np.ix_(index, chosen)]
    exchange = crossed + crossed.T - own[:, None] - own[None]
    np.fill_diagonal(exchange, np.inf)
    spare_row, spare_tracklet = np.ones(cost.shape[1], dtype=bool), np.ones(cost.shape[0], dtype=bool)
    spare_row[chosen], spare_tracklet[index] = False, False
    doubt = exchange.min(1, initial=np.inf) < margin
    doubt |= (cost[np.ix_(index, np.flatnonzero(spare_row))] - own[:, None]).min(1, initial=np.inf) < margin
    doubt |= (cost[np.ix_(np.flatnonzero(spare_tracklet), chosen)] - own).min(0, initial=np.inf) < margin
    ended = np.zeros(len(cost), dtype=bool)
    ended[index[doubt]] = True
    # A tracklet that could have had a doubtful row ends too: who goes on is decided later, for all of them.
    ended |= spare_tracklet & (cost[:, chosen[doubt]] < _NEVER).any(1)
    return index[~doubt], chosen[~doubt], ended
