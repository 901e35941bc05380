"""The table that every task shows: text columns, then columns of numbers. `writers` puts it into files.

A column of numbers is a metric key, or a part of one behind a slash (pose.metrics.occlusion.errors_by_part):
`mrpe_mm`, `mrpe_mm/occluded`, `mpjpe_mm/joint:left_wrist`, `mpjpe_mm/joints:occluded`, `r_pck_pct/group:wrists`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pose.errors import ConfigError, escaped
from pose.metrics.joint_groups import GROUP_NAMES, GROUPED
from pose.metrics.mpi_inf_3dhp import OFFICIAL, OFFICIAL_PARTS
from pose.metrics.occlusion import PART_NAMES

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
    "accel_m_s2": "Accel. m/s² ↓",
    "a_accel_mm": "A-Accel. mm/frame² ↓",
    "a_accel_m_s2": "A-Accel. m/s² ↓",
    "ap_root_25cm_pct": "AP root 25 cm % ↑",
    "w_mpjpe_mm": "W-MPJPE mm ↓",
    "wa_mpjpe_mm": "WA-MPJPE mm ↓",
    "w_root_mm": "W-root mm ↓",
    "foot_slide_mm_s": "foot slide mm/s ↓",
    "official_pck_pct": "PCK % (official) ↑",
    "official_auc_pct": "AUC % (official) ↑",
    "official_mpjpe_mm": "MPJPE mm (official) ↓",
    "detected_pct": "detected % ↑",
    "frames_pct": "frames % ↑",
}
#: Poses that have metrics, in the order of the tables.
KINDS = ["lifted", "refined"]
#: Of a whole sequence, so without parts.
_WHOLE = ("ap_root_25cm_pct", "detected_pct", "frames_pct")
#: Those that the user has added.
_own: set[str] = set()

SYNTHETIC = "SYNTHETIC DATA: these numbers say nothing about the real data sets."


def add_column(name: str, heading: str) -> None:
    """A metric of the user's own, `metrics.NAME`: its heading ends with the better direction, ↑ or ↓.

    ConfigError for a heading without, and for the name of a metric that there is.
    """
    if name in COLUMNS and name not in _own:
        raise ConfigError(f"metrics.{name}: is a metric of this project; call yours something else")
    if heading[-1:] not in ("↑", "↓"):
        raise ConfigError(f"metrics.{name}.heading={heading}: must end with the better direction, ↑ or ↓")
    COLUMNS[name] = heading
    _own.add(name)


def own_columns(metrics: Mapping[Any, Any]) -> dict[str, str]:
    """Add the columns of `metrics` of a configuration; name -> heading. ConfigError for what does not say both."""
    for name, metric in metrics.items():
        if not (isinstance(metric, Mapping) and metric.get("function") and metric.get("heading")):
            raise ConfigError(f'metrics.{name}={metric}: give {{function: MODULE.FUNCTION, heading: "name, unit ↓"}}')
    headings = {str(name): str(metric["heading"]) for name, metric in metrics.items()}
    for name, heading in headings.items():
        add_column(name, heading)
    return headings


def check_table(settings: Mapping[str, Any]) -> None:
    """ConfigError for `table` of a configuration with columns, kinds or a kind of figure that are not known."""
    for key, columns in (("columns", settings["columns"]), ("figure.columns", settings["figure"]["columns"])):
        for column in columns:
            metric, slash, part = column.partition("/")
            if metric not in COLUMNS:
                raise ConfigError(f"table.{key}: {column} is not known; known are {', '.join(COLUMNS)}")
            parts = () if metric in _WHOLE or metric in _own else PART_NAMES
            parts = (*parts, *GROUP_NAMES) if metric in GROUPED else OFFICIAL_PARTS if metric in OFFICIAL else parts
            if slash and part not in parts:
                known = ", ".join(parts) or "none"
                raise ConfigError(f"table.{key}: {column} is not known; the parts of {metric} are {known}")
    if settings["kinds"] not in ("both", "refined"):
        raise ConfigError(f"table.kinds={settings['kinds']}: must be both or refined")
    if settings["figure"]["kind"] not in ("none", "bars", "lengths", "differences"):
        raise ConfigError(f"table.figure.kind={settings['figure']['kind']}: must be none, bars, lengths or differences")


def column_title(column: str) -> tuple[str, str]:
    """Heading and better direction (↑ or ↓) of a column.

    >>> column_title("mrpe_mm/occluded_6_15")
    ('MRPE mm, occluded 6-15', '↓')
    """
    key, _, part = column.partition("/")
    text, arrow = COLUMNS[key][:-2], COLUMNS[key][-1]
    return (f"{text}, {part_title(part)}" if part else text), arrow


def part_title(part: str) -> str:
    """Of a part of the frames or joints.

    >>> part_title("occluded_6_15"), part_title("joints:occluded_over_60"), part_title("joint:left_wrist")
    ('occluded 6-15', 'joints occluded > 60', 'left wrist')
    """
    of, _, name = part.rpartition(":")
    if of in ("joint", "group", "activity") or part in OFFICIAL_PARTS:
        return name.replace("_", " ")
    name, _, length = name.partition("_")
    return f"{of} {name} {'> 60' if length == 'over_60' else length.replace('_', '-')}".strip()


def headings(columns: Sequence[str], suffix: str = "") -> dict[str, str]:
    """Column -> heading with its arrow."""
    return {column: " ".join(column_title(column)) + suffix for column in columns}


def number(metrics: Mapping[str, Any], kind: str, column: str) -> float | None:
    """The number of a column in the content of a metrics.json; None where there is none. kind: lifted or refined."""
    key, _, part = column.partition("/")
    if part:
        return metrics.get("occlusion", {}).get(kind, {}).get(key, {}).get(part)
    return metrics["metrics"].get(kind, {}).get(key)


@dataclass(frozen=True)
class Cell:
    """A number, or mean and standard deviation over the seeds (None of a single one), or a difference's interval."""

    mean: float
    std: float | None = None
    interval: tuple[float, float] | None = None

    def __str__(self) -> str:
        if self.interval is not None:
            return "{:+.1f} [{:+.1f}, {:+.1f}]".format(self.mean, *self.interval)
        return f"{self.mean:.1f}" if self.std is None else f"{self.mean:.1f} ± {self.std:.1f}"


