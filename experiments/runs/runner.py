"""What surrounds every task: its folder, its seed, its logger, and the errors that a user can cause.

Every run leaves `config.yaml` (resolved), `run.json` (command, overrides, commit, seed, versions, time) and its log in
its folder. A `PoseError` ends the run with one line and exit code 2, and so does what the machine refuses (a full disk,
a folder that went away); `debug=true` shows the traceback instead. A job of a sweep never raises: see
experiments/runs/sweep.py.
"""

from __future__ import annotations

import errno
import importlib.metadata
import inspect
import logging
import math
import os
import platform
import random
import re
import sys
import time
import warnings
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.utils import get_method, get_object, instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError, MissingMandatoryValue

from experiments.datasets import data_files
from experiments.results.objective import check_objective, objective_of
from experiments.results.table import check_table, own_columns
from experiments.runs.inputs import commit
from experiments.runs.run_dir import CONFIG_FILE, check_apart, owned, remove_older_results, run_folder, write_config
from experiments.runs.sweep import Finished, in_sweep, note_failure, skip_if_finished
from experiments.runs.used_keys import check_used
from fileio.json_yaml import write_json
from pose.errors import ConfigError, DataError, PoseError, check_number

log = logging.getLogger(__name__)

#: What the machine refuses to libraries that write or read for us; our own code says more.
_REFUSALS = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR,
    errno.EIO, errno.ESTALE,
}  # fmt: skip


def run(cfg: DictConfig) -> float | None:
    """Run `cfg.task` in its folder; the `objective` that a sweeper may make small, None where there is none.

    Raises SystemExit(2) for an error in the user's input. As a job of a sweep: skip what is finished, and write
    failed.json and return NaN instead of raising.
    """
    logging.raiseExceptions = False  # a log that cannot be written, on a full disk, is no second error
    with ExitStack() as own:  # until a failure is noted
        try:
            own.enter_context(owned(run_folder(), waits=in_sweep()))
            _run(cfg)
            return objective_of(cfg, run_folder())
        except Finished:
            log.info("finished before: %s", run_folder())
            return objective_of(cfg, run_folder())
        except Exception as error:
            cause = _user_error(error, cfg)
            if in_sweep():
                message = str(cause) if cause is not None else f"{type(error).__name__}: {error}"
                log.error("%s", cause or message, exc_info=cause is None or cfg.debug)
                with suppress(PoseError):  # of a full disk the sweep's own note will tell
                    note_failure(message)
                return math.nan
            if cause is None or cfg.debug:
                raise
            log.error("%s", cause)
            raise SystemExit(2) from None


def _run(cfg: DictConfig) -> None:
    started, clock = time.strftime("%Y-%m-%dT%H:%M:%S%z"), time.perf_counter()
    folder = run_folder()
    log.info("%s -> %s", cfg.name, folder)
    _quieten()
    own_columns(cfg.metrics)
    for name, metric in cfg.metrics.items():
        _check_function(f"metrics.{name}.function", metric.function)
    if "table" in cfg:
        check_table(cfg.table)
        check_objective(cfg.objective)
    check_used(HydraConfig.get().overrides.task, cfg.task._target_)
    instantiate(cfg.task)(cfg)
    if (folder / CONFIG_FILE).is_file():  # of a task that settles
        remove_older_results(folder)
    write_json(
        folder / "run.json",
        {
            "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
            "overrides": list(HydraConfig.get().overrides.task),
            "commit": commit(),
            "seed": cfg.seed,
            "started": started,
            "seconds": round(time.perf_counter() - clock, 1),
            "python": platform.python_version(),
            "packages": {name: importlib.metadata.version(name) for name in ("torch", "pytorch-lightning", "numpy")},
        },
    )
    log.info("done in %.0f s: %s", time.perf_counter() - clock, folder)


def _check_function(key: str, name: str) -> None:
    """ConfigError, before anything trains, for a function that cannot be imported."""
    own_log = logging.getLogger("hydra.utils")  # which would say it too, in several lines
    disabled, own_log.disabled = own_log.disabled, True
    try:
        get_method(name)
    except Exception as error:  # whatever its module raises
        raise ConfigError(f"{key}={name}: cannot be used ({' '.join(str(error).split())[:200]})") from error
    finally:
        own_log.disabled = disabled


