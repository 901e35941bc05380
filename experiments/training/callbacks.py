"""The one callback that training cannot do without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from fileio.torch_reader import write_tensors


class EpochCheckpoint(Checkpoint):
    """Writes the whole training state after every epoch to one file, which is replaced only by a complete one.

    A `Checkpoint`, so that Lightning runs it after all other callbacks and the epoch's own bookkeeping.
    trained: whether anything was left to train.
    """

    def __init__(self, path: Path):
        self.path = path
        self.trained = False

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        trainer.strategy.checkpoint_io = WholeFiles()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.trained = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Every rank takes part, since saving ends in a barrier; rank 0 alone writes."""
        trainer.save_checkpoint(self.path)


class WholeFiles(TorchCheckpointIO):
    """Writes checkpoints beside their place.

    Lightning itself goes by the machine's folder for temporary files: that may be too small for them, and keeps for
    ever what a kill leaves there.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        write_tensors(Path(path), checkpoint)
