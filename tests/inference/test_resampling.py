"""Detections at another rate, and poses back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inference.resampling import at_rate, poses_back, same_rate
from pose.errors import ConfigError, MismatchError
from pose.sequence import PoseSequence


def moving(length: int, fps: float, detected: torch.Tensor | None = None) -> PoseSequence:
    """A person who moves 300 px/s to the right, joint by joint 10 px apart; zeros where undetected."""
    detected = torch.ones(length, dtype=torch.bool) if detected is None else detected
    x = 300 * torch.arange(length) / fps
    keypoints = torch.stack([x[:, None] + 10 * torch.arange(19), torch.full((length, 19), 50.0)], dim=-1)
    scores = torch.full((length, 19), 0.8)
    keypoints[~detected], scores[~detected] = 0, 0
    return PoseSequence("made", 0, None, fps, keypoints, scores, detected)


def test_same_rate_within_four_percent() -> None:
    assert same_rate(25.0, 25.0)
    assert same_rate(26.0, 25.0)
    assert same_rate(24.0, 25.0)
    assert not same_rate(26.1, 25.0)
    assert not same_rate(23.9, 25.0)
    assert same_rate(60.0, None)


@pytest.mark.parametrize("fps", [60.0, 50.0, 30.0, 24.0, 12.5, 29.97])
@pytest.mark.parametrize("length", [1, 2, 3, 100])
def test_steady_movement_stays_steady_and_comes_back(fps: float, length: int) -> None:
    source = moving(length, fps)
    changed = at_rate(source, 25.0)
    assert changed.fps == 25.0
    assert changed.detected.all()
    at = torch.clamp(torch.arange(len(changed)) / 25.0, max=(length - 1) / fps)
    reach = max(1.0, fps / 25) / fps  # the kernel is cut at the ends
    inside = (at >= reach) & (at <= (length - 1) / fps - reach)
    torch.testing.assert_close(changed.keypoints_2d[inside, 3, 0], (300 * at + 30)[inside], atol=4.0, rtol=0)
    torch.testing.assert_close(changed.confidence, torch.full_like(changed.confidence, 0.8))
    poses = torch.stack([at, 2 * at, 4000 + at], dim=-1)[:, None].expand(-1, 17, 3)
    back = poses_back(poses, 25.0, fps, length)
    want = torch.arange(length) / fps
    assert back.shape == (length, 17, 3)
    torch.testing.assert_close(back[:, 5, 0], want, atol=1e-5, rtol=0)


def test_interpolation_upward_is_exact() -> None:
    changed = at_rate(moving(11, 10.0), 20.0)
    assert len(changed) == 21
    torch.testing.assert_close(changed.keypoints_2d[:, 0, 0], 15.0 * torch.arange(21))


def test_downsampling_averages_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    source = moving(6000, 60.0)
    noisy = source.keypoints_2d + torch.randn(source.keypoints_2d.shape, generator=generator)
    still = PoseSequence("made", 0, None, 60.0, noisy - source.keypoints_2d, source.confidence)
    assert float(at_rate(still, 25.0).keypoints_2d[2:-2].std()) < 0.62  # 1 for the nearest frame


def test_sure_joints_outweigh_unsure_ones() -> None:
    x = torch.zeros(60, 19, 2)
    x[::2] = 30.0
    for low, expected in ((0.9, 15.0), (0.3, 3.0), (1e-9, 0.0)):  # 30 of weight low² beside 0 of weight 0.9²
        scores = torch.full((60, 19), 0.9)
        scores[::2] = low
        changed = at_rate(PoseSequence("made", 0, None, 60.0, x, scores), 6.0)
        assert changed.keypoints_2d[2:-2].numpy() == pytest.approx(expected, abs=0.2)
    unsure = PoseSequence("made", 0, None, 60.0, x + 5, torch.full((60, 19), 1e-12))
    assert float(at_rate(unsure, 25.0).keypoints_2d.min()) > 4.9, "not drawn to 0"


def test_undetected_stays_undetected_and_lends_nothing() -> None:
    detected = torch.ones(60, dtype=torch.bool)
    detected[20:40] = False
    changed = at_rate(moving(60, 60.0, detected), 25.0)
    time = torch.arange(len(changed)) / 25.0 * 60
    hidden = (time.round() >= 20) & (time.round() < 40)
    torch.testing.assert_close(changed.detected, ~hidden)
    assert not changed.keypoints_2d[hidden].any()
    assert not changed.confidence[hidden].any()
    assert float(changed.keypoints_2d[~hidden][1:, :, 0].min()) > 1, "nothing is drawn toward (0, 0)"
    near = int(hidden.nonzero()[0, 0]) - 1
    assert float(changed.keypoints_2d[near, 0, 0]) == pytest.approx(300 * near / 25, abs=8)


def test_a_missing_joint_stays_missing() -> None:
    source = moving(30, 30.0)
    source.keypoints_2d[10:20, 4], source.confidence[10:20, 4] = 0, 0
    changed = at_rate(source, 60.0)
    missing = changed.confidence[:, 4] == 0
    assert missing[20:39].all()
    assert not missing[:19].any()
    assert not changed.keypoints_2d[missing, 4].any()
    assert (changed.confidence[:, 5] > 0.79).all()
    torch.testing.assert_close(changed.keypoints_2d[:19, 4, 0], 5.0 * torch.arange(19) + 40)


def test_an_empty_person() -> None:
    assert len(at_rate(moving(0, 30.0), 25.0)) == 0
    assert poses_back(torch.zeros(0, 17, 3), 25.0, 30.0, 0).shape == (0, 17, 3)


def test_arguments_that_cannot_be_used() -> None:
    for fps in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="must be a number >= 1e-05 and <= 10000"):
            at_rate(moving(5, 30.0), fps)
    with pytest.raises(MismatchError, match="4 frames at 25 fps, 5 are expected for 5 frames at 30 fps"):
        poses_back(torch.zeros(4, 17, 3), 25.0, 30.0, 5)


def test_walking_comes_back_within_millimetres() -> None:
    """A wrist that swings at 2 Hz by 200 mm, a hip at 2 Hz by 30 mm: what linear interpolation loses."""
    time = np.arange(0, 2, 1 / 60)
    new = np.arange(0, 2, 1 / 25)
    new = np.append(new, time[-1])[: len(at_rate(moving(len(time), 60.0), 25.0))]
    for amplitude, limit in ((200.0, 6.5), (30.0, 1.0)):
        poses = torch.zeros(len(new), 1, 3)
        poses[:, 0, 0] = torch.from_numpy(amplitude * np.sin(2 * np.pi * 2 * np.minimum(new, time[-1])))
        back = poses_back(poses, 25.0, 60.0, len(time))[:, 0, 0].numpy()
        assert np.abs(back - amplitude * np.sin(2 * np.pi * 2 * time)).max() < limit


@given(st.integers(1, 60), st.sampled_from((12.5, 24.0, 25.0, 50.0, 60.0)), st.sampled_from((12.5, 25.0, 30.0, 120.0)))
def test_constant_velocity_survives_any_pair_of_rates(frames: int, fps: float, other: float) -> None:
    time = torch.arange(frames, dtype=torch.float64) / fps
    track = torch.tensor([100.0, -50.0, 4000.0]) + time[:, None, None] * torch.tensor([800.0, 0.0, -300.0])
    sequence = PoseSequence("S", 0, None, fps, torch.zeros(frames, 19, 2), torch.ones(frames, 19))
    resampled = at_rate(sequence, other)
    moments = torch.clamp(torch.arange(len(resampled), dtype=torch.float64) / other, max=(frames - 1) / fps)
    there = torch.tensor([100.0, -50.0, 4000.0]) + moments[:, None, None] * torch.tensor([800.0, 0.0, -300.0])
    torch.testing.assert_close(poses_back(there, other, fps, frames), track, rtol=0, atol=1e-6)
