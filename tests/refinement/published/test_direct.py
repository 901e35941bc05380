from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from benchmarks.refinement_speed import outlier_person
from pose.errors import ShapeError
from pose.sequence import PoseSequence
from refinement import AdamSettings, FastRefinement, PaperRefinement, PublishedEnergy, minimise_adam
from refinement.published.direct import minimise_fast
from refinement.published.energy import SMOOTHNESS_ORDER, difference

MakePerson = Callable[..., PoseSequence]
SECOND_ORDER = {
    "smoothness_loss_hip": "step_const_velocity_loss",
    "smoothness_loss_rel": "step_const_velocity_loss",
}
ENERGIES: dict[str, dict[str, Any]] = {
    "paper": {},
    "small_cap": {"l2_cap": 0.05},
    "tiny_cap": {"l2_cap": 0.01},
    "gm": {"pose_loss": "gm"},
    "small_gm": {"pose_loss": "gm", "gm_alpha": 0.05},
    "euclidean": {"pose_loss": "capped_l2_euc_err"},
    "small_euclidean": {"pose_loss": "capped_l2_euc_err", "l2_cap": 0.05},
}
ENERGIES |= {f"{name}_second_order": {**keys, **SECOND_ORDER} for name, keys in ENERGIES.items()}
MIXED = {"smoothness_loss_rel": "step_const_velocity_loss"}


def one(frames: int) -> torch.Tensor:
    return torch.tensor([frames])


