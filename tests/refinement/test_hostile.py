"""Every refiner on sequences unlike any person: what comes back is finite, and the same each time."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pose.cameras import Camera
from pose.joint_sets import COCO_19
from pose.sequence import PoseSequence
from refinement import (
    FastRefinement,
    GaussianRefinement,
    InterpolationRefinement,
    KalmanRTSRefinement,
    OcclusionRefinement,
    OneEuroRefinement,
    PaperRefinement,
    RefinementResult,
    Refiner,
    SavitzkyGolayRefinement,
    refine,
)
from tests.cases import cases
from tests.refinement.strategies import LENGTHS, powers, tracks

REFINERS: dict[str, Refiner] = {
    **{
        kind.name: kind()
        for kind in (
            InterpolationRefinement,
            OneEuroRefinement,
            SavitzkyGolayRefinement,
            GaussianRefinement,
            KalmanRTSRefinement,
            OcclusionRefinement,
        )
    },
    "fixed_lag": OcclusionRefinement(lag=3),
    "energy_fast": FastRefinement(),
    "energy_fast_gm": FastRefinement(pose_loss="gm", gm_alpha=0.01, smoothness_loss_hip="step_const_velocity_loss"),
    "paper": PaperRefinement(max_iter=50),
}

seeds = st.integers(0, 2**32 - 1)


@st.composite
def sequences(draw: st.DrawFn) -> PoseSequence:
    """Poses of any size at any place, keypoints that have nothing to do with them, cameras of any focal length."""
    frames, rng = draw(st.sampled_from(LENGTHS)), np.random.default_rng(draw(seeds))
    poses = tracks(rng, draw(st.sampled_from(("noise", "walk", "outliers", "still"))), frames, 17, draw(powers(0, 6)))
    poses += draw(st.sampled_from(([0, 0, 4000.0], [0, 0, 0], [0, 0, -3000.0], [1e6, 1e6, 1e6])))
    detected = rng.random(frames) < draw(st.sampled_from((0.0, 0.1, 0.9, 1.0)))
    confidence = rng.random((frames, len(COCO_19))) * draw(st.sampled_from((0.0, 0.1, 1.0)))
    points = draw(powers(0, 6)) * rng.normal(size=(frames, len(COCO_19), 2)) + 500
    camera = Camera(draw(powers(1, 5)), draw(powers(1, 5)), *rng.normal(0, 1000, 2).tolist(), width=1920, height=1080)
    return PoseSequence(
        "hostile",
        0,
        draw(st.sampled_from((None, camera))),
        draw(st.sampled_from((0.01, 1.0, 12.5, 30.0, 60.0, 240.0, 1000.0))),
        torch.from_numpy(points).float(),
        torch.from_numpy(confidence).float(),
        torch.from_numpy(detected),
        torch.from_numpy(poses).float(),
        coordinates="normal",
    )


def refined(method: Refiner, sequence: PoseSequence) -> tuple[torch.Tensor, RefinementResult]:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        result = method([sequence])
    (found,) = result.sequences
    assert found.poses_3d is not None
    return found.poses_3d, result


@pytest.mark.parametrize("name", REFINERS)
@given(sequences())
@cases(0.6)
def test_results_are_finite_and_the_same_each_time(name: str, sequence: PoseSequence) -> None:
    assert sequence.poses_3d is not None
    method, given_poses = REFINERS[name], sequence.poses_3d.clone()
    poses, result = refined(method, sequence)
    assert bool(poses.isfinite().all())
    (std,) = (found.std_mm for found in result.sequences)
    assert std is None or bool((std.isfinite() & (std > 0)).all())
    assert result.energies is None or bool((result.energies.after <= result.energies.before).all())
    assert torch.equal(sequence.poses_3d, given_poses), "the input is left as it was"
    assert torch.equal(refined(method, sequence)[0], poses)


@pytest.mark.parametrize("fps", [30.0, 240.0])
def test_a_person_never_detected_has_finite_standard_deviations(fps: float) -> None:
    rng, frames = np.random.default_rng(0), 60
    poses = torch.from_numpy(rng.normal(0, 300, (frames, 17, 3)) + [0, 0, 4000]).float()
    unseen = PoseSequence(
        "S",
        0,
        Camera(1500.0, 1500.0, 960.0, 540.0, 1920, 1080),
        fps,
        torch.zeros(frames, 19, 2),
        torch.zeros(frames, 19),
        torch.zeros(frames, dtype=torch.bool),
        poses,
        coordinates="normal",
    )
    for sequence in (unseen, dataclasses.replace(unseen, camera=None)):
        _, result = refined(OcclusionRefinement(), sequence)
        (std,) = (found.std_mm for found in result.sequences)
        assert std is not None and bool(std.isfinite().all())
        assert 1_000 < float(std.median()) < 500_000


@st.composite
def arrays_with_gaps(draw: st.DrawFn) -> tuple[np.ndarray, list[int]]:
    """Poses of any skeleton with NaN anywhere but in one frame's root, and each joint's parent."""
    rng, frames, joints = np.random.default_rng(draw(seeds)), draw(st.integers(1, 30)), draw(st.integers(1, 20))
    order = rng.permutation(joints)  # from the root outward
    parents = np.zeros(joints, dtype=int)
    for place, joint in enumerate(order):
        parents[joint] = order[rng.integers(0, max(place, 1))]
    poses = rng.normal(0, 300, (frames, joints, 3)) + [0, 0, 4000]
    fraction = draw(st.floats(0, 0.95))
    missing = {"joints": (frames, joints), "frames": (frames, 1), "root": (frames, 1)}
    kind = draw(st.sampled_from(list(missing)))
    gone = np.broadcast_to(rng.random(missing[kind]) < fraction, (frames, joints)).copy()
    if kind == "root":
        gone[:, order[1:]] = False
    gone[rng.integers(0, frames), order[0]] = False
    poses[gone] = np.nan
    return poses, parents.tolist()


@given(arrays_with_gaps(), st.sampled_from(list(REFINERS)))
@cases(4)
def test_gaps_of_every_kind_are_filled(made: tuple[np.ndarray, list[int]], name: str) -> None:
    poses, parents = made
    found = refine(poses, method=REFINERS[name], bones=parents)
    never = np.isnan(poses).any(axis=2).all(axis=0)
    np.testing.assert_array_equal(np.isnan(found.poses_3d), np.broadcast_to(never[:, None], poses.shape))
    assert not (found.observed.numpy() & np.isnan(poses).any(axis=2)).any()