def settle(cfg: DictConfig, trains: bool = False, tests: bool = False) -> None:
    """What a task does once its configuration changes no more: write it, resolved; take the seed and threads it names.

    trains, tests: whether it reads the training data (unless it takes a `checkpoint`) and the test set. Leaves the task
    by Finished if this is a job of a sweep that was finished before.
    """
    _use_plugins(cfg)
    check_apart(cfg, run_folder())
    skip_if_finished(cfg, lambda: data_files(cfg, trains, tests))
    write_config(run_folder(), OmegaConf.to_yaml(cfg, resolve=True))
    _seed(cfg.seed)
    if cfg.size.threads is not None:
        torch.set_num_threads(cfg.size.threads)


def _use_plugins(cfg: DictConfig) -> None:
    """Let lifters use the classes that the configuration names."""
    from lightning_modules.components import trust

    trust([*(str(cfg.model[key]._target_) for key in ("network", "features")), *cfg.plugins])


def _seed(seed: Any) -> None:
    """All that Lightning's `seed_everything` does: importing Lightning takes seconds, and few tasks train."""
    check_number("seed", seed, low=0, high=2**32 - 1, whole=True)
    os.environ.update(PL_GLOBAL_SEED=str(seed), PL_SEED_WORKERS="1")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _user_error(error: BaseException, cfg: DictConfig) -> PoseError | None:
    """The error in the user's input behind `error`, looking through what Hydra wraps around constructors."""
    if isinstance(error, PoseError):
        return error
    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        return _unfit_setting(error, cfg) or _user_error(error.__cause__, cfg)
    if isinstance(error, MissingMandatoryValue | InterpolationToMissingValueError):
        missing = sorted(OmegaConf.missing_keys(cfg)) or [str(error.full_key)]
        return ConfigError(f"{missing[0]}: has no value; give {missing[0]}=VALUE")
    if isinstance(error, OSError) and error.errno in _REFUSALS:
        place = error.filename or f"a file, perhaps in {run_folder()}"
        return DataError(f"{place}: {os.strerror(error.errno)}; repair this and give the same command again")
    return None


def _unfit_setting(error: InstantiationException, cfg: DictConfig) -> ConfigError | None:
    """Which key of which option its constructor does not take or lacks, if that is why Hydra could not call it."""
    called = re.search(r"Error in call to target '([\w.]+)'", str(error))
    unfit = re.search(
        r"unexpected keyword argument '(\w+)'|missing \d+ required .*arguments?: '(\w+)'", str(error.__cause__)
    )
    if not (called and unfit and isinstance(error.__cause__, TypeError)):
        return None
    taken = [name for name in inspect.signature(get_object(called[1])).parameters if name != "self"]
    if (unfit[1] in taken) if unfit[1] else (unfit[2] not in taken):
        return None  # of another call, inside the constructor
    settings: Any = OmegaConf.to_container(cfg)
    where = _key_of(settings, called[1].rpartition(".")[2])
    option = HydraConfig.get().runtime.choices.get(where)
    said = f"{where}={option}" if option else where
    if unfit[1]:
        known = [key for key in OmegaConf.select(cfg, where) or taken if key not in (unfit[1], "_target_", "name")]
        return ConfigError(f"{where}.{unfit[1]}: {said} has no such setting; its settings are {', '.join(known)}")
    return ConfigError(f"{where}.{unfit[2]}: {said} needs this setting; give {where}.{unfit[2]}=VALUE")


def _key_of(settings: dict[str, Any], name: str, key: str = "") -> str:
    """The dotted key of the part of a configuration whose `_target_` ends in `name`; empty if none has."""
    if str(settings.get("_target_")).rpartition(".")[2] == name:
        return key
    below = ((f"{key}.{inner}".lstrip("."), value) for inner, value in settings.items() if isinstance(value, dict))
    return next(filter(None, (_key_of(value, name, at) for at, value in below)), "")


def _quieten() -> None:
    """Silence Lightning's notes on devices, its tips, and warnings about its own insides that users cannot act on."""
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message="You have overridden `transfer_batch_to_device` in `LightningModule`.*")
    warnings.filterwarnings("ignore", message="Experiment logs directory .* exists and is not empty.*")
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning.fabric", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
