"""Splits by occlusion: lengths of runs and the means of the parts."""

from __future__ import annotations

import pytest
import torch

from pose.errors import ShapeError
from pose.metrics import joint_errors as err
from pose.metrics.occlusion import PARTS, errors_by_occlusion, occlusion_lengths, split_errors
from tests.pose.metrics import plain


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_lengths_against_plain_loops(share):
    visible = torch.rand(50, 3, 17, generator=torch.Generator().manual_seed(0)) < share
    lengths = occlusion_lengths(visible)
    for person in range(3):
        for joint in range(17):
            assert lengths[:, person, joint].tolist() == plain.occlusion_lengths(visible[:, person, joint].tolist())
    torch.testing.assert_close(occlusion_lengths(visible[:, 0, 0]), lengths[:, 0, 0])
    assert occlusion_lengths(visible[:0]).shape == (0, 3, 17)


def test_parts_end_where_they_say():
    lengths = torch.tensor([0, 1, 5, 6, 15, 16, 30, 31, 60, 61, 500])
    values = 10.0 ** torch.arange(11)
    means = split_errors(values.double(), lengths)
    assert means == pytest.approx(
        {
            "visible": 1.0,
            "occluded": sum(10.0**i for i in range(1, 11)) / 10,
            "occluded_1_5": (1e1 + 1e2) / 2,
            "occluded_6_15": (1e3 + 1e4) / 2,
            "occluded_16_30": (1e5 + 1e6) / 2,
            "occluded_31_60": (1e7 + 1e8) / 2,
            "occluded_over_60": (1e9 + 1e10) / 2,
        }
    )
    assert list(means) == list(PARTS)
    assert split_errors(values, torch.zeros(11, dtype=torch.long)) == {"visible": pytest.approx(float(values.mean()))}


def test_every_error_is_split_and_the_parts_make_up_the_whole():
    generator = torch.Generator().manual_seed(1)
    target = 300 * torch.randn(90, 2, 17, 3, generator=generator, dtype=torch.float64)
    poses = target + 80 * torch.randn(target.shape, generator=generator, dtype=torch.float64)
    visible = torch.rand(90, 2, 17, generator=generator) < 0.5
    scored = torch.rand(90, 2, generator=generator) < 0.8
    poses[~scored] = float("nan")
    split = errors_by_occlusion(poses, target, visible, scored)
    whole = err.mpi_inf_3dhp_scores(poses.flatten(0, 1), target.flatten(0, 1), scored.flatten())
    whole["pa_mpjpe_mm"] = float(err.pa_mpjpe(poses[scored], target[scored]))
    whole["acceleration_mm_per_frame2"] = float(err.acceleration_error(poses, target, scored))
    assert split.keys() == whole.keys()
    _, counts = err.acceleration_errors(poses, target, scored)
    others = [joint for joint in range(17) if joint != err.ROOT]
    parts_of = {
        "mrpe_mm": visible[scored][:, err.ROOT],
        "n_mrpe_mm": visible[scored][:, err.ROOT],
        "n_mpjpe_mm": visible[scored][:, others],
        "acceleration_mm_per_frame2": visible[1:-1][counts],
    }
    for key, parts in split.items():
        seen = parts_of.get(key, visible[scored][:, :14] if key.endswith("_pct") else visible[scored])
        share = float(seen.double().mean())
        assert parts["visible"] * share + parts["occluded"] * (1 - share) == pytest.approx(whole[key]), key


def test_errors_land_in_the_part_of_their_own_occlusion():
    target = torch.zeros(100, 17, 3)
    target[..., 2] = 3000.0
    poses, visible = target.clone(), torch.ones(100, dtype=torch.bool)
    visible[10:13], visible[30:100] = False, False
    poses[10:13, :, 0], poses[30:, :, 0] = 20.0, 200.0  # the whole person shifted
    split = errors_by_occlusion(poses, target, visible)
    expected = {"visible": 0, "occluded": (3 * 20 + 70 * 200) / 73, "occluded_1_5": 20, "occluded_over_60": 200}
    assert split["a_mpjpe_mm"] == split["mrpe_mm"] == pytest.approx(expected)
    assert split["mpjpe_mm"]["occluded"] == 0
    assert split["a_pck_raw_pct"]["occluded_1_5"] == 100
    assert split["a_pck_raw_pct"]["occluded_over_60"] == 0
    assert errors_by_occlusion(poses, target, visible, torch.zeros(100, dtype=torch.bool)) == {}


def test_shapes_are_checked():
    poses = torch.zeros(5, 17, 3)
    with pytest.raises(ShapeError, match="visible"):
        errors_by_occlusion(poses, poses, torch.ones(5, 14, dtype=torch.bool))
    with pytest.raises(ShapeError, match="scored"):
        errors_by_occlusion(poses, poses, torch.ones(5, dtype=torch.bool), torch.ones(4, dtype=torch.bool))
    with pytest.raises(ShapeError, match="lengths"):
        split_errors(torch.zeros(3), torch.zeros(4))
