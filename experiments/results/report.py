"""What a run leaves to read: metrics.json, table.md, and the table on the screen. That of a sweep: `jobs`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.loggers import log_files
from experiments.results.table import Row, Table, cells_of, headings, notes_of, number, part_title
from experiments.results.writers import markdown_text
from experiments.runs.run_dir import run_folder
from fileio.json_yaml import write_json, write_text

#: Metrics of the table that tells visible from occluded frames.
_OCCLUSION_COLUMNS = ("mrpe_mm", "mpjpe_mm")


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
            parts = {key: number(metrics, kind, key) for key in keys if "/" in key and of_pairing == pairing}
            known = {**scores, **{key: value for key, value in parts.items() if value is not None}}
            rows.append(Row([kind, f"{of_people}, {of_pairing}"], cells_of(known, keys)))
    tables = [Table(cfg.table.title, ["", "people, pairing"], headings(keys), rows, notes_of([metrics]))]
    published = [row for row in cfg.published.rows if any(key in row["values"] for key in keys)]
    if published:
        shown = [key for key in keys if any(key in row["values"] for row in published)]
        rows = [Row([row["system"], row["protocol"]], cells_of(row["values"], shown)) for row in published]
        title = "Published numbers, each under its own protocol and on the real MuPoTS-3D; not ours"
        labels = ["published system", "protocol as published"]
        tables.append(Table(title, labels, headings(shown, " (publ.)"), rows))
    occlusion = metrics.get("occlusion", {"frames": {}})
    if frames := occlusion["frames"]:
        rows = [
            Row([heading, kind], cells_of(occlusion[kind][key], list(frames)))
            for key, heading in headings(_OCCLUSION_COLUMNS).items()
            for kind in metrics["metrics"]
        ]
        counted = {part: f"{part_title(part)} ({count})" for part, count in frames.items()}
        title = "Visible and occluded frames, by the length of the occlusion (and how many frames)"
        tables.append(Table(title, ["", ""], counted, rows))
    rows = [
        Row([name, kind], cells_of(scores, whole))
        for name, kinds in metrics["per_sequence"].items()
        for kind, scores in kinds.items()
    ]
    title = f"Per sequence ({people} people, pairing {pairing})"
    return [*tables, Table(title, ["sequence", ""], headings(whole), rows)]


def publish(cfg: Any, metrics: dict[str, Any], logger: Any) -> None:
    """Write metrics.json and table.md into the run's folder, show the table, tell the logger."""
    folder = run_folder()
    write_text(folder / "table.md", markdown_text(*run_tables(cfg, metrics)), show=True)
    write_json(folder / "metrics.json", metrics)  # last: its presence says that the run is finished
    flat = {f"{kind}/{key}": value for kind, scores in metrics["metrics"].items() for key, value in scores.items()}
    logger.log_metrics(flat)
    log_files(logger, cfg.name, [folder / name for name in ("metrics.json", "table.md", "trajectory.png")])
