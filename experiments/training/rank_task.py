"""What one process of a training in several does: the task of a rank, which `experiments.training.ranks` starts."""

from __future__ import annotations

import logging
import os
import threading
import warnings
from pathlib import Path

from omegaconf import DictConfig

from experiments.runs.run_dir import run_folder
from experiments.runs.runner import settle
from experiments.training.lifters import train_as_rank
from experiments.training.ranks import ERROR_FILE, WORKER
from fileio.json_yaml import write_text
from pose.errors import PoseError

log = logging.getLogger(__name__)


def work(cfg: DictConfig) -> None:
    """The task of one rank: train, and as rank 0 leave the finished lifter."""
    threading.Thread(target=_end_with_the_run, daemon=True).start()
    # Every rank validates on everything, so there is nothing to gather; the layout of small gradients costs nothing.
    warnings.filterwarnings("ignore", message=".*sync_dist=True.*")
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides.*")
    rank, processes = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    try:
        settle(cfg)
        where = os.environ.get("CUDA_VISIBLE_DEVICES")
        log.info(
            "rank %d of %d trains the lifter %s%s",
            rank, processes, cfg[WORKER].hash, f" on the devices {where}" if where else "",
        )  # fmt: skip
        train_as_rank(cfg, Path(cfg[WORKER].folder), cfg[WORKER].hash, rank)
    except PoseError as error:
        write_text(run_folder() / ERROR_FILE, str(error))
        raise SystemExit(2) from None


def _end_with_the_run() -> None:
    os.read(0, 1)  # nothing ever comes; not sys.stdin, whose lock would be held when the process ends by itself
    os._exit(1)
