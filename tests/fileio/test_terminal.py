"""Terminals, files and pipes that cannot show everything; names of files that would steer them."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments.results.table import text_table
from experiments.results.writers import markdown_text
from fileio.json_yaml import write_text
from fileio.terminal import LineFormatter
from pose.errors import ListedError

NAME = "a\nERROR: all is lost\x1b[2J\u202e.mp4"


@pytest.mark.parametrize(
    ("encoding", "shown"), [("utf-8", "PCK % ↑ ± 1"), ("cp1252", "PCK %   ± 1"), ("ascii", "PCK %   ~ 1")]
)
def test_a_table_is_shown_without_the_signs_that_the_terminal_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, shown: str
) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", out)
    write_text(tmp_path / "table.md", "PCK % ↑ ± 1", show=True)
    assert out.buffer.getvalue().decode(encoding) == f"{shown}\n"
    assert (tmp_path / "table.md").read_text("utf-8") == "PCK % ↑ ± 1"


def test_a_pipe_that_nobody_reads_does_not_change_the_exit_code(repo: Path, tmp_path: Path) -> None:
    poses = np.zeros((9, 17, 3)) + [0, 0, 4000]
    np.savez(
        tmp_path / "a.npz", sequence=["A"] * 9, frame=np.arange(9), person=np.zeros(9, int), poses_3d=poses,
        confidence=np.ones(9), coordinates="normal", fps=30,
    )  # fmt: skip
    words = [
        "experiment=refine",
        f"predictions={tmp_path}/a.npz",
        "refinement=gaussian",
        f"hydra.run.dir={tmp_path}/run",
    ]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, str(repo / "run.py"), *words], stdout=write, stderr=subprocess.PIPE, text=True
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "run" / "table.md").is_file()


def test_names_in_log_lines_and_tables(caplog: pytest.LogCaptureFixture) -> None:
    record = logging.makeLogRecord({"msg": "%s of %d", "args": (Path(NAME), 3)})
    assert LineFormatter("%(message)s").format(record) == r"a\nERROR: all is lost\x1b[2J\u202e.mp4 of 3"
    listed = logging.makeLogRecord({"msg": "%s", "args": (ListedError(["2 files are missing:", NAME]),)})
    assert LineFormatter("%(message)s").format(listed).split("\n") == [
        "2 files are missing:", r"a\nERROR: all is lost\x1b[2J\u202e.mp4",
    ]  # fmt: skip
    text = markdown_text(text_table(NAME, [{"sequence": NAME}], [NAME]))
    assert text.count(r"a\nERROR: all is lost\x1b[2J\u202e.mp4") == 3 and "\x1b" not in text
