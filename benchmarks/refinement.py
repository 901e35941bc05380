"""Accuracy and time of every option of `refinement=`, in one run:

    python -m benchmarks.refinement                  # four minutes on one core, the first time eleven
    python -m benchmarks.refinement --quick          # seconds; the numbers mean nothing
    python -m benchmarks.refinement --json FILE      # all numbers
    python -m benchmarks.refinement --write-docs     # writes docs/refinement_results.md
    python -m benchmarks.refinement --retune         # searches the settings of the re-tuned options again

Data: `procedural`, the embedded stand-in's own motions, and, where ../shared/mocap is beside the checkout, `cmu`, real
motion capture. Detections, occlusion and cameras are simulated in both. Errors: of a lifter that was trained on other
motions (`lifter`; the one that counts) and three kinds of simulated noise (benchmarks/error_sources.py).

A frame is occluded where the person is not detected or less than half of the joints are in sight; the length of an
occlusion is counted in such frames. Intervals: 95%, bootstrap over the scenes of all seeds; `cmu` rests on six clips of
three people, so they tell how sure the numbers are for these clips, not for people at large.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from benchmarks import error_sources as sources
from benchmarks.error_sources import MOCAP, REPO, SIMULATED, LifterSettings, Motions, Scene, frame_visible
from pose.metrics.occlusion import PARTS, occlusion_lengths
from refinement.refiner import Refiner

CONF = REPO / "conf" / "refinement"
DOCS = REPO / "docs" / "refinement_results.md"

#: In the order of the tables; those without a file in conf/refinement are left out.
OPTIONS = (
    "none", "interpolation", "one_euro", "savitzky_golay", "gaussian", "kalman_rts", "paper", "paper_retuned",
    "energy_fast", "occlusion",
)  # fmt: skip
METRICS = ("mrpe_mm", "mpjpe_mm")
COLUMNS = ("all", *PARTS)
ERRORS = {"lifter": "a lifter's own errors, trained on other motions", **SIMULATED}
DATA = {
    "cmu": "real motion capture (CMU), clips that neither training nor tuning saw; simulated cameras and detections",
    "procedural": "the embedded stand-in: procedural motions, simulated cameras and detections",
}
BOOTSTRAPS = 1000


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    seeds: int = 3
    scenes: int = 16
    frames: int = 300
    lifter: LifterSettings = field(default_factory=LifterSettings)


QUICK = Size(seeds=1, scenes=2, frames=60, lifter=LifterSettings(2, 60, 16, (3, 3), 1, 64))


def options() -> dict[str, Refiner]:
    """Every option of `refinement=` that is there, by name."""
    return {name: option(name) for name in OPTIONS if (CONF / f"{name}.yaml").is_file()}


def option(name: str, **changes: Any) -> Refiner:
    """`refinement=name` with some of its keys changed."""
    return instantiate(OmegaConf.merge(OmegaConf.load(CONF / f"{name}.yaml"), changes))


def motions(data: str, part: str) -> Motions:
    """Motions of a set of DATA for `train`, `tune` or `report`."""
    return sources.mocap_clips(part) if data == "cmu" else sources.procedural_motions


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
    """Refined scenes and microseconds per frame and person."""
    people = [person for scene in predicted for person in scene]
    result = method(people)
    refined = iter(result.sequences)
    return [[next(refined) for _ in scene] for scene in predicted], 1e6 * result.seconds / sum(map(len, people))


def predictions(data: str, error: str, seed: int, size: Size, lifter: Any, part: str = "report") -> tuple:
    """Scenes and their predictions with one kind of errors."""
    # Seeds of the parts are far apart, so that procedural scenes, which are not split by clip, differ too.
    seed += {"report": 0, "tune": 500}[part]
    scenes = sources.make_scenes(motions(data, part), size.scenes, seed, size.frames)
    if error == "lifter":
        return scenes, sources.lifter_errors(scenes, lifter)
    return scenes, sources.simulated_errors(scenes, error, seed)


def measure(data: str, size: Size, cache: Path) -> Iterator[tuple[str, dict[str, np.ndarray], dict[str, float]]]:
    """For each kind of errors: its name, sums (scenes, 3, columns) of each option, microseconds of each option."""
    lifter = sources.trained_lifter(motions(data, "train"), size.lifter, cache)
    methods = options()
    warm = sources.make_scenes(sources.procedural_motions, 1, 1, 60)
    for method in methods.values():  # what is compiled is compiled now
        refined_scenes(method, sources.simulated_errors(warm, "wrong", 0))
    for error in ERRORS:
        sums: dict[str, list[np.ndarray]] = {name: [] for name in methods}
        times: dict[str, list[float]] = {name: [] for name in methods}
        for seed in range(size.seeds):
            scenes, predicted = predictions(data, error, seed, size, lifter)
            for name, method in methods.items():
                refined, microseconds = refined_scenes(method, predicted)
                sums[name] += [scene_sums(*pair) for pair in zip(scenes, refined, strict=True)]
                times[name].append(microseconds)
        yield error, {n: np.stack(s) for n, s in sums.items()}, {n: float(np.median(t)) for n, t in times.items()}


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


def summary(sums: dict[str, np.ndarray], times: dict[str, float]) -> dict[str, Any]:
    """All numbers of one table: per option and metric the parts with mean and interval, and changes in percent."""
    table: dict[str, Any] = {}
    draws = {name: resampled(values) for name, values in sums.items()}
    for name, values in sums.items():
        row: dict[str, Any] = {"microseconds_per_frame": times[name]}
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
        table[name] = row
    return {"frames": dict(zip(COLUMNS, sums["none"][:, 2].sum(0).tolist(), strict=True)), "options": table}


# --- telling ---------------------------------------------------------------------------------------------------------


def tables(data: str, error: str, found: dict[str, Any]) -> list[str]:
    """Markdown lines of one kind of errors."""
    frames = found["frames"]
    lines = [f"### {data}: {ERRORS[error]}", ""]
    lines += ["Frames: " + ", ".join(f"{name} {int(n)}" for name, n in frames.items() if n) + ".", ""]
    lengths = [column for column in list(PARTS)[2:] if frames[column]]
    for metric in METRICS:
        head = [metric, "all", "visible", "occluded", *(c.removeprefix("occluded_").replace("_", "-") for c in lengths)]
        head += ["visible against none, %", "visible against paper, %", "occluded against paper, %"]
        rows = []
        for name, row in found["options"].items():
            cells = [_cell(row[metric].get(column), 0) for column in ("all", "visible", "occluded")]
            cells += [f"{row[metric][column]['mean']:.0f}" for column in lengths]
            changes = ("visible_against_none_pct", "visible_against_paper_pct", "occluded_against_paper_pct")
            rows.append([name, *cells, *(_cell(row[metric][change], 1) for change in changes)])
        lines += [*_markdown(head, rows), ""]
    return lines


def _cell(value: dict[str, Any] | None, digits: int) -> str:
    if value is None or not np.isfinite(value["mean"]):
        return ""
    low, high = value["interval"]
    return f"{value['mean']:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _markdown(head: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return [line(head), line(["-" * width for width in widths]), *map(line, rows)]


def time_table(results: dict[str, Any]) -> list[str]:
    found = {data: per_error["lifter"]["options"] for data, per_error in results.items()}
    head = ["microseconds per frame and person", *found]
    names = next(iter(found.values()))
    rows = [[name, *(f"{rows[name]['microseconds_per_frame']:.0f}" for rows in found.values())] for name in names]
    return ["### Time, one thread", "", *_markdown(head, rows), ""]


ABOUT = """# Results of the refinements

