"""From the runs of a sweep to its table: rows by setting, runs that differ by seed alone together.

No metric is computed here: all comes from the runs' metrics.json and failed.json.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.results.paired import Runs, differences
from experiments.results.table import (
    COVERAGE,
    KINDS,
    Cell,
    Row,
    Table,
    check_table,
    count_notes,
    coverage_text,
    headings,
    notes_of,
    number,
)
from experiments.runs.hashing import decides_numbers, is_named
from fileio.json_yaml import load_object
from pose.errors import DataError

#: Written by both the sweep and its jobs under this key; every other setting makes a row of its own.
SEED = "seed"
_REMEDY = "remove it and run the sweep again"


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
        """Key -> value of the overrides, without what Hydra's grammar adds; the later of two counts."""
        pairs = (word.lstrip("+~").partition("=") for word in self.overrides)
        return {key: re.sub(r"\\(.)", r"\1", value).strip("\"'") for key, _, value in pairs}


def sweep_table(settings: Mapping[str, Any], jobs: list[Job]) -> Table | None:
    """The table of these jobs, in their order; None where no run measures anything that a table could show.

    settings: `table` of the configuration. Raises ConfigError for one that cannot be used.
    """
    check_table(settings)
    columns = list(settings["columns"])
    scored = [job for job in jobs if job.metrics is not None and "metrics" in job.metrics]
    if not columns or not (scored or any(job.error is not None for job in jobs)):
        return None
    values: dict[str, list[str]] = {}
    for job in jobs:
        for key, value in job.settings.items():
            values.setdefault(key, []).append(value)
    varying = [key for key, found in values.items() if len(set(found)) > 1 or len(found) < len(jobs)]
    labels = [key for key in varying if key != SEED]
    groups: dict[tuple[str, ...], list[Job]] = {}
    for job in jobs:
        groups.setdefault(tuple(job.settings.get(key, "") for key in labels), []).append(job)
    kinds = KINDS if settings["kinds"] == "both" and scored else [""]
    rows = [row for group, members in groups.items() for row in _rows(list(group), members, columns, kinds)]
    notes = notes_of([job.metrics for job in scored if job.metrics is not None])
    if any(key.split(".")[0] == "refinement" for key in labels):  # its rows say which; variants share a name
        notes = [note for note in notes if not note.startswith("refinement: ")]
    notes += count_notes([job.metrics for job in scored if job.metrics is not None], columns)
    same = [f"{key}={found[0]}" for key, found in values.items() if key not in varying and is_named(key)]
    notes += [f"all rows: {' '.join(same)}"] if same else []
    seeds = list(dict.fromkeys(values.get(SEED, [])))
    more = None
    if len(seeds) > 1:
        counted = sorted({row.runs for row in rows if row.runs})
        n = " to ".join(map(str, sorted({counted[0], counted[-1]}))) if counted else "0"
        notes += [f"mean ± standard deviation over seed={','.join(seeds)}, n = {n}"]
        more = differences(
            [*labels, *(["poses"] if kinds != [""] else [])], _by_seed(groups, kinds), columns, len(kinds)
        )
    for row in rows:
        if row.error is not None:
            notes.append(f"{', '.join(row.labels[: len(labels)]) or 'the run'}: {row.note}: {row.error}")
    changeless = [key for key in labels if not decides_numbers(key) and key.startswith("trainer.")]
    notes += [f"{key} is not in a lifter's hash: rows that differ by it share one lifter" for key in changeless]
    if kinds != [""]:
        labels.append("poses")
    covered = {row.covered for row in rows if row.covered}
    if len(covered) == 1:
        notes.append(f"{COVERAGE}: {covered.pop()}")
    elif covered:
        labels.append(COVERAGE)
        for row in rows:
            row.labels.append(row.covered)
    return Table(
        settings["title"], labels, headings(columns), rows, list(dict.fromkeys(notes)), True, settings["figure"], more
    )


def _by_seed(groups: Mapping[tuple[str, ...], list[Job]], kinds: list[str]) -> list[tuple[list[str], str, Runs]]:
    """(labels, kind, metrics by seed) of each row that `differences` compares."""
    rows = []
    for labels, jobs in groups.items():
        found = {job.settings.get(SEED, ""): job.metrics for job in jobs if job.metrics and "metrics" in job.metrics}
        for kind in kinds:
            own = {seed: run for seed, run in found.items() if not kind or kind in run["metrics"]}
            shown = kind or KINDS[any("refined" in run["metrics"] for run in own.values())]
            rows.append(([*labels, *([kind] if kind else [])], shown, own))
    return rows


def _rows(labels: list[str], jobs: list[Job], columns: list[str], kinds: list[str]) -> list[Row]:
    """The rows of runs that differ by seed alone, one for each kind of poses that there is. kinds [""]: one row, of the
    refined poses, or the lifted ones where nothing is refined."""
    measured = [job.metrics for job in jobs if job.metrics is not None and "metrics" in job.metrics]
    error = next((job.error for job in jobs if job.error is not None), None)
    data = " ".join(sorted({str(metrics["data"]) for metrics in measured}))
    kind_of_test = [jobs[0].settings.get(key) for key in ("experiment", "test")]
    units = {f"{run['data']} {run.get('coordinates')} {run.get('protocol')} {kind_of_test}" for run in measured}
    found = [kind for kind in kinds if not kind or any(kind in metrics["metrics"] for metrics in measured)]
    rows = []
    for kind in found or [""]:
        own = labels if kinds == [""] else [*labels, kind]
        row = Row(own, data=data, unit=" ".join(sorted(units)), runs=len(measured), asked=len(jobs), error=error)
        shown = [(run, kind or KINDS["refined" in run["metrics"]]) for run in measured]
        row.covered = "; ".join(dict.fromkeys(filter(None, (coverage_text(*one) for one in shown))))
        for column in columns:
            numbers = [number(*one, column) for one in shown]
            if known := [value for value in numbers if value is not None]:
                row.cells[column] = Cell(statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None)
        rows.append(row)
    return rows


def _metrics(path: Path) -> dict[str, Any]:
    """A run's metrics.json; DataError unless what a table shows of it is there and holds numbers."""
    content = load_object(path, _REMEDY)
    try:
        scores = list(content.get("metrics", {}).values())
        scores += [parts for kind in KINDS for parts in content.get("occlusion", {}).get(kind, {}).values()]
        numbers = [value for one in scores for value in one.values() if value is not None]
        bad = [value for value in numbers if not (isinstance(value, int | float) and abs(value) < 1e300)]
        notes_of([content] if "metrics" in content else [])
    except (AttributeError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not the metrics of a run ({error!r}); {_REMEDY}") from error
    if bad:
        raise DataError(f"{path}: numbers are expected, found {str(bad[0])[:40]!r}; {_REMEDY}")
    return content
