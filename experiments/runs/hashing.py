"""Which settings decide numbers: the one list that the identity of a sweep's row, of a lifter and the names of folders
derive from. Imported at the start of every run: nothing heavy up here.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from omegaconf import DictConfig, OmegaConf

#: Settings that change no number: what is shown, who is told, on what it is computed. A key stands for all below it.
#: The trainer's and the data's `_target_` follow from their other keys; `data.name` says which data set it is.
CHANGES_NO_NUMBER = {
    "callbacks.progress", "debug", "fresh", "logger", "name", "objective", "plugins", "published", "runs",
    "synthetic_size", "table", "tables", "task",
    "data._target_", "data.folder", "data.require_real", "test.folder",
    "paths.lifters", "paths.outputs", "paths.synthetic",
    "trainer._target_", "trainer.accelerator", "trainer.accumulate_grad_batches", "trainer.devices",
    "trainer.enable_checkpointing", "trainer.enable_model_summary", "trainer.enable_progress_bar",
    "trainer.log_every_n_steps", "trainer.max_time", "trainer.num_nodes", "trainer.num_sanity_val_steps",
    "trainer.strategy", "trainer.use_distributed_sampler",
}  # fmt: skip
#: Settings that name an experiment or a place. They stand in no name of a folder and no note of a table.
PLACES = {"experiment", "checkpoint", "paths"}


def _listed(key: str, keys: set[str]) -> bool:
    parts = key.split(".")
    return any(".".join(parts[: i + 1]) in keys for i in range(len(parts)))


def decides_numbers(key: str) -> bool:
    """Whether a setting, as it is overridden on the command line, may change a number.

    >>> decides_numbers("trainer.max_epochs"), decides_numbers("trainer.devices"), decides_numbers("logger.mode")
    (True, False, False)
    """
    return not _listed(key, CHANGES_NO_NUMBER)


def is_named(key: str) -> bool:
    """Whether folders and notes name a setting: it may change a number and is no place."""
    return decides_numbers(key) and not _listed(key, PLACES)


def deciding_settings(cfg: DictConfig | dict[str, Any]) -> dict[str, Any]:
    """The plain values of a configuration, resolved, without what changes no number."""
    settings: Any = OmegaConf.to_container(cfg, resolve=True) if isinstance(cfg, DictConfig) else cfg
    return {
        key: {k: v for k, v in value.items() if decides_numbers(f"{key}.{k}")} if isinstance(value, dict) else value
        for key, value in settings.items()
        if decides_numbers(key)
    }


def short_hash(value: Any) -> str:
    """Twelve characters that tell plain values apart."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]
