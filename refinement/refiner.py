"""Refiners: predicted sequences in, refined sequences out. Each is one option of `refinement=` in the configuration.

A refiner is called with a list of `PoseSequence` whose `poses_3d` are a network's predictions (mm) and whose
`confidence` are the detector's scores; it returns the same people in the same order with refined `poses_3d`. Frames are
taken as consecutive. `refine` (refinement/api.py) does the same for plain arrays. Neither needs Lightning or Hydra.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from pose.errors import DataError, MismatchError
from pose.joint_sets import JointSet
from pose.sequence import PoseSequence
from refinement.published.adam import AdamSettings, Minimum, minimise_adam
from refinement.published.energy import PublishedEnergy
from refinement.published.visibility import MEDIAN_FRAMES, visibility

log = logging.getLogger(__name__)

MM_PER_M = 1000

#: Heatmap peaks of HR-Net overshoot 1 a little; anything above this is another kind of score.
HIGHEST_SCORE = 1.2

#: On a CPU, people are optimised in groups of at most about so many frames: what fits its cache is twice as fast.
FRAMES_AT_ONCE = 2048

#: Called with (people done, people in all) as a refiner proceeds.
Progress = Callable[[int, int], None]


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
    if the refiner states it.
    """

    sequences: list[PoseSequence]
    seconds: float
    energies: Energies | None = None


class Refiner(Protocol):
    """What every option of `refinement=` is."""

    @property
    def name(self) -> str: ...

    def __call__(self, sequences: list[PoseSequence], progress: Progress | None = None) -> RefinementResult: ...


class NoRefinement:
    """`refinement=none`: the poses as they are."""

    name = "none"

    def __call__(self, sequences: list[PoseSequence], progress: Progress | None = None) -> RefinementResult:
        kept = [
            dataclasses.replace(
                s,
                observed=observed_frames(s) if s.observed is None else s.observed,
                lifted_3d=s.poses_3d if s.lifted_3d is None else s.lifted_3d,
            )
            for s in sequences
        ]
        return RefinementResult(kept, seconds=0.0)


class PaperRefinement:
    """`refinement=paper`: the published energy, minimised by Adam (docs/method.md §8, docs/refinement.md).

    Takes the keys of `AdamSettings` and, as further keywords, those of `PublishedEnergy`. With `num_iter` it is the
    published procedure, so many steps of one size; without, the step decays until the energy has converged. Weights are
    per frame, as published, whatever the frame rate. Runs on the device of each sequence's `poses_3d`.

    Raises ConfigError for a value that cannot be used. Calling it raises DataError for a sequence without frames or
    poses, with NaN poses or with scores outside 0..1, naming sequence and frame.

    >>> poses_3d = torch.zeros(60, 17, 3) + torch.tensor([0.0, 0.0, 4000.0])  # mm
    >>> poses_3d[20:30, :, 2] += 800  # ten frames in which nobody was seen
    >>> confidence = torch.ones(60, 19)
    >>> confidence[20:30] = 0
    >>> person = PoseSequence(
    ...     "TS1", 0, None, 30.0, torch.zeros(60, 19, 2), confidence, poses_3d=poses_3d, coordinates="normal"
    ... )
    >>> result = PaperRefinement(l2_cap=0.5)([person])
    >>> bool(result.energies.after < result.energies.before), bool(result.energies.converged)
    (True, True)
    >>> bool((result.sequences[0].root[25, 2] - 4000).abs() < 5)
    True
    """

    name = "paper"

    def __init__(
        self,
        *,
        learning_rate: float = AdamSettings.learning_rate,
        min_learning_rate: float = AdamSettings.min_learning_rate,
        tolerance: float = AdamSettings.tolerance,
        max_iter: int = AdamSettings.max_iter,
        num_iter: int | None = AdamSettings.num_iter,
        **energy: Any,
    ):
        self.settings = AdamSettings(learning_rate, min_learning_rate, tolerance, max_iter, num_iter)
        self.energy = PublishedEnergy(**energy)

    def __repr__(self) -> str:
        return f"PaperRefinement({self.energy}, {self.settings})"

    def __call__(self, sequences: list[PoseSequence], progress: Progress | None = None) -> RefinementResult:
        start = time.perf_counter()
        for sequence in sequences:
            check_refinable(sequence)
        refined, minima = [], []
        for group in _groups(sequences):
            minimum = self._minimise(group)
            refined += _refined(group, minimum)
            minima.append(minimum)
            if progress is not None:
                progress(len(refined), len(sequences))
        result = RefinementResult(refined, time.perf_counter() - start, _joined(minima))
        self._log(result)
        return result

    def _minimise(self, group: list[PoseSequence]) -> Minimum:
        median_frames = MEDIAN_FRAMES if self.energy.smooth_visibility else 1
        x0_m = torch.cat([to_state(_poses(s), s.joints_3d) for s in group])
        v = torch.cat([visibility(s.confidence, median_frames).to(x0_m) for s in group])
        return minimise_adam(self.energy, x0_m, v, torch.tensor([len(s) for s in group]), self.settings)

    def _log(self, result: RefinementResult) -> None:
        if result.energies is None or self.settings.num_iter is not None:
            return
        log.info("paper: %d people refined in %.1f s", len(result.sequences), result.seconds)
        unfinished = [
            s.name for s, ok in zip(result.sequences, result.energies.converged.tolist(), strict=True) if not ok
        ]
        if unfinished:
            log.warning(
                "max_iter=%d: too few iterations for %d of %d people (first %s), whose energy was still falling",
                self.settings.max_iter,
                len(unfinished),
                len(result.sequences),
                unfinished[0],
            )


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


