"""Training: windows per second, and the step itself:

    python -m benchmarks.run --only training

windows   from the frame table, against a plain Dataset whose every item cuts, mirrors, preprocesses and standardises
          one window, read by worker processes
step      forward, backward and optimiser on one batch, against its matrix products at the peak just then (machine.py)
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from math import prod
from typing import cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.figure import Figure
from benchmarks.machine import beside_the_peak
from benchmarks.memory import PeakMemory
from data.training.windows import EpochSampler, FrameTable, training_loader, window_offsets
from lightning_modules.lifter import Lifter
from lightning_modules.networks.tcn import TemporalConvNet
from pose.cameras import Camera
from pose.features import encode_3d, features_2d, flip_2d, flip_3d
from pose.sequence import PoseSequence

SIZES = (0.1, 1.0)
FRAMES = 2_000_000  # MPI-INF-3DHP and MuCo-Temp with the augmented copies
BATCH, WORKERS = 1024, 2
NETWORK = {"channels": 1024, "filter_widths": [3, 3, 3, 3]}
SECONDS, ROUNDS = 0.7, 2
CAMERA, FRAMES_PER_SEQUENCE = Camera(1500.0, 1500.0, 1024.0, 1024.0, 2048, 2048), 2000


def figures(
    sizes: Sequence[float], frames: int = FRAMES, batch: int = BATCH, network: dict | None = None
) -> Iterator[Figure]:
    """Windows for each size of the training set, then the step on one batch."""
    warnings.filterwarnings("ignore", message=".*worker processes.*")
    lifter = Lifter(network or NETWORK, coordinates="normal").train()
    for size in sizes:
        yield _feeding(lifter.receptive_field, size, max(4 * batch, round(frames * size)), batch)
    yield _step(lifter, batch)


def random_sequences(frames: int, each: int = FRAMES_PER_SEQUENCE) -> list[PoseSequence]:
    """Sequences of noise, `frames` in all, `each` in one; speed does not depend on what they show."""
    generator = torch.Generator().manual_seed(0)
    sequences = []
    for start in range(0, frames, each):
        length = min(each, frames - start)
        poses_3d = 300 * torch.randn(length, 17, 3, generator=generator) + torch.tensor([0.0, 0.0, 4000.0])
        sequences.append(
            PoseSequence(
                sequence=str(start),
                person=0,
                camera=CAMERA,
                fps=25.0,
                keypoints_2d=2048 * torch.rand(length, 19, 2, generator=generator),
                confidence=torch.rand(length, 19, generator=generator),
                poses_3d=poses_3d,
                coordinates="normal",
            )
        )
    return sequences


class PlainDataset(Dataset):
    """One window per item, preprocessed when it is asked for."""

    def __init__(self, sequences: list[PoseSequence], table: FrameTable, receptive_field: int):
        self.keypoints_2d = torch.cat([sequence.keypoints_2d for sequence in sequences])
        self.confidence = torch.cat([sequence.confidence for sequence in sequences])
        self.poses_3d = torch.cat([sequence.poses_3d for sequence in sequences if sequence.poses_3d is not None])
        self.first, self.last = table.first, table.last
        self.standardise_2d, self.standardise_3d = table.feature_standardiser, table.target_standardiser
        self.offsets = window_offsets(receptive_field, causal=False)

    def __len__(self) -> int:
        return len(self.keypoints_2d)

    def __getitem__(self, centre: int) -> dict[str, Tensor]:
        frames = (centre + self.offsets).clamp(int(self.first[centre]), int(self.last[centre]))
        keypoints_2d, confidence, poses_3d = self.keypoints_2d[frames], self.confidence[frames], self.poses_3d[centre]
        camera = CAMERA
        if torch.rand(()) < 0.5:
            keypoints_2d, confidence = flip_2d(keypoints_2d, confidence, camera.width)
            poses_3d, camera = flip_3d(poses_3d), camera.flipped()
        features = self.standardise_2d(features_2d(keypoints_2d, confidence, camera))
        return {"features": features, "targets": self.standardise_3d(encode_3d(poses_3d))}


def windows_per_second(batches: Iterator[dict[str, Tensor]], seconds: float) -> float:
    """Rate over `seconds`, or until the batches end, after a first batch that does not count."""
    next(batches)
    count, start = 0, time.perf_counter()
    for batch in batches:
        count += len(batch["features"])
        if time.perf_counter() - start > seconds:
            break
    return count / (time.perf_counter() - start)


def epochs(loader: DataLoader, sampler: EpochSampler) -> Iterator[dict[str, Tensor]]:
    """Batches of one epoch after another."""
    epoch = 0
    while True:
        sampler.set_epoch(epoch)
        yield from loader
        epoch += 1


def flops_per_window(network: TemporalConvNet) -> int:
    """Operations of one training window's matrix products: forward, and backward by weights and by inputs.

    The gradient by the features is not computed. Each layer has as many outputs as its stride leaves.
    """
    others = network.filter_widths[1:]
    outputs = prod(others)
    total = 2 * network.expand_conv.weight.numel() * outputs
    for width, (wide, _, mix, _) in zip(others, network.blocks, strict=True):
        outputs //= width
        total += 3 * (wide.weight.numel() + mix.weight.numel()) * outputs
    return 2 * (total + 3 * network.shrink.weight.numel())


def _feeding(field: int, size: float, frames: int, batch: int) -> Figure:
    sequences = random_sequences(frames)
    with PeakMemory() as peak:
        table = FrameTable(sequences, field, flip=True)
    plain = PlainDataset(sequences, table, field)
    del sequences
    sampler = EpochSampler(table, batch)
    loader = DataLoader(plain, batch, shuffle=True, num_workers=WORKERS, drop_last=True)
    ours = theirs = 0.0
    for _ in range(ROUNDS):  # in turns
        ours = max(ours, windows_per_second(epochs(training_loader(table, sampler), sampler), SECONDS))
        theirs = max(theirs, windows_per_second(iter(loader), SECONDS))
    reference = f"a window at a time, {WORKERS} worker processes"
    return Figure(
        "train/windows", size, frames, "windows", ours, "windows/s", reference, theirs, ours / theirs, peak.mib
    )


def _step(lifter: Lifter, windows: int) -> Figure:
    optimiser = torch.optim.Adam(lifter.parameters(), lr=1e-3, amsgrad=True)  # as conf/model has it
    features, targets = torch.randn(windows, lifter.receptive_field, 42), torch.randn(windows, 51)

    def step() -> None:
        loss = torch.nn.functional.l1_loss(lifter.windows(features)[:, 0], targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    step()  # makes the optimiser's state, which stays
    with PeakMemory() as peak:
        step()
    seconds, flops_per_s = beside_the_peak(step, ROUNDS)
    limit = flops_per_s / flops_per_window(cast(TemporalConvNet, lifter.network))
    return Figure(
        "train/step", 1.0, windows, "windows in a batch", windows / seconds, "windows/s",
        "its matrix products at the peak just then", limit, windows / seconds / limit, peak.mib,
    )  # fmt: skip
