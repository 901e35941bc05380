"""`weigh_by_visibility=false`: the pose loss counts every frame alike, the large steps keep their weight."""

from __future__ import annotations

import pytest
import torch

from refinement.published.direct import minimise_fast
from refinement.published.energy import PublishedEnergy, difference

GENERATOR = torch.Generator().manual_seed(0)
X0 = torch.randn(40, 3, 3, generator=GENERATOR, dtype=torch.float64)
V = torch.rand(40, generator=GENERATOR, dtype=torch.float64)
LENGTHS = torch.tensor([40])


def test_energy_by_hand() -> None:
    x = X0 + 0.1 * torch.randn(X0.shape, generator=GENERATOR, dtype=torch.float64)
    energy = PublishedEnergy(weigh_by_visibility=False, smoothness_weight_hip=0.0, smoothness_weight_rel=0.0)
    weights = torch.tensor([0.1, 0.01, 0.01])[:, None]
    large = ((1 - V)[20:, None, None] * weights * difference(x, 20, 1).square()).sum()
    expected = (x - X0).square().clamp(max=1.0).sum() + large
    assert energy(x, X0, V, LENGTHS).item() == pytest.approx(expected.item())
    assert PublishedEnergy(smoothness_weight_hip=0.0, smoothness_weight_rel=0.0)(x, X0, V, LENGTHS) < expected


@pytest.mark.parametrize("pose_loss", ["capped_l2", "gm", "capped_l2_euc_err"])
def test_the_direct_solution_is_its_minimum(pose_loss: str) -> None:
    energy = PublishedEnergy(pose_loss=pose_loss, weigh_by_visibility=False, l2_cap=4.0)
    minimum = minimise_fast(energy, X0, V, LENGTHS)
    assert bool(minimum.converged)
    assert energy(minimum.x_m, X0, V, LENGTHS).item() == pytest.approx(minimum.energy_after.item())
    assert energy.gradient(minimum.x_m, X0, V, LENGTHS).abs().max() < 1e-5
    believed = minimise_fast(PublishedEnergy(pose_loss=pose_loss, l2_cap=4.0), X0, V, LENGTHS)
    assert (believed.x_m - minimum.x_m).abs().max() > 0.01
