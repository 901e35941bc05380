"""Who is told about a run: the experiment loggers that need more than a constructor call.

wandb only ever watches. If it is not installed, cannot start or fails on the way, that is said once and the run goes
on; curves then go to a CSV file, where they still can.
"""

from __future__ import annotations

import functools
import logging
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from experiments.runs.run_dir import run_folder
from fileio.json_yaml import write_text
from pose.errors import ConfigError

if TYPE_CHECKING:
    from experiments.results.table import Table

log = logging.getLogger(__name__)

#: In a run's folder until its end: the wandb run that it goes on in.
ID_FILE = "wandb_id.txt"
#: Seconds that an unreachable server may hold up the start and the end of a run; what is not sent then is on disk.
_PATIENCE: dict[str, Any] = {"init_timeout": 30, "finish_timeout": 120}


def wandb_logger(
    mode: str,
    project: str,
    group: str,
    save_dir: str,
    name: str | None = None,
    entity: str | None = None,
    id: str | None = None,
    job_type: str | None = None,
    tags: Sequence[str] = (),
    pictures: bool = False,
) -> Any:
    """A Lightning logger of one wandb run; `mode` is offline (the default, sent later with `wandb sync`) or online.

    id: of a run to go on with. pictures: whether trainings draw for it (experiments/training/pictures.py). A CSV logger
    where wandb cannot be had. Only the main process of a training on many devices has a run.
    """
    if mode not in ("offline", "online"):
        raise ConfigError(f"logger.mode={mode}: must be offline or online")
    if not isinstance(pictures, bool):
        raise ConfigError(f"logger.pictures={pictures}: must be true or false")
    from experiments.training.csv_logger import CurvesLogger

    try:
        import wandb

        logger = _watching_logger()(
            project=project,
            group=group,
            save_dir=save_dir,
            name=name,
            entity=entity,
            id=id,
            resume="allow" if id is not None and mode == "online" else None,
            job_type=job_type,
            tags=list(tags),
            mode=mode,
            settings=wandb.Settings(silent=True, console="off", **(_PATIENCE if mode == "online" else {})),
        )
        _ = logger.experiment  # starts it
    except Exception as error:
        # wandb raises a different type for each of the many things that may be wrong with it.
        log.warning("wandb cannot be used (%s): curves go to %s", _short(error), Path(save_dir) / "curves")
        return CurvesLogger(save_dir)
    return logger


def for_trainer(logger: Any) -> Any:
    """`logger` as one that a Lightning trainer takes. Ours are none themselves: importing Lightning takes seconds."""
    from pytorch_lightning.loggers import Logger
    from pytorch_lightning.utilities import rank_zero_only

    if isinstance(logger, Logger):
        return logger

    class Passing(Logger):
        @property
        def name(self) -> str:
            return "curves"

        @property
        def version(self) -> str:
            return ""

        @rank_zero_only
        def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
            logger.log_metrics(metrics, step)

        def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
            """The run has logged them."""

        @rank_zero_only
        def save(self) -> None:
            logger.save()

    return Passing()


@functools.cache
def _watching_logger() -> type:
    """Lightning's wandb logger, whose calls never raise."""
    from pytorch_lightning.loggers import WandbLogger

    class WatchingLogger(WandbLogger):
        def __init__(self, **options: Any):
            super().__init__(**options)
            self._wandb_init.pop("anonymous", None)  # wandb complains about it even where it is None

        def log_metrics(self, *args: Any, **kwargs: Any) -> None:
            watch(super().log_metrics, *args, **kwargs)

        def log_image(self, *args: Any, **kwargs: Any) -> None:
            watch(super().log_image, *args, **kwargs)

        def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
            watch(super().log_hyperparams, *args, **kwargs)

        def after_save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
            watch(super().after_save_checkpoint, *args, **kwargs)

        def finalize(self, *args: Any, **kwargs: Any) -> None:
            watch(super().finalize, *args, **kwargs)

    return WatchingLogger


