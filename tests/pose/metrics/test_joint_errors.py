"""The torch metrics in cases done by hand; tests/pose/metrics/test_plain.py has all others."""

from __future__ import annotations

import pytest
import torch

from pose.errors import ShapeError
from pose.metrics import joint_errors as err


def random_poses(seed: int, *shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    target = 300 * torch.randn(*shape, 17, 3, generator=generator, dtype=torch.float64)
    target += torch.tensor([0.0, 0.0, 4000.0])
    return target + 60 * torch.randn(target.shape, generator=generator, dtype=torch.float64), target


def score(poses: torch.Tensor, target: torch.Tensor, key: str, scored: torch.Tensor | None = None) -> float:
    return err.sequence_errors(poses, target, scored)[key].mean


def rotation(seed: int) -> torch.Tensor:
    q, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))
    return q * torch.det(q).sign()


def test_procrustes_undoes_similarities_but_not_mirrors():
    _, target = random_poses(1, 6)
    moved = 0.7 * target @ rotation(2) + torch.tensor([10.0, -20.0, 500.0])
    assert score(moved, target, "pa_mpjpe_mm") == pytest.approx(0, abs=1e-9)
    assert score(moved * torch.tensor([-1.0, 1.0, 1.0]), target, "pa_mpjpe_mm") > 50
    assert not err.procrustes_aligned(torch.zeros(1, 17, 3), target[:1].float()).isnan().any()


def test_acceleration_by_hand():
    target = torch.zeros(6, 17, 3)
    moving = torch.arange(6.0)[:, None, None] * torch.ones(17, 3)
    assert score(moving, target, "a_accel_mm") == 0  # constant speed
    parabola = (torch.arange(6.0) ** 2)[:, None, None] * torch.tensor([3.0, 0.0, 0.0]).expand(17, 3)
    assert score(parabola, target, "a_accel_mm") == pytest.approx(6)
    assert score(parabola + moving, moving, "a_accel_mm") == pytest.approx(6)


def test_no_acceleration_without_three_frames_in_a_row_that_count():
    poses, mask = torch.zeros(7, 2, 17, 3), torch.ones(7, 2, dtype=torch.bool)
    mask[::3] = False
    assert "accel_mm" not in err.sequence_errors(poses, poses, mask)
    for length in (0, 1, 2):
        assert "accel_mm" not in err.sequence_errors(poses[:length], poses[:length])


def test_thresholds_are_strict():
    target = torch.zeros(1, 17, 3)
    assert score(target + torch.tensor([150.0, 0, 0]), target, "a_pck_raw_pct") == 0
    assert score(target + torch.tensor([149.99, 0, 0]), target, "a_pck_raw_pct") == 100
    assert len(err.AUC_THRESHOLDS) == 31
    errors = torch.tensor([0.0, 4.9, 5.0, 149.9, 150.0, 1e5, float("nan")])
    expected = torch.tensor([30, 30, 29, 1, 0, 0, 0]) * 100 / 31
    torch.testing.assert_close(err.fraction_of_thresholds(errors), expected)
    assert err.within(errors).tolist() == [100, 100, 100, 100, 0, 0, 0]


def test_root_ap_counts_one_prediction_of_a_person_strictly_within_250_mm():
    target, annotated = torch.zeros(2, 1, 3), torch.ones(2, 1, dtype=torch.bool)
    roots = torch.tensor([[[0.0, 0, 0], [0, 0, 249]], [[0, 0, 250], [0, 0, 0]]])
    present = torch.tensor([[True, True], [True, False]])
    # ranks: right, a second one for the same person (wrong), exactly 250 mm off (wrong)
    score = torch.tensor([[0.9, 0.8], [0.7, 0.0]])
    assert float(err.root_ap(roots, present, target, annotated, score)) == pytest.approx(50)
    assert float(err.root_ap(roots, present & False, target, annotated)) == 0
    assert err.root_ap(roots, present, target, annotated & False).isnan()


def test_scores_are_of_the_frames_that_count():
    poses, target = random_poses(7, 40)
    poses[:, :, 2] += 100
    mask = torch.arange(40) % 3 > 0
    found = err.sequence_errors(poses.masked_fill(~mask[:, None, None], float("nan")), target, mask)
    expected = err.sequence_errors(poses[mask], target[mask])
    for key in ("mpjpe_mm", "a_mpjpe_mm", "mrpe_mm", "n_mrpe_mm", "n_mpjpe_mm", "pa_mpjpe_mm", "a_pck_raw_pct"):
        assert found[key].mean == pytest.approx(expected[key].mean)
    assert found["mpjpe_mm"].mean < found["a_mpjpe_mm"].mean


@pytest.mark.parametrize("function", [err.sequence_errors, err.joint_errors, err.procrustes_aligned])
def test_shapes_are_checked(function):
    with pytest.raises(ShapeError, match="poses_3d"):
        function(torch.zeros(4, 16, 3), torch.zeros(4, 16, 3))
    with pytest.raises(ShapeError, match="target_3d"):
        function(torch.zeros(4, 17, 3), torch.zeros(17, 3))


def test_other_shapes_are_checked():
    poses = torch.zeros(4, 17, 3)
    with pytest.raises(ShapeError, match="poses_3d"):
        err.acceleration_errors(poses[0], poses[0], torch.ones(()))
    with pytest.raises(ShapeError, match="mask"):
        err.acceleration_errors(poses, poses, torch.ones(3, dtype=torch.bool))
    with pytest.raises(ShapeError, match="target_roots"):
        one = torch.ones(4, 1, dtype=torch.bool)
        err.root_ap(poses[:, :1], one, poses[:3, :1], one)
