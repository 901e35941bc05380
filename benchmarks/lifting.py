"""Whole sequences through the lifter, against the matrix products of the network at the peak just then (machine.py):

python -m benchmarks.run --only lifting
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import torch

from benchmarks.figure import Figure
from benchmarks.machine import beside_the_peak
from benchmarks.memory import PeakMemory
from benchmarks.training import NETWORK, random_sequences
from lightning_modules.lifter import Lifter
from lightning_modules.networks.tcn import TemporalConvNet
from lightning_modules.prediction import lift
from pose.features import N_FEATURES, N_TARGETS, Standardiser

SIZES = (0.1, 1.0)
FRAMES, EACH = 21_000, 420  # 50 people, as in MuPoTS-3D
ROUNDS = 3


def flops_per_frame(network: TemporalConvNet) -> int:
    """Operations of the matrix products behind one frame of a long sequence: every weight once, two to each."""
    convolutions = (module for module in network.modules() if isinstance(module, torch.nn.Conv1d))
    return 2 * sum(convolution.weight.numel() for convolution in convolutions)


def figures(sizes: Sequence[float], frames: int = FRAMES, network: dict | None = None) -> Iterator[Figure]:
    """Frames per second, plain and mirrored, of each size. Padding counts for nothing; where the machine's convolutions
    are faster than its matrix products, the ratio exceeds 1."""
    features, targets = (Standardiser(torch.zeros(n), torch.ones(n)) for n in (N_FEATURES, N_TARGETS))
    lifter = Lifter(
        network or NETWORK, coordinates="normal", feature_standardiser=features, target_standardiser=targets
    ).eval()
    for size in sizes:
        count = max(1, round(frames * size))
        people = random_sequences(count, EACH)
        with PeakMemory() as peak:
            lift(lifter, people)
        seconds, flops_per_s = beside_the_peak(lambda people=people: lift(lifter, people), ROUNDS)
        limit = flops_per_s / (2 * flops_per_frame(cast(TemporalConvNet, lifter.network)))
        yield Figure(
            "lift/frames", size, count, "frames", count / seconds, "frames/s",
            "its matrix products at the peak just then", limit, count / seconds / limit, peak.mib,
        )  # fmt: skip
