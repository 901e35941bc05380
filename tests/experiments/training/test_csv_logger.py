"""Curves go on where a training went on, and are never emptied by a run that trains nothing."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from experiments.training.csv_logger import CurvesLogger


def log(folder: Path, *epochs: int, summary: bool = True) -> None:
    logger = CurvesLogger(str(folder))
    for epoch in epochs:
        logger.log_metrics({"epoch": epoch, "val/mpjpe_mm": 100.0 - epoch}, step=10 * epoch + 9)
        logger.log_metrics({"epoch": epoch, "train/loss": 1 / (1 + epoch)}, step=10 * epoch + 9)
        logger.save()
    if summary:
        logger.log_metrics({"lifted/mpjpe_mm": 90.0})
        logger.finalize("success")


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "curves" / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_continued_training_ends_with_the_curves_of_an_unbroken_one(tmp_path: Path) -> None:
    log(tmp_path / "whole", 0, 1, 2, 3)
    log(tmp_path / "killed", 0, 1, 2, summary=False)
    log(tmp_path / "killed", 2, 3)  # the epoch under way is trained again
    assert rows(tmp_path / "killed") == rows(tmp_path / "whole")
    assert len(rows(tmp_path / "whole")) == 9
    assert [path.name for path in (tmp_path / "killed" / "curves").iterdir()] == ["metrics.csv"]


def test_a_run_that_reuses_the_lifter_keeps_them_and_a_new_training_replaces_them(tmp_path: Path) -> None:
    log(tmp_path, 0, 1, 2)
    before = rows(tmp_path)
    CurvesLogger(str(tmp_path)).finalize("failed")
    assert rows(tmp_path) == before
    log(tmp_path)
    assert rows(tmp_path) == before
    log(tmp_path, 0)
    assert len(rows(tmp_path)) == 3


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"a,b\n1,2,3\n", b"a,step\n1,2,3\n", b"a,step\n1,x\n"])
def test_a_file_that_is_none_of_ours_is_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "curves").mkdir()
    (tmp_path / "curves" / "metrics.csv").write_bytes(content)
    log(tmp_path, 1, summary=False)
    assert [row["step"] for row in rows(tmp_path)] == ["19", "19"]
