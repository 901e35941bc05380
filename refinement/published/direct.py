"""The published energy minimised by banded solves instead of Adam: iteratively reweighted least squares.

With a weight for each frame and coordinate in place of the robust loss the energy is quadratic, and its matrix is
banded in time (half-bandwidth 20, or 40 with second differences), for SciPy's banded Cholesky solver. Solving, and
weighting by the loss's slope at the solution, in turn never raises the energy. For the moves d = x0 - x a solve is
(V W + Q) d = Q x0, V the visibility, W the weights, Q the smoothness. Coordinates with the same weights share a factor,
and as long as no residual nears the cap all have the same.

Robust energies have many local minima. Where a residual nears the cap this goes on from other frames to reject: those
of a lower cap, those of low scores, and with caps those found by exchanging single frames, as long as that pays. The
lowest energy is kept, coordinate by coordinate. It is a good minimum, not always the lowest (docs/refinement.md).
"""

from __future__ import annotations

import numpy as np
import scipy  # its parts load when they are used
import torch
from torch import Tensor

from pose.errors import ShapeError, check_shape
from refinement.published.adam import Minimum
from refinement.published.energy import SMOOTHNESS_ORDER, PublishedEnergy

#: Weight of a frame without any score: keeps the matrix regular.
FLOOR = 1e-9
#: Most solves from one start; weights are settled when none changes by more than this fraction of the full weight.
ROUNDS, SETTLED = 200, 1e-6
#: A residual is near the cap from this part of where rejecting its frame alone can lower the energy.
NEAR = 0.5
#: Frames are exchanged in runs of at most RUN, each with MARGIN frames around it: the cost is linear in the frames.
RUN, MARGIN = 100, 60
#: Parts of the cap that starts reject frames by, and of the person's highest score.
CAP_PARTS, LOW_SCORE = (0.25, 0.1), 0.5
#: Weights of the positions in a difference, the earliest first, by order.
COEFFICIENTS = {1: (-1.0, 1.0), 2: (1.0, -2.0, 1.0)}
#: Columns of the root and of the joints relative to it, whose energies do not depend on each other.
PARTS = {"hip": slice(0, 3), "rel": slice(3, None)}


def minimise_fast(energy: PublishedEnergy, x0_m: Tensor, v: Tensor, lengths: Tensor) -> Minimum:
    """Minimise `energy` from the prediction x0_m (N, J, 3) m of people laid end to end, see energy.py.

    v (N,) visibility, lengths (P,) frames of each person. Called as `minimise_adam`; runs on the CPU in float64 and
    returns the precision and device of x0_m. `iterations`: the most solves from one start. Raises
    ShapeError.
    """
    check_shape("x0_m", x0_m, ("N", "J", 3))
    check_shape("v", v, (len(x0_m),))
    if int(lengths.sum()) != len(x0_m):
        raise ShapeError("x0_m", (int(lengths.sum()), *x0_m.shape[1:]), x0_m.shape)
    x0, visibility = x0_m.detach().cpu().flatten(1).double().numpy(), v.detach().cpu().double().numpy()
    x, people, first = x0.copy(), [], 0
    for length in lengths.tolist():
        frames = slice(first, first + length)
        parts = [_Part(energy, x0[frames, columns], visibility[frames], name) for name, columns in PARTS.items()]
        for part, columns in zip(parts, PARTS.values(), strict=True):
            x[frames, columns] -= part.minimise()
        people.append(parts)
        first += length
    return Minimum(
        torch.from_numpy(x).reshape(x0_m.shape).to(x0_m),
        energy_before=torch.tensor([sum(p.before.sum() for p in parts) for parts in people], dtype=torch.float64),
        energy_after=torch.tensor([sum(p.after.sum() for p in parts) for parts in people], dtype=torch.float64),
        iterations=torch.tensor([max(p.rounds for p in parts) for parts in people], dtype=torch.long),
        converged=torch.tensor([all(p.rounds < ROUNDS for p in parts) for parts in people], dtype=torch.bool),
    )


