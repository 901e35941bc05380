from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pose.errors import ConfigError, ShapeError
from refinement.published.energy import PublishedEnergy, difference, difference_transposed

LOSSES = ("capped_l2", "gm", "capped_l2_euc_err")
ORDERS = ("step_zero_velocity_loss", "step_const_velocity_loss")
WEIGHTS = {
    "smoothness_weight_hip": 0.7,
    "smoothness_weight_hip_large": 0.3,
    "smoothness_weight_rel": 0.2,
    "smoothness_weight_rel_large": 0.05,
}
COORDINATES = [
    PublishedEnergy(
        pose_loss=loss,
        l2_cap=0.1,
        gm_alpha=0.1,
        smoothness_loss_hip=hip,
        smoothness_loss_rel=rel,
        smoothness_loss_hip_largestep=4,
        **WEIGHTS,
    )
    for loss, hip, rel in itertools.product(LOSSES, ORDERS, ORDERS)
]


def people(lengths: list[int], joints: int = 5) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Random x_m, x0_m, v and lengths in float64; some residuals above the cap, some below."""
    generator = torch.Generator().manual_seed(3)
    x0_m = torch.randn(sum(lengths), joints, 3, generator=generator, dtype=torch.float64)
    x_m = x0_m + 0.3 * torch.randn(x0_m.shape, generator=generator, dtype=torch.float64)
    return x_m, x0_m, torch.rand(len(x0_m), generator=generator, dtype=torch.float64), torch.tensor(lengths)


def energy_by_loops(e: PublishedEnergy, x: np.ndarray, x0: np.ndarray, v: np.ndarray) -> float:
    """One person's energy, written as the formula reads, one number at a time."""
    total = 0.0
    for i, j in itertools.product(range(x.shape[0]), range(x.shape[1])):
        squares = [(x[i, j, k] - x0[i, j, k]) ** 2 for k in range(3)]
        if e.pose_loss == "capped_l2":
            total += v[i] * sum(min(s, e.l2_cap) for s in squares)
        elif e.pose_loss == "gm":
            total += v[i] * sum(s / (s + e.gm_alpha) for s in squares)
        else:
            total += v[i] * min(sum(squares), e.l2_cap)
        kind = e.smoothness_loss_hip if j == 0 else e.smoothness_loss_rel
        small = e.smoothness_weight_hip if j == 0 else e.smoothness_weight_rel
        large = e.smoothness_weight_hip_large if j == 0 else e.smoothness_weight_rel_large
        for step, weight in ((1, small), (e.smoothness_loss_hip_largestep, large * (1 - v[i]))):
            for k in range(3):
                if kind == "step_zero_velocity_loss" and i >= step:
                    total += weight * (x[i, j, k] - x[i - step, j, k]) ** 2
                if kind == "step_const_velocity_loss" and i >= 2 * step:
                    total += weight * (x[i, j, k] - 2 * x[i - step, j, k] + x[i - 2 * step, j, k]) ** 2
    return total


