"""The published energy, solved, against the published way, Adam (`refinement=energy`), on one thread:

    python -m benchmarks.run --only refinement_speed

From the same float32 prediction and visibility in memory to refined positions in memory. The people are made up: limbs
that swing, a root that wanders, noise, and spans of up to 40 frames in which everything is displaced by 0.3 to 3 m,
with low scores in two of three such spans and confident ones in the third.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from benchmarks.figure import Figure, seconds_of, timed
from benchmarks.memory import PeakMemory
from refinement.published.adam import AdamSettings, minimise_adam
from refinement.published.direct import minimise_fast
from refinement.published.energy import PublishedEnergy

SIZES = (0.1, 1.0, 10.0)
FRAMES, EACH = 21_000, 420  # 50 people, as in MuPoTS-3D
STEPS, TIMED_STEPS = 500, 50  # of Adam: what a figure states, and what it measures


def outlier_person(frames: int, seed: int) -> tuple[Tensor, Tensor]:
    """A made-up prediction x0_m (frames, 17, 3) m, the root in joint 0, and its visibility (frames,), float32."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(frames)[:, None, None] / 30
    phase = 2 * np.pi * (rng.uniform(0.2, 1.5, (16, 3)) * time_s + rng.uniform(size=(16, 3)))
    x = np.concatenate(
        [
            [0.0, 0.0, 4.0] + 0.02 * np.cumsum(np.cumsum(rng.normal(0, 0.002, (frames, 1, 3)), axis=0), axis=0),
            rng.normal(0, 0.3, (16, 3)) + 0.15 * np.sin(phase),
        ],
        axis=1,
    )
    noise = 0.02 * rng.normal(size=x.shape)
    noise[:, 0, 2] *= 4
    x, v = x + noise, np.clip(rng.normal(0.85, 0.06, frames), 0, 1)
    first = int(rng.integers(min(frames, 100)))
    while first < frames:
        span = slice(first, first + int(rng.integers(1, 40)))
        size = rng.choice([0.3, 1.0, 3.0])
        x[span, 0] += size * rng.normal(size=3) * [0.3, 0.3, 1.0]
        x[span, 1:] += 0.3 * size * rng.normal(size=(16, 3))
        if rng.integers(3):
            v[span] = rng.uniform(0, 0.3)
        first = span.stop + int(rng.exponential(100))
    return torch.tensor(x, dtype=torch.float32), torch.tensor(v, dtype=torch.float32)


def figures(sizes: Sequence[float], frames: int = FRAMES) -> Iterator[Figure]:
    """Seconds that refining all people takes, on one thread, against Adam steps (timed: a few of them)."""
    threads, energy = torch.get_num_threads(), PublishedEnergy()
    torch.set_num_threads(1)
    try:
        for size in sizes:
            people, each = max(1, round(frames * size / EACH)), min(EACH, max(30, round(frames * size)))
            made = [outlier_person(each, seed % 100) for seed in range(people)]
            lengths = torch.full((people,), each)
            work = (energy, torch.cat([x for x, _ in made]), torch.cat([v for _, v in made]), lengths)
            minimise_fast(*work)
            with PeakMemory() as peak:
                minimise_fast(*work)
            ours = seconds_of(lambda work=work: minimise_fast(*work), rounds=1 if size > 1 else 3)
            adam = partial(minimise_adam, *work, AdamSettings(num_iter=TIMED_STEPS))
            theirs = STEPS / TIMED_STEPS * min(timed(adam) for _ in range(2))
            yield Figure(
                "refine/published energy", size, people * each, "person-frames", ours, "s",
                f"{STEPS} Adam steps, {TIMED_STEPS} of them timed", theirs, theirs / ours, peak.mib,
            )  # fmt: skip
    finally:
        torch.set_num_threads(threads)