def to_state(poses_3d: Tensor, joints: JointSet) -> Tensor:
    """Camera coordinates (T, J, 3) mm -> x_m (T, J, 3) m: the root, then the other joints relative to it, float32."""
    poses = poses_3d.float()
    root = poses[:, [joints.root]]
    return torch.cat([root, poses[:, _others(joints)] - root], dim=1) / MM_PER_M


def check_refinable(sequence: PoseSequence) -> None:
    """Raise DataError or MismatchError, naming sequence and frame, unless it holds poses and scores fit to refine."""
    poses = _poses(sequence)
    if sequence.joints_3d.root is None:
        raise MismatchError(f"{sequence.name}: joint set {sequence.joints_3d.name} has no root, which refinement needs")
    if len(sequence) == 0:
        raise DataError(f"{sequence.name}: no frames; at least one is expected, leave this person out")
    _refuse(sequence, ~poses.isfinite().flatten(1).all(1), "poses_3d", "NaN or infinite", "fill or drop such frames")
    scores = sequence.confidence
    outside = ~((scores >= 0) & (scores <= HIGHEST_SCORE)).all(1)
    _refuse(sequence, outside, "confidence", "outside 0..1", "bring the detector's scores to 0..1")


def _poses(sequence: PoseSequence) -> Tensor:
    if sequence.poses_3d is None:
        raise MismatchError(f"{sequence.name}: no 3D poses to refine; predict them first")
    return sequence.poses_3d


def _refuse(sequence: PoseSequence, bad: Tensor, key: str, found: str, remedy: str) -> None:
    if bool(bad.any()):
        frame = int(sequence.frame[bad.nonzero()[0, 0]])
        raise DataError(f"{sequence.name}: {key} {found} in {int(bad.sum())} frames, first in frame {frame}; {remedy}")


def _others(joints: JointSet) -> list[int]:
    return [joint for joint in range(len(joints)) if joint != joints.root]


def _groups(sequences: list[PoseSequence]) -> Iterator[list[PoseSequence]]:
    """Neighbours in the list that are optimised together: same device, same skeleton, not too many frames."""
    group: list[PoseSequence] = []
    for sequence in sequences:
        if group:
            first, frames = group[0], sum(map(len, group)) + len(sequence)
            full = frames > FRAMES_AT_ONCE and sequence.confidence.device.type == "cpu"
            if full or sequence.joints_3d != first.joints_3d or sequence.confidence.device != first.confidence.device:
                yield group
                group = []
        group.append(sequence)
    if group:
        yield group


def _refined(group: list[PoseSequence], minimum: Minimum) -> list[PoseSequence]:
    """The sequences moved by what the optimiser moved them: where it moved nothing, not a bit changes."""
    joints = group[0].joints_3d
    refined, first = [], 0
    for sequence in group:
        poses = _poses(sequence).float().clone()
        moved_mm = MM_PER_M * (minimum.x_m[first : first + len(sequence)] - to_state(poses, joints))
        poses += moved_mm[:, :1]
        poses[:, _others(joints)] += moved_mm[:, 1:]
        refined.append(with_refined(sequence, poses))
        first += len(sequence)
    return refined


def _joined(minima: list[Minimum]) -> Energies | None:
    if not minima:
        return None
    keys = ("energy_before", "energy_after", "iterations", "converged")
    return Energies(*(torch.cat([getattr(m, key).cpu() for m in minima]) for key in keys))
