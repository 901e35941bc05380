"""What a run leaves to read: metrics.json, table.md, and the table on the screen. That of a sweep: `jobs`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.loggers import log_files
from experiments.results.table import (
    COVERAGE,
    Cell,
    Row,
    Table,
    cells_of,
    column_title,
    count_notes,
    coverage_text,
    headings,
    notes_of,
    number,
    part_title,
    seconds_of,
)
from experiments.results.writers import markdown_text
from experiments.runs.run_dir import run_folder
from experiments.runs.sweep import in_sweep
from fileio.json_yaml import write_json, write_text
from pose.metrics.mpi_inf_3dhp import OFFICIAL, OFFICIAL_PARTS

#: Metrics of the table that tells visible from occluded frames.
_OCCLUSION_COLUMNS = ("mrpe_mm", "mpjpe_mm")


#: Group of published rows -> the title of its table and its notes.
_PUBLISHED: dict[str, tuple[str, list[str]]] = {
    "": ("Published numbers, each under its own protocol and on the real MuPoTS-3D; not ours", []),
    "procrustes_script": (
        "Published numbers of another script, not to be compared with those above",
        ["it finds people by the shape of their poses after Procrustes alignment; absolute poses start from the "
         "annotated root"],
    ),
}  # fmt: skip


def run_tables(cfg: Any, metrics: Mapping[str, Any]) -> list[Table]:
    """The tables of one run: lifted and refined poses under each protocol, published numbers, errors by occlusion and
    by sequence.

    cfg: `cfg.table` and `cfg.published`. metrics: the content of metrics.json. Parts of a metric (columns with a slash)
    are of the chosen protocol's pairs.
    """
    keys = list(cfg.table.columns)
    whole = [key for key in keys if "/" not in key]
    people, pairing = metrics["protocol"]["people"], metrics["protocol"]["pairing"]
    rows = []
    for protocol, kinds in (metrics["protocols"] or {f"{pairing}/{people}": metrics["metrics"]}).items():
        of_pairing, _, of_people = protocol.partition("/")
        for kind, scores in kinds.items():
            own = [key for key in keys if "/" in key and of_pairing == pairing]
            own = [key for key in own if of_people == people or "/group:" not in key]  # groups follow `people`
            parts = {key: number(metrics, kind, key) for key in own}
            known = {**scores, **{key: value for key, value in parts.items() if value is not None}}
            covered = coverage_text(metrics, kind, of_pairing)
            rows.append(Row([kind, f"{of_people}, {of_pairing}", covered], cells_of(known, keys)))
    tables = [Table(cfg.table.title, ["", "people, pairing", COVERAGE], headings(keys), rows, notes_of([metrics]))]
    if other := metrics.get("procrustes_script"):
        rows = [
            Row([variant, kind], cells_of(of[variant], of[variant])) for kind, of in other.items() for variant in of
        ]
        title = "By the Procrustes script of GnTCN and TDBU, not to be compared with the numbers above"
        tables.append(Table(title, ["", ""], headings(("r_pck_pct", "a_pck_pct"), " (Procrustes script)"), rows))
    for group, (title, notes) in _PUBLISHED.items():
        published = [
            row for row in cfg.published.rows if row.get("group", "") == group and set(keys) & set(row["values"])
        ]
        if published:
            shown = [key for key in keys if any(key in row["values"] for row in published)]
            rows = [Row([row["system"], _protocol(row, shown)], cells_of(row["values"], shown)) for row in published]
            labels = ["published system", "protocol as published"]
            tables.append(Table(title, labels, headings(shown, " (publ.)"), rows, notes))
    occlusion = metrics.get("occlusion", {"frames": {}})
    if frames := occlusion["frames"]:
        rows = [
            Row([heading, kind], cells_of(occlusion[kind].get(key, {}), list(frames)))
            for key, heading in headings(_OCCLUSION_COLUMNS).items()
            for kind in metrics["metrics"]
        ]
        lasting = {part: f"{seconds}; " if (seconds := seconds_of(occlusion, part)) else "" for part in frames}
        counted = {part: f"{part_title(part)} ({lasting[part]}{count})" for part, count in frames.items()}
        title = "Visible and occluded frames, by the length of the occlusion in frames (and how many people in frames)"
        covered = dict.fromkeys(filter(None, (coverage_text(metrics, kind) for kind in metrics["metrics"])))
        notes = [*count_notes([], ["/occluded"]), *(f"{COVERAGE}: {text}" for text in covered)]
        tables.append(Table(title, ["", ""], counted, rows, notes))
    whole += [key for key in ("detected_pct", "frames_pct") if key not in whole]
    if counted := metrics.get("official_frames"):
        rows = [
            Row(
                [f"{part_title(part)} ({counted[part]})", kind],
                {k: Cell(of[k][part]) for k in OFFICIAL if part in of[k]},
            )
            for part in OFFICIAL_PARTS
            if part in counted
            for kind, of in ((kind, metrics["occlusion"][kind]) for kind in metrics["metrics"])
        ]
        title = "As the official utility has it: every valid frame of univ_annot3, pooled (and how many frames)"
        tables.append(Table(title, ["frames", ""], headings(OFFICIAL), rows))
    rows = [
        Row([name, kind], cells_of(scores, whole))
        for name, kinds in metrics["per_sequence"].items()
        for kind, scores in kinds.items()
    ]
    title = f"Per sequence ({people} people, pairing {pairing})"
    return [*tables, Table(title, ["sequence", ""], headings(whole), rows)]


def _protocol(row: Any, shown: list[str]) -> str:
    """The protocol of a published row, with what is to be said of the single numbers that are shown."""
    notes = (f"{column_title(key)[0]}: {note}" for key, note in row.get("notes", {}).items() if key in shown)
    return "; ".join([row["protocol"], *notes])


def publish(cfg: Any, metrics: dict[str, Any], logger: Any) -> None:
    """Write metrics.json and table.md into the run's folder, show the table, tell the logger.

    In a sweep no row's table is shown: that of the sweep stands at its end.
    """
    announce(cfg, run_tables(cfg, metrics), metrics, logger)


def announce(cfg: Any, tables: list[Table], metrics: dict[str, Any], logger: Any) -> None:
    """As `publish`, with these tables."""
    folder = run_folder()
    write_text(folder / "table.md", markdown_text(*tables), show=not in_sweep())
    write_json(folder / "metrics.json", metrics)  # last: its presence says that the run is finished
    flat = {f"{kind}/{key}": value for kind, scores in metrics["metrics"].items() for key, value in scores.items()}
    for kind in metrics["metrics"]:  # the table's parts of metrics too
        shown = {column: number(metrics, kind, column) for column in cfg.table.columns}
        flat |= {f"{kind}/{column}": value for column, value in shown.items() if value is not None}
    logger.log_metrics(flat)
    kept = ("metrics.json", "table.md", "trajectory.png", "figure.png")
    log_files(logger, cfg.name, [folder / name for name in kept])
