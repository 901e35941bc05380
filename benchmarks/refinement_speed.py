"""Time and energy of the published energy's two solvers, a plain torch Adam loop and banded solves, in one run:

    python -m benchmarks.refinement_speed                           # ten minutes on one core
    python -m benchmarks.refinement_speed --frames 200 2000         # one minute
    python -m benchmarks.refinement_speed --frames 200 --energy small_cap gm
    python -m benchmarks.refinement_speed --trials 100              # energies alone, of 100 seeded people and settings

Both on one thread, from the same float32 prediction and visibility in memory to refined positions in memory. Adam's
time is its fastest block of 100 steps times the number of blocks, the fast solver's the fastest of its runs: other
work on the machine can only lengthen either.

The people are made up: limbs that swing, a root that wanders, noise, and spans of up to 40 frames in which everything
is displaced by 0.3 to 3 m, with low scores in two of three such spans and confident ones in the third.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.figure import Figure, seconds_of
from benchmarks.memory import PeakMemory
from refinement.published.adam import AdamSettings, minimise_adam
from refinement.published.direct import minimise_fast
from refinement.published.energy import PublishedEnergy

SECOND_ORDER = {
    "smoothness_loss_hip": "step_const_velocity_loss",
    "smoothness_loss_rel": "step_const_velocity_loss",
}
ENERGIES: dict[str, dict[str, Any]] = {
    "paper": {},
    "small_cap": {"l2_cap": 0.05},
    "tiny_cap": {"l2_cap": 0.01},
    "gm": {"pose_loss": "gm"},
    "small_gm": {"pose_loss": "gm", "gm_alpha": 0.05},
    "euclidean": {"pose_loss": "capped_l2_euc_err"},
    "small_euclidean": {"pose_loss": "capped_l2_euc_err", "l2_cap": 0.05},
}
ENERGIES |= {f"{name}_second_order": {**keys, **SECOND_ORDER} for name, keys in ENERGIES.items()}

LEARNING_RATE = 1e-2
BLOCK = 100  # Adam steps that are timed together

SIZES = (0.01, 0.1, 1.0, 10.0)  # of the figures
FRAMES, EACH = 21_000, 420  # 50 people, as in MuPoTS-3D
STEPS, TIMED_STEPS = 500, 3  # of Adam: what a figure states, and what it measures
TOGETHER = 25  # people that Adam takes at once, at most: hundreds at once are slower than in turn


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


def plain_energy(x: Tensor, x0: Tensor, v: Tensor, e: PublishedEnergy) -> Tensor:
    """The energy as one would write it down, summed over people: x, x0 (P, T, J, 3) m, v (P, T) -> scalar."""
    square = (x - x0).square()
    if e.pose_loss == "gm":
        data = (square / (square + e.gm_alpha)).sum((2, 3))
    elif e.pose_loss == "capped_l2_euc_err":
        data = square.sum(3).clamp(max=e.l2_cap).sum(2)
    else:
        data = square.clamp(max=e.l2_cap).sum((2, 3))
    total = (v * data).sum()
    for joints, loss, small, large in (
        (slice(0, 1), e.smoothness_loss_hip, e.smoothness_weight_hip, e.smoothness_weight_hip_large),
        (slice(1, None), e.smoothness_loss_rel, e.smoothness_weight_rel, e.smoothness_weight_rel_large),
    ):
        for step, weight in ((1, small), (e.smoothness_loss_hip_largestep, large)):
            d, start = x[:, :, joints], step
            d = d[:, step:] - d[:, :-step]
            if loss == "step_const_velocity_loss":
                d, start = d[:, step:] - d[:, :-step], 2 * step
            frames = d.square().sum((2, 3))
            total = total + weight * (frames.sum() if step == 1 else ((1 - v[:, start:]) * frames).sum())
    return total


def run_adam(energy: PublishedEnergy, x0: Tensor, v: Tensor, steps: list[int]) -> tuple[dict[int, Tensor], float]:
    """A plain torch Adam loop: positions after each number of steps in `steps`, and seconds per step at its best."""
    x, results, fastest = x0.clone().requires_grad_(True), {}, np.inf
    optimiser = torch.optim.Adam([x], lr=LEARNING_RATE)
    for done in range(0, max(steps), BLOCK):
        start, block = time.perf_counter(), min(BLOCK, max(steps) - done)
        for step in range(done + 1, done + block + 1):
            optimiser.zero_grad()
            plain_energy(x, x0, v, energy).backward()
            optimiser.step()
            if step in steps:
                results[step] = x.detach().clone()
        fastest = min(fastest, (time.perf_counter() - start) / block)
    return results, fastest


def gradient_norm(energy: PublishedEnergy, x: Tensor, x0: Tensor, v: Tensor, lengths: Tensor) -> float:
    return float(energy.gradient(x.double(), x0.double(), v.double(), lengths).norm())


def compare(energy: PublishedEnergy, people: int, frames: int, steps: list[int], repeats: int) -> dict[str, Any]:
    """One row: `people` people of `frames` frames, solved by both; seconds, energies and gradient norms."""
    made = [outlier_person(frames, seed) for seed in range(people)]
    x0, v = torch.stack([x for x, _ in made]), torch.stack([v for _, v in made])
    flat, flat_v, lengths = x0.flatten(0, 1), v.flatten(), torch.full((people,), frames)
    seconds = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        minimise_fast(energy, flat, flat_v, lengths)
        seconds = min(seconds, time.perf_counter() - start)
    adam, per_step = run_adam(energy, x0, v, steps)
    start = time.perf_counter()
    minimise_adam(energy, flat, flat_v, lengths, AdamSettings(learning_rate=LEARNING_RATE, num_iter=BLOCK))
    own_per_step = (time.perf_counter() - start) / BLOCK
    exact = minimise_fast(energy, flat.double(), flat_v, lengths)
    return {
        "people": people,
        "frames": frames,
        "fast_s": seconds,
        "fast_energy": float(exact.energy_after.sum()),
        "fast_gradient": gradient_norm(energy, exact.x_m, flat, flat_v, lengths),
        "adam_s": {n: per_step * n for n in steps},
        "own_adam_s": {n: own_per_step * n for n in steps},
        "adam_energy": {n: float(energy(x.flatten(0, 1), flat, flat_v, lengths).sum()) for n, x in adam.items()},
        "adam_gradient": {n: gradient_norm(energy, x.flatten(0, 1), flat, flat_v, lengths) for n, x in adam.items()},
    }


def run_trials(names: list[str], trials: int, steps: int) -> dict[str, Any]:
    """Energies of `trials` seeded people of 30 to 240 frames, the settings in turn: fast / Adam - 1 of each."""
    differences: dict[str, list[float]] = {name: [] for name in names}
    rng = np.random.default_rng(0)
    for trial in range(trials):
        name = names[trial % len(names)]
        energy = PublishedEnergy(**ENERGIES[name])
        x0, v = outlier_person(int(rng.integers(30, 240)), seed=1000 + trial)
        adam = run_adam(energy, x0[None], v[None], [steps])[0][steps][0]
        lengths = torch.tensor([len(x0)])
        reached = minimise_fast(energy, x0, v, lengths).energy_after
        differences[name].append(float(reached / energy(adam, x0, v, lengths) - 1))
    return {"steps": steps, "differences": differences}


def first_call_seconds() -> float:
    """Seconds of a new process from before its imports of torch and the solver to the end of a first small call."""
    code = (
        "import time; s = time.perf_counter(); "
        "from benchmarks.refinement_speed import PublishedEnergy, minimise_fast, outlier_person, torch; "
        "minimise_fast(PublishedEnergy(), *outlier_person(100, 1), torch.tensor([100])); print(time.perf_counter() - s)"
    )
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def figures(sizes: Sequence[float], frames: int = FRAMES) -> Iterator[Figure]:
    """Seconds that refining all people takes, on one thread, against Adam steps (timed: a few of them)."""
    threads, energy = torch.get_num_threads(), PublishedEnergy()
    torch.set_num_threads(1)
    try:
        for size in sizes:
            people, each = max(1, round(frames * size / EACH)), min(EACH, max(30, round(frames * size)))
            made = [outlier_person(each, seed % 100) for seed in range(people)]
            x0, v = torch.stack([x for x, _ in made]), torch.stack([v for _, v in made])
            work = (energy, x0.flatten(0, 1), v.flatten(), torch.full((people,), each))
            minimise_fast(*work)
            with PeakMemory() as peak:
                minimise_fast(*work)
            ours = seconds_of(lambda work=work: minimise_fast(*work), rounds=1 if size > 1 else 3)
            batches = list(zip(x0.split(TOGETHER), v.split(TOGETHER), strict=True))
            theirs = STEPS * sum(min(run_adam(energy, *own, [TIMED_STEPS])[1] for _ in range(2)) for own in batches)
            yield Figure(
                "refinement/published energy", size, people * each, "person-frames", ours, "s",
                f"{STEPS} Adam steps, {TIMED_STEPS} of them timed", theirs, theirs / ours, peak.mib,
            )  # fmt: skip
    finally:
        torch.set_num_threads(threads)


def print_row(name: str, row: dict[str, Any]) -> None:
    print(f"\n{name}: {row['people']} people of {row['frames']} frames")
    print(f"  {'':22}{'seconds':>12}{'fast is':>12}{'energy':>16}{'above fast':>13}{'|gradient|':>12}")
    print(f"  {'fast':22}{row['fast_s']:12.5f}{'':12}{row['fast_energy']:16.6f}{'':13}{row['fast_gradient']:12.1e}")
    for n, s in row["adam_s"].items():
        above = row["adam_energy"][n] / row["fast_energy"] - 1
        print(
            f"  {f'torch Adam, {n} steps':22}{s:12.3f}{s / row['fast_s']:11.0f}x{row['adam_energy'][n]:16.6f}"
            f"{above:13.1e}{row['adam_gradient'][n]:12.1e}"
        )
    for n, s in row["own_adam_s"].items():
        print(f"  {f'adam.py, {n} steps':22}{s:12.3f}{s / row['fast_s']:11.0f}x")


def print_trials(result: dict[str, Any]) -> None:
    print(f"\nEnergy of fast relative to {result['steps']} Adam steps")
    print(f"  {'':32}{'trials':>7}{'> 1e-6':>8}{'largest':>11}{'mean':>11}")
    everything = [d for values in result["differences"].values() for d in values]
    for name, values in [*result["differences"].items(), ("all", everything)]:
        if values:
            worse = sum(value > 1e-6 for value in values)
            print(f"  {name:32}{len(values):7}{worse:8}{max(values):11.1e}{sum(values) / len(values):11.1e}")


def main(words: list[str] | None = None) -> dict[str, Any]:
    """Run what the words of the command line ask for, print it, return it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, nargs="*", default=[200, 2000, 20000], help="lengths of one person")
    parser.add_argument("--people", type=int, default=10, help="so many people of --people-frames; 0: none")
    parser.add_argument("--people-frames", type=int, default=300)
    parser.add_argument("--steps", type=int, nargs="+", default=[500, 2000], help="of Adam")
    parser.add_argument("--energy", nargs="+", choices=list(ENERGIES), default=["paper"])
    parser.add_argument("--repeats", type=int, default=20, help="runs of the fast solver, of which the best counts")
    parser.add_argument("--trials", type=int, default=0, help="compare energies of so many people instead")
    parser.add_argument("--no-first-call", action="store_true", help="do not time the first call in a new process")
    parser.add_argument("--json", help="write all numbers to this file")
    given = parser.parse_args(words)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    results: dict[str, Any] = {"rows": {}}
    try:
        if not given.no_first_call:
            results["first_call_s"] = first_call_seconds()
            print(f"a new process, imports and a first call: {results['first_call_s']:.1f} s")
        if given.trials:
            results["trials"] = run_trials(list(ENERGIES), given.trials, max(given.steps))
            print_trials(results["trials"])
        else:
            sizes = [(1, n) for n in given.frames] + [(given.people, given.people_frames)] * bool(given.people)
            for name in given.energy:
                for people, frames in sizes:
                    row = compare(PublishedEnergy(**ENERGIES[name]), people, frames, given.steps, given.repeats)
                    results["rows"][f"{name}/{people}x{frames}"] = row
                    print_row(name, row)
    finally:
        torch.set_num_threads(threads)
    if given.json:
        with open(given.json, "w") as file:
            json.dump(results, file, indent=1)
    return results


if __name__ == "__main__":
    main()
