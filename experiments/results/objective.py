"""The one number of a run that a sweeper makes small: `objective=KIND/COLUMN` of the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from experiments.results.table import COLUMNS, KINDS, number
from fileio.json_yaml import load_object
from pose.errors import ConfigError, DataError


def check_objective(objective: str) -> None:
    """ConfigError, before anything runs, for one that no run has."""
    kind, _, column = objective.partition("/")
    if kind not in ("val", *KINDS) or column.partition("/")[0] not in COLUMNS:
        raise ConfigError(f"objective={objective}: must be val, lifted or refined, then a column, as val/mpjpe_mm")


def objective_of(cfg: DictConfig, folder: Path) -> float | None:
    """`cfg.objective` in what the run of this folder has left; None where it holds no such number.

    KIND is lifted, refined, or val: the lifter's validation. COLUMN is as in `table.columns`.
    """
    kind, _, column = str(cfg.get("objective", "")).partition("/")
    try:
        metrics: Any = load_object(folder / "metrics.json")
        if kind == "val" and (folder / "lifter.json").is_file():
            done = Path(load_object(folder / "lifter.json")["folder"]) / "done.json"
            return load_object(done)["validation"]["metrics"].get(column)
        return number(metrics, kind, column)
    except (DataError, KeyError):  # of a task that measures nothing
        return None
