"""Networks at equal CPU time: each is trained for as many CPU seconds on one core, then tested on other people.

`python -m benchmarks.studies.networks --datasets FOLDER` prints the table; FOLDER holds the set that
`experiment=prepare prepare=mocap` makes. Simulated cameras and detections of real motion: the numbers compare networks
and say nothing about any published data set. The recipe is that of the pretrained lifters (canonical features, `mpjpe`,
Adam, one cycle of the learning rate) with one core, float32 and far less time.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from data.mocap.sets import MPI, mocap_folder, mocap_training
from data.sets.mpi_inf_3dhp import MpiInf3dhpTest
from data.sets.reader import read_sequences
from data.training.windows import EpochSampler, FrameTable
from lightning_modules.lifter import Lifter
from lightning_modules.losses import mpjpe
from lightning_modules.prediction import lift
from pose.canonical import CanonicalFeatures
from pose.metrics.mpi_inf_3dhp import mean_sequence_scores, scored_sequences
from pose.sequence import PoseSequence

MIXER = "lightning_modules.networks.mixer.GatedMixer"
#: Settings of the networks, all of which see 81 frames; no dropout, the scenes vary enough.
NETWORKS: dict[str, dict[str, Any]] = {
    "tcn, 256 channels": {"channels": 256, "filter_widths": [3, 3, 3, 3], "dropout": 0.0},
    "tcn, 512 channels": {"channels": 512, "filter_widths": [3, 3, 3, 3], "dropout": 0.0},
    "mixer, 256 channels": {"_target_": MIXER, "channels": 256, "filter_widths": [9, 1, 9, 1], "dropout": 0.0},
}
FEATURES = {"_target_": f"{CanonicalFeatures.__module__}.{CanonicalFeatures.__qualname__}"}
FRAMES = 81
BATCH = 256
LEARNING_RATE = 1e-3
WARM_UP = 0.02
COLUMNS = ("mpjpe_mm", "pa_mpjpe_mm", "mrpe_mm")


@dataclass(frozen=True)
class Result:
    """Of one training. seconds: CPU time of the training; speed: lifted frames per CPU second, mirrored ones apart."""

    network: str
    parameters: int
    seconds: float
    windows: int
    speed: float
    scores: dict[str, float]


def learning_rate(done: float) -> float:
    """At this part of the training: up to LEARNING_RATE, then down to nothing along a cosine.

    >>> learning_rate(0.01) == LEARNING_RATE / 2, learning_rate(0.02) == LEARNING_RATE, round(learning_rate(1.0), 9)
    (True, True, 0.0)
    """
    if done < WARM_UP:
        return LEARNING_RATE * done / WARM_UP
    return LEARNING_RATE * (1 + math.cos(math.pi * min((done - WARM_UP) / (1 - WARM_UP), 1.0))) / 2


def train(network: dict[str, Any], table: FrameTable, seconds: float, seed: int) -> tuple[Lifter, int]:
    """A lifter that learns from the table for so many CPU seconds, and how many windows it saw."""
    torch.manual_seed(seed)
    fitted = {"feature_standardiser": table.feature_standardiser, "target_standardiser": table.target_standardiser}
    lifter = Lifter(network, "normal", fps=25.0, features=FEATURES, seed=seed, **fitted)  # type: ignore[arg-type]
    optimiser = torch.optim.Adam(lifter.parameters(), lr=LEARNING_RATE)
    sampler, windows, epoch, start = EpochSampler(table, BATCH, seed), 0, 0, time.process_time()
    while True:
        sampler.set_epoch(epoch)
        for batch in map(table.__getitem__, sampler):
            if (done := (time.process_time() - start) / seconds) >= 1:
                return lifter.eval(), windows
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(done)
            loss = mpjpe(lifter.windows(batch["features"])[:, 0], batch["targets"], table.target_standardiser)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            windows += BATCH
        epoch += 1


def measure(
    people: list[PoseSequence], tested: list[PoseSequence], seconds: float, seeds: int, networks: dict[str, Any]
) -> list[Result]:
    """Every network with every seed, trained on `people` and tested on `tested`."""
    torch.set_num_threads(1)
    table = FrameTable(people, FRAMES, flip=True, undetected=True, kind=CanonicalFeatures())
    results = []
    for name, network in networks.items():
        for seed in range(seeds):
            before = time.process_time()
            lifter, windows = train(network, table, seconds, seed)
            trained = time.process_time()
            scores, _ = mean_sequence_scores(lift(lifter, tested), tested)
            speed = sum(map(len, tested)) / (time.process_time() - trained)
            size = sum(parameter.numel() for parameter in lifter.parameters())
            results.append(Result(name, size, trained - before, windows, speed, scores))
    return results


def table_of(results: list[Result]) -> str:
    """Markdown: means over the seeds, and from the lowest to the highest MPJPE."""
    columns = [
        "network",
        "parameters",
        "CPU s",
        "windows",
        "frames/s",
        "MPJPE",
        "lowest to highest",
        "PA-MPJPE",
        "MRPE",
    ]
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for name in dict.fromkeys(result.network for result in results):
        runs = [result for result in results if result.network == name]
        means = [sum(run.scores[key] for run in runs) / len(runs) for key in COLUMNS]
        errors = [run.scores["mpjpe_mm"] for run in runs]
        cells = [
            name, f"{runs[0].parameters:,}", f"{sum(run.seconds for run in runs) / len(runs):.0f}",
            f"{sum(run.windows for run in runs) // len(runs):,}", f"{sum(run.speed for run in runs) / len(runs):,.0f}",
            f"{means[0]:.1f}", f"{min(errors):.1f} to {max(errors):.1f}", f"{means[1]:.1f}", f"{means[2]:.1f}",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=Path, required=True, help="the folder that holds Mocap/")
    parser.add_argument("--seconds", type=float, default=120, help="CPU time of a training")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--videos", type=int, default=100, help="of the set, to train on")
    options = parser.parse_args()
    folder = mocap_folder(options.datasets)
    reader = mocap_training(folder)
    reader.videos = reader.videos[: options.videos]
    tested = scored_sequences(read_sequences(MpiInf3dhpTest(folder / MPI), "normal"))
    results = measure(read_sequences(reader, "normal"), tested, options.seconds, options.seeds, NETWORKS)
    print(table_of(results))


if __name__ == "__main__":
    main()