@pytest.mark.parametrize("energy", COORDINATES, ids=str)
def test_agrees_with_plain_loops(energy: PublishedEnergy) -> None:
    lengths = [13, 1, 4, 5, 9]
    x_m, x0_m, v, _ = people(lengths)
    ends = np.cumsum([0, *lengths])
    expected = [
        energy_by_loops(energy, x_m[a:b].numpy(), x0_m[a:b].numpy(), v[a:b].numpy())
        for a, b in itertools.pairwise(ends)
    ]
    torch.testing.assert_close(energy(x_m, x0_m, v, torch.tensor(lengths)), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("energy", COORDINATES, ids=str)
def test_gradient_agrees_with_autograd_and_finite_differences(energy: PublishedEnergy) -> None:
    x_m, x0_m, v, lengths = people([11, 1, 3])
    gradient = energy.gradient(x_m, x0_m, v, lengths)
    by_autograd = torch.autograd.functional.jacobian(lambda x: energy(x, x0_m, v, lengths).sum(), x_m)
    torch.testing.assert_close(gradient, by_autograd, rtol=1e-12, atol=1e-12)
    h = 1e-6
    for place in ((0, 0, 0), (4, 0, 2), (7, 3, 1), (10, 4, 2), (11, 1, 0), (13, 0, 1)):
        step = torch.zeros_like(x_m)
        step[place] = h
        rise = energy(x_m + step, x0_m, v, lengths).sum() - energy(x_m - step, x0_m, v, lengths).sum()
        assert float(gradient[place]) == pytest.approx(float(rise) / (2 * h), abs=1e-7)


@pytest.mark.parametrize(
    ("step", "order", "length"), [(1, 1, 9), (4, 1, 9), (1, 2, 9), (4, 2, 9), (4, 2, 6), (4, 1, 3)]
)
def test_the_transposed_difference(step: int, order: int, length: int) -> None:
    matrix = torch.zeros(max(length - order * step, 0), length)
    for row in range(len(matrix)):
        for k, c in enumerate((-1, 1) if order == 1 else (1, -2, 1)):
            matrix[row, row + k * step] = c
    assert torch.equal(difference(torch.eye(length), step, order), matrix)
    assert torch.equal(difference_transposed(torch.eye(len(matrix)), step, order, length), matrix.T)


def test_nothing_moves_nothing_costs() -> None:
    x0_m = torch.ones(30, 17, 3) * 3
    v, lengths = torch.rand(30), torch.tensor([30])
    energy = PublishedEnergy()
    assert energy(x0_m, x0_m, v, lengths).tolist() == [0]
    assert not energy.gradient(x0_m, x0_m, v, lengths).any()


def test_seen_frames_pay_for_leaving_the_prediction_up_to_the_cap() -> None:
    x0_m = torch.zeros(1, 17, 3)
    x_m = x0_m.clone()
    x_m[0, 3] = torch.tensor([0.5, 2.0, 0.0])
    v, lengths = torch.tensor([0.8]), torch.tensor([1])
    assert PublishedEnergy()(x_m, x0_m, v, lengths).item() == pytest.approx(0.8 * (0.25 + 1))
    assert PublishedEnergy(pose_loss="capped_l2_euc_err")(x_m, x0_m, v, lengths).item() == pytest.approx(0.8)
    assert PublishedEnergy(pose_loss="gm")(x_m, x0_m, v, lengths).item() == pytest.approx(0.8 * (0.2 + 0.8))


def test_large_steps_count_where_the_later_frame_is_unseen() -> None:
    x_m = torch.zeros(21, 17, 3)
    x_m[20, 0, 2] = 1  # one step of 1 m at the end: w_hip, and w_hip_large times what is unseen at frame 20
    first_unseen, last_unseen = torch.ones(21), torch.ones(21)
    first_unseen[0], last_unseen[20] = 0, 0
    lengths = torch.tensor([21])
    assert PublishedEnergy()(x_m, x_m, first_unseen, lengths).item() == pytest.approx(1)
    assert PublishedEnergy()(x_m, x_m, last_unseen, lengths).item() == pytest.approx(1.1)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pose_loss", "l1"),
        ("l2_cap", 0),
        ("l2_cap", float("nan")),
        ("gm_alpha", -1),
        ("smooth_visibility", "no"),
        ("smoothness_loss_hip", "zero"),
        ("smoothness_loss_rel", None),
        ("smoothness_loss_hip_largestep", 0),
        ("smoothness_loss_hip_largestep", 2.5),
        ("smoothness_weight_hip", -1),
        ("smoothness_weight_hip_large", "much"),
        ("smoothness_weight_rel", float("inf")),
        ("smoothness_weight_rel_large", -0.01),
    ],
)
def test_values_that_cannot_be_used(key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"^{key}={value}: must be "):
        PublishedEnergy(**{key: value})


def test_arrays_that_do_not_fit() -> None:
    x0_m, v = torch.zeros(4, 17, 3), torch.ones(4)
    with pytest.raises(ShapeError, match="x0_m"):
        PublishedEnergy().bind(x0_m, v, torch.tensor([3]))
    with pytest.raises(ShapeError, match="v: expected"):
        PublishedEnergy().bind(x0_m, v[:3], torch.tensor([4]))
    with pytest.raises(ShapeError, match="x0_m"):
        PublishedEnergy().bind(x0_m[..., :2], v, torch.tensor([4]))


def test_without_visibility_weights_the_pose_loss_counts_every_frame_alike() -> None:
    x_m, x0_m, v, lengths = people([40])
    off = {"smoothness_weight_hip": 0.0, "smoothness_weight_rel": 0.0}
    weights = torch.tensor([0.1] + [0.01] * 4)[:, None]
    large = ((1 - v)[20:, None, None] * weights * difference(x_m, 20, 1).square()).sum()
    expected = (x_m - x0_m).square().clamp(max=1.0).sum() + large
    found = PublishedEnergy(weigh_by_visibility=False, **off)(x_m, x0_m, v, lengths)
    assert found.item() == pytest.approx(expected.item())
    assert PublishedEnergy(**off)(x_m, x0_m, v, lengths) < expected