Written by `python -m benchmarks.refinement --write-docs`; do not edit. mm, mean with 95% bootstrap interval over
scenes; `mrpe_mm` is the error of the hip, `mpjpe_mm` that of the joints relative to it. **Nothing here is MuPoTS-3D or
any other published benchmark**: cameras, occlusion and 2D detections are simulated.

- `cmu`: {cmu}.
  Six clips of three people: the intervals say how sure the numbers are for these clips, not for people at large. The
  lifter is a small one, trained for minutes.
- `procedural`: {procedural}.
- A frame is occluded where the person is not detected or less than half of the joints are in sight. Columns such as
  `6-15`: occlusions that last so many frames (30 per second).
- `paper_retuned`, and the settings of the baselines, were found by a search on the lifter's errors on the `cmu` clips
  for tuning (`--retune`), which are other clips than those of training and of this report.
- `paper` and `energy_fast` have the same energy; where its caps are active the two may end in different minima.
"""


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Accuracy and time of every refinement")
    parser.add_argument("--quick", action="store_true", help="tiny, for a test")
    parser.add_argument("--data", choices=list(DATA), help="one set only")
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    parser.add_argument("--write-docs", action="store_true", help=f"write {DOCS.relative_to(REPO)}")
    parser.add_argument("--retune", action="store_true", help="search settings and write them to conf/refinement")
    parser.add_argument("--cache", type=Path, default=sources.LIFTERS, help="where trained lifters are kept")
    parser.add_argument("--seeds", type=int, help="how many seeds")
    parser.add_argument("--lifter-scenes", type=int, help="scenes that the lifter is trained on")
    parser.add_argument("--lifter-epochs", type=int, help="epochs that it is trained for")
    arguments = parser.parse_args(words)
    torch.set_num_threads(1)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    size = QUICK if arguments.quick else Size()
    lifter = dataclasses.replace(
        size.lifter,
        scenes=arguments.lifter_scenes or size.lifter.scenes,
        epochs=arguments.lifter_epochs or size.lifter.epochs,
    )
    size = dataclasses.replace(size, seeds=arguments.seeds or size.seeds, lifter=lifter)
    if arguments.retune:
        from benchmarks.retune import retune

        retune(size, arguments.cache)
        return
    sets = [data for data in DATA if arguments.data in (None, data) and (data != "cmu" or MOCAP.is_file())]
    results, lines = {}, []
    for data in sets:
        results[data] = {}
        lines += [f"## {data}", "", f"{DATA[data]}.", ""]
        print("\n".join(lines[-4:]))
        for error, sums, times in measure(data, size, arguments.cache):
            results[data][error] = summary(sums, times)
            lines += (new := tables(data, error, results[data][error]))
            print("\n".join(new), flush=True)
    lines += time_table(results)
    print("\n".join(time_table(results)))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))
    if arguments.write_docs:
        DOCS.write_text("\n".join([ABOUT.format(**DATA), *lines]).rstrip() + "\n")


if __name__ == "__main__":
    main()
