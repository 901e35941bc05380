"""Which devices a training takes, and how parallel jobs of one machine share its GPUs.

A training on CUDA first takes a lock on each device that it will use, and its processes see no other
(`CUDA_VISIBLE_DEVICES`); a job that finds too few free ones waits. A batch system gives each job devices of its own, so
the locks of a Slurm job are that job's.
"""

from __future__ import annotations

import getpass
import logging
import os
import random
import stat
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from fileio.locks import try_lock
from pose.errors import ConfigError, check_number

log = logging.getLogger(__name__)

_STRATEGIES = ("auto", "ddp")


@dataclass(frozen=True)
class Plan:
    """What one training runs on: `processes`, one a device, of `kind` cpu, cuda, mps, ..., and how a batch is split.

    chosen: the user's own choice of devices, as indices of the visible ones; None: any.
    batch_size: windows of each process and step. accumulate: such steps to one step of the optimiser.
    """

    kind: str
    processes: int
    batch_size: int
    accumulate: int = 1
    chosen: tuple[int, ...] | None = None

    @property
    def in_processes(self) -> bool:
        """Whether training needs processes of its own: for several ranks, and for CUDA, whose devices are shared."""
        return self.processes > 1 or self.kind == "cuda"


def plan(trainer: Any, global_batch: int) -> Plan:
    """What `cfg.trainer` asks for, on this machine.

    `data.batch_size` is the batch of one step of the optimiser, whatever it is computed on: each process takes
    batch_size / (processes * accumulate_grad_batches) windows at a time.
    Raises ConfigError for what cannot be had and for a batch that does not divide.
    """
    strategy, nodes = trainer.get("strategy", "auto"), trainer.get("num_nodes", 1)
    if strategy not in _STRATEGIES:
        raise ConfigError(f"trainer.strategy={strategy}: must be one of {', '.join(_STRATEGIES)}")
    if nodes != 1:
        raise ConfigError(f"trainer.num_nodes={nodes}: one lifter trains on one machine; use more of them by a sweep")
    kind = _kind(trainer.accelerator)
    processes, chosen = _devices(trainer.devices, kind)
    accumulate = trainer.get("accumulate_grad_batches", 1)
    check_number("trainer.accumulate_grad_batches", accumulate, low=1, whole=True)
    check_number("data.batch_size", global_batch, low=1, whole=True)
    if global_batch % (processes * accumulate):
        raise ConfigError(
            f"data.batch_size={global_batch}: must divide by {processes} devices x {accumulate} accumulated batches "
            f"(trainer.devices x trainer.accumulate_grad_batches); change one of the three"
        )
    return Plan(kind, processes, global_batch // (processes * accumulate), accumulate, chosen)


def visible() -> list[str]:
    """The CUDA devices that this process may use, as CUDA_VISIBLE_DEVICES names them; no context is made on any."""
    import torch

    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [name.strip() for name in named.split(",")] if named is not None else [str(i) for i in range(count)]
    return names[:count]


@contextmanager
def taken(plan: Plan, folder: Path | None = None, poll_s: float = 1.0) -> Iterator[dict[str, str]]:
    """Hold the locks of the plan's devices inside the block, waiting until they are free.

    Yields what to add to the environment of the training's processes: CUDA_VISIBLE_DEVICES, nothing without CUDA.
    folder: where the locks are, default one for this user and machine, or Slurm job.
    """
    if plan.kind != "cuda":
        yield {}
        return
    names = visible()
    if plan.chosen is not None:
        names = [names[index] for index in plan.chosen]
    folder = lock_folder() if folder is None else folder
    locks = _take(names, plan.processes, folder)
    if not locks:
        log.info("waiting for %d free of the devices %s", plan.processes, ", ".join(names))
    while not locks:
        time.sleep(poll_s * random.uniform(0.5, 1.5))
        locks = _take(names, plan.processes, folder)
    try:
        log.info("training on the device%s %s", "s" if len(locks) > 1 else "", ", ".join(locks))
        yield {"CUDA_VISIBLE_DEVICES": ",".join(locks)}
    finally:
        for lock in locks.values():
            lock.release()


def lock_folder() -> Path:
    """Local to the machine, since device 0 of another machine is another device; nobody else writes there.

    ConfigError where somebody else has made it, or a link in its place.
    """
    folder = Path(tempfile.gettempdir(), f"lifter-devices-{getpass.getuser()}")
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or (hasattr(os, "getuid") and found.st_uid != os.getuid()):
        raise ConfigError(f"{folder}: is no folder of yours; remove it, or set TMPDIR to a folder of your own")
    folder.chmod(0o700)
    return folder / os.environ.get("SLURM_JOB_ID", "local")


def _take(names: Sequence[str], count: int, folder: Path) -> dict[str, FileLock]:
    """Locks of the first `count` free devices, or none at all: holding a part while waiting could block two jobs."""
    locks: dict[str, FileLock] = {}
    for name in names:
        if len(locks) < count and (lock := try_lock(folder / f"{name.replace('/', '-')}.lock")):
            locks[name] = lock
    if len(locks) == count:
        return locks
    for lock in locks.values():
        lock.release()
    return {}


def _kind(accelerator: str) -> str:
    """What Lightning's `accelerator` means here."""
    import torch

    if accelerator in ("auto", "gpu", "cuda") and visible():
        return "cuda"
    if accelerator in ("auto", "gpu", "mps") and torch.backends.mps.is_available():
        return "mps"
    if accelerator in ("auto", "cpu"):
        return "cpu"
    if accelerator in ("gpu", "cuda", "mps"):
        raise ConfigError(f"trainer.accelerator={accelerator}: no such device is visible here; use trainer=cpu")
    return accelerator  # Lightning knows more of them, one device each


def _devices(devices: Any, kind: str) -> tuple[int, tuple[int, ...] | None]:
    """(how many, which) of Lightning's `devices`: a number, auto or -1 (all), or a list of indices."""
    most = {"cuda": len(visible()), "cpu": None}.get(kind, 1)
    if devices in ("auto", -1, "-1"):
        return most or 1, None
    chosen = None
    try:
        if isinstance(devices, (int, str)):
            count = int(devices)
        else:
            chosen = tuple(sorted({int(index) for index in devices}))
            count = len(chosen)
    except (TypeError, ValueError):
        raise ConfigError(f"trainer.devices={devices}: must be a number, auto, -1 or a list of numbers") from None
    known = chosen is None or most is None or all(0 <= index < most for index in chosen)
    if count < 1 or (most is not None and count > most) or not known:
        raise ConfigError(f"trainer.devices={devices}: {'any number' if most is None else most} of {kind} are here")
    return count, chosen if kind == "cuda" else None
