"""From the metrics.json files of a sweep's runs to one table: rows by setting, runs that differ by seed alone together.

`sweep_table` gathers; `experiments/results/writers.py` writes what it returns. No metric is computed here.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments.results.report import COLUMNS, column_title
from fileio.json_yaml import load_object
from pose.errors import ConfigError, DataError

#: Written by both the sweep and its jobs under this key; every other setting makes a row of its own.
SEED = "seed"
KINDS = ("lifted", "refined")
#: Settings of no interest to who reads a table: where things are and who is told.
_NOT_SAID = ("experiment", "paths", "logger", "fresh", "debug")
_REMEDY = "remove it and run the sweep again"
STAND_IN = "SYNTHETIC STAND-IN DATA: these numbers say nothing about the real data sets."


@dataclass(frozen=True)
class Job:
    """One run of a sweep: the overrides that it was started with, and its metrics or why there are none."""

    folder: Path
    overrides: list[str]
    metrics: dict[str, Any] | None
    error: str | None

    @classmethod
    def read(cls, folder: Path, overrides: list[str], ended: bool = False) -> Job:
        """The job of this folder as it stands. ended: known to have come to its end, even without metrics."""
        failed, done = folder / "failed.json", folder / "metrics.json"
        if failed.is_file():
            error = str(load_object(failed, _REMEDY).get("error"))
            return cls(folder, overrides, None, (error.splitlines() or ["?"])[0])
        if not done.is_file():
            return cls(folder, overrides, None, None if ended else "left no metrics.json")
        return cls(folder, overrides, _metrics(done), None)

    @property
    def settings(self) -> dict[str, str]:
        """Key -> value of the overrides; the later of two counts."""
        pairs = (word.lstrip("+~").partition("=") for word in self.overrides)
        return {key: value for key, _, value in pairs}


@dataclass(frozen=True)
class Cell:
    """Mean and standard deviation over the seeds (None of a single one)."""

    mean: float
    std: float | None


@dataclass
class Row:
    """One setting. cells: by column, absent where there is no number. error: of the first failed run, None if none."""

    settings: dict[str, str]
    kind: str
    data: str
    cells: dict[str, Cell] = field(default_factory=dict)
    runs: int = 0
    asked: int = 0
    error: str | None = None

    @property
    def label(self) -> str:
        return ", ".join([*self.settings.values(), *([self.kind] if self.kind else [])])

    @property
    def note(self) -> str:
        """Empty where every run has finished."""
        if self.error is None:
            return ""
        return "FAILED" if not self.runs else f"{self.asked - self.runs} of {self.asked} seeds FAILED"


@dataclass(frozen=True)
class Table:
    """What the writers need. columns: as in COLUMNS, or with a part of the frames, `mrpe_mm/occluded`."""

    title: str
    notes: list[str]
    settings: list[str]
    columns: list[str]
    rows: list[Row]
    figure: Mapping[str, Any]

    @property
    def has_kinds(self) -> bool:
        return any(row.kind for row in self.rows)

    @property
    def failed(self) -> bool:
        return any(row.error is not None for row in self.rows)

    def rank(self, row: Row, column: str) -> int:
        """1 for the best of a column as it is shown, 2 for the second, else 0; the worst is neither."""
        arrow = column_title(column)[1]
        shown = [round(r.cells[column].mean, 1) for r in self.rows if column in r.cells]
        if column not in row.cells or not arrow or len(shown) < 2:
            return 0
        order = sorted(set(shown), reverse=arrow == "↑")
        place = order.index(round(row.cells[column].mean, 1)) + 1
        return place if place <= 2 and place < len(order) else 0


def sweep_table(settings: Mapping[str, Any], jobs: list[Job]) -> Table | None:
    """The table of these jobs, in their order; None where no run measures anything that a table could show.

    settings: `table` of the configuration. Raises ConfigError for one that cannot be used.
    """
    columns, kinds = list(settings["columns"]), settings["kinds"]
    check_columns(columns, kinds, settings["figure"]["kind"])
    scored = [job for job in jobs if job.metrics is not None and "metrics" in job.metrics]
    if not columns or not (scored or any(job.error is not None for job in jobs)):
        return None
    values: dict[str, list[str]] = {}
    for job in jobs:
        for key, value in job.settings.items():
            values.setdefault(key, []).append(value)
    varying = [key for key, found in values.items() if len(set(found)) > 1 or len(found) < len(jobs)]
    shown = [key for key in varying if key != SEED]
    rows: list[Row] = []
    groups: dict[tuple[str, ...], list[Job]] = {}
    for job in jobs:
        groups.setdefault(tuple(job.settings.get(key, "") for key in shown), []).append(job)
    for group, members in groups.items():
        rows += _rows(dict(zip(shown, group, strict=True)), members, columns, kinds)
    constant = {key: found[0] for key, found in values.items() if key not in varying}
    return Table(settings["title"], _notes(scored, constant, values, rows), shown, columns, rows, settings["figure"])


def _rows(settings: dict[str, str], jobs: list[Job], columns: list[str], kinds: str) -> list[Row]:
    """The rows of runs that differ by seed alone: lifted and refined, or the final predictions only."""
    measured = [job.metrics for job in jobs if job.metrics is not None and "metrics" in job.metrics]
    error = next((job.error for job in jobs if job.error is not None), None)
    data = " ".join(sorted({str(metrics["data"]) for metrics in measured}))
    found = [kind for kind in KINDS if any(kind in metrics["metrics"] for metrics in measured)]
    rows = []
    for kind in found if kinds == "both" and found else [""]:
        row = Row(settings, kind, data, runs=len(measured), asked=len(jobs), error=error)
        for column in columns:
            numbers = [_number(metrics, kind or _final(metrics), column) for metrics in measured]
            if known := [number for number in numbers if number is not None]:
                std = statistics.stdev(known) if len(known) > 1 else None
                row.cells[column] = Cell(statistics.fmean(known), std)
        rows.append(row)
    return rows


def _final(metrics: Mapping[str, Any]) -> str:
    return "refined" if "refined" in metrics["metrics"] else "lifted"


def _number(metrics: Mapping[str, Any], kind: str, column: str) -> float | None:
    key, _, part = column.partition("/")
    if part:
        return metrics.get("occlusion", {}).get(kind, {}).get(key, {}).get(part)
    return metrics["metrics"].get(kind, {}).get(key)


def _notes(scored: list[Job], constant: dict[str, str], values: dict[str, list[str]], rows: list[Row]) -> list[str]:
    notes = []
    measured = [job.metrics for job in scored if job.metrics is not None]
    if any("synthetic" in (metrics["data"], metrics.get("train_data")) for metrics in measured):
        notes.append(STAND_IN)
    for key, text in (("data", "test data"), ("train_data", "training data"), ("coordinates", "coordinates")):
        found = sorted({str(metrics[key]) for metrics in measured if metrics.get(key)})
        if found:
            notes.append(f"{text}: {', '.join(found)}")
    refinements = {str(metrics["refinement"]) for metrics in measured if "refinement" in metrics}
    notes += [f"refinement: {name}" for name in refinements if len(refinements) == 1]
    protocols = sorted(
        {"{people} people, {pairing} pairs".format(**m["protocol"]) for m in measured if "protocol" in m}
    )
    notes += [f"protocol: {'; '.join(protocols)}"] if protocols else []
    same = " ".join(f"{key}={value}" for key, value in constant.items() if key.partition(".")[0] not in _NOT_SAID)
    notes += [f"all rows: {same}"] if same else []
    seeds = list(dict.fromkeys(values.get(SEED, [])))
    if len(seeds) > 1:
        notes.append(f"mean ± standard deviation over seed={','.join(seeds)}")
    failed = [row for row in rows if row.error is not None]
    notes += [f"{', '.join(row.settings.values()) or 'the run'}: {row.note}: {row.error}" for row in failed]
    return list(dict.fromkeys(notes))


def check_columns(columns: list[str], kinds: str, figure: str) -> None:
    """ConfigError for columns, kinds or a kind of figure that are not known."""
    for column in columns:
        if column.partition("/")[0] not in COLUMNS:
            raise ConfigError(f"table.columns: {column} is not known; known are {', '.join(COLUMNS)}")
    if kinds not in ("both", "final"):
        raise ConfigError(f"table.kinds={kinds}: must be both or final")
    if figure not in ("none", "bars", "lengths"):
        raise ConfigError(f"table.figure.kind={figure}: must be none, bars or lengths")


def _metrics(path: Path) -> dict[str, Any]:
    """A run's metrics.json, in which what a table shows is checked to be objects down to numbers."""
    content = load_object(path, _REMEDY)
    if "metrics" in content:
        if "data" not in content:
            raise DataError(f"{path}: has no 'data'; {_REMEDY}")
        _check_numbers(path, "metrics", content["metrics"], 2)
        occlusion = content.get("occlusion", {})
        if not isinstance(occlusion, dict):
            raise DataError(f"{path}: occlusion: an object is expected; {_REMEDY}")
        _check_numbers(path, "occlusion", {kind: occlusion.get(kind, {}) for kind in KINDS}, 3)
        protocol = content.get("protocol", {"people": "", "pairing": ""})
        if not isinstance(protocol, dict) or not {"people", "pairing"} <= set(protocol):
            raise DataError(f"{path}: protocol: an object with people and pairing is expected; {_REMEDY}")
    return content


def _check_numbers(path: Path, where: str, value: Any, depth: int) -> None:
    """DataError unless `value` is objects in each other, `depth` of them, with numbers (or null) inside."""
    if depth == 0:
        if value is not None and not (isinstance(value, int | float) and abs(value) < 1e300):
            raise DataError(f"{path}: {where}: a number is expected, found {str(value)[:40]!r}; {_REMEDY}")
        return
    if not isinstance(value, dict):
        raise DataError(f"{path}: {where}: an object is expected, found a {type(value).__name__}; {_REMEDY}")
    for key, inner in value.items():
        _check_numbers(path, f"{where}.{key}", inner, depth - 1)
