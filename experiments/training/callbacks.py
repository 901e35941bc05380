"""The one callback that training cannot do without, and how a training ended."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint, EarlyStopping, Timer
from pytorch_lightning.plugins.io import TorchCheckpointIO

from fileio.torch_reader import load_tensors, write_tensors
from pose.errors import ConfigError, DataError

log = logging.getLogger(__name__)


class EpochCheckpoint(Checkpoint):
    """Writes the whole training state after every epoch to one file, which is replaced only by a complete one.

    A `Checkpoint`, so that Lightning runs it after all other callbacks and the epoch's own bookkeeping.
    trained: whether anything was left to train. cut: whether the last epoch was not whole.
    """

    def __init__(self, path: Path):
        self.path = path
        self.trained = self.cut = False

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        trainer.strategy.checkpoint_io = WholeFiles()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.trained = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Every rank takes part, since saving ends in a barrier; rank 0 alone writes.

        Nothing is written of an epoch that was cut short: a training that goes on repeats it.
        """
        self.cut = trainer.fit_loop.epoch_loop.batch_idx + 1 < trainer.num_training_batches
        if not self.cut:
            trainer.save_checkpoint(self.path)


class WholeFiles(TorchCheckpointIO):
    """Writes checkpoints beside their place, and reads tensors and plain values only.

    Lightning itself goes by the machine's folder for temporary files: that may be too small for them, and keeps for
    ever what a kill leaves there. By default it also runs programs that a checkpoint may hold.
    """

    def load_checkpoint(self, path: Any, *_: Any, **__: Any) -> dict[str, Any]:
        return load_tensors(Path(path))

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        write_tensors(Path(path), checkpoint)


def usable(last: Path) -> bool:
    """Whether a training can go on from a file; one that is damaged is set aside, with a warning."""
    if not last.exists():
        return False
    try:
        load_tensors(last)
    except DataError as error:
        aside = last.with_name(f"{last.name}.damaged")
        with contextlib.suppress(FileNotFoundError):  # another rank was faster
            last.replace(aside)
        log.warning("%s; now %s, and the training starts anew", error, aside.name)
        return False
    return True


def ended_as_asked(trainer: Any, keep: EpochCheckpoint) -> bool:
    """Whether a training saw all its epochs or steps; False where early stopping ended it.

    KeyboardInterrupt after one; ConfigError after `max_time`, or where another callback ended it: it is to go on.
    """
    if str(trainer.state.status) == "interrupted":
        raise KeyboardInterrupt
    asked = trainer.max_epochs
    if 0 <= trainer.max_steps <= trainer.global_step or (not keep.cut and asked in (None, -1, trainer.current_epoch)):
        return True
    callbacks: list[Any] = getattr(trainer, "callbacks", [])
    over = any(isinstance(one, Timer) and (one.time_remaining() or 0) <= 0 for one in callbacks)
    if not over and any(isinstance(one, EarlyStopping) for one in callbacks):
        return False
    raise ConfigError(
        f"trainer.max_time: it, or a callback, ended the training before its end of {asked} epochs; the same command "
        "with more time, or without, goes on from the last whole epoch"
    )
