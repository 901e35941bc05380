"""The tables of `python -m benchmarks.studies.refinement` as Markdown, and what its page says of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.studies.error_sources import SIMULATED
from benchmarks.studies.refinement_coverage import PARTS as COVERED_PARTS
from benchmarks.studies.refinement_coverage import coverage_rows
from pose.metrics.occlusion import PARTS

METRICS = ("mrpe_mm", "mpjpe_mm")
ERRORS = {"lifter": "the pretrained lifter's errors", **SIMULATED}
DATA = {
    "motion": "real motion of people that neither training nor tuning saw; simulated cameras and detections",
    "procedural": "synthetic data: procedural motions, simulated cameras and detections",
}


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
    for name, row in found["options"].items():
        if "coverage" in row:
            head = [f"{name}: % within 1, 2 std", "all", *COVERED_PARTS]
            lines += [*_markdown(head, coverage_rows(np.array(row["coverage"]))), ""]
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


#: Name of a figure of refinement_motion.py -> what it is.
FIGURES = {
    "mrpe >60": "hip in occlusions of over 60 frames, mm",
    "mpjpe >60": "joints relative to it, mm",
    "wrong >60": "hip where the detections are another person's for over 60 frames (simulated errors), mm",
    "acc": "acceleration error, m/s²",
    "p95 speed": "95th percentile of joint speed against the truth's",
    "stroke": "wrist beside a made-up stroke of 25 m/s², mm",
    "slide": "feet that rest move, mm a frame",
    "own floor": "feet that rest over the floor that was found, mm",
    "bone sd": "bone lengths vary, %",
    "ms/100": "ms for 100 person-frames",
}


def motion_table(figures: dict[str, dict[str, float]]) -> list[str]:
    rows = [
        [text, *(f"{row[key]:.3g}" if key in row else "" for row in figures.values())] for key, text in FIGURES.items()
    ]
    return ["### motion: gaps, speed, feet and bones", "", *_markdown(["ten scenes of 300 frames", *figures], rows), ""]


ABOUT = """# Results of the refinements

Written by `python -m benchmarks.studies.refinement --write-docs`; do not edit. mm, mean with 95% bootstrap interval
over scenes; `mrpe_mm` is the error of the hip, `mpjpe_mm` that of joints relative to it. **Nothing here is MuPoTS-3D
or any other published benchmark**: cameras, occlusion and 2D detections are simulated.

- `motion`: {motion}.
- `procedural`: {procedural}.
- A frame is occluded where the person is not detected or less than half of the joints are in sight. Columns such as
  `6-15`: occlusions that last so many frames (30 per second).
- The settings of the baselines were found by a search on a small lifter's errors on other CMU clips.
- `% within 1, 2 std`: how often a joint's error, its root mean square over the coordinates, is within one and two
  standard deviations as the option states them; 68 and 95 were right. `observed` is what the option says of a joint.
- `paper` and `energy_fast` have the same energy; where its caps are active the two may end in different minima.
"""
