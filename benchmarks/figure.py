"""One measured figure: a ratio of two things timed in one run, at one size. What `make bench` collects.

A module of `benchmarks` that has figures offers

    def figures(sizes: Sequence[float]) -> Iterator[Figure]

`sizes` are fractions of the real data set's size, or of the largest there is (0.1, 1.0, ...). `benchmarks.run`
calls all of them, each module in a process of its own, writes one JSON line per figure and from these
docs/performance.md.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Figure:
    """name: what was measured, `group/what`. size: fraction of the whole. count, of: how much ("frames").

    value in unit is the thing itself ("s", or a rate of what is counted), against the same of the `reference`; ratio is
    how many times better than the reference (above 1 is better). peak_mib: resident memory at its highest during the
    measurement above what it was before, where measured.
    """

    name: str
    size: float
    count: int
    of: str
    value: float
    unit: str
    reference: str
    reference_value: float
    ratio: float
    peak_mib: float | None = None

    def line(self) -> str:
        """The figure as one line of JSON."""
        return json.dumps(asdict(self))


def seconds_of(work: Callable[[], object], at_least_s: float = 0.2, rounds: int = 3) -> float:
    """Seconds that `work` takes: median of at least `rounds` calls and `at_least_s` seconds, after one to warm up."""
    work()
    taken: list[float] = []
    while len(taken) < rounds or sum(taken) < at_least_s:
        taken.append(timed(work))
    return statistics.median(taken)


def timed(work: Callable[[], object]) -> float:
    """Seconds that one call of `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