@dataclass
class Row:
    """labels: of the text columns. cells: by column, absent where there is no number. Of a sweep also the test
    data; unit, the test data, coordinates and protocol; how many runs there are and should be, the error of the first
    failed one, and `coverage_text`."""

    labels: list[str]
    cells: dict[str, Cell] = field(default_factory=dict)
    data: str = ""
    unit: str = ""
    runs: int = 1
    asked: int = 1
    error: str | None = None
    covered: str = ""

    @property
    def note(self) -> str:
        """Empty where every run has finished."""
        if self.error is None:
            return ""
        return "FAILED" if not self.runs else f"{self.asked - self.runs} of {self.asked} seeds FAILED"


def cells_of(scores: Mapping[str, float], columns: Sequence[str]) -> dict[str, Cell]:
    """The cells of those columns that the scores hold."""
    return {column: Cell(scores[column]) for column in columns if column in scores}


@dataclass(frozen=True)
class Table:
    """labels: headings of the text columns. columns: key -> heading of the columns of numbers. ranked: the best number
    of a column is marked. figure: as `table.figure` of the configuration. differences: from the first row."""

    title: str
    labels: list[str]
    columns: Mapping[str, str]
    rows: list[Row]
    notes: list[str] = field(default_factory=list)
    ranked: bool = False
    figure: Mapping[str, Any] = field(default_factory=lambda: {"kind": "none", "columns": []})
    differences: Table | None = None

    @property
    def failed(self) -> bool:
        return any(row.error is not None for row in self.rows)

    def rank(self, row: Row, column: str) -> int:
        """1 for the best of a column as it is shown, 2 for the second, else 0; the worst is neither.

        Only rows on the same test data, coordinates and protocol are compared.
        """
        shown = [round(r.cells[column].mean, 1) for r in self.rows if column in r.cells and r.unit == row.unit]
        if not self.ranked or column not in row.cells or len(shown) < 2:
            return 0
        order = sorted(set(shown), reverse=self.columns[column].endswith("↑"))
        place = order.index(round(row.cells[column].mean, 1)) + 1
        return place if place <= 2 and place < len(order) else 0


