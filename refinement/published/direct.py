"""The published energy minimised by direct solves instead of Adam: a lower energy in milliseconds.

Given which frames to believe, the energy is quadratic and its matrix is banded in time (half-bandwidth 20, or 40 with
second differences). As long as no residual comes near the cap all coordinates share their weights, so that two matrices
per person, one for the root and one for the relative joints, are factored once and solve everything:

1. All frames believed: x = x0 - (W + Q)^-1 Q x0, in correction form, which rounds less than solving for x itself.
2. Where no residual is large enough for giving a frame up to pay, that is the minimum. Around the other frames windows
   are searched for the frames to give up (refinement/published/windows.py), coordinate by coordinate.
3. The full length is joined where the windows' ends left a gradient: one step on the shared quadratic, then, where that
   was not enough, conjugate gradients preconditioned by the shared factor.

Geman-McClure bends everywhere: its weight at residual zero, v / alpha, majorises it, steps 1 and 2 give the start, and
step 3 becomes Newton's method over the full length.

All of it is linear in the number of frames; the loops are compiled, in float64 on one thread. Frames that no score
supports get the weight FLOOR, which keeps the matrix regular; the energies reported are the published ones.

Robust energies have many local minima. This finds a good one, not always the lowest: of people of 10 frames, where all
sets of frames can be tried, the lowest in every coordinate (test_direct.py); with outliers of all kinds
(benchmarks/refinement_speed.py) never above 2,000 Adam steps with caps, and with a small Geman-McClure alpha in one
trial of 200 by up to 1e-4 of the energy.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pose.errors import ShapeError, check_shape
from pose.sequence import PoseSequence
from refinement.published.adam import Minimum
from refinement.published.banded import Penalty, add_penalty, compiled, factorise, penalty_band, solve_in_place
from refinement.published.energy import SMOOTHNESS_ORDER, PublishedEnergy
from refinement.published.robust import add_data, suspicious
from refinement.published.visibility import MEDIAN_FRAMES, visibility
from refinement.published.windows import NEWTON_STEPS, STARTS, search_windows
from refinement.refiner import Progress, RefinementResult, _joined, _poses, _refined, check_refinable, to_state

log = logging.getLogger(__name__)

#: Weight of a frame without any score.
FLOOR = 1e-8

#: A coordinate is finished when no entry of its gradient (half the derivative, m) is larger.
TOLERANCE_M = 1e-6

#: Joint solves over the full length, and steps of each, at most.
ROUNDS, STEPS = 60, 20

#: A frame is suspicious from this part of the residual on at which, all others believed, giving it up may pay.
SUSPICION = 0.5

#: In place of an array that a kernel need not fill.
NOT_WANTED = np.empty((0, 0))


def minimise_fast(energy: PublishedEnergy, x0_m: Tensor, v: Tensor, lengths: Tensor) -> Minimum:
    """Minimise `energy` from the prediction x0_m (N, J, 3) m of people laid end to end, see energy.py.

    v (N,) visibility, lengths (P,) frames of each person. The same face as `minimise_adam`; runs on the CPU in float64
    and returns the precision and device of x0_m. `iterations` counts joint solves over the full length. Raises
    ShapeError; what is not finite in x0_m stays not finite.
    """
    check_shape("x0_m", x0_m, ("N", "J", 3))
    check_shape("v", v, (len(x0_m),))
    if int(lengths.sum()) != len(x0_m):
        raise ShapeError("x0_m", (int(lengths.sum()), *x0_m.shape[1:]), x0_m.shape)
    x0, weights = x0_m.detach().cpu().flatten(1).numpy(), v.detach().cpu().double().numpy()
    x, people, first = np.empty_like(x0), [], 0
    for length in lengths.tolist():
        frames = slice(first, first + length)
        parts = [
            _Part(energy, x0[frames, columns], weights[frames], root).minimise(x[frames, columns])
            for columns, root in ((slice(0, 3), True), (slice(3, None), False))
        ]
        people.append(parts)
        first += length
    return Minimum(
        torch.from_numpy(x).reshape(x0_m.shape).to(x0_m),
        energy_before=torch.tensor([sum(p.energy_before for p in parts) for parts in people], dtype=torch.float64),
        energy_after=torch.tensor([sum(p.energy_after for p in parts) for parts in people], dtype=torch.float64),
        iterations=torch.tensor([max(p.rounds for p in parts) for parts in people]),
        converged=torch.tensor([all(p.converged for p in parts) for parts in people]),
    )


class FastRefinement:
    """`refinement=energy_fast`: the published energy, minimised by banded solves (docs/refinement.md).

    Takes the keys of `PublishedEnergy`; weights are per frame, as published, whatever the frame rate. Runs on the CPU.
    Raises ConfigError for a value that cannot be used. Calling it raises DataError for a sequence without frames or
    poses, with NaN poses or with scores outside 0..1, naming sequence and frame.

    The same person as in `PaperRefinement`, whom nobody saw for ten frames:

    >>> poses_3d = torch.zeros(60, 17, 3) + torch.tensor([0.0, 0.0, 4000.0])  # mm
    >>> poses_3d[20:30, :, 2] += 800  # ten frames in which nobody was seen
    >>> confidence = torch.ones(60, 19)
    >>> confidence[20:30] = 0
    >>> person = PoseSequence(
    ...     "TS1", 0, None, 30.0, torch.zeros(60, 19, 2), confidence, poses_3d=poses_3d, coordinates="normal"
    ... )
    >>> result = FastRefinement()([person])
    >>> bool(result.energies.after < 1e-3 * result.energies.before)
    True
    """

    name = "energy_fast"

    def __init__(self, **energy: Any):
        self.energy = PublishedEnergy(**energy)

    def __repr__(self) -> str:
        return f"FastRefinement({self.energy})"

    def __call__(self, sequences: list[PoseSequence], progress: Progress | None = None) -> RefinementResult:
        start = time.perf_counter()
        for sequence in sequences:
            check_refinable(sequence)
        median_frames = MEDIAN_FRAMES if self.energy.smooth_visibility else 1
        refined, minima = [], []
        for sequence in sequences:
            x0_m = to_state(_poses(sequence), sequence.joints_3d)
            v = visibility(sequence.confidence, median_frames)
            minimum = minimise_fast(self.energy, x0_m, v, torch.tensor([len(sequence)]))
            refined += _refined([sequence], minimum)
            minima.append(minimum)
            if progress is not None:
                progress(len(refined), len(sequences))
        result = RefinementResult(refined, time.perf_counter() - start, _joined(minima))
        if refined:
            log.info("energy_fast: %d people refined in %.3f s", len(refined), result.seconds)
        return result


class _Part:
    """The energy of one person's root (n, 3) or relative joints (n, 3 (J - 1)), which do not depend on each other."""

    def __init__(self, energy: PublishedEnergy, x0: np.ndarray, v: np.ndarray, root: bool):
        part = "hip" if root else "rel"
        order = SMOOTHNESS_ORDER[getattr(energy, f"smoothness_loss_{part}")]
        small, large = (getattr(energy, f"smoothness_weight_{part}{end}") for end in ("", "_large"))
        terms = [(1, small * np.ones_like(v)), (energy.smoothness_loss_hip_largestep, large * (1 - v))]
        terms = [(step, weight) for step, weight in terms if len(v) > order * step and weight.any()]
        self.penalty = Penalty(
            np.array([step for step, _ in terms], dtype=np.int64),
            np.full(len(terms), order, dtype=np.int64),
            np.stack([weight for _, weight in terms], axis=1) if terms else np.empty((len(v), 0)),
        )
        self.gm = energy.pose_loss == "gm"
        self.scale = float(energy.gm_alpha if self.gm else energy.l2_cap)
        self.width = 3 if energy.pose_loss == "capped_l2_euc_err" else 1
        v = v if energy.weigh_by_visibility else np.ones_like(v)  # from here on, of the pose loss
        self.x0, self.v = np.ascontiguousarray(x0, dtype=np.float64), v
        #: The quadratic that touches the data term at residual zero and lies above it everywhere.
        self.w = np.maximum(v / self.scale if self.gm else v, FLOOR)
        self.energy_before = self.energy_after = 0.0
        self.rounds, self.converged = 0, False

    def minimise(self, x_out: np.ndarray) -> _Part:
        """Write the solution (n, m) into x_out; sets energies, rounds and converged."""
        quadratic = penalty_band(self.penalty)
        self.rows, self.pivots = np.empty_like(quadratic), np.empty(len(quadratic))
        factorise(quadratic, self.w, self.rows, self.pivots)
        before, x = np.zeros(self.x0.shape[1]), np.zeros_like(self.x0)
        add_penalty(self.penalty, self.x0, before, x)
        solve_in_place(self.rows, self.pivots, x)
        np.subtract(self.x0, x, out=x)
        # Giving up frame i pays from r^2 = cap (1 - w G_ii) on, and 1 - w G_ii <= Q_ii / (Q_ii + w).
        limit = SUSPICION * self.scale * quadratic[:, 0] / (quadratic[:, 0] + self.w)
        if suspicious(x, self.x0, self.width, limit).any():
            search_windows(
                self.penalty, quadratic, self.w, self.v, x, self.x0, self.width, self.gm, self.scale, limit,
                STARTS, NEWTON_STEPS,
            )  # fmt: skip
        after = self._join(x)
        self.energy_before, self.energy_after = float(before.sum()), float(after.sum())
        x_out[:] = x
        return self

    def _join(self, x: np.ndarray) -> np.ndarray:
        """Bring x, in place, to the minimum next to it, over the full length; the energy (m,) of its columns."""
        pick, y, y0 = np.arange(x.shape[1]), x, self.x0
        total, gradient = self._evaluate(y, y0)
        while True:
            size = _largest(gradient)
            keep = np.repeat(size.reshape(-1, self.width).max(axis=1) > TOLERANCE_M, self.width)
            self.converged = not keep.any()
            if self.converged or self.rounds == ROUNDS:
                return total
            if not keep.all():
                pick, size, keep = pick[keep], size[keep], np.flatnonzero(keep)
                y, y0, gradient = (np.take(a, keep, axis=1) for a in (y, y0, gradient))
            if self.rounds == 0:  # one step on the majoriser is cheap and nearly always enough
                solve_in_place(self.rows, self.pivots, gradient)
                y -= gradient
            else:
                self._newton(y, y0, total[pick], gradient, size)
            total[pick], gradient = self._evaluate(y, y0)
            x[:, pick] = y
            self.rounds += 1

    def _newton(
        self, y: np.ndarray, y0: np.ndarray, energy: np.ndarray, gradient: np.ndarray, size: np.ndarray
    ) -> None:
        """Step y in place; where Newton's direction raises the energy, on the majoriser, where nothing can rise."""
        curvature = np.empty_like(y)
        add_data(y, y0, self.v, self.width, self.gm, self.scale, np.zeros_like(energy), NOT_WANTED, curvature)
        if self.rounds % 2:  # Geman-McClure bends down where it gives up: flattened in every other round
            np.maximum(curvature, 0, out=curvature)
        goal = np.maximum(TOLERANCE_M / 2, 0.03 * self.gm * size)
        move = _conjugate_gradients(self.penalty, self.rows, self.pivots, curvature, gradient, goal, STEPS)
        rise = (self._evaluate(y - move, y0)[0] - energy).reshape(-1, self.width).sum(axis=1) > 0
        if rise.any():
            worse = np.repeat(rise, self.width)
            solve_in_place(self.rows, self.pivots, gradient)
            move[:, worse] = gradient[:, worse]
        y -= move

    def _evaluate(self, x: np.ndarray, x0: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Energy (m,) and half the gradient (n, m) of the columns x (n, m)."""
        energy, gradient = np.zeros(x.shape[1]), np.zeros_like(x)
        add_penalty(self.penalty, x, energy, gradient)
        add_data(x, x0, self.v, self.width, self.gm, self.scale, energy, gradient, NOT_WANTED)
        return energy, gradient


@compiled
def _largest(values):
    """The largest absolute value (m,) in each column of values (n, m)."""
    n, m = values.shape
    largest = np.zeros(m)
    for t in range(n):
        for c in range(m):
            largest[c] = max(largest[c], abs(values[t, c]))
    return largest


@compiled
def _conjugate_gradients(penalty, rows, pivots, curvature, gradient, goal, steps):
    """`move` with (Q + diag(curvature)) move = gradient, all (n, m), preconditioned by the shared factor.

    Ends when no entry of what is left of the gradient is above its column's goal (m,), or after so many steps. A column
    stops where its curvature is not positive; if that is at the first step, its move is the majoriser's.
    """
    n, m = gradient.shape
    left, move, direction = gradient.copy(), np.zeros_like(gradient), np.zeros_like(gradient)
    z, product, length = np.empty_like(left), np.empty_like(left), np.ones(m)
    along, bend, last = np.zeros(m), np.zeros(m), np.ones(m)
    for step in range(steps):
        for t in range(n):
            for c in range(m):
                z[t, c] = left[t, c]
        solve_in_place(rows, pivots, z)
        for c in range(m):
            last[c], along[c], bend[c] = max(along[c], 1e-300), 0.0, 0.0
        for t in range(n):
            for c in range(m):
                along[c] += left[t, c] * z[t, c]
        for t in range(n):
            for c in range(m):
                d = z[t, c] + along[c] / last[c] * direction[t, c]
                direction[t, c] = d
                product[t, c] = curvature[t, c] * d
                bend[c] += product[t, c] * d
        add_penalty(penalty, direction, bend, product)
        for c in range(m):
            if length[c] != 0.0 and bend[c] > 0.0:
                length[c] = along[c] / bend[c]
            else:
                length[c] = 1.0 if step == 0 else 0.0
                goal[c] = np.inf
        unfinished = 0
        for t in range(n):
            for c in range(m):
                move[t, c] += length[c] * direction[t, c]
                left[t, c] -= length[c] * product[t, c]
                unfinished += abs(left[t, c]) > goal[c]
        if unfinished == 0:
            break
        for c in range(m):
            if goal[c] == np.inf:
                length[c] = 0.0
    return move
