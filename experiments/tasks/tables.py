"""`experiment=tables runs=DIR`: the tables and the figure of a finished sweep once more; nothing is run.

The rows are those of the sweep that last ended in DIR. A folder in which no sweep has ended, such as one that was
killed or one of single runs put together by hand, gives a row for each run folder in it that holds a metrics.json.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from experiments.results.jobs import Job, sweep_table
from experiments.results.table import add_column, check_table
from experiments.results.writers import write_table
from experiments.runs.runner import settle
from experiments.runs.sweep import SWEEP_FILE
from fileio.json_yaml import load_object, read_yaml
from pose.errors import ConfigError, DataError

_REMEDY = "run the sweep again to write it"


def tables(cfg: DictConfig) -> None:
    """Write table.md, table.csv, table.tex and the figure into `runs`, with `table` as it was or as given here."""
    if cfg.tables.runs is None:
        raise ConfigError("runs=null: give the folder of a sweep, such as runs=outputs/table_interpolation/sweep")
    folder = Path(cfg.tables.runs).resolve()
    if not folder.is_dir():
        raise ConfigError(f"runs={cfg.tables.runs}: no such folder; give the one that a sweep ran in")
    settle(cfg)
    settings: Any = OmegaConf.to_container(cfg.table, resolve=True)
    saved, jobs = _sweep(folder)
    if saved and not settings["columns"]:
        settings = saved
    if not settings["columns"]:
        raise ConfigError(
            "table.columns=[]: no sweep has ended here to take them from; give table.columns=[mrpe_mm,...]"
        )
    table = sweep_table(settings, jobs)
    if table is None:
        raise DataError(f"{folder}: none of its {len(jobs)} runs holds metrics that a table could show")
    write_table(table, folder)


def _sweep(folder: Path) -> tuple[dict[str, Any], list[Job]]:
    """The `table` settings of the sweep that ended here (empty if none did) and its jobs."""
    path = folder / SWEEP_FILE
    if path.is_file():
        sweep = load_object(path, _REMEDY)
        try:
            settings = {**sweep["table"], "kinds": sweep["table"]["kinds"].replace("final", "refined")}  # an older name
            for name, heading in sweep.get("own_columns", {}).items():
                add_column(name, heading)
            check_table(settings)
            return settings, [
                Job.read(folder / row["folder"], list(map(str, row["overrides"]))) for row in sweep["rows"]
            ]
        except (ValueError, KeyError, TypeError, AttributeError, OSError, ConfigError) as error:
            raise DataError(f"{path}: cannot be used ({error!r}); {_REMEDY}") from error
    runs = sorted({found.parent for name in ("metrics.json", "failed.json") for found in folder.glob(f"**/{name}")})
    return {}, [Job.read(run, _overrides(run)) for run in runs]


def _overrides(run: Path) -> list[str]:
    """What Hydra noted beside the run; its folder's name where that is missing."""
    path = run / ".hydra" / "overrides.yaml"
    words = read_yaml(path) if path.is_file() else None
    return list(map(str, words)) if isinstance(words, list) else [f"run={run.name}"]
