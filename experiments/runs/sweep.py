"""What makes a sweep survive: finished rows are not computed again, a failed row does not take the others with it, and
at the end there is one table of exactly the rows that the command asked for.

Hydra ends a sweep, without calling back, as soon as a job raises. So a job that fails writes `failed.json` and returns
(runs/runner.py); `SweepCallback` then writes the table with those rows marked and sets the exit code. Jobs may
run in other processes or on other machines: each notes where it works in a file of its command's own.

A row is finished when its folder holds a complete `metrics.json` beside a `config.yaml` that says the same as the row's
configuration in everything that decides numbers, and an `inputs.json` that names the files and the code that are there
now. A row that is stale says why and is computed again. Imported at the start of every run: nothing heavy up here.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from experiments.runs.hashing import deciding_settings, short_hash
from experiments.runs.inputs import changes, inputs_of
from experiments.runs.run_dir import run_folder
from experiments.runs.signals import end_with_parent
from experiments.runs.sweep_words import experiments_of, sweep_words, varied
from experiments.runs.used_keys import check_used
from fileio.json_yaml import load_object, read_yaml, write_json
from pose.errors import ConfigError, DataError, PoseError

log = logging.getLogger(__name__)

#: What the callback leaves beside the table, for `experiment=tables`.
SWEEP_FILE = "sweep.json"
#: What a row read, as digests.
INPUTS_FILE = "inputs.json"
#: When the command of the job that runs in this process started, seconds since the epoch.
_started = time.time()


class Finished(Exception):
    """Raised by `skip_if_finished` to leave the task of a row that is finished."""


def in_sweep() -> bool:
    """Whether this run is a job of a multirun."""
    return HydraConfig.get().mode == RunMode.MULTIRUN


def command_started() -> float:
    """When this command started, in all its jobs, wherever they run: `fresh=true` trains each lifter once after it."""
    return _started


def skip_if_finished(cfg: DictConfig, data_files: Callable[[], list[Path]] = list) -> None:
    """Raise Finished if this job of a sweep was finished before; otherwise remove what an older one left behind.

    data_files: finds those that the job reads.
    """
    if not in_sweep():
        return
    folder = run_folder()
    (folder / "failed.json").unlink(missing_ok=True)  # of another sweep that had this row until now
    inputs = inputs_of(cfg, data_files())
    if not cfg.fresh and (folder / "metrics.json").is_file() and _same(folder / "config.yaml", cfg):
        if not (changed := changes(_noted(folder / INPUTS_FILE), inputs)):
            raise Finished
        log.warning("computed again, changed since it was finished: %s (%s)", ", ".join(changed), folder)
    (folder / "metrics.json").unlink(missing_ok=True)
    write_json(folder / INPUTS_FILE, inputs)


def _noted(path: Path) -> dict[str, Any] | None:
    try:
        return load_object(path) if path.is_file() else None
    except DataError:  # damaged
        return None


def _same(path: Path, cfg: DictConfig) -> bool:
    if not path.is_file():
        return False
    try:
        found = read_yaml(path)
        return isinstance(found, dict) and deciding_settings(found) == deciding_settings(cfg)
    except DataError:  # damaged: the row is computed again
        return False


def note_failure(message: str) -> None:
    """Write failed.json about the exception being handled: what the table and a reader need to know."""
    text = {"error": message, "traceback": traceback.format_exc(), "overrides": list(HydraConfig.get().overrides.task)}
    write_json(run_folder() / "failed.json", text)


class SweepCallback(Callback):
    """`hydra.callbacks.sweep`: notes the jobs of this command, writes their table, exits with 1 if a row failed."""

    def __init__(self) -> None:
        #: Where each job notes itself, set where the sweep starts and carried to wherever its jobs run.
        self.notes: Path | None = None
        self.started = time.time()
        self.process = os.getpid()

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        from experiments.results.table import check_table, own_columns

        words = sweep_words(config)
        with _ending():
            own_columns(config.metrics)
            check_table(config.table)
            if "experiment" not in varied(words):
                check_used([str(word.input_line) for word in words.values()], config.task._target_, varied(words))
        self.notes = Path(config.hydra.sweep.dir).resolve() / ".jobs" / secrets.token_hex(4)
        with _ending():
            self.notes.mkdir(parents=True)
        # A job of submitit unpickles this callback before anything could tell it where the code is.
        code, known = str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")
        if code not in known.split(os.pathsep):
            os.environ["PYTHONPATH"] = f"{code}{os.pathsep}{known}" if known else code

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        global _started
        _started = self.started
        end_with_parent(self.process)
        if self.notes is None:
            return
        folder = Path(config.hydra.runtime.output_dir)
        (folder / "failed.json").unlink(missing_ok=True)
        note = {
            "folder": str(folder),
            "overrides": list(config.hydra.overrides.task),
            "before": _time_of_metrics(folder),
        }
        with _ending():
            write_json(self._note(config), {**note, "ended": False})

    def on_job_end(self, config: DictConfig, **kwargs: Any) -> None:
        if self.notes is not None:
            note = self._note(config)
            with _ending():
                write_json(note, {**load_object(note), "ended": True})

    def _note(self, config: DictConfig) -> Path:
        notes: Any = self.notes
        return notes / f"{int(config.hydra.job.num):06d}.json"

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Write the table. Ends with SystemExit(1) unless all went well: Hydra has no other way to say so."""
        try:
            failed = self._finish(config)
        except PoseError as error:
            log.error("%s", error)
            failed = True
        except Exception:
            # Hydra would make a warning of it and exit with 0.
            log.exception("the table of this sweep could not be written")
            failed = True
        if failed:
            raise SystemExit(1)

    def _finish(self, config: DictConfig) -> bool:
        """Whether a row failed."""
        from experiments.loggers import log_sweep
        from experiments.results.jobs import Job, sweep_table
        from experiments.results.table import own_columns
        from experiments.results.writers import write_table

        notes: Any = self.notes
        noted = [load_object(path) for path in sorted(notes.glob("[0-9]*.json"))]
        shutil.rmtree(notes)
        with contextlib.suppress(OSError):  # those of another sweep in this folder stay
            notes.parent.rmdir()
        folder = notes.parent.parent
        jobs = [Job.read(Path(note["folder"]), note["overrides"], note["ended"]) for note in noted]
        _refuse_shared_folders(jobs)
        failed = [job for job in jobs if job.error is not None]
        finished = [(job, note) for job, note in zip(jobs, noted, strict=True) if job.error is None]
        before = sum(_time_of_metrics(job.folder) == note["before"] is not None for job, note in finished)
        counts = (len(jobs), before, len(finished) - before, len(failed))
        log.info("%d rows: %d finished before, %d computed, %d failed", *counts)
        for job in failed:
            log.error("failed: %s: %s (%s)", " ".join(job.overrides), job.error, job.folder / "failed.json")
        settings: Any = OmegaConf.to_container(config.table, resolve=True)
        name = experiments_of(config)
        if name != config.name:  # several experiments: the columns of each, under a title of their own
            settings |= {"title": name, "kinds": "both", "columns": _all_columns(jobs)}
            settings["figure"] = {"kind": "none", "columns": []}
        rows = [{"folder": _below(job.folder, folder), "overrides": job.overrides} for job in jobs]
        _keep_older_table(folder, rows)
        for path in _tables(folder):
            path.unlink()
        own = own_columns(config.get("metrics", {}))
        write_json(folder / SWEEP_FILE, {"name": name, "table": settings, "own_columns": own, "rows": rows})
        if table := sweep_table(settings, jobs):
            files = write_table(table, folder)
            log.info("table: %s", folder / "table.md")
            log_sweep(config, folder, table, files)
        return bool(failed)


