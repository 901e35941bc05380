"""The one callback that training cannot do without."""

from __future__ import annotations

from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint

from data.files import atomic_path


class EpochCheckpoint(Checkpoint):
    """Writes the whole training state after every epoch to one file, which is replaced only by a complete one.

    A `Checkpoint`, so that Lightning runs it after all other callbacks and the epoch's own bookkeeping.
    """

    def __init__(self, path: Path):
        self.path = path

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Every rank takes part, since saving ends in a barrier; rank 0 alone writes."""
        if trainer.is_global_zero:
            with atomic_path(self.path) as part:
                trainer.save_checkpoint(part)
        else:
            trainer.save_checkpoint(self.path)
