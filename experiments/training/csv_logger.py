"""The curves of a training in `curves/metrics.csv`: whole at every moment, and through an interruption.

Lightning's own CSV logger empties its file at every start, so a training that went on lost the epochs before. Here a
continued training keeps the rows before its first step, one that starts again (epoch 0) replaces them all, and a run
that reuses a finished lifter keeps them.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from fileio.json_yaml import write_text


class CurvesLogger:
    """A logger of one file: a row for each call, a column for each metric, the step empty in the summary."""

    def __init__(self, save_dir: str) -> None:
        self._path = Path(save_dir) / "curves" / "metrics.csv"
        self._rows: list[dict[str, str]] = []
        #: Of an earlier run in this folder, until the first row of this one says which to keep.
        self._earlier: list[dict[str, str]] | None = _read(self._path)
        self._changed = False

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if self._earlier is not None:
            self._rows, self._earlier = _kept(self._earlier, metrics.get("epoch"), step), None
        self._rows.append(
            {**{key: str(float(v)) for key, v in metrics.items()}, "step": "" if step is None else str(step)}
        )
        self._changed = True

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """The run's config.yaml holds them."""

    def save(self) -> None:
        """Bring the rows into the file. DataError where it cannot be written."""
        if not self._changed:
            return
        columns = sorted({key for row in self._rows for key in row})
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows)
        write_text(self._path, text.getvalue())
        self._changed = False

    def finalize(self, status: str) -> None:
        self.save()


def _kept(rows: list[dict[str, str]], epoch: float | None, step: int | None) -> list[dict[str, str]]:
    """Those of earlier `rows` that stand before a first row of this `epoch` and `step`; never the summary."""
    if epoch == 0:
        return []
    return [row for row in rows if row["step"] and (step is None or int(row["step"]) < step)]


def _read(path: Path) -> list[dict[str, str]]:
    """The rows of an earlier file, without empty cells; none where it is not one of ours."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [{key: value for key, value in row.items() if value} for row in csv.DictReader(file)]
        if any(None in row for row in rows):  # more cells than columns
            return []
        return [{**row, "step": str(int(row["step"])) if "step" in row else ""} for row in rows]
    except (OSError, ValueError, csv.Error, AttributeError):
        return []
