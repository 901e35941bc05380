"""What a run leaves to read: metrics.json, table.md, and the table on the screen.

The table of a sweep over many runs is that of experiments/results/tables.py, with the same columns.
"""

from __future__ import annotations

from typing import Any

from experiments.loggers import log_files
from experiments.runs.run_dir import run_folder
from fileio.json_yaml import write_json, write_text
from pose.errors import ConfigError

Scores = dict[str, float]

#: Heading and better direction of each metric key, in the order of the tables.
COLUMNS = {
    "r_pck_pct": "R-PCK % ↑",
    "r_auc_pct": "R-AUC % ↑",
    "a_pck_pct": "A-PCK % ↑",
    "a_auc_pct": "A-AUC % ↑",
    "r_pck_raw_pct": "R-PCK raw % ↑",
    "r_auc_raw_pct": "R-AUC raw % ↑",
    "a_pck_raw_pct": "A-PCK raw % ↑",
    "a_auc_raw_pct": "A-AUC raw % ↑",
    "mpjpe_mm": "MPJPE mm ↓",
    "a_mpjpe_mm": "A-MPJPE mm ↓",
    "mrpe_mm": "MRPE mm ↓",
    "n_mrpe_mm": "N-MRPE mm ↓",
    "n_mpjpe_mm": "N-MPJPE mm ↓",
    "pa_mpjpe_mm": "PA-MPJPE mm ↓",
    "accel_mm": "Accel. mm/frame² ↓",
    "detected_pct": "detected %",
}

#: Columns of the part of table.md that tells visible from occluded frames.
_OCCLUSION_COLUMNS = ("mrpe_mm", "mpjpe_mm")


def column_title(column: str) -> tuple[str, str]:
    """Heading and better direction (↑, ↓ or empty) of a column: a metric key, or one of a part of the frames.

    >>> column_title("mrpe_mm/occluded_6_15")
    ('MRPE mm, occluded 6-15', '↓')
    """
    key, _, part = column.partition("/")
    text, arrow = COLUMNS[key], ""
    if text[-1] in "↑↓":
        text, arrow = text[:-2], text[-1]
    return (f"{text}, {part_title(part)}" if part else text), arrow


def part_title(part: str) -> str:
    """Of a part of the frames: `occluded_6_15` -> "occluded 6-15"."""
    name, _, length = part.partition("_")
    return f"{name} {'> 60' if length == 'over_60' else length.replace('_', '-')}".strip()


def table(cfg: Any, metrics: dict[str, Any]) -> str:
    """The Markdown table of one run.

    cfg: `cfg.table` (title, columns, people) and `cfg.published`. metrics: the content of metrics.json. Rows: plain and
    refined for each kind of people, then the published rows, whose numbers stand in columns of their own. Columns of
    visible or occluded frames alone are for sweeps; here these have a part of their own.
    """
    columns = list(dict.fromkeys(key.partition("/")[0] for key in cfg.table.columns))
    unknown = [key for key in columns if key not in COLUMNS]
    if unknown:
        raise ConfigError(f"table.columns={unknown}: known columns are {', '.join(COLUMNS)}")
    lines = [f"# {cfg.table.title}", "", *_caption(metrics), ""]
    lines += markdown(["", "people, pairing", *(COLUMNS[key] for key in columns)], _own_rows(metrics, columns))
    published = [row for row in cfg.published.rows if any(key in row["values"] for key in columns)]
    if published:
        shown = [key for key in columns if any(key in row["values"] for row in published)]
        lines += ["", "Published numbers, each under its own protocol and on the real MuPoTS-3D; not ours:", ""]
        head = ["published system", "protocol as published", *(COLUMNS[key] + " (publ.)" for key in shown)]
        rows = [[row["system"], row["protocol"], *(_cell(row["values"], key) for key in shown)] for row in published]
        lines += markdown(head, rows)
    lines += _occlusion(metrics.get("occlusion", {"frames": {}}))
    protocol, kinds = metrics["protocol"], list(metrics["metrics"])
    lines += ["", f"Per sequence ({protocol['people']} people, pairing {protocol['pairing']}):", ""]
    head = ["sequence", *(f"{COLUMNS[key]} {kind}" for key in columns for kind in kinds)]
    rows = [
        [name, *(_cell(scores.get(kind, {}), key) for key in columns for kind in kinds)]
        for name, scores in metrics["per_sequence"].items()
    ]
    return "\n".join([*lines, *markdown(head, rows)]) + "\n"


def _occlusion(occlusion: dict[str, Any]) -> list[str]:
    frames = occlusion["frames"]
    if not frames:
        return []
    head = ["", *(f"{part_title(part)} ({count})" for part, count in frames.items())]
    rows = [
        [f"{COLUMNS[key]} {kind}", *(_cell(metrics[key], part) for part in frames)]
        for key in _OCCLUSION_COLUMNS
        for kind, metrics in occlusion.items()
        if kind != "frames"
    ]
    return ["", "Visible and occluded frames, by the length of the occlusion (and how many frames):", "",
            *markdown(head, rows)]  # fmt: skip


def _caption(metrics: dict[str, Any]) -> list[str]:
    lines = []
    if "synthetic" in (metrics["data"], metrics.get("train_data")):
        lines += ["**SYNTHETIC STAND-IN DATA: these numbers say nothing about the real data sets.**", ""]
    return [
        *lines,
        f"Test data: {metrics['data']}; training data: {metrics['train_data'] or 'not known'}; "
        f"coordinates: {metrics['coordinates']}; refinement: {metrics['refinement']}.",
    ]


def _own_rows(metrics: dict[str, Any], columns: list[str]) -> list[list[str]]:
    protocols = metrics["protocols"] or {"valid frames": metrics["metrics"]}
    rows = []
    for protocol, kinds in protocols.items():
        pairing, _, people = protocol.partition("/")
        label = f"{people}, {pairing}" if people else pairing
        rows += [[kind, label, *cells(scores, columns)] for kind, scores in kinds.items()]
    return rows


def cells(scores: Any, columns: list[str]) -> list[str]:
    """The text of each column's number; empty where there is none."""
    return [_cell(scores, key) for key in columns]


def _cell(scores: Any, key: str) -> str:
    return f"{scores[key]:.1f}" if key in scores else ""


def markdown(head: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table with aligned columns."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return [line(head), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, rows)]


def publish(cfg: Any, metrics: dict[str, Any], logger: Any) -> None:
    """Write metrics.json and table.md into the run's folder, show the table, tell the logger."""
    folder = run_folder()
    text = table(cfg, metrics)
    write_text(folder / "table.md", text)
    write_json(folder / "metrics.json", metrics)  # last: its presence says that the run is finished
    print(text)
    if logger is not None:
        flat = {f"{kind}/{key}": value for kind, scores in metrics["metrics"].items() for key, value in scores.items()}
        logger.log_metrics(flat)
        log_files(logger, cfg.name, [folder / name for name in ("metrics.json", "table.md", "trajectory.png")])
