"""Small lifters, people and training sets for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from data.training.windows import EpochSampler, FrameTable, training_loader
from lightning_modules.checkpoint import load_lifter
from lightning_modules.lifter import Lifter
from pose.cameras import Camera
from pose.features import Standardiser
from pose.sequence import PoseSequence

NETWORK = {"channels": 8, "filter_widths": [3, 3], "dropout": 0.25}


@pytest.fixture(scope="session")
def network_numbers(golden: Path) -> dict[str, np.ndarray]:
    """Inputs and outputs of the golden checkpoint."""
    return dict(np.load(golden / "network.npz"))


@pytest.fixture
def golden_lifter(golden: Path) -> Lifter:
    return load_lifter(golden / "checkpoint")


def person(name: str = "TS1", frames: int = 40, coordinates: str = "normal") -> PoseSequence:
    """A sequence of noise with two undetected frames."""
    generator = torch.Generator().manual_seed(sum(name.encode()))
    keypoints_2d = 1000 * torch.rand(frames, 19, 2, generator=generator)
    confidence = 0.2 + 0.8 * torch.rand(frames, 19, generator=generator)
    detected = torch.ones(frames, dtype=torch.bool)
    keypoints_2d[2:4], confidence[2:4], detected[2:4] = 0, 0, False
    poses_3d = 300 * torch.randn(frames, 17, 3, generator=generator) + torch.tensor([0.0, 0.0, 4000.0])
    camera = Camera(1500.0, 1400.0, 1000.0, 500.0, 1920, 1080)
    return PoseSequence(name, 0, camera, 25.0, keypoints_2d, confidence, detected, poses_3d, coordinates=coordinates)  # type: ignore[arg-type]


@pytest.fixture
def make_person() -> Callable[..., PoseSequence]:
    return person


@pytest.fixture
def make_lifter() -> Callable[..., Lifter]:
    """A small lifter with random weights and the statistics of random people; arguments override."""

    def make(**overrides) -> Lifter:
        torch.manual_seed(overrides.get("seed", 0))
        table = FrameTable([person()], 9)
        settings = {
            "network": NETWORK,
            "coordinates": "normal",
            "fps": 25.0,
            "feature_standardiser": table.feature_standardiser,
            "target_standardiser": table.target_standardiser,
        }
        lifter = Lifter(**{**settings, **overrides})
        for norm in lifter.modules():
            if isinstance(norm, torch.nn.BatchNorm1d):
                torch.nn.init.uniform_(norm.running_mean)
                torch.nn.init.uniform_(norm.running_var, 0.5, 2.0)
        return lifter

    return make


@pytest.fixture
def loaders() -> Callable[[], tuple]:
    """Training and validation loaders as the data modules make them."""

    def make() -> tuple:
        table = FrameTable([person("a"), person("b")], 9)
        training = training_loader(table, EpochSampler(table, 16))
        validation = torch.utils.data.DataLoader(
            [[person("TS1"), person("TS2")]],  # type: ignore[arg-type]
            batch_size=None,
            collate_fn=lambda batch: batch,
            generator=torch.Generator(),
        )
        return training, validation

    return make


@pytest.fixture
def unit() -> Callable[[int], Standardiser]:
    """Mean 0, std 1."""
    return lambda size: Standardiser(torch.zeros(size), torch.ones(size))
