from __future__ import annotations

import pytest
import torch

from refinement.published.visibility import visibility


def test_the_mean_over_joints() -> None:
    v = visibility(torch.tensor([[0.2, 0.4], [1.0, 0.0], [0.0, 0.0]]), median_frames=1)
    assert v.dtype == torch.float32
    assert v.tolist() == pytest.approx([0.3, 0.5, 0.0])


def test_a_score_per_frame_is_its_own_mean() -> None:
    score = torch.rand(30, generator=torch.Generator().manual_seed(0))
    assert torch.equal(visibility(score), visibility(score[:, None]))


def test_a_gap_of_four_frames_is_bridged_and_one_of_five_is_kept() -> None:
    score = torch.full((60,), 0.9)
    score[10:14] = 0
    score[30:35] = 0
    v = visibility(score)
    assert v[:30].min() > 0.8
    assert v[30:35].max() == 0
    assert v[35:].min() > 0.8


def test_the_ends_are_reflected() -> None:
    # Reflected, the first window of three is (a, a, b): its median is a.
    assert visibility(torch.tensor([0.1, 0.9, 0.5, 0.7]), median_frames=3).tolist() == pytest.approx(
        [0.1, 0.5, 0.7, 0.7]
    )


def test_overshooting_scores_end_at_one() -> None:
    assert visibility(torch.full((12, 19), 1.05)).max() == 1


@pytest.mark.parametrize("frames", [1, 2, 8])
def test_fewer_frames_than_the_filter(frames: int) -> None:
    assert visibility(torch.full((frames, 19), 0.5)).tolist() == pytest.approx([0.5] * frames)