def watch(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`call(...)`, a failure of which is only said."""
    try:
        return call(*args, **kwargs)
    except Exception as error:
        log.warning("wandb: %s failed (%s); the run goes on", getattr(call, "__name__", "a call"), _short(error))
        return None


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


@contextmanager
def logging_to(cfg: DictConfig) -> Iterator[Any]:
    """The experiment logger of this run, told its configuration, and closed whatever happens."""
    logger = instantiate(cfg.logger, **(_about(cfg) if _is_wandb(cfg) else {}))
    status = "failed"
    try:
        logger.log_hyperparams(OmegaConf.to_container(cfg, resolve=True))
        yield logger
        status = "success"
    finally:
        logger.finalize(status)
        if _is_wandb(cfg):
            _finish(failed=status == "failed")
            if status == "success":
                (run_folder() / ID_FILE).unlink(missing_ok=True)


def log_image(logger: Any, key: str, path: Path, step: int) -> None:
    """Show the picture in this file, if the logger can: wandb, or the one of a rank that passes it on."""
    if hasattr(logger, "log_image"):
        logger.log_image(key, [str(path)], step=step)


def log_files(logger: Any, name: str, files: list[Path]) -> None:
    """Keep those of the files that exist with the run, if its logger is wandb."""
    if _is_watching(logger):
        watch(_keep, name, files)


def log_sweep(cfg: DictConfig, folder: Path, table: Table, files: list[Path]) -> None:
    """The table of a sweep as a wandb run of its own in the sweep's group, where that is its logger.

    cfg: of the multirun. files: table and figure, kept as one artifact.
    """
    if not _is_wandb(cfg):
        return
    options: Any = OmegaConf.to_container(cfg.logger, resolve=False)
    options |= {"group": cfg.name, "save_dir": str(folder), "job_type": "table", "name": "table", "id": None}
    options["tags"] = [cfg.name, *options["tags"]]
    logger = instantiate(options)
    try:
        if _is_watching(logger):
            logger.log_hyperparams({"table": OmegaConf.to_container(cfg.table, resolve=True), "notes": table.notes})
            watch(_show, table, files)
            watch(_keep, cfg.name, files)
    finally:
        _finish(failed=table.failed)


def _show(table: Table, files: list[Path]) -> None:
    import wandb

    rows = [
        [*row.labels, *(row.cells[key].mean if key in row.cells else None for key in table.columns), row.note]
        for row in table.rows
    ]
    columns: Any = [*table.labels, *table.columns.values(), "state"]
    shown: dict[str, Any] = {"table": wandb.Table(columns=columns, data=rows)}
    shown |= {path.stem: wandb.Image(str(path)) for path in files if path.suffix == ".png"}
    _run().log(shown)


def _keep(name: str, files: list[Path]) -> None:
    import wandb

    artifact = wandb.Artifact(f"{name}-{_run().id}", type="result")
    # Copies wait for `wandb sync` beside the run, not in the user's home.
    before, os.environ["WANDB_DATA_DIR"] = os.environ.get("WANDB_DATA_DIR"), str(Path(_run().dir).parent / "staging")
    try:
        for path in files:
            if path.is_file():
                artifact.add_file(str(path))
        _run().log_artifact(artifact)
    finally:
        os.environ.pop("WANDB_DATA_DIR")
        if before is not None:
            os.environ["WANDB_DATA_DIR"] = before


def _run() -> Any:
    import wandb

    if wandb.run is None:
        raise RuntimeError("no run is open")
    return wandb.run


def _finish(failed: bool) -> None:
    """Without it the next job of a sweep would write into this run."""
    try:
        import wandb
    except ImportError:
        return
    watch(wandb.finish, exit_code=int(failed))


def _about(cfg: DictConfig) -> dict[str, Any]:
    """Verb, name, tags and id of a run: what varies in a sweep, the experiment otherwise.

    A run that did not come to its end goes on in its folder under its id, which is noted there until it does.
    """
    folder = run_folder()
    tags = {f"data={cfg.data.name}", f"test={cfg.test.name}", str(cfg.coordinates), str(cfg.name), *cfg.logger.tags}
    tags.add(f"refinement={HydraConfig.get().runtime.choices.get('refinement')}")
    about = {"job_type": cfg.task._target_.rpartition(".")[2], "tags": sorted(tags)}
    if cfg.logger.name is None:
        about["name"] = folder.name if HydraConfig.get().mode == RunMode.MULTIRUN else str(cfg.name)
    if cfg.logger.id is None and "WANDB_RUN_ID" not in os.environ:  # given by `wandb agent`
        noted = folder / ID_FILE
        if not noted.is_file():
            write_text(noted, secrets.token_hex(4))
        about["id"] = noted.read_text(encoding="utf-8").strip()
    return about


def _is_wandb(cfg: DictConfig) -> bool:
    return cfg.logger._target_ == f"{__name__}.wandb_logger"


def _is_watching(logger: Any) -> bool:
    return type(logger).__name__ == "WatchingLogger"
