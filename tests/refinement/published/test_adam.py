from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from pose.errors import ConfigError
from refinement.published.adam import AdamSettings, _root, minimise_adam
from refinement.published.energy import PublishedEnergy, difference

FIRST, SECOND = "step_zero_velocity_loss", "step_const_velocity_loss"


def people(lengths: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Noisy predictions x0_m (float32), visibilities v with an unseen stretch each, and lengths."""
    generator = torch.Generator().manual_seed(1)
    x0_m, v = [], []
    for frames in lengths:
        walk = torch.linspace(0, 1, frames)[:, None, None].repeat(1, 17, 3) + torch.tensor([0.0, 0.0, 3.0])
        x0_m.append(walk + 0.05 * torch.randn(frames, 17, 3, generator=generator))
        seen = torch.rand(frames, generator=generator) * 0.2 + 0.7
        seen[frames // 2 : frames // 2 + frames // 5] = 0
        v.append(seen)
    return torch.cat(x0_m), torch.cat(v), torch.tensor(lengths)


def quadratic_minimum(energy: PublishedEnergy, x0_m: Tensor, v: Tensor) -> Tensor:
    """The minimum of one person's energy if no cap is reached: a dense linear system, in float64."""
    order = {FIRST: 1, SECOND: 2}
    x0_m, v = x0_m.double(), v.double()
    eye, solution = torch.eye(len(v), dtype=torch.float64), torch.empty_like(x0_m)
    for joints, kind, small, large in (
        (slice(0, 1), energy.smoothness_loss_hip, energy.smoothness_weight_hip, energy.smoothness_weight_hip_large),
        (slice(1, None), energy.smoothness_loss_rel, energy.smoothness_weight_rel, energy.smoothness_weight_rel_large),
    ):
        near = difference(eye, 1, order[kind])
        far = difference(eye, energy.smoothness_loss_hip_largestep, order[kind])
        hidden = (1 - v[len(v) - len(far) :])[:, None]
        matrix = torch.diag(v) + small * near.T @ near + large * far.T @ (hidden * far)
        right = v[:, None] * x0_m[:, joints].flatten(1)
        solution[:, joints] = torch.linalg.solve(matrix, right).reshape(x0_m[:, joints].shape)
    return solution


@pytest.mark.parametrize("hip", [FIRST, SECOND])
@pytest.mark.parametrize("rel", [FIRST, SECOND])
@pytest.mark.parametrize("frames", [60, 20, 2])
def test_converges_to_the_minimum_where_no_cap_is_reached(hip: str, rel: str, frames: int) -> None:
    energy = PublishedEnergy(smoothness_loss_hip=hip, smoothness_loss_rel=rel)
    x0_m, v, lengths = people([frames])
    found = minimise_adam(energy, x0_m, v, lengths)
    exact = quadratic_minimum(energy, x0_m, v)
    assert (exact - x0_m).square().max() < energy.l2_cap
    assert found.converged.all()
    assert (found.x_m - exact).norm(dim=-1).max() < 1e-3
    assert (found.energy_after <= energy(exact, x0_m.double(), v, lengths) * (1 + 1e-5)).all()


@pytest.mark.parametrize("loss", ["capped_l2", "gm", "capped_l2_euc_err"])
def test_energy_never_rises_and_is_stationary_at_the_end(loss: str) -> None:
    energy = PublishedEnergy(pose_loss=loss, l2_cap=0.01, gm_alpha=0.01)
    x0_m, v, lengths = people([50, 1, 25])
    found = minimise_adam(energy, x0_m, v, lengths)
    torch.testing.assert_close(found.energy_before, energy(x0_m, x0_m, v, lengths))
    torch.testing.assert_close(found.energy_after, energy(found.x_m, x0_m, v, lengths))
    assert (found.energy_after <= found.energy_before).all()
    assert found.energy_after[0] < 0.9 * found.energy_before[0]
    start = energy.gradient(x0_m, x0_m, v, lengths).norm()
    assert energy.gradient(found.x_m, x0_m, v, lengths).norm() < 1e-3 * start


def test_fixed_iterations_are_those_of_torch() -> None:
    energy = PublishedEnergy()
    x0_m, v, lengths = people([40])
    x0_m, v = x0_m.double(), v.double()
    x_m = x0_m.clone().requires_grad_()
    optimiser = torch.optim.Adam([x_m], lr=0.01)
    for _ in range(30):
        optimiser.zero_grad()
        energy(x_m, x0_m, v, lengths).sum().backward()
        optimiser.step()
    found = minimise_adam(energy, x0_m, v, lengths, AdamSettings(learning_rate=0.01, num_iter=30))
    torch.testing.assert_close(found.x_m, x_m.detach(), rtol=0, atol=1e-8)
    assert found.iterations.tolist() == [30]
    assert not found.converged.any()


@pytest.mark.parametrize("settings", [AdamSettings(), AdamSettings(learning_rate=0.01, num_iter=100)], ids=str)
def test_no_person_depends_on_the_others(settings: AdamSettings) -> None:
    lengths = [45, 1, 30, 12]
    x0_m, v, _ = people(lengths)
    together = minimise_adam(PublishedEnergy(), x0_m, v, torch.tensor(lengths), settings)
    parts = zip(x0_m.split(lengths), v.split(lengths), together.x_m.split(lengths), strict=True)
    for i, (own_x0, own_v, own_x) in enumerate(parts):
        alone = minimise_adam(PublishedEnergy(), own_x0, own_v, torch.tensor([len(own_v)]), settings)
        torch.testing.assert_close(own_x, alone.x_m, rtol=0, atol=1e-5)
        assert together.energy_after[i].item() == pytest.approx(alone.energy_after.item(), rel=1e-6)
        assert together.iterations[i] == alone.iterations


def test_max_iter_ends_it_unconverged() -> None:
    found = minimise_adam(PublishedEnergy(), *people([40]), AdamSettings(max_iter=70))
    assert found.iterations.tolist() == [70]
    assert not found.converged.any()
    assert (found.energy_after < found.energy_before).all()


def test_a_coarser_tolerance_stops_earlier() -> None:
    fine, coarse = (
        minimise_adam(PublishedEnergy(smoothness_loss_hip=SECOND), *people([60]), AdamSettings(tolerance=tolerance))
        for tolerance in (1e-6, 1e-1)
    )
    assert coarse.iterations < fine.iterations
    assert fine.energy_after <= coarse.energy_after


def test_the_input_is_left_alone() -> None:
    x0_m, v, lengths = people([25])
    before = x0_m.clone()
    minimise_adam(PublishedEnergy(), x0_m, v, lengths)
    assert torch.equal(x0_m, before)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("min_learning_rate", -1e-4),
        ("tolerance", 0),
        ("tolerance", "small"),
        ("max_iter", 0),
        ("max_iter", None),
        ("num_iter", 0),
        ("num_iter", 1.5),
    ],
)
def test_values_that_cannot_be_used(key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"^{key}={value}: must be "):
        AdamSettings(**{key: value})


def test_roots_are_rounded_correctly_on_every_processor() -> None:
    values = torch.rand(100_000, generator=torch.Generator().manual_seed(0)) ** 4
    assert torch.equal(_root(values), values.double().sqrt().float())
