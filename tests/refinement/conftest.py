"""Made-up people for the tests of refinement."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from pose.joint_sets import COCO_19
from pose.sequence import PoseSequence


@pytest.fixture
def make_person() -> Callable[..., PoseSequence]:
    """A factory of people that walk noisily across the image and are hardly detected in the middle third."""

    def make(frames: int, seed: int = 0, person: int = 0) -> PoseSequence:
        generator = torch.Generator().manual_seed(seed)
        time = torch.arange(frames)[:, None, None]
        limbs = 300 * torch.randn(1, 17, 3, generator=generator)
        place = torch.tensor([-500.0, 200.0, 4000.0]) + time * torch.tensor([20.0, 0.0, 10.0])
        noise = 30 * torch.randn(frames, 17, 3, generator=generator)
        hidden = (time[:, 0, 0] >= frames // 3) & (time[:, 0, 0] < 2 * frames // 3)
        scores = torch.rand(frames, 19, generator=generator) * 0.2 + 0.8
        return PoseSequence(
            sequence="TS1",
            person=person,
            camera=None,
            fps=30.0,
            keypoints_2d=torch.zeros(frames, len(COCO_19), 2),
            confidence=scores * torch.where(hidden, 0.1, 1.0)[:, None],
            poses_3d=limbs + place + noise * torch.where(hidden, 10.0, 1.0)[:, None, None],
            frame=torch.arange(100, 100 + frames),
            coordinates="normal",
        )

    return make
