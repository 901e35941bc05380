"""Refiners: predicted sequences in, refined sequences out. Each is one option of `refinement=` in the configuration.

A refiner is called with a list of `PoseSequence` whose `poses_3d` are a network's predictions (mm) and whose
`confidence` are the detector's scores; it returns the same people in the same order with refined `poses_3d`. Frames are
taken as consecutive. `refine` (refinement/api.py) does the same for plain arrays. Neither needs Lightning or Hydra.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from pose.errors import DataError, MismatchError
from pose.level import World
from pose.sequence import PoseSequence

MM_PER_M = 1000

#: Heatmap peaks of HR-Net overshoot 1 a little; anything above this is another kind of score.
HIGHEST_SCORE = 1.2


@dataclass(frozen=True, eq=False)
class Energies:
    """How a minimisation went, person by person (P,): energy before and after (float64), iterations, converged (bool;
    false after a fixed number of iterations, which tests nothing)."""

    before: Tensor
    after: Tensor
    iterations: Tensor
    converged: Tensor


@dataclass(frozen=True, eq=False)
class RefinementResult:
    """Refined people in the order given, the wall time in seconds and, from a refiner that has an energy, its energies.

    Each sequence has refined `poses_3d` and `observed`, keeps the poses it came with as `lifted_3d`, and has `std_mm`
    if the refiner states it. scale_std_pct: of each person the standard deviation of the size, percent, which is common
    to all frames and a part of `std_mm`; 0 where sizes are taken as they are. ground: of each person the floor it was
    made to stand on, None for who was left free. Both are None where a refiner doesn't state it. notes: what a user
    must know, one sentence each.
    """

    sequences: list[PoseSequence]
    seconds: float
    energies: Energies | None = None
    scale_std_pct: tuple[float, ...] | None = None
    ground: tuple[World | None, ...] | None = None
    notes: Sequence[str] = ()


class Refiner(Protocol):
    """What every option of `refinement=` is."""

    @property
    def name(self) -> str: ...

    def __call__(self, sequences: list[PoseSequence]) -> RefinementResult: ...


class NoRefinement:
    """`refinement=none`: the poses as they are."""

    name = "none"

    def __call__(self, sequences: list[PoseSequence]) -> RefinementResult:
        kept = [with_refined(s, s.require("poses_3d"), s.observed, s.std_mm) for s in sequences]
        return RefinementResult(kept, seconds=0.0)


def with_refined(
    sequence: PoseSequence, poses_3d: Tensor, observed: Tensor | None = None, std_mm: Tensor | None = None
) -> PoseSequence:
    """The sequence with refined poses_3d (T, J, 3) mm; its own are kept as `lifted_3d`, unless it has these already.

    observed (T, J): by default all joints of the frames with a detection. std_mm (T, J) where it is known.
    """
    lifted = sequence.poses_3d if sequence.lifted_3d is None else sequence.lifted_3d
    observed = observed_frames(sequence) if observed is None else observed
    return dataclasses.replace(sequence, poses_3d=poses_3d, observed=observed, std_mm=std_mm, lifted_3d=lifted)


def observed_frames(sequence: PoseSequence) -> Tensor:
    """(T, J) bool, alike for all joints: frames with a valid detection of which any score is above zero."""
    seen = sequence.detected & (sequence.confidence > 0).any(1)
    return seen[:, None].repeat(1, len(sequence.joints_3d))


def check_refinable(sequence: PoseSequence) -> None:
    """Raise DataError or MismatchError, naming sequence and frame, unless it holds poses and scores fit to refine."""
    poses = sequence.require("poses_3d")
    if sequence.joints_3d.root is None:
        raise MismatchError(f"{sequence.name}: joint set {sequence.joints_3d.name} has no root, which refinement needs")
    if len(sequence) == 0:
        raise DataError(f"{sequence.name}: no frames; at least one is expected, leave this person out")
    _refuse(sequence, ~poses.isfinite().flatten(1).all(1), "poses_3d", "NaN or infinite", "fill or drop such frames")
    scores = sequence.confidence
    outside = ~((scores >= 0) & (scores <= HIGHEST_SCORE)).all(1)
    _refuse(sequence, outside, "confidence", "outside 0..1", "bring the detector's scores to 0..1")


def _refuse(sequence: PoseSequence, bad: Tensor, key: str, found: str, remedy: str) -> None:
    if bool(bad.any()):
        frame = int(sequence.frame[bad.nonzero()[0, 0]])
        raise DataError(f"{sequence.name}: {key} {found} in {int(bad.sum())} frames, first in frame {frame}; {remedy}")
