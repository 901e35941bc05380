"""Splits by occlusion: lengths of runs and the means of the parts."""

from __future__ import annotations

import pytest
import torch

from pose.errors import ShapeError
from pose.metrics import joint_errors as err
from pose.metrics.occlusion import PART_NAMES, PARTS, errors_by_part, occlusion_lengths, split_errors


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


def random_scene() -> tuple[torch.Tensor, ...]:
    """Poses, target (90, 2, 17, 3) mm, visible joints, scored people; what is not scored is NaN."""
    generator = torch.Generator().manual_seed(1)
    target = 300 * torch.randn(90, 2, 17, 3, generator=generator, dtype=torch.float64)
    poses = target + 80 * torch.randn(target.shape, generator=generator, dtype=torch.float64)
    visible = torch.rand(90, 2, 17, generator=generator) < 0.5
    scored = torch.rand(90, 2, generator=generator) < 0.8
    poses[~scored] = float("nan")
    return poses, target, visible, scored


def test_every_error_is_split_and_the_parts_make_up_the_whole():
    poses, target, visible, scored = random_scene()
    errors = err.sequence_errors(poses, target, scored, fps=30.0)
    whole = {key: value.mean for key, value in errors.items()}
    assert len(whole) == 14
    acceleration, counts = err.acceleration_errors(poses, target, scored)
    assert whole["a_accel_mm"] == pytest.approx(float(acceleration[counts].mean()))
    assert whole["a_accel_m_s2"] == pytest.approx(whole["a_accel_mm"] * 0.9), "mm/frame^2 at 30 frames per second"
    split = errors_by_part([errors], [occlusion_lengths(visible[..., 0])], [occlusion_lengths(visible)])
    assert split.keys() == whole.keys()
    for key, parts in split.items():
        assert parts["all"] == pytest.approx(whole[key])
        _, joints, rows = errors[key]
        for prefix, seen in (
            ("", visible[..., 0].flatten()[rows]),
            ("joints:", visible.flatten(0, 1)[rows][:, joints]),
        ):
            fraction = float(seen.double().mean())
            mean = parts[f"{prefix}visible"] * fraction + parts[f"{prefix}occluded"] * (1 - fraction)
            assert mean == pytest.approx(whole[key]), (key, prefix)
        alone = [mean for part, mean in parts.items() if part.startswith("joint:")]
        assert not alone or sum(alone) / len(alone) == pytest.approx(whole[key])
    assert {part for parts in split.values() for part in parts} <= set(PART_NAMES)


def test_parts_are_of_the_poses_of_all_sequences():
    target = torch.zeros(4, 17, 3)
    errors = [
        err.sequence_errors((target + shift)[:frames], target[:frames]) for shift, frames in ((30.0, 4), (60.0, 2))
    ]
    split = errors_by_part(errors)
    assert split["mrpe_mm"] == {"all": pytest.approx(3**0.5 * 40)}
    assert split["a_mpjpe_mm"]["joint:left_wrist"] == pytest.approx(3**0.5 * 40)
    assert errors_by_part([{}, {}]) == {}


def test_errors_land_in_the_part_of_their_own_occlusion():
    target = torch.zeros(100, 17, 3)
    target[..., 2] = 3000.0
    poses, visible = target.clone(), torch.ones(100, dtype=torch.bool)
    visible[10:13], visible[30:100] = False, False
    poses[10:13, :, 0], poses[30:, :, 0] = 20.0, 200.0  # the whole person shifted
    split = errors_by_part([err.sequence_errors(poses, target)], [occlusion_lengths(visible)])
    expected = {"visible": 0, "occluded": (3 * 20 + 70 * 200) / 73, "occluded_1_5": 20, "occluded_over_60": 200}
    assert {part: split["mrpe_mm"][part] for part in expected} == pytest.approx(expected)
    assert split["mpjpe_mm"]["occluded"] == 0
    assert split["a_pck_raw_pct"]["occluded_1_5"] == 100
    assert split["a_pck_raw_pct"]["occluded_over_60"] == 0
    assert err.sequence_errors(poses, target, torch.zeros(100, dtype=torch.bool)) == {}


def test_shapes_are_checked():
    poses = torch.zeros(5, 17, 3)
    with pytest.raises(ShapeError, match="scored"):
        err.sequence_errors(poses, poses, torch.ones(4, dtype=torch.bool))
    with pytest.raises(ShapeError, match="lengths"):
        split_errors(torch.zeros(3), torch.zeros(4, dtype=torch.long))