class _Part:
    """The energy of one person's root or relative joints: G groups of `width` coordinates that are weighted together.

    x0 (n, G * width) m, v (n,). Arrays of the groups are (n, G, width), their weights (n, G).
    """

    def __init__(self, energy: PublishedEnergy, x0: np.ndarray, v: np.ndarray, part: str):
        n, order = len(v), SMOOTHNESS_ORDER[getattr(energy, f"smoothness_loss_{part}")]
        self.gm = energy.pose_loss == "gm"
        self.scale = float(energy.gm_alpha if self.gm else energy.l2_cap)
        self.x0 = x0.reshape(n, -1, 3 if energy.pose_loss == "capped_l2_euc_err" else 1)
        self.v = v if energy.weigh_by_visibility else np.ones(n)
        self.coefficients = COEFFICIENTS[order]
        small, large = (getattr(energy, f"smoothness_weight_{part}{end}") for end in ("", "_large"))
        terms = ((1, np.full(n, small)), (energy.smoothness_loss_hip_largestep, large * (1 - v)))
        self.terms = [(step, weight[order * step :]) for step, weight in terms if n > order * step]
        reach = max((order * step for step, _ in self.terms), default=0)
        self.band = np.zeros((reach + 1, n))  # Q as `solveh_banded` takes it: the diagonal last
        self.pull = np.zeros_like(self.x0)  # Q x0
        for step, weight in self.terms:
            rows = [slice(i * step, n - (order - i) * step) for i in range(order + 1)]
            slope = weight[:, None, None] * self._difference(self.x0, step)
            for i, a in enumerate(self.coefficients):
                self.pull[rows[i]] += a * slope
                for k, b in enumerate(self.coefficients[: i + 1]):
                    self.band[reach - (i - k) * step, rows[i]] += a * b * weight
        self.low = v < LOW_SCORE * v.max(initial=0)
        self.floor = max(FLOOR, 1e-13 * self.band[-1].max(initial=0))  # the second where rounding would outweigh it
        self.moves, self.rounds = np.zeros_like(self.x0), 0
        self.before = self._energies(self.moves, np.arange(self.x0.shape[1]))
        self.after = self.before.copy()

    def minimise(self) -> np.ndarray:
        """x0 - x (n, G * width) of the solution x; `after` (G,) becomes its energy."""
        groups, full = np.arange(self.x0.shape[1]), self._weights(np.zeros_like(self.x0))
        self._start(full, groups)
        # Rejecting frame i alone pays from r^2 = cap (1 - w G_ii) on, G the inverse; 1 - w G_ii <= Q_ii / (Q_ii + w).
        weight = np.maximum(self.v * full.max(1, initial=0), self.floor)
        near = NEAR * self.scale * self.band[-1] / (self.band[-1] + weight)
        hot = groups[((self.moves**2).sum(2) > near[:, None]).any(0)]
        if not len(hot):
            return self.moves.reshape(len(self.v), -1)

        def start(rejected: np.ndarray) -> None:
            weights = np.where(rejected, 0.0, full[:, hot])
            other = (weights != self._weights(self.moves[:, hot])).any(0)
            self._start(weights[:, other], hot[other])

        if not self.gm:
            start(self._exchanged(near, hot, [self.scale]))
        for part in CAP_PARTS:
            start((self.moves[:, hot] ** 2).sum(2) > part * self.scale)
        start(self.low[:, None])
        if not self.gm:
            start(self._exchanged(near, hot, [self.scale]))
            start(self._exchanged(near, hot, [self.scale / 2, self.scale]))
        return self.moves.reshape(len(self.v), -1)

    def _start(self, weights: np.ndarray, groups: np.ndarray) -> None:
        """Solve and weight in turn from weights (n, len(groups)); keep what has a lower energy than before."""
        weights, moves = weights.copy(), self._solve(weights, groups)
        unsettled, rounds = np.arange(len(groups)), 1
        while len(unsettled) and rounds < ROUNDS:
            new = self._weights(moves[:, unsettled])
            changed = (np.abs(new - weights[:, unsettled]) > SETTLED * new.max(initial=0)).any(0)
            unsettled, new = unsettled[changed], new[:, changed]
            weights[:, unsettled], moves[:, unsettled] = new, self._solve(new, groups[unsettled])
            rounds += 1
        energies = self._energies(moves, groups)
        lower = energies < self.after[groups]
        self.moves[:, groups[lower]], self.after[groups[lower]] = moves[:, lower], energies[lower]
        self.rounds = max(self.rounds, rounds)

    def _exchanged(self, near: np.ndarray, groups: np.ndarray, caps: list[float]) -> np.ndarray:
        """Frames (n, len(groups)) to reject: those rejected now, changed one at a time while a change pays at each cap.

        Only frames with r^2 above near (n,), in parts of the full cap, are changed. G the inverse, rejecting frame i
        lowers the energy by w r_i^2 / (1 - w G_ii) - w cap, believing it again by w cap - w r_i^2 / (1 + w G_ii), all
        moves updated.
        """
        rejected = self._weights(self.moves[:, groups]) == 0
        for column, group in zip(rejected.T, groups, strict=True):
            for frames in _runs(np.flatnonzero((self.moves[:, group] ** 2).sum(1) > near * caps[0] / self.scale)):
                column[frames] = self._exchange(frames, column, self.moves[frames, group], caps)
        return rejected

    def _exchange(self, frames: np.ndarray, rejected: np.ndarray, moves: np.ndarray, caps: list[float]) -> np.ndarray:
        """`_exchanged` of one run of frames (k,) with moves (k, width), whose far surroundings are kept as they are."""
        around = slice(max(frames[0] - MARGIN, 0), frames[-1] + MARGIN + 1)
        band = self.band[:, around].copy()
        band[-1] += np.maximum(np.where(rejected, 0.0, self.v), self.floor)[around]
        own = frames - around.start
        units = np.zeros((band.shape[1], len(frames)))
        units[own, np.arange(len(frames))] = 1
        inverse = scipy.linalg.solveh_banded(band, units, overwrite_ab=True, check_finite=False)[own]
        out, w = rejected[frames], self.v[frames]
        for cap in caps:
            for _ in range(4 * len(frames)):
                sign = np.where(out, -w, w)
                left = 1 - sign * inverse.diagonal()  # zero where nothing else holds the frame, which stays
                gain = np.where(left > 1e-6, sign * ((moves**2).sum(1) / np.maximum(left, 1e-6) - cap), 0.0)
                best = int(gain.argmax())
                if gain[best] <= 1e-9 * cap:
                    break
                step = sign[best] / left[best] * inverse[:, best]
                moves = moves + step[:, None] * moves[best]
                inverse = inverse + np.outer(step, inverse[best])
                out[best] = ~out[best]
        return out

    def _solve(self, weights: np.ndarray, groups: np.ndarray) -> np.ndarray:
        """Moves (n, len(groups), width) of least energy with these weights in place of the robust loss."""
        moves, alike = np.empty_like(self.x0[:, groups]), dict[bytes, list[int]]()
        for i, column in enumerate(np.ascontiguousarray(weights.T)):
            alike.setdefault(column.tobytes(), []).append(i)
        for members in alike.values():
            band, pull = self.band.copy(), self.pull[:, groups[members]]
            band[-1] += np.maximum(self.v * weights[:, members[0]], self.floor)
            solution = scipy.linalg.solveh_banded(
                band, pull.reshape(len(pull), -1), overwrite_ab=True, check_finite=False
            )
            moves[:, members] = solution.reshape(pull.shape)
        return moves

    def _weights(self, moves: np.ndarray) -> np.ndarray:
        """The slope of the loss by the squared residual: moves (n, G, width) -> (n, G), without the visibility."""
        square = (moves**2).sum(2)
        return self.scale / (square + self.scale) ** 2 if self.gm else (square <= self.scale).astype(float)

    def _energies(self, moves: np.ndarray, groups: np.ndarray) -> np.ndarray:
        """Energy of each group (len(groups),) at x0 - moves."""
        square, x = (moves**2).sum(2), self.x0[:, groups] - moves
        energies = self.v @ (square / (square + self.scale) if self.gm else np.minimum(square, self.scale))
        for step, weight in self.terms:
            energies = energies + weight @ (self._difference(x, step) ** 2).sum(2)
        return energies

    def _difference(self, x: np.ndarray, step: int) -> np.ndarray:
        for _ in self.coefficients[1:]:
            x = x[step:] - x[:-step]
        return x


def _runs(frames: np.ndarray) -> list[np.ndarray]:
    """Frames (k,) in runs that are more than MARGIN frames apart, of at most RUN frames each."""
    runs = np.split(frames, np.flatnonzero(np.diff(frames) > MARGIN) + 1)
    return [part for run in runs for part in np.split(run, range(RUN, len(run), RUN)) if len(part)]
