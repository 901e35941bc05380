"""The tables of `python -m benchmarks.studies.refinement` as Markdown, a picture, and what its page says of them."""

from __future__ import annotations

from pathlib import Path
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
    return ["### Processor time, one thread", "", *_markdown(head, rows), ""]


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


def draw(results: dict[str, Any], path: Path) -> None:
    """The hip's error in visible (pale) and occluded frames (dark) by option, of each set's lifter, with intervals."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(results), sharey=True, squeeze=False)[0]
    for panel, (data, errors) in zip(panels, results.items(), strict=True):
        options = errors["lifter"]["options"]
        for column, colour, offset in (("visible", "#56B4E9", -0.2), ("occluded", "#0072B2", 0.2)):
            values = [row["mrpe_mm"][column] for row in options.values()]
            mean = np.array([value["mean"] for value in values])
            ends = np.abs(np.array([value["interval"] for value in values]).T - mean)
            places = np.arange(len(values)) + offset
            panel.barh(places, mean, 0.4, xerr=ends, color=colour, ecolor="#333333", label=f"{column} frames")
        panel.set_title(f"{data}: a lifter's own errors", fontsize=9)
        panel.set_xlabel("MRPE, mm", fontsize=8)
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_yticks(range(len(options)), list(options))
    panels[0].invert_yaxis()
    panels[-1].legend(fontsize=7, frameon=False)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=100)


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

![Error of the hip in visible and occluded frames, by option](images/refinement.png)
"""
