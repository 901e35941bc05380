"""What a training validates on: sequences that cannot be scored are skipped, and where none can be nothing starts."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from data.sets.mpi_inf_3dhp import MpiInf3dhpTest

WORDS = ["experiment=train", "data=synthetic", "size=tiny", "trainer=cpu", "data.windows_per_epoch=64"]


@pytest.fixture
def without_valid_frames(monkeypatch: pytest.MonkeyPatch):
    """Makes these validation sequences come without a valid frame."""
    read = MpiInf3dhpTest.sequences

    def hide(*names: str) -> None:
        def sequences(self, coordinates: str):
            return [
                dataclasses.replace(s, annotated=torch.zeros_like(s.annotated)) if s.sequence in names else s
                for s in read(self, coordinates)
            ]

        monkeypatch.setattr(MpiInf3dhpTest, "sequences", sequences)

    return hide


def test_a_validation_sequence_without_a_valid_frame_is_skipped(run_here, without_valid_frames, tmp_path: Path) -> None:
    without_valid_frames("TS2")
    done = run_here(*WORDS, f"paths.lifters={tmp_path / 'l'}", f"paths.synthetic={tmp_path / 'cache'}")
    assert done.returncode == 0, done.output
    (line,) = [line for line in done.output.splitlines() if "not scored" in line]
    assert "TS2/0" in line and "TS1" not in line
    assert "Epoch 0" not in done.output, "a progress bar, which is for terminals"
    (folder,) = (tmp_path / "l").iterdir()
    assert (folder / "lifter.ckpt").is_file()
    found = json.loads((folder / "done.json").read_text())["validation"]
    assert set(found["per_sequence"]) == {"TS1", "TS3", "TS4", "TS5", "TS6"}


def test_none_at_all_is_an_error_before_the_training(run_here, without_valid_frames, tmp_path: Path) -> None:
    without_valid_frames(*(f"TS{number}" for number in range(1, 7)))
    done = run_here(*WORDS, f"paths.lifters={tmp_path / 'l'}", f"paths.synthetic={tmp_path / 'cache'}")
    assert done.returncode == 2
    assert "6 annotated sequences: no frame has both a valid annotation and a valid detection" in done.output
    assert "training on synthetic" not in done.output
