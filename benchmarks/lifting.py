"""Whole sequences through the lifter: frames per second, and the fraction of the machine's peak:

    python -m benchmarks.run --only lifting    # the size of MuPoTS-3D and less, under a minute

frames    `lift` of all people, against the network's convolutions person by person, plain, then mirrored
fraction  the same, against the matrix products of the network, plain and mirrored, at the peak just then (machine.py)
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor

from benchmarks.figure import Figure, timed
from benchmarks.loader import random_sequences
from benchmarks.machine import beside_the_peak
from benchmarks.memory import PeakMemory
from lightning_modules.lifter import Lifter
from lightning_modules.networks.tcn import TemporalConvNet
from lightning_modules.prediction import lift
from pose.features import N_FEATURES, N_TARGETS, Standardiser, decode_3d, features_2d, flip_2d, flip_3d
from pose.sequence import PoseSequence

SIZES = (0.01, 0.1, 1.0)
FRAMES, EACH = 21_000, 420  # 50 people, as in MuPoTS-3D
PLAIN_FRAMES = 2_100  # of what is too slow to be measured in full
NETWORK = {"channels": 1024, "filter_widths": [3, 3, 3, 3]}
ROUNDS, AT_LEAST_S = 3, 8.0


def figures(sizes: Sequence[float], frames: int = FRAMES, network: dict | None = None) -> Iterator[Figure]:
    """Of each size."""
    lifter = random_lifter(network or NETWORK)
    for size in sizes:
        yield from _frames(lifter, size, max(1, round(frames * size)))


def random_lifter(network: dict) -> Lifter:
    """Untrained; its outputs are poses all the same."""
    features, targets = (Standardiser(torch.zeros(n), torch.ones(n)) for n in (N_FEATURES, N_TARGETS))
    return Lifter(network, coordinates="normal", feature_standardiser=features, target_standardiser=targets).eval()


def plain_lift(lifter: Lifter, sequences: list[PoseSequence]) -> list[Tensor]:
    """What `lift` gives, (T, 17, 3) each, by the network's own forward, one person and one view at a time."""
    half = lifter.receptive_field // 2
    results = []
    with torch.inference_mode():
        for one in sequences:
            assert one.camera is not None
            flipped = flip_2d(one.keypoints_2d, one.confidence, one.camera.width)
            views = ((one.keypoints_2d, one.confidence, one.camera), (*flipped, one.camera.flipped()))
            poses = []
            for keypoints_2d, confidence, camera in views:
                features = lifter.feature_standardiser(features_2d(keypoints_2d, confidence, camera))
                frames = torch.arange(-half, len(one) + half).clamp(0, len(one) - 1)
                poses.append(decode_3d(lifter.target_standardiser.invert(lifter(features[frames][None])[0])))
            results.append((poses[0] + flip_3d(poses[1])) / 2)
    return results


def flops_per_frame(network: TemporalConvNet) -> int:
    """Operations of the matrix products behind one frame of a long sequence: every weight once, two to each."""
    convolutions = (module for module in network.modules() if isinstance(module, torch.nn.Conv1d))
    return 2 * sum(convolution.weight.numel() for convolution in convolutions)


def _frames(lifter: Lifter, size: float, count: int) -> Iterator[Figure]:
    people = random_sequences(count, EACH)
    few = random_sequences(min(count, PLAIN_FRAMES), EACH)
    lift(lifter, few)
    with PeakMemory() as peak:
        lift(lifter, people)
    ours = theirs = float("inf")
    end = time.perf_counter() + AT_LEAST_S
    while time.perf_counter() < end or theirs == float("inf"):
        ours = min(ours, timed(lambda: lift(lifter, people)) / count)
        theirs = min(theirs, timed(lambda: plain_lift(lifter, few)) / sum(map(len, few)))
    yield Figure(
        "lifting/frames", size, count, "frames", 1 / ours, "frames/s",
        "the network's convolutions, person by person", 1 / theirs, theirs / ours, peak.mib,
    )  # fmt: skip
    seconds, flops_per_s = beside_the_peak(lambda: lift(lifter, people), ROUNDS)
    limit = flops_per_s / (2 * flops_per_frame(cast(TemporalConvNet, lifter.network)))
    yield Figure(
        "lifting/fraction of the peak", size, count, "frames", count / seconds, "frames/s",
        "its matrix products at the peak just then", limit, count / seconds / limit,
    )  # fmt: skip
