"""The run's folder: where it is, and that it belongs to one run at a time.

Two runs that write into one folder would leave the table of one beside the numbers of the other. So a run takes the
lock `.lock` in its folder before Hydra writes anything there, and where another run has it, or where nothing can be
written, ends with one line. A job of a sweep waits instead: the row may be finished when the other ends.
Imported at the start of every run: nothing heavy up here.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, ListConfig, OmegaConf

from experiments.runs.signals import end_on_signals
from experiments.runs.sweep_words import note_command, place_sweep
from fileio.atomic import cannot_write
from fileio.json_yaml import load_object, write_text
from fileio.locks import NoLocksError, try_lock, waiting_for
from pose.errors import ConfigError, DataError, PoseError

log = logging.getLogger(__name__)

LOCK, CONFIG_FILE = ".lock", "config.yaml"
#: What Hydra writes before a task starts needs less; its own message about a full disk is a traceback.
_ROOM_BYTES = 2**16

#: What runs leave in their folder.
_RESULTS = (
    "metrics.json", "failed.json", "run.json", "report.json", "lifter.json", "table.*", "figure.*", "predictions.*",
    "person_*.*", "summary.*", "page.html", "overlay.mp4", "animation.mp4", "trajectory.png", "scene.gif", "best.yaml",
    "lifter.onnx", "lifter.safetensors", "keypoints.npz", "pictures/epoch_*.png",
)  # fmt: skip

#: What they write or remove of whatever name.
_WRITTEN = (CONFIG_FILE, *_RESULTS)
#: Settings that name what is read.
_READ = ("predictions", "predict.input", "predict.video", "checkpoint", "body_model")

_held: dict[Path, FileLock] = {}


def run_folder() -> Path:
    """The folder of this run (`hydra.run.dir`, or the job's folder in a multirun)."""
    return Path(HydraConfig.get().runtime.output_dir)


def write_config(folder: Path, text: str) -> None:
    """Write this run's config.yaml. Results of an older run go with its own, unless that says the very same."""
    path = folder / CONFIG_FILE
    if path.is_file() and path.read_text(encoding="utf-8", errors="replace") != text:
        with suppress(DataError, OSError):  # damaged, or none: it names the files of exporters
            names = map(str, load_object(folder / "summary.json").get("files", []))
            _remove(folder / name for name in names if Path(name).name == name)
        _remove(_results(folder))
    write_text(path, text)


def remove_older_results(folder: Path) -> None:
    """What an older run with the same config.yaml left, and this finished one has not written again.

    But for the pictures of a training: this one may have gone on with it, or found its lifter.
    """
    begun = (folder / CONFIG_FILE).stat().st_mtime_ns
    _remove(path for path in _results(folder) if path.parent == folder and path.stat().st_mtime_ns < begun)


def _results(folder: Path) -> list[Path]:
    return [path for pattern in _RESULTS for path in folder.glob(pattern)]


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_file():
            path.unlink(missing_ok=True)


class FolderCallback(Callback):
    """`hydra.callbacks.folder`: nothing starts in a folder that another run holds or that cannot be written."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        end_on_signals()
        folder = Path(os.path.abspath(config.hydra.run.dir))
        with _one_line():
            check_apart(config, folder)
            _check_own(folder, config.hydra.job.name)
            _check_room(folder)
            _take(folder)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        end_on_signals()
        place_sweep(config)
        with _one_line():
            _check_room(Path(config.hydra.sweep.dir))
            note_command(config)


@contextmanager
def owned(folder: Path, waits: bool) -> Iterator[None]:
    """Inside the block `folder` is this run's. waits: take it when it is free; otherwise the callback has taken it."""
    with ExitStack() as stack:
        if waits:
            with suppress(NoLocksError):
                stack.enter_context(waiting_for(folder / LOCK, f"the row {folder.name}"))
        elif lock := _held.pop(folder, None):
            stack.callback(lock.release)
        yield


def check_apart(config: DictConfig, folder: Path) -> None:
    """ConfigError where the run in `folder` would write over, or remove, what it reads."""
    for key in _READ:
        value: Any = OmegaConf.select(config, key)
        for name in value if isinstance(value, ListConfig) else [value]:
            path = Path(str(name)).absolute()
            inside = path.parent.resolve() == folder.resolve() and any(path.match(one) for one in _WRITTEN)
            if name is not None and path.exists() and (inside or path.resolve() == folder.resolve()):
                raise ConfigError(
                    f"hydra.run.dir={folder}: this run reads {key.rpartition('.')[2]}={name}, which it would write "
                    "over; give another folder"
                )


def _check_own(folder: Path, log_name: str) -> None:
    """ConfigError for files that no run of this program left but this one would write, and for links in their place."""
    written = (*_WRITTEN, f"{log_name}.log", ".hydra")
    places = [folder / LOCK, folder / f"{log_name}.log", folder / ".hydra", *folder.glob(".hydra/*")]
    if links := [path.name for path in places if path.is_symlink()]:
        raise ConfigError(f"hydra.run.dir={folder}: {links[0]} is a symbolic link; remove it or give another folder")
    found = [] if (folder / ".hydra").is_dir() else sorted(path for one in written for path in folder.glob(one))
    if found or ((folder / LOCK).exists() and (folder / LOCK).stat().st_size):
        raise ConfigError(
            f"hydra.run.dir={folder}: {found[0].name if found else LOCK} is not of a run of this program, which would "
            "write over it; give another folder"
        )


def _take(folder: Path) -> None:
    try:
        lock = try_lock(folder / LOCK)
    except NoLocksError as error:  # most people run one thing at a time
        log.warning("%s", error)
        return
    if lock is None:
        raise ConfigError(
            f"hydra.run.dir={folder}: another process is running in this folder; wait for its end or give another one"
        )
    _held[folder] = lock


def _check_room(folder: Path) -> None:
    """DataError unless `folder` can be made and holds a small file."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:  # of no name that could be somebody's
            probe.write(bytes(_ROOM_BYTES))
    except OSError as error:
        raise cannot_write(folder, error) from error


@contextmanager
def _one_line() -> Iterator[None]:
    """Hydra makes warnings of exceptions in callbacks; SystemExit ends the program."""
    try:
        yield
    except PoseError as error:
        log.error("%s", error)
        raise SystemExit(2) from None
