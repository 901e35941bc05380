"""The two refinements by the published energy, `PaperRefinement` (Adam) and `FastRefinement` (banded solves).

Both take the keys of `EnergySettings`; weights are per frame, as published, whatever the frame rate. They bring a
sequence's poses and scores into the form that the solvers minimise, and back.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from pose.joint_sets import JointSet
from pose.sequence import PoseSequence
from refinement.published.adam import AdamSettings, Minimum, minimise_adam
from refinement.published.direct import minimise_fast
from refinement.published.energy import EnergySettings, PublishedEnergy
from refinement.published.visibility import MEDIAN_FRAMES, visibility
from refinement.refiner import (
    MM_PER_M,
    Energies,
    RefinementResult,
    check_refinable,
    with_refined,
)

log = logging.getLogger(__name__)

#: On a CPU, Adam takes people in groups of at most about so many frames: what fits its cache is twice as fast.
FRAMES_AT_ONCE = 2048


class EnergyRefinement(EnergySettings, ABC):
    """A refinement by the published energy, whatever the solver."""

    name: str

    @property
    def energy(self) -> PublishedEnergy:
        return PublishedEnergy(
            **{field.name: getattr(self, field.name) for field in dataclasses.fields(EnergySettings)}
        )

    def __call__(self, sequences: list[PoseSequence]) -> RefinementResult:
        start = time.perf_counter()
        for sequence in sequences:
            check_refinable(sequence)
        median_frames = MEDIAN_FRAMES if self.smooth_visibility else 1
        refined: list[PoseSequence] = []
        minima: list[Minimum] = []
        for group in _groups(sequences):
            x0_m = torch.cat([to_state(s.require("poses_3d"), s.joints_3d) for s in group])
            v = torch.cat([visibility(s.confidence, median_frames).to(x0_m) for s in group])
            minima.append(self.minimise(x0_m, v, torch.tensor([len(s) for s in group])))
            refined += _moved(group, minima[-1])
        result = RefinementResult(refined, time.perf_counter() - start, _joined(minima))
        if refined:
            log.info("%s: %d people refined in %.3f s", self.name, len(refined), result.seconds)
        return result

    @abstractmethod
    def minimise(self, x0_m: Tensor, v: Tensor, lengths: Tensor) -> Minimum:
        """The minimum of people laid end to end: x0_m (N, J, 3) m, v (N,) visibility, lengths (P,)."""


@dataclass(frozen=True)
class PaperRefinement(AdamSettings, EnergyRefinement):
    """`refinement=paper`: the published energy, minimised by Adam (docs/method.md §8, docs/refinement.md).

    Takes the keys of `EnergySettings` and of `AdamSettings`. With `num_iter` it is the published procedure, so many
    steps of one size; without, the step decays until the energy has converged. Runs on the device of each sequence's
    `poses_3d`.

    Raises ConfigError for a value that cannot be used. Calling it raises DataError for a sequence without frames or
    poses, with NaN poses or with scores outside 0..1, naming sequence and frame.

    >>> poses_3d = torch.zeros(60, 17, 3) + torch.tensor([0.0, 0.0, 4000.0])  # mm
    >>> poses_3d[20:30, :, 2] += 800  # ten undetected frames
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

    def __post_init__(self) -> None:
        AdamSettings.__post_init__(self)
        EnergySettings.__post_init__(self)

    def __call__(self, sequences: list[PoseSequence]) -> RefinementResult:
        result = super().__call__(sequences)
        if result.energies is not None and self.num_iter is None:
            pairs = zip(result.sequences, result.energies.converged.tolist(), strict=True)
            if unfinished := [s.name for s, converged in pairs if not converged]:
                log.warning(
                    "max_iter=%d: too few iterations for %d of %d people (first %s), whose energy was still falling",
                    self.max_iter, len(unfinished), len(sequences), unfinished[0],
                )  # fmt: skip
        return result

    def minimise(self, x0_m: Tensor, v: Tensor, lengths: Tensor) -> Minimum:
        return minimise_adam(self.energy, x0_m, v, lengths, self)


@dataclass(frozen=True)
class FastRefinement(EnergyRefinement):
    """`refinement=energy_fast`: the published energy, minimised by banded solves on the CPU (docs/refinement.md).

    Takes the keys of `EnergySettings`. Raises as `PaperRefinement`.
    """

    name = "energy_fast"

    def minimise(self, x0_m: Tensor, v: Tensor, lengths: Tensor) -> Minimum:
        return minimise_fast(self.energy, x0_m, v, lengths)


def to_state(poses_3d: Tensor, joints: JointSet) -> Tensor:
    """Camera coordinates (T, J, 3) mm -> x_m (T, J, 3) m: the root, then the other joints relative to it, float32."""
    poses = poses_3d.float()
    root = poses[:, [joints.root]]
    return torch.cat([root, poses[:, _others(joints)] - root], dim=1) / MM_PER_M


def _others(joints: JointSet) -> list[int]:
    return [joint for joint in range(len(joints)) if joint != joints.root]


def _groups(sequences: list[PoseSequence]) -> Iterator[list[PoseSequence]]:
    """Neighbours in the list that are minimised together: same device, same skeleton, not too many frames."""
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


def _moved(group: list[PoseSequence], minimum: Minimum) -> list[PoseSequence]:
    """The sequences moved by what the solver moved them: where it moved nothing, not a bit changes."""
    joints = group[0].joints_3d
    refined, first = [], 0
    for sequence in group:
        poses = sequence.require("poses_3d").float().clone()
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
