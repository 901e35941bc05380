"""All figures of speed and memory, each a ratio of two things timed in one run. What `make bench` calls:

    python -m benchmarks.run --docs                        # everything, and docs/performance.md
    python -m benchmarks.run --only lifting --sizes 0.01   # a look at one part

Every module runs in a process of its own, one after the other. Leaves outputs/bench/figures.jsonl, one JSON line per
figure (benchmarks/figure.py), and machine.json beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure

MODULES = ("startup", "reading", "training", "lifting", "refinement_speed", "evaluation", "long_video", "pictures")
REPO = Path(__file__).resolve().parents[1]
OUTPUT = REPO / "outputs" / "bench"


def collect(module: str, sizes: Sequence[float] | None) -> Iterator[Figure]:
    """The figures of `benchmarks.<module>`, as a process of its own yields them; None: the module's own sizes.

    Raises CalledProcessError if it fails; what it wrote about that is on the terminal.
    """
    words = [sys.executable, "-m", "benchmarks.run", "--child", module]
    words += ["--sizes", *map(str, sizes)] if sizes is not None else []
    with subprocess.Popen(words, cwd=REPO, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield Figure(**json.loads(line))
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, words)


def child(module: str, sizes: Sequence[float] | None) -> None:
    """Print a module's figures, one JSON line each; what else it prints goes to stderr."""
    out = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        loaded: Any = importlib.import_module(f"benchmarks.{module}")
        for figure in loaded.figures(loaded.SIZES if sizes is None else sizes):
            print(figure.line(), file=out, flush=True)


def number(value: float) -> str:
    """Three digits that count: 1,230,000, 12.3, 0.00123."""
    if value == 0 or not abs(value) < float("inf"):
        return f"{value:g}"
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 100 else f"{rounded:g}"


def row(figure: Figure) -> list[str]:
    """The cells of a figure's row: name, size, count, value, reference, its value, ratio, peak memory."""
    return [
        figure.name,
        f"{figure.size:g}",
        f"{figure.count:,} {figure.of}",
        f"{number(figure.value)} {figure.unit}",
        figure.reference,
        number(figure.reference_value),
        f"{number(figure.ratio)}x",
        "" if figure.peak_mib is None else f"{number(figure.peak_mib)} MiB",
    ]


def write(path: Path, text: str) -> None:
    """A text file, whole or not at all."""
    # With torch, which a process that measures start-up and memory should not hold.
    from fileio.atomic import atomic_path

    with atomic_path(path) as partial:
        partial.write_text(text)


def main(words: Sequence[str] | None = None) -> int:
    """Returns the exit code: 1 if a module failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--sizes", type=float, nargs="+", help="fractions of the real sets' size, instead of each part's own"
    )
    parser.add_argument("--only", nargs="+", choices=MODULES, help="these parts alone")
    parser.add_argument("--docs", action="store_true", help="write docs/performance.md")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder of figures.jsonl")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.child:
        child(options.child, options.sizes)
        return 0
    if options.docs and (options.only or options.sizes):
        parser.error("--docs: needs all parts at their own sizes; leave out --only and --sizes")

    from benchmarks.machine import describe

    start, figures, failed = time.perf_counter(), [], []
    machine = describe()
    print(", ".join(f"{key} {value}" for key, value in machine.items()), flush=True)
    for module in options.only or MODULES:
        began = time.perf_counter()
        try:
            for figure in collect(module, options.sizes):
                figures.append(figure)
                name, size, count, value, reference, theirs, ratio, peak = row(figure)
                print(
                    f"{name:34} {size:>5}  {value:>22}  {ratio:>9} of {theirs}, {reference}  [{count}] {peak}",
                    flush=True,
                )
        except subprocess.CalledProcessError as error:
            failed.append(module)
            print(f"benchmarks.{module}: failed with exit code {error.returncode}", file=sys.stderr)
        print(f"-- {module}: {time.perf_counter() - began:.0f} s", flush=True)
    machine["seconds"] = round(time.perf_counter() - start)
    write(options.output / "figures.jsonl", "".join(f"{figure.line()}\n" for figure in figures))
    write(options.output / "machine.json", json.dumps(machine, indent=1) + "\n")
    print(f"{len(figures)} figures in {machine['seconds']} s: {options.output / 'figures.jsonl'}")
    if options.docs and not failed:
        from benchmarks.performance_page import write_page

        write_page(figures, machine, REPO / "docs")
        print("docs/performance.md written")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