def made_people(lengths: list[int], seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    made = [outlier_person(n, seed + i) for i, n in enumerate(lengths)]
    return torch.cat([x for x, _ in made]), torch.cat([v for _, v in made]), torch.tensor(lengths)


def dense_solution(energy: PublishedEnergy, x0: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The minimum with no cap anywhere, by a dense solve in float64."""
    n, w = len(x0), v.double()
    x, eye = x0.double().clone(), torch.eye(n, dtype=torch.float64)
    for joints, part in ((slice(0, 1), "hip"), (slice(1, None), "rel")):
        order = SMOOTHNESS_ORDER[getattr(energy, f"smoothness_loss_{part}")]
        a = torch.diag(w)
        for step, weight, hidden in (
            (1, getattr(energy, f"smoothness_weight_{part}"), torch.ones(n)),
            (energy.smoothness_loss_hip_largestep, getattr(energy, f"smoothness_weight_{part}_large"), 1 - w),
        ):
            d = difference(eye, step, order)
            a = a + weight * d.T @ (hidden[order * step :, None].double() * d)
        right = (w[:, None, None] * x0.double()[:, joints]).flatten(1)
        x[:, joints] = torch.linalg.solve(a, right).reshape(x[:, joints].shape)
    return x


@pytest.mark.parametrize("keys", [{}, SECOND_ORDER, MIXED, {"smoothness_loss_hip_largestep": 7}], ids=str)
@pytest.mark.parametrize("frames", [1, 2, 3, 19, 20, 21, 41, 150])
def test_where_no_cap_is_reached_it_is_the_exact_minimum(keys: dict[str, Any], frames: int) -> None:
    energy = PublishedEnergy(l2_cap=1e6, **keys)
    x0, v = outlier_person(frames, seed=frames)
    minimum = minimise_fast(energy, x0.double(), v.clamp(min=0.01), one(frames))
    torch.testing.assert_close(minimum.x_m, dense_solution(energy, x0, v.clamp(min=0.01)), rtol=0, atol=1e-6)
    assert bool(minimum.converged.all())
    if frames == 1:
        assert torch.equal(minimum.x_m, x0.double())


@pytest.mark.parametrize("name", ENERGIES)
def test_it_reports_the_published_energy_and_ends_where_its_gradient_vanishes(name: str) -> None:
    energy = PublishedEnergy(**ENERGIES[name])
    x0, v, lengths = made_people([150, 1, 20, 61], seed=1)
    x0 = x0.double()
    minimum = minimise_fast(energy, x0, v, lengths)
    torch.testing.assert_close(minimum.energy_before, energy(x0, x0, v, lengths), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(minimum.energy_after, energy(minimum.x_m, x0, v, lengths), rtol=1e-10, atol=1e-12)
    assert bool((minimum.energy_after <= minimum.energy_before).all())
    assert float(minimum.energy_after[0]) < 0.9 * float(minimum.energy_before[0])
    assert bool(minimum.converged.all())
    assert float(energy.gradient(minimum.x_m, x0, v, lengths).abs().max()) <= 2e-5


@pytest.mark.parametrize(("name", "above"), [("paper", 1e-3), ("gm", 1e-6), ("euclidean", 1e-3), ("small_cap", 0.1)])
def test_with_outliers_it_ends_below_adam_or_next_to_it(name: str, above: float) -> None:
    energy = PublishedEnergy(**ENERGIES[name])
    x0, v, lengths = made_people([24, 48, 72, 96], seed=1000 * list(ENERGIES).index(name))
    adam = minimise_adam(energy, x0, v, lengths, AdamSettings(learning_rate=1e-2, num_iter=1000))
    excess = energy(minimise_fast(energy, x0, v, lengths).x_m, x0, v, lengths) / adam.energy_after - 1
    assert float(excess.max()) <= above, excess
    assert float(excess.mean()) < 0


def test_the_capped_minimum_is_nearly_always_the_global_one_of_small_problems() -> None:
    """All 2^10 choices of frames to reject, for every coordinate of people of 10 frames. Not the best each time."""
    energy = PublishedEnergy(l2_cap=0.05)
    frames, found, better = 10, [], []
    choices = np.array(list(itertools.product((False, True), repeat=frames)))[:-1]
    d = np.diff(np.eye(frames), axis=0)
    for seed in range(12):
        x0, v = outlier_person(frames, seed)
        w = v.double().numpy()
        x0 = x0.double()
        reached = minimise_fast(energy, x0, v, one(frames)).x_m
        for joint in range(17):
            q = (energy.smoothness_weight_hip if joint == 0 else energy.smoothness_weight_rel) * d.T @ d
            believed = np.where(choices, 0, w)
            matrices = believed[:, :, None] * np.eye(frames) + q
            y0 = x0[:, joint].numpy()
            x = np.linalg.solve(matrices, believed[:, :, None] * y0)
            cost = (w[:, None] * np.minimum((x - y0) ** 2, 0.05)).sum(1) + ((d @ x) ** 2).sum(1) * q[0, 0]
            ours = (w[:, None] * np.minimum((reached[:, joint].numpy() - y0) ** 2, 0.05)).sum(0)
            ours = ours + (np.diff(reached[:, joint].numpy(), axis=0) ** 2).sum(0) * q[0, 0]
            found.append(ours)
            better.append(cost.min(0))
    excess = np.concatenate(found) / np.concatenate(better) - 1
    assert excess.min() > -1e-9
    assert (excess > 1e-6).mean() <= 0.05
    assert excess.mean() < 0.02


def test_precision_and_input_are_kept() -> None:
    x0, v = outlier_person(40, seed=1)
    given = x0.clone()
    single = minimise_fast(PublishedEnergy(), x0, v, one(40)).x_m
    assert single.dtype == torch.float32 and torch.equal(x0, given)
    double = minimise_fast(PublishedEnergy(), x0.double(), v, one(40)).x_m
    torch.testing.assert_close(single, double.float(), rtol=0, atol=1e-6)
    with pytest.raises(ShapeError, match="x0_m"):
        minimise_fast(PublishedEnergy(), x0, v, one(39))
    with pytest.raises(ShapeError, match="v"):
        minimise_fast(PublishedEnergy(), x0, v[1:], one(40))


@pytest.mark.parametrize("name", ENERGIES)
@pytest.mark.parametrize("score", [0.0, 1e-4, 1.0])
def test_constant_scores(name: str, score: float) -> None:
    energy = PublishedEnergy(**ENERGIES[name])
    x0, _ = outlier_person(90, seed=2)
    minimum = minimise_fast(energy, x0.double(), torch.full((90,), score), one(90))
    assert bool(minimum.x_m.isfinite().all())
    assert float(minimum.energy_after) <= float(minimum.energy_before)
    if score == 0:  # nothing is believed: whatever does not move
        assert float(minimum.energy_after) < 1e-6


@pytest.mark.parametrize("keys", [{}, SECOND_ORDER], ids=["first", "second"])
def test_frames_of_no_score_count_for_nothing_however_many(keys: dict[str, str]) -> None:
    frames, gap = 700, slice(200, 500)
    x0 = torch.linspace(0, 7, frames, dtype=torch.float64)[:, None, None].expand(frames, 17, 3).clone()
    v = torch.full((frames,), 0.9)
    v[gap] = 0
    expected = dense_solution(PublishedEnergy(**keys), x0, v)
    x0[gap] += 5
    minimum = minimise_fast(PublishedEnergy(**keys), x0, v, one(frames))
    assert bool(minimum.converged.all())
    torch.testing.assert_close(minimum.x_m, expected, rtol=0, atol=1e-3)


def test_smoothing_switched_off_leaves_the_prediction() -> None:
    off = {f"smoothness_weight_{part}": 0.0 for part in ("hip", "hip_large", "rel", "rel_large")}
    x0, v = outlier_person(30, seed=3)
    minimum = minimise_fast(PublishedEnergy(**off), x0, v, one(30))
    assert torch.equal(minimum.x_m, x0)
    root_only = minimise_fast(PublishedEnergy(), x0[:, :1], v, one(30))
    torch.testing.assert_close(root_only.x_m, minimise_fast(PublishedEnergy(), x0, v, one(30)).x_m[:, :1])


def test_the_refiner_agrees_with_paper(make_person: MakePerson) -> None:
    people = [make_person(1), make_person(37, seed=1, person=1), make_person(90, seed=2, person=2)]
    fast = FastRefinement()(people)
    paper = PaperRefinement(tolerance=1e-7)(people)
    assert fast.energies is not None and paper.energies is not None
    torch.testing.assert_close(fast.energies.before, paper.energies.before, rtol=1e-6, atol=1e-9)
    assert bool((fast.energies.after <= paper.energies.after * (1 + 1e-6) + 1e-12).all())
    assert bool(fast.energies.converged.all())
    for given, ours, theirs in zip(people, fast.sequences, paper.sequences, strict=True):
        assert ours.poses_3d is not None and theirs.poses_3d is not None and given.poses_3d is not None
        assert ours.name == given.name and torch.equal(ours.confidence, given.confidence)
        if float((given.poses_3d - given.poses_3d.mean(0)).abs().max()) < 900:  # far from every cap
            torch.testing.assert_close(ours.poses_3d, theirs.poses_3d, rtol=0, atol=0.1)
    assert torch.equal(fast.sequences[0].poses_3d, people[0].poses_3d)  # one frame: not a bit changes
    assert FastRefinement()([]).sequences == []


def test_the_configuration_is_that_of_paper_without_adam(repo: Path) -> None:
    fast = OmegaConf.load(repo / "conf" / "refinement" / "energy_fast.yaml")
    paper = OmegaConf.load(repo / "conf" / "refinement" / "paper.yaml")
    adam = {"_target_", "learning_rate", "min_learning_rate", "tolerance", "max_iter", "num_iter"}
    assert {k: v for k, v in paper.items() if k not in adam} == {k: v for k, v in fast.items() if k != "_target_"}
    assert instantiate(fast).energy == PublishedEnergy()


@pytest.mark.parametrize("pose_loss", ["capped_l2", "gm", "capped_l2_euc_err"])
def test_every_frame_weighs_alike_without_visibility_weights(pose_loss: str) -> None:
    keys = {"pose_loss": pose_loss, "l2_cap": 4.0}
    x0, v = outlier_person(40, seed=7)
    energy = PublishedEnergy(weigh_by_visibility=False, **keys)
    minimum = minimise_fast(energy, x0.double(), v, one(40))
    assert energy.gradient(minimum.x_m, x0.double(), v, one(40)).abs().max() < 1e-5
    weighted = minimise_fast(PublishedEnergy(**keys), x0.double(), v, one(40))
    assert (weighted.x_m - minimum.x_m).abs().max() > 0.01
