"""What a training goes on from: never a program, and never a damaged file in silence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from experiments.training.callbacks import EpochCheckpoint, WholeFiles, usable
from pose.errors import DataError


class Program:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


class Small(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def training_step(self, batch: torch.Tensor) -> torch.Tensor:
        return self.layer(batch).sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_lightning_reads_a_checkpoint_without_running_it(tmp_path: Path) -> None:
    """Its own default, up to 2.6 at least, would."""
    last, marker = tmp_path / "last.ckpt", tmp_path / "ran"

    def fit(epochs: int, ckpt_path: str | None) -> int:
        trainer = pl.Trainer(
            max_epochs=epochs, accelerator="cpu", logger=False, enable_progress_bar=False,
            enable_model_summary=False, callbacks=[EpochCheckpoint(last)], default_root_dir=tmp_path,
        )  # fmt: skip
        trainer.fit(Small(), torch.ones(2, 1), ckpt_path=ckpt_path)
        return trainer.global_step

    assert fit(1, None) == 2 and fit(2, str(last)) == 4
    torch.save({**torch.load(last, weights_only=True), "more": Program(marker)}, last)
    with pytest.raises(DataError, match=r"last\.ckpt: .*refused to load posix\.system"):
        fit(3, str(last))
    assert not marker.exists()


def test_a_damaged_checkpoint_is_set_aside_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    last = tmp_path / "last.ckpt"
    assert not usable(last)
    WholeFiles().save_checkpoint({"epoch": 3}, last)
    assert usable(last) and WholeFiles().load_checkpoint(last) == {"epoch": 3}
    whole = last.read_bytes()
    last.write_bytes(whole[: len(whole) // 2])
    assert not usable(last) and not last.exists()
    assert (tmp_path / "last.ckpt.damaged").stat().st_size == len(whole) // 2
    assert "last.ckpt: not a readable file of weights" in caplog.text
    assert "now last.ckpt.damaged, and the training starts anew" in caplog.text