def text_table(title: str, rows: Sequence[Mapping[str, Any]], notes: Sequence[str] = ()) -> Table:
    """A table of text alone: a row for each mapping, their keys as headings; fractions with four digits."""

    def text(value: Any) -> str:
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    shown = [Row([escaped(text(value)) for value in row.values()]) for row in rows]
    return Table(escaped(title), list(rows[0]) if rows else [], {}, shown, list(map(escaped, notes)))


def coverage_text(metrics: Mapping[str, Any], kind: str, pairing: str = "") -> str:
    """What was found of the annotated people, frames and sequences, in the content of a metrics.json; "" if not known.

    pairing: the chosen one where not given.

    >>> counts = {"people": 3, "annotated_people": 4, "frames": 2, "annotated_frames": 2}
    >>> names = {"sequences": ["TS1"], "annotated_sequences": ["TS1", "TS2"]}
    >>> coverage_text({"coverage": {"given": {"lifted": counts | names}}}, "lifted", "given")
    '75.0 %, 100.0 %, 1 of 2'
    """
    found = metrics.get("coverage", {}).get(pairing or metrics["protocol"]["pairing"], {}).get(kind)
    if not found:
        return ""
    parts = [100 * found[key] / max(found[f"annotated_{key}"], 1) for key in ("people", "frames")]
    return f"{parts[0]:.1f} %, {parts[1]:.1f} %, {len(found['sequences'])} of {len(found['annotated_sequences'])}"


#: Heading of such a text.
COVERAGE = "found people, frames, sequences"


def notes_of(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the numbers of these metrics.json files are of: synthetic data first, then sets, coordinates, protocol."""
    notes = [SYNTHETIC] if any("synthetic" in (run["data"], run.get("train_data")) for run in runs) else []
    for key, text in (("data", "test data"), ("train_data", "training data"), ("coordinates", "coordinates")):
        found = sorted({str(run[key]) for run in runs if run.get(key)})
        notes += [f"{text}: {', '.join(found)}"] if found else []
    refinements = {str(run["refinement"]) for run in runs if "refinement" in run}
    notes += [f"refinement: {name}" for name in refinements if len(refinements) == 1]
    notes += dict.fromkeys(f"warning: {text}" for run in runs for text in run.get("warnings", []))
    protocols = sorted(
        {"{people} people, {pairing} pairs".format(**run["protocol"]) for run in runs if "protocol" in run}
    )
    notes += [f"protocol: {'; '.join(protocols)}"] if protocols else []
    frames = dict.fromkeys(run["protocol"]["frames"] for run in runs if "frames" in run.get("protocol", {}))
    return notes + [f"frames: {text}" for text in frames]


def seconds_of(occlusion: Mapping[str, Any], part: str) -> str:
    """How long the occlusions of a part of the frames lasted; empty if not known. occlusion: of a metrics.json.

    >>> seconds_of({"seconds": {"occluded_1_5": [0.017, 0.167]}}, "occluded_1_5")
    '0.02 to 0.17 s'
    """
    ends = occlusion.get("seconds", {}).get(part)
    return "{:.2f} to {:.2f} s".format(*ends) if ends else ""


def count_notes(runs: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[str]:
    """What columns of visible and occluded poses count, and how many; none where no column is of a part."""
    parts = [column.partition("/")[2] for column in columns if "/" in column]
    if not parts:
        return []
    notes = ["columns of a part are means over all its poses together, the others means of the sequences' means"]
    if any("occluded" in part for part in parts):
        notes.append("occluded: undetected, or with under half of the joints in sight")
    counted = [run["occlusion"] for run in runs if run.get("occlusion", {}).get("frames")]
    if counted and all(one["frames"] == counted[0]["frames"] for one in counted):
        shown = [
            f"{part_title(part)}: {count}" + (f" ({seconds})" if (seconds := seconds_of(counted[0], part)) else "")
            for part, count in counted[0]["frames"].items()
        ]
        notes.append(f"people in frames, occluded ones by how many frames it lasts: {'; '.join(shown)}")
    return notes
