"""`experiment=compare`: the predictions of several files side by side, with intervals of their differences.

One table of all files, the best bold; then, against the first file, the mean difference of each score over the
sequences that both have, its paired bootstrap interval (`pose.metrics.bootstrap`), and the differences by sequence.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from data.foreign_predictions import has_identities
from experiments import datasets
from experiments.loggers import logging_to
from experiments.results.report import announce
from experiments.results.scoring import check_protocol
from experiments.results.table import COVERAGE, Cell, Row, Table, cells_of, coverage_text, headings, notes_of
from experiments.results.writers import write_figure
from experiments.runs.run_dir import run_folder
from experiments.runs.runner import settle
from experiments.runs.sweep import in_sweep
from experiments.tasks.evaluate import protocol_of, read_test_set
from experiments.tasks.evaluate_predictions import at_annotated_rates, read_people, score_people
from pose.errors import ConfigError
from pose.metrics.bootstrap import LEVEL, RESAMPLES, Difference, paired_differences


def compare(cfg: DictConfig) -> None:
    """Score the predictions of several files; leave table.md, metrics.json and a figure of the differences."""
    check_protocol(cfg)
    given = OmegaConf.to_container(cfg.predictions) if isinstance(cfg.predictions, ListConfig) else cfg.predictions
    files = list(map(str, given)) if isinstance(given, list) else []
    if len(set(files)) < 2 or len(set(files)) < len(files):
        raise ConfigError(f"predictions={given}: give two or more files, predictions=[FIRST,SECOND]")
    if in_sweep():
        raise ConfigError("experiment=compare takes all files at once, predictions=[FIRST,SECOND]; leave out -m")
    if any("/" in column for column in cfg.table.columns):
        raise ConfigError("table.columns: experiment=compare has no parts of metrics; name whole ones, such as mrpe_mm")
    if protocol_of(cfg) != "mupots_3d":
        raise ConfigError(f"test={cfg.test.name}: compare is for the MuPoTS-3D protocol; use test=mupots_3d")
    if not all(map(has_identities, files)):
        cfg.protocol.pairing = "by2d"  # for all of them
    people = {name: read_people(cfg, file) for name, file in zip(short_names(files), files, strict=True)}
    cfg = datasets.resolve(cfg, trains=False, tests=True)
    settle(cfg, tests=True)
    with logging_to(cfg) as logger:
        annotated = read_test_set(cfg)
        runs = {
            name: score_people(cfg, file, annotated, at_annotated_rates(cfg, file, people[name], annotated))
            for file, name in zip(files, people, strict=True)
        }
        content, tables = compared(list(cfg.table.columns), cfg.table.title, runs, cfg.seed)
        write_figure(replace(tables[0], figure=cfg.table.figure), run_folder() / "figure.png")
        announce(cfg, tables, content, logger)


def short_names(files: list[str]) -> list[str]:
    """What tells paths apart.

    >>> short_names(["runs/a/predictions.npz", "runs/b/predictions.npz"]), short_names(["x/a.npz", "y/b.npz"])
    (['a', 'b'], ['x/a', 'y/b'])
    """
    parts = [list(Path(file).with_suffix("").parts) for file in files]
    for end in (0, -1):
        while len({part[end] for part in parts if part}) == 1 and all(len(part) > 1 for part in parts):
            for part in parts:
                del part[end]
    return ["/".join(part) for part in parts]


def compared(
    columns: list[str], title: str, runs: dict[str, dict[str, Any]], seed: int
) -> tuple[dict[str, Any], list[Table]]:
    """The content of metrics.json and the tables. runs: `score_people` of each file by its name."""
    kinds = {name: list(run["metrics"])[-1] for name, run in runs.items()}
    scores = {name: run["metrics"][kinds[name]] for name, run in runs.items()}
    by_sequence = {
        name: {sequence: found[kinds[name]] for sequence, found in run["per_sequence"].items()}
        for name, run in runs.items()
    }
    first, *others = runs
    covered = {name: coverage_text(run, kinds[name]) for name, run in runs.items()}
    about = {key: runs[first][key] for key in ("data", "train_data", "coordinates", "protocol")}
    warnings = [f"{name}: {text}" for name, run in runs.items() for text in run["warnings"]]
    notes = notes_of([{**about, "warnings": warnings}])
    rows = [Row([name, covered[name]], cells_of(found, columns)) for name, found in scores.items()]
    differences = {name: paired_differences(by_sequence[first], by_sequence[name], seed) for name in others}
    drawn = [Row([name], _cells(differences[name])) for name in others]
    drawn = Table(f"differences from {first}", ["file"], headings(columns), drawn)
    tables = [Table(title, ["file", COVERAGE], headings(columns), rows, notes, True, differences=drawn)]
    n = [found[key].sequences for found in differences.values() for key in columns if key in found]
    counted = " to ".join(map(str, sorted({min(n), max(n)}))) if n else "0"
    note = (
        f"each minus {first}, over the sequences that both have; [{LEVEL:.0%} interval] of {RESAMPLES} bootstrap "
        f"samples of the {counted} sequences, bold where it leaves out zero"
    )
    few = ["with so few sequences the intervals are too narrow"] if min(n, default=0) < 10 else []
    tables.append(
        Table(
            f"Differences from {first}",
            ["file", *headings(columns).values()],
            {},
            [Row([name, *(_text(differences[name].get(key)) for key in columns)]) for name in others],
            [note, *few],
        )
    )
    for name in others:
        rows = []
        for sequence in by_sequence[first]:
            a, b = by_sequence[first][sequence], by_sequence[name].get(sequence, {})
            cells = {key: Cell(b[key] - a[key]) for key in columns if key in a and key in b}
            rows.append(Row([sequence], cells))
        tables.append(Table(f"{name} minus {first}, by sequence", ["sequence"], headings(columns), rows))
    return {
        **about,
        "metrics": scores,
        "coverage": {name: run["coverage"] for name, run in runs.items()},
        "warnings": {name: run["warnings"] for name, run in runs.items()},
        "per_sequence": by_sequence,
        "differences": {
            name: {key: value._asdict() for key, value in found.items()} for name, found in differences.items()
        },
    }, tables


def _cells(found: dict[str, Difference]) -> dict[str, Cell]:
    """Of the differences that have an interval."""
    return {
        key: Cell(one.mean, interval=(one.low, one.high))
        for key, one in found.items()
        if one.low is not None and one.high is not None
    }


def _text(found: Difference | None) -> str:
    """Bold where the interval leaves out zero."""
    if found is None:
        return ""
    if found.low is None or found.high is None:
        return f"{found.mean:+.1f}"
    text = f"{found.mean:+.1f} [{found.low:+.1f}, {found.high:+.1f}]"
    return f"**{text}**" if found.clear else text
