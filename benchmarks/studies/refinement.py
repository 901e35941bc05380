"""Accuracy and time of every option of `refinement=`, in one run:

    python -m benchmarks.studies.refinement                  # minutes on one core
    python -m benchmarks.studies.refinement --quick          # seconds; the numbers mean nothing
    python -m benchmarks.studies.refinement --json FILE      # all numbers
    python -m benchmarks.studies.refinement --write-docs     # writes docs/refinement_results.md

Data: `motion`, real motion of people that neither the lifter nor any setting was trained on, where ../shared/motion is
beside the checkout, and `procedural`, the motions of the synthetic data. Detections, occlusion and cameras are
simulated in both. Errors: the pretrained lifter's (`lifter`; the one that counts) and three kinds of simulated noise
(benchmarks/studies/error_sources.py). What else is seen of motion is in benchmarks/studies/refinement_motion.py.

A frame is occluded where the person is not detected or less than half of the joints are in sight; the length of an
occlusion is counted in such frames. Intervals: 95%, bootstrap over the scenes of all seeds.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from benchmarks.studies import error_sources as sources
from benchmarks.studies.error_sources import MOTION, REPO, Motions, Scene, frame_visible
from benchmarks.studies.refinement_coverage import coverage_counts
from benchmarks.studies.refinement_page import ABOUT, DATA, ERRORS, METRICS, draw, motion_table, tables, time_table
from pose.metrics.occlusion import PARTS, occlusion_lengths
from refinement.refiner import Refiner

CONF = REPO / "conf" / "refinement"
DOCS = REPO / "docs" / "refinement_results.md"

#: In the order of the tables; those without a file in conf/refinement are left out.
OPTIONS = (
    "none", "interpolation", "one_euro", "savitzky_golay", "gaussian", "kalman_rts", "paper",
    "energy_fast", "occlusion",
)  # fmt: skip
COLUMNS = ("all", *PARTS)
BOOTSTRAPS = 1000
PARTS_OF_MOTION = {"tune": "train", "report": "test"}


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    seeds: int = 3
    scenes: int = 16
    frames: int = 300


QUICK = Size(seeds=1, scenes=2, frames=60)


def options() -> dict[str, Refiner]:
    """Every option of `refinement=` that is there, by name."""
    return {name: option(name) for name in OPTIONS if (CONF / f"{name}.yaml").is_file()}


def option(name: str, **changes: Any) -> Refiner:
    """`refinement=name` with some of its keys changed."""
    return instantiate(OmegaConf.merge(OmegaConf.load(CONF / f"{name}.yaml"), changes))


def motions(data: str, part: str) -> Motions:
    """Motions of a set of DATA for `tune` or `report`."""
    return sources.motion_clips(PARTS_OF_MOTION[part]) if data == "motion" else sources.procedural_motions


# --- measuring -------------------------------------------------------------------------------------------------------


def scene_sums(truth: Scene, predicted: Scene) -> np.ndarray:
    """Sums of both errors and numbers of frames in each of COLUMNS: (3, columns)."""
    sums = np.zeros((3, len(COLUMNS)))
    for true, guess in zip(truth, predicted, strict=True):
        error = guess.poses_3d - true.poses_3d  # type: ignore[operator]
        root = error[:, sources.ROOT]
        values = torch.stack([root.norm(dim=-1), (error - root[:, None]).norm(dim=-1).mean(1), torch.ones(len(root))])
        lengths = occlusion_lengths(frame_visible(true))
        for column, (shortest, longest) in enumerate([(0, None), *PARTS.values()]):
            chosen = true.annotated & (lengths >= shortest)
            if longest is not None:
                chosen &= lengths <= longest
            sums[:, column] += values[:, chosen].double().sum(1).numpy()
    return sums


def refined_scenes(method: Refiner, predicted: list[Scene]) -> tuple[list[Scene], float]:
    """Refined scenes, microseconds of processor time per frame and person."""
    people = [person for scene in predicted for person in scene]
    start = time.process_time()
    refined = iter(method(people).sequences)
    taken = time.process_time() - start
    return [[next(refined) for _ in scene] for scene in predicted], 1e6 * taken / sum(map(len, people))


def predictions(data: str, error: str, seed: int, size: Size, part: str = "report") -> tuple:
    """Scenes and their predictions with one kind of errors."""
    # Seeds of the parts are far apart, so that procedural scenes, which are not split by clip, differ too.
    seed += {"report": 0, "tune": 500}[part]
    scenes = sources.make_scenes(motions(data, part), size.scenes, seed, size.frames)
    if error == "lifter":
        return scenes, sources.lifter_errors(scenes)
    return scenes, sources.simulated_errors(scenes, error, seed)


@dataclass(frozen=True, eq=False)
class Measured:
    """By option: sums (scenes, 3, columns), microseconds per frame, `coverage_counts` where it states std_mm."""

    sums: dict[str, np.ndarray]
    times: dict[str, float]
    coverage: dict[str, np.ndarray]


def measure(data: str, size: Size) -> Iterator[tuple[str, Measured]]:
    """For each kind of errors its name and what was measured."""
    methods = options()
    warm = sources.make_scenes(sources.procedural_motions, 1, 1, 60)
    for method in methods.values():  # what is imported late is imported now
        refined_scenes(method, sources.simulated_errors(warm, "wrong", 0))
    for error in ERRORS:
        sums: dict[str, list[np.ndarray]] = {name: [] for name in methods}
        times: dict[str, list[float]] = {name: [] for name in methods}
        coverage: dict[str, np.ndarray] = {}
        for seed in range(size.seeds):
            scenes, predicted = predictions(data, error, seed, size)
            for name, method in methods.items():
                refined, microseconds = refined_scenes(method, predicted)
                truth, people = ([person for scene in part for person in scene] for part in (scenes, refined))
                if all(person.std_mm is not None for person in people):
                    counts = coverage_counts(truth, people)
                    coverage[name] = coverage.get(name, 0) + counts
                sums[name] += [scene_sums(*pair) for pair in zip(scenes, refined, strict=True)]
                times[name].append(microseconds)
        yield (
            error,
            Measured(
                {name: np.stack(values) for name, values in sums.items()},
                {name: float(np.median(values)) for name, values in times.items()},
                coverage,
            ),
        )


def motion_figures() -> dict[str, dict[str, float]]:
    """By option: what refinement_motion.py prints, of test subjects."""
    from benchmarks.studies import refinement_motion as motion

    made = motion.material("test", sources.LIFTER)
    return {name: motion.all_figures(made, option(name)) for name in ("none", "paper", "occlusion")}


# --- statistics ------------------------------------------------------------------------------------------------------


def means(sums: np.ndarray) -> np.ndarray:
    """Sums (..., scenes, 3, columns) -> mean errors (..., 2, columns) over the frames of all scenes."""
    total = sums.sum(-3)
    with np.errstate(invalid="ignore"):
        return total[..., :2, :] / total[..., 2:, :]


def resampled(sums: np.ndarray) -> np.ndarray:
    """Mean errors (BOOTSTRAPS, 2, columns) of scenes drawn with replacement, the same draws for every option."""
    counts = np.random.default_rng(0).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), BOOTSTRAPS)
    return means(np.tensordot(counts.astype(float), sums, axes=1)[:, None])


def interval(values: np.ndarray) -> list[float]:
    return np.nanpercentile(values, [2.5, 97.5], axis=0).tolist()


def summary(measured: Measured) -> dict[str, Any]:
    """All numbers of one table: per option and metric the parts with mean and interval, and changes in percent."""
    sums, table = measured.sums, {}
    draws = {name: resampled(values) for name, values in sums.items()}
    for name, values in sums.items():
        row: dict[str, Any] = {"microseconds_per_frame": measured.times[name]}
        for m, metric in enumerate(METRICS):
            row[metric] = {}
            for c, column in enumerate(COLUMNS):
                if np.isfinite(mean := means(values)[m, c]):
                    row[metric][column] = {"mean": float(mean), "interval": interval(draws[name][:, m, c])}
            for other, column in (("none", "visible"), ("paper", "visible"), ("paper", "occluded")):
                c = COLUMNS.index(column)
                change = 100 * (means(values)[m, c] / means(sums[other])[m, c] - 1)
                spread = interval(100 * (draws[name][:, m, c] / draws[other][:, m, c] - 1))
                row[metric][f"{column}_against_{other}_pct"] = {"mean": float(change), "interval": spread}
        if name in measured.coverage:
            row["coverage"] = measured.coverage[name].tolist()
        table[name] = row
    return {"frames": dict(zip(COLUMNS, sums["none"][:, 2].sum(0).tolist(), strict=True)), "options": table}


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Accuracy and time of every refinement")
    parser.add_argument("--quick", action="store_true", help="tiny, for a test")
    parser.add_argument("--data", choices=list(DATA), help="one set only")
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    parser.add_argument("--write-docs", action="store_true", help=f"write {DOCS.relative_to(REPO)} and its picture")
    parser.add_argument("--seeds", type=int, help="how many seeds")
    arguments = parser.parse_args(words)
    torch.set_num_threads(1)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    size = QUICK if arguments.quick else Size(seeds=arguments.seeds or Size.seeds)
    sets = [data for data in DATA if arguments.data in (None, data) and (data != "motion" or MOTION.is_dir())]
    results, lines = {}, []
    for data in sets:
        results[data] = {}
        lines += [f"## {data}", "", f"{DATA[data]}.", ""]
        print("\n".join(lines[-4:]))
        for error, measured in measure(data, size):
            results[data][error] = summary(measured)
            lines += (new := tables(data, error, results[data][error]))
            print("\n".join(new), flush=True)
        if data == "motion" and not arguments.quick:
            lines += (new := motion_table(motion_figures()))
            print("\n".join(new), flush=True)
    lines += time_table(results)
    print("\n".join(time_table(results)))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))
    if arguments.write_docs:
        DOCS.write_text("\n".join([ABOUT.format(**DATA), *lines]).rstrip() + "\n")
        draw(results, DOCS.parent / "images" / "refinement.png")


if __name__ == "__main__":
    main()
