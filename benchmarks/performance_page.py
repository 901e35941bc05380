"""docs/performance.md, from the figures of `make bench`: what users wait for. Every number in it is a figure's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure
from benchmarks.run import number, write

HEAD = """# Performance

Written by `make bench`; do not edit. Each line is a ratio of two things timed in one run on one machine: this software,
and what one would use instead. **Memory** is what the work adds to the process.

Machine: {processor}, {cores} threads, {vectors}; torch {torch}, Python {python}, {system}.
"""
#: What the page calls the figures that it shows; all are in outputs/bench/figures.jsonl.
SHOWN = {
    "start/run.py --help": "`run.py --help` answers",
    "start/predict": "`predict` on the example's 2D keypoints, from the command to its files",
    "predict/frames": "`predict`, one person: 2D keypoints to refined trajectories",
    "predict/crowd": "`predict`, a crowd",
    "predict/tracking": "tracking alone, a larger crowd",
    "pictures/both videos": "overlay and animation of three people, 960 px",
    "refine/published energy": "`refinement=energy_fast`",
    "evaluate/mupots_3d": "`evaluate` of a predictions file, MuPoTS-3D protocol",
    "read/mpi_inf_3dhp": "reading MPI-INF-3DHP",
    "read/muco_temp": "reading MuCo-Temp",
    "train/windows": "making all training windows once",
}
COLUMNS = ("what you wait for", "how much", "seconds", "instead", "its seconds", "times as fast", "memory")


def cost_s(figure: Figure, value: float) -> float:
    """Seconds for all of it, of the figure's value or of its reference's."""
    return value if figure.unit == "s" else figure.count / value


def times(large: float | None, small: float | None) -> str:
    return f"{number(large / small)}x" if large and small else ""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def page(figures: Sequence[Figure], machine: dict[str, Any]) -> str:
    """The whole text."""
    rows, grown = [], []
    for name, words in SHOWN.items():
        own = sorted((figure for figure in figures if figure.name == name), key=lambda figure: figure.size)
        if not own:
            continue
        small, last = own[0], own[-1]
        ours, theirs = (cost_s(last, value) for value in (last.value, last.reference_value))
        memory = "" if last.peak_mib is None else f"{number(last.peak_mib)} MiB"
        count = f"{last.count:,} {last.of}"
        rows.append([words, count, number(ours), last.reference, number(theirs), times(theirs, ours), memory])
        if last.count > small.count:
            cost = times(ours, cost_s(small, small.value))
            grown.append([words, f"{small.count:,} to {last.count:,} {last.of}", times(last.count, small.count), cost,
                          times(last.peak_mib, small.peak_mib)])  # fmt: skip
    lines = [HEAD.format(**machine), *table(COLUMNS, rows), "", "## Cost against size", ""]
    lines += ["Time and memory are linear where they grow as the count does.", ""]
    return "\n".join([*lines, *table(("what", "from, to", "count", "time", "memory"), grown), ""])


def write_page(figures: Sequence[Figure], machine: dict[str, Any], docs: Path) -> None:
    """docs/performance.md."""
    write(docs / "performance.md", page(figures, machine))
