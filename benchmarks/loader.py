"""Windows per second that training can be fed with, three ways in one run:

    python -m benchmarks.loader                       # 2 million frames, about a minute
    python -m benchmarks.loader --frames 20000 --seconds 0.2

frame table   this project's path: batches gathered from precomputed, standardised rows, plain or mirrored
per sample    the plain way: a Dataset whose every item cuts, mirrors, preprocesses and standardises one window, in
              DataLoader worker processes with the standard collate function
bare gather   the same amount of memory copied by random windows and nothing else, an upper bound
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from data.training.windows import EpochSampler, FrameTable, training_loader, window_offsets
from pose.cameras import Camera
from pose.features import encode_3d, features_2d, flip_2d, flip_3d
from pose.sequence import PoseSequence

CAMERA = Camera(1500.0, 1500.0, 1024.0, 1024.0, 2048, 2048)
FRAMES_PER_SEQUENCE = 2000
ROUNDS = 3


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


def bare_batches(table: FrameTable, batch_size: int, receptive_field: int) -> Iterator[dict[str, Tensor]]:
    """Random windows copied whole, whatever sequences they cross."""
    rows, columns = table.features.shape
    blocks = table.features.as_strided((rows - receptive_field + 1, receptive_field * columns), (columns, 1))
    while True:
        yield {"features": blocks.index_select(0, torch.randint(len(blocks), (batch_size,)))}


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


def ways(
    table: FrameTable, plain: PlainDataset, batch_size: int, receptive_field: int, workers: int
) -> dict[str, Callable[[], Iterator[dict[str, Tensor]]]]:
    """What starts each way's batches, by its name."""
    sampler = EpochSampler(table, batch_size)
    plain_loader = DataLoader(plain, batch_size, shuffle=True, num_workers=workers, drop_last=True)
    return {
        "frame table": lambda: epochs(training_loader(table, sampler), sampler),
        "bare gather": lambda: bare_batches(table, batch_size, receptive_field),
        f"per sample, {workers} workers": lambda: iter(plain_loader),
    }


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Windows per second of each way, by its name: the best of its rounds, which take turns."""
    receptive_field, batch_size, workers = options.receptive_field, options.batch_size, options.workers
    sequences = random_sequences(options.frames)
    table = FrameTable(sequences, receptive_field, flip=True)
    fed = ways(table, PlainDataset(sequences, table, receptive_field), batch_size, receptive_field, workers)
    rounds = [{name: windows_per_second(way(), options.seconds) for name, way in fed.items()} for _ in range(ROUNDS)]
    return {name: max(rates[name] for rates in rounds) for name in fed}


def main() -> None:
    parser = argparse.ArgumentParser(description="Training windows per second")
    parser.add_argument("--frames", type=int, default=2_000_000, help="size of the training set")
    parser.add_argument("--receptive-field", type=int, default=81, help="frames per window")
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--workers", type=int, default=4, help="worker processes of the per-sample way")
    parser.add_argument("--threads", type=int, default=2, help="threads that torch may use")
    parser.add_argument("--seconds", type=float, default=3.0, help="time for each way in each round")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore", message=".*worker processes.*")
    rates = measure(options)
    print(
        f"{options.frames:,} frames, windows of {options.receptive_field}, {options.threads} threads, best of {ROUNDS}"
    )
    for name, rate in rates.items():
        print(f"{name:24} {rate:12,.0f} windows/s")


if __name__ == "__main__":
    main()
