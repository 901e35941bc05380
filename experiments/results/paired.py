"""Differences of a sweep's rows from its first, paired by seed: what two rows of one seed share cancels."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from scipy.special import stdtrit

from experiments.results.table import Cell, Row, Table, headings, number

#: Of the interval that holds the mean difference, if differences are normal.
CONFIDENCE = 0.95

#: The metrics of a row's runs by their seed.
Runs = Mapping[str, Mapping[str, Any]]


def mean_with_interval(values: Sequence[float]) -> Cell:
    """Mean of two or more values and Student's interval of it.

    >>> str(mean_with_interval([-1.0, -2.0, -3.0]))
    '-2.0 [-4.5, +0.5]'
    """
    mean, n = statistics.fmean(values), len(values)
    half = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * statistics.stdev(values) / math.sqrt(n)
    return Cell(mean, interval=(mean - half, mean + half))


def differences(
    labels: Sequence[str], rows: Sequence[tuple[Sequence[str], str, Runs]], columns: Sequence[str], kinds: int = 1
) -> Table | None:
    """Each row minus the first over the seeds that both have; None where no two rows share two seeds.

    labels: headings of the text columns. rows: (labels, whether lifted or refined poses count, runs). kinds: so many
    rows in turn are of one setting, each compared with the first of its kind.
    """
    shown, counts = [], set()
    for i, (names, kind, runs) in enumerate(rows):
        _, its_kind, its_runs = rows[i % kinds]
        shared = [seed for seed in runs if seed in its_runs]
        cells: dict[str, Cell] = {}
        for column in columns:
            pairs = [(number(runs[seed], kind, column), number(its_runs[seed], its_kind, column)) for seed in shared]
            values = [own - its for own, its in pairs if own is not None and its is not None]
            if i >= kinds and len(values) > 1:
                cells[column] = mean_with_interval(values)
                counts.add(len(values))
        if cells:
            shown.append(Row(list(names), cells))
    if not shown:
        return None
    n = " to ".join(str(count) for count in sorted({min(counts), max(counts)}))
    note = f"mean [95 % interval, Student's t] of the differences within a seed, n = {n} seeds"
    first = [f"{key.split('.')[-1]}={name}" for key, name in zip(labels, rows[0][0], strict=True) if key != "poses"]
    title = f"Difference from {', '.join(first) or 'the first row'}, paired by seed"
    return Table(title, list(labels), headings(columns), shown, [note])
