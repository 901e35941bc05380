"""The fixed-lag mode of `refinement=occlusion`: its cost per frame and what it loses, in one run:

    python -m benchmarks.studies.refinement_lag                   # two minutes on one core
    python -m benchmarks.studies.refinement_lag --quick           # seconds; the accuracy means nothing
    python -m benchmarks.studies.refinement_lag --json FILE       # all numbers

Cost: milliseconds of processor time of single frames of a stream, median and longest of 100 frames: early, as soon as
the window is full, and at the end. They should depend neither on the place nor on the length.

Accuracy: the pretrained lifter's errors on people that neither its training nor tuning saw (error_sources.py), of
../shared/motion where it is beside the checkout and of the synthetic data otherwise. `paper` (solved by energy_fast)
sees all frames too and is for comparison.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.studies import error_sources as sources
from benchmarks.studies import refinement as benchmark
from pose.sequence import PoseSequence
from refinement.occlusion.fixed_lag import HISTORY_S, frame_of_stream
from refinement.occlusion.foothold import Foothold
from refinement.occlusion.model import OcclusionRefinement
from refinement.occlusion.person import Person

LAG = 15
LENGTHS = (300, 3000)
BLOCK = 100
COLUMNS = ("all", "visible", "occluded")


def stream(frames: int, seed: int) -> PoseSequence:
    """One walker of the synthetic data with simulated errors, of so many frames."""
    (scene,) = sources.make_scenes(sources.procedural_motions, 1, seed, frames)
    return sources.simulated_errors([scene], "clean", seed)[0][0]


def cost(frames: int, lag: int) -> dict[str, float]:
    """Milliseconds of a frame in a stream of `frames`, early and late: the median and the longest."""
    method, person = OcclusionRefinement(lag=lag), Person.of(stream(frames, 0))
    full = round(HISTORY_S * person.fps)
    found = {}
    for name, first in (("early", full), ("late", frames - lag - BLOCK)):
        times, foothold = [], Foothold(person.fps)
        for frame in range(first, min(first + BLOCK, frames - lag)):
            start = time.process_time()
            frame_of_stream(method, person, frame, lag, foothold)
            times.append(1e3 * (time.process_time() - start))
        found[name], found[f"{name}_longest"] = float(np.median(times)), max(times)
    return found


def accuracy(data: str, size: benchmark.Size, lag: int) -> dict[str, Any]:
    """Mean errors of each way, mm, and the fixed lag's change against offline in percent with its interval."""
    methods = {
        "none": benchmark.option("none"),
        "paper": benchmark.option("energy_fast"),
        "offline": OcclusionRefinement(),
        f"lag {lag}": OcclusionRefinement(lag=lag),
    }
    scenes, predicted = benchmark.predictions(data, "lifter", 0, size)
    sums = {}
    for name, method in methods.items():
        refined, *_ = benchmark.refined_scenes(method, predicted)
        sums[name] = np.stack([benchmark.scene_sums(*pair) for pair in zip(scenes, refined, strict=True)])
    draws = {name: benchmark.resampled(values) for name, values in sums.items()}
    table: dict[str, Any] = {}
    for m, metric in enumerate(benchmark.METRICS):
        table[metric] = {}
        for name, values in sums.items():
            row = {column: float(benchmark.means(values)[m, c]) for c, column in enumerate(COLUMNS)}
            change = 100 * (row["visible"] / float(benchmark.means(sums["offline"])[m, 1]) - 1)
            spread = benchmark.interval(100 * (draws[name][:, m, 1] / draws["offline"][:, m, 1] - 1))
            table[metric][name] = {**row, "visible_against_offline_pct": change, "interval": spread}
    return table


def main(words: list[str] | None = None) -> dict[str, Any]:
    """Run what the words of the command line ask for, print it, return it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny, for a test")
    parser.add_argument("--lag", type=int, default=LAG, help="frames")
    parser.add_argument("--scenes", type=int, default=8, help="how many scenes the accuracy is measured on")
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    given = parser.parse_args(words)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        quick = benchmark.QUICK
        size = quick if given.quick else benchmark.Size(scenes=given.scenes)
        data = "motion" if sources.MOTION.is_dir() and not given.quick else "procedural"
        warm = OcclusionRefinement()
        warm([stream(60, 1)])
        costs = {frames: cost(frames, given.lag) for frames in LENGTHS}
        print(f"Fixed lag of {given.lag} frames: ms of processor time per frame and person (median; longest)")
        for frames, found in costs.items():
            early, late = (f"{found[n]:.2f}; {found[f'{n}_longest']:.2f}" for n in ("early", "late"))
            print(f"  stream of {frames} frames: early {early}, late {late}")
        errors = accuracy(data, size, given.lag)
        print(f"\n{data}: a lifter's own errors, mm")
        print(f"  {'':20}{'all':>8}{'visible':>9}{'occluded':>10}   visible against offline, %")
        for metric, rows in errors.items():
            for name, row in rows.items():
                low, high = row["interval"]
                print(
                    f"  {metric + ' ' + name:20}{row['all']:8.0f}{row['visible']:9.1f}{row['occluded']:10.1f}   "
                    f"{row['visible_against_offline_pct']:.1f} [{low:.1f}, {high:.1f}]"
                )
    finally:
        torch.set_num_threads(threads)
    results = {"lag": given.lag, "ms_per_frame": costs, "data": data, "errors": errors}
    if given.json:
        given.json.write_text(json.dumps(results, indent=1))
    return results


if __name__ == "__main__":
    main()