@contextlib.contextmanager
def _ending() -> Iterator[None]:
    """End the sweep if the block fails: without its note a row would be missing from the table without a message."""
    try:
        yield
    except ConfigError as error:
        log.error("%s", error)
        raise SystemExit(2) from None
    except (PoseError, OSError) as error:
        log.error("%s; the sweep ends here, the same command goes on from its finished rows", error)
        raise SystemExit(2) from None


def _time_of_metrics(folder: Path) -> int | None:
    path = folder / "metrics.json"
    return path.stat().st_mtime_ns if path.is_file() else None


def _below(folder: Path, root: Path) -> str:
    """Relative to `root` where it lies in it, so that the whole can be moved."""
    return str(folder.relative_to(root)) if folder.is_relative_to(root) else str(folder)


def _all_columns(jobs: list[Any]) -> list[str]:
    """The columns of the tables that these jobs would write each for itself."""
    found: dict[str, None] = {}
    for job in jobs:
        with contextlib.suppress(DataError, KeyError, TypeError):  # failed before it wrote its configuration
            found |= dict.fromkeys(read_yaml(job.folder / "config.yaml")["table"]["columns"])
    return list(found)


def _tables(folder: Path) -> list[Path]:
    found = [path for name in ("table", "figure", "differences") for path in folder.glob(f"{name}.*")]
    return [path for path in found if path.is_file()]  # not a row that is named by table.title


def _keep_older_table(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Move the table of an earlier command with rows that are not in this one's to a folder of its own."""
    with contextlib.suppress(DataError, KeyError, TypeError):  # damaged, or none
        found = load_object(folder / SWEEP_FILE)
        older = [row["folder"] for row in found["rows"]]
        if set(older) <= {row["folder"] for row in rows}:
            return
        kept = folder / "earlier" / short_hash(older)
        for row in found["rows"]:
            row["folder"] = os.path.relpath(folder / row["folder"], kept)
        write_json(kept / SWEEP_FILE, found)
        for path in _tables(folder):
            path.replace(kept / path.name)
        log.info("the table of the earlier command with other rows: %s", kept)


def _refuse_shared_folders(jobs: list[Any]) -> None:
    seen: dict[Path, list[str]] = {}
    for job in jobs:
        if job.folder in seen:
            raise ConfigError(
                f"hydra.sweep.subdir: {' '.join(seen[job.folder])} and {' '.join(job.overrides)} shared one folder, so "
                "that the later overwrote the earlier; add 'hydra.sweep.subdir=${hydra:job.num}'"
            )
        seen[job.folder] = job.overrides
