"""Training: windows per second, the fraction of a step spent waiting for data, and the step itself:

    python -m benchmarks.run --only training    # 20,000 to 2 million frames, about two minutes
    python -m benchmarks.run --only training --sizes 0.01

windows   from the frame table, against a plain Dataset read by worker processes (benchmarks/loader.py)
waiting   percent of a training loop's time in which the next batch is waited for, against that Dataset and as many
          worker processes
step      forward, backward and optimiser on one batch, against its matrix products at the peak just then (machine.py);
          here the size is that of the batch
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from math import prod
from typing import cast

import torch
from torch import Tensor

from benchmarks.figure import Figure
from benchmarks.loader import PlainDataset, random_sequences, ways, windows_per_second
from benchmarks.machine import beside_the_peak
from benchmarks.memory import PeakMemory
from data.training.windows import FrameTable
from lightning_modules.lifter import Lifter
from lightning_modules.networks.tcn import TemporalConvNet

SIZES = (0.01, 0.1, 1.0)
FRAMES = 2_000_000  # MPI-INF-3DHP and MuCo-Temp with the augmented copies
BATCH, WORKERS = 1024, 2
NETWORK = {"channels": 1024, "filter_widths": [3, 3, 3, 3]}
SECONDS, ROUNDS, STEPS = 0.7, 2, 2


def figures(
    sizes: Sequence[float], frames: int = FRAMES, batch: int = BATCH, network: dict | None = None
) -> Iterator[Figure]:
    """Windows and waiting for each size of the training set, then the step for each size of the batch."""
    warnings.filterwarnings("ignore", message=".*worker processes.*")
    trainer = Training(network or NETWORK)
    for size in sizes:
        yield from _feeding(trainer, size, max(4 * batch, round(frames * size)), batch)
    for size in sizes:
        yield _step(trainer, size, max(2, round(batch * size)))


class Training:
    """A lifter and its optimiser, outside a Trainer: what a step costs without callbacks and loggers."""

    def __init__(self, network: dict):
        self.lifter = Lifter(network, coordinates="normal").train()
        self.optimiser = torch.optim.Adam(self.lifter.parameters(), lr=1e-3, amsgrad=True)  # as conf/model has it

    def step(self, batch: dict[str, Tensor]) -> None:
        """Forward, loss, backward, optimiser."""
        predicted = self.lifter.windows(batch["features"])[:, 0]
        loss = torch.nn.functional.l1_loss(predicted, batch["targets"])
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()

    def waited_pct(self, batches: Iterator[dict[str, Tensor]], steps: int = STEPS) -> float:
        """Percent of a loop's time spent in waiting for its batches, after a first step that does not count."""
        self.step(next(batches))
        waited, start = 0.0, time.perf_counter()
        for _ in range(steps):
            asked = time.perf_counter()
            batch = next(batches)
            waited += time.perf_counter() - asked
            self.step(batch)
        return 100 * waited / (time.perf_counter() - start)


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


def _feeding(trainer: Training, size: float, frames: int, batch: int) -> Iterator[Figure]:
    field = trainer.lifter.receptive_field
    sequences = random_sequences(frames)
    with PeakMemory() as peak:
        table = FrameTable(sequences, field, flip=True)
    plain = PlainDataset(sequences, table, field)
    del sequences
    fed = ways(table, plain, batch, field, WORKERS)
    names = ("frame table", f"per sample, {WORKERS} workers")
    rounds = [{name: windows_per_second(fed[name](), SECONDS) for name in names} for _ in range(ROUNDS)]
    ours, theirs = (max(rates[name] for rates in rounds) for name in names)
    reference = f"a window at a time, {WORKERS} worker processes"
    yield Figure(
        "training/windows", size, frames, "windows", ours, "windows/s", reference, theirs, ours / theirs, peak.mib
    )
    ours, theirs = (trainer.waited_pct(fed[name]()) for name in names)
    yield Figure("training/waiting for data", size, frames, "windows", ours, "%", reference, theirs, theirs / ours)


def _step(trainer: Training, size: float, windows: int) -> Figure:
    field = trainer.lifter.receptive_field
    batch = {"features": torch.randn(windows, field, 42), "targets": torch.randn(windows, 51)}
    trainer.step(batch)  # makes the optimiser's state, which stays
    with PeakMemory() as peak:
        trainer.step(batch)
    seconds, flops_per_s = beside_the_peak(lambda: trainer.step(batch), ROUNDS)
    limit = flops_per_s / flops_per_window(cast(TemporalConvNet, trainer.lifter.network))
    return Figure(
        "training/step", size, windows, "windows in a batch", windows / seconds, "windows/s",
        "its matrix products at the peak just then", limit, windows / seconds / limit, peak.mib,
    )  # fmt: skip
