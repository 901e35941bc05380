"""docs/performance.md and its plot, from the figures of `make bench`. Every number in them is a figure's."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure
from benchmarks.run import number, row, write
from fileio.atomic import atomic_path

HEAD = """# Performance

Written by `make bench`; do not edit. Every figure is a ratio of two things timed in one run on one machine: what this
software does, and a plain way to the same result. **Size** is a fraction of the real data set's; **ratio** says how
many times better than the reference it is (where the reference is a limit, such as the matrix peak, the fraction of it
that is reached); **peak memory** is what the measured work adds to the process, where that was measured. The same
figures, one JSON line each, are in `outputs/bench/figures.jsonl`.

{machine}
"""
#: What stands above each group's table.
ABOUT = {
    "start-up": """\
Until `python run.py --help` has answered (memory: of the whole process). Heavy packages are imported by the
task that needs them.""",
    "reading": """\
A data set's files in their genuine formats, against taking in their bytes alone.""",
    "training": """\
Windows come out of a table of frames that is preprocessed once. *Waiting* is the fraction of a training loop in
which the next batch is not there yet, with the published network and batch. Its value is what matters: worker
processes read ahead during a step, and may be waited for as little. The size of *step* is that of the batch.""",
    "lifting": """\
Whole sequences, plain and mirrored, 1024 channels, receptive field 81. The peak is the best rate of a float32
matrix product on the same threads, measured just before and after each round, since a machine's speed changes;
a row's own peak follows from its reference. The network's operations count once per frame, padding not at all.
Where the machine's convolutions are faster than its matrix products, the fraction exceeds 1.""",
    "refinement": """\
The published energy, solved, on one thread, against the published way, Adam.""",
    "protocol": """\
All switches of the MuPoTS-3D protocol in one pass over twenty sequences.""",
    "predict": """\
2D keypoints of three people to refined trajectories, against the length of the video: the whole, and its three
largest stages.""",
}
COLUMNS = ("what", "size", "count", "value", "reference", "its value", "ratio", "peak memory")


def cost_s(figure: Figure) -> float | None:
    """Seconds for all of it; None for a figure that is not one of time."""
    if figure.unit == "s":
        return figure.value
    if figure.unit.startswith("us/"):
        return 1e-6 * figure.value * figure.count
    if figure.unit in ("frames/s", "windows/s"):
        return figure.count / figure.value
    return None


def grouped(figures: Sequence[Figure]) -> dict[str, list[Figure]]:
    """Figures by name in order of size, names as they came."""
    named: dict[str, list[Figure]] = {}
    for figure in figures:
        named.setdefault(figure.name, []).append(figure)
    return {name: sorted(own, key=lambda figure: figure.size) for name, own in named.items()}


def growth(own: Sequence[Figure]) -> list[str] | None:
    """Between the two largest sizes: how many times the count, the time and the memory. None with a single size."""
    if len(own) < 2 or cost_s(own[-1]) is None:
        return None
    small, large = own[-2:]
    before, after = cost_s(small), cost_s(large)
    memory = ""
    if small.peak_mib and large.peak_mib:
        memory = f"{number(large.peak_mib / small.peak_mib)}x"
    return [
        large.name, f"{small.size:g} to {large.size:g}", f"{number(large.count / small.count)}x",
        f"{number((after or 0) / (before or 1))}x", memory,
    ]  # fmt: skip


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def page(figures: Sequence[Figure], machine: dict[str, Any]) -> str:
    """The whole text."""
    about = (
        f"Machine: {machine['processor']}, {machine['cores']} threads, {machine['vectors']}; float32\n"
        f"matrix products at {machine['float32_gflops']:g} GFLOP/s at best before the start; torch {machine['torch']}, "
        f"Python {machine['python']}, {machine['system']}.\nThe whole took {number(machine['seconds'] / 60)} minutes."
    )
    lines = [HEAD.format(machine=about)]
    for group, own in groupby(figures, key=lambda figure: figure.name.split("/")[0]):
        lines += [f"## {group.capitalize()}", "", *([ABOUT[group], ""] if group in ABOUT else [])]
        lines += [*table(COLUMNS, [[cells[0].split("/", 1)[1], *cells[1:]] for cells in map(row, own)]), ""]
    grown = [cells for own in grouped(figures).values() if (cells := growth(own)) is not None]
    if grown:
        lines += [
            "## Cost against size",
            "",
            "Time is linear where it grows as the count does, memory streams where it grows less.",
            "",
        ]
        lines += [*table(("what", "sizes", "count", "time", "peak memory"), grown), ""]
        lines += ["![Seconds against the size of the data](images/performance.png)", ""]
    return "\n".join(lines)


def plot(figures: Sequence[Figure], path: Path) -> None:
    """Seconds against size, both logarithmic, one line a figure that has several sizes."""
    from matplotlib.figure import Figure as Picture

    picture = Picture(figsize=(8, 4.8), layout="constrained")
    axes = picture.subplots()
    for number_of, (name, own) in enumerate(grouped(figures).items()):
        points = [(figure.size, cost) for figure in own if (cost := cost_s(figure)) is not None]
        if len(points) > 1:
            style = ("o-", "s--", "^:")[number_of // 10 % 3]
            axes.plot(*zip(*points, strict=True), style, ms=4, lw=1, color=f"C{number_of % 10}", label=name)
    axes.set(xscale="log", yscale="log", xlabel="size, 1 = the real data set's", ylabel="seconds")
    axes.grid(alpha=0.3)
    picture.legend(loc="outside right upper", fontsize=7, frameon=False)
    with atomic_path(path) as partial:
        picture.savefig(partial, dpi=90)


def write_page(figures: Sequence[Figure], machine: dict[str, Any], docs: Path) -> None:
    """docs/performance.md and docs/images/performance.png."""
    plot(figures, docs / "images" / "performance.png")
    write(docs / "performance.md", page(figures, machine))
