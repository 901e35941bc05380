"""A training that does not come to its end is not recorded as finished, and says how many epochs it saw."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

TINY = ["experiment=train", "data=synthetic", "size=tiny", "logger=csv", "data.windows_per_epoch=128"]


@pytest.fixture
def train(run_here, tmp_path: Path):
    def run(*words: str, folder: str = "run"):
        done = run_here(*TINY, f"paths.lifters={tmp_path / 'lifters'}", *words, folder=folder)
        return done, next((tmp_path / "lifters").iterdir())

    return run


def record_of(checkpoint: Path) -> dict:
    return torch.load(checkpoint, weights_only=True)["hyper_parameters"]["training"]


def test_max_time_is_no_end_and_more_time_goes_on(train, monkeypatch: pytest.MonkeyPatch) -> None:
    words, limit = ["trainer.max_epochs=3"], "+trainer.max_time={seconds: 100}"
    with monkeypatch.context() as patch:  # over within the second epoch
        patch.setattr("pytorch_lightning.callbacks.Timer.time_elapsed", lambda self, *_: self._steps > 2 and 1000.0)
        patch.setattr("pytorch_lightning.callbacks.Timer._steps", 0, raising=False)

        def count(self, trainer, *_) -> None:
            self._steps = trainer.global_step
            self._check_time_remaining(trainer)

        patch.setattr("pytorch_lightning.callbacks.Timer.on_train_batch_end", count)
        done, lifter = train(*words, limit)
    assert done.returncode == 2 and "ended the training before its end of 3 epochs" in done.output, done.output
    assert not (lifter / "done.json").exists() and record_of(lifter / "last.ckpt")["epochs"] == 1
    done, same = train(*words, folder="again")
    assert done.returncode == 0 and ", continued, in" in done.output and same == lifter, done.output
    found = json.loads((lifter / "done.json").read_text())
    assert (found["finished"], found["epochs"], found["max_epochs"]) == (True, 3, 3)
    assert record_of(lifter / "lifter.ckpt") == {"data": "synthetic", "epochs": 3, "max_epochs": 3, "batch_size": 64}


def test_early_stopping_is_said(train) -> None:
    stop = "+callbacks.stop={_target_: pytorch_lightning.callbacks.EarlyStopping, monitor: val/mpjpe_mm, "
    done, lifter = train(stop + "stopping_threshold: 1e9}", "trainer.max_epochs=4", "coordinates=universal")
    assert done.returncode == 0, done.output
    found = json.loads((lifter / "done.json").read_text())
    assert (found["finished"], found["epochs"], found["max_epochs"]) == (False, 1, 4)


@pytest.mark.parametrize(("number", "name", "code"), [(signal.SIGTERM, "SIGTERM", 143), (signal.SIGINT, "Ctrl-C", 130)])
def test_a_signal_ends_with_its_code_and_a_line(
    repo: Path, workdir: Path, tmp_path: Path, number: signal.Signals, name: str, code: int
) -> None:
    words = [*TINY, "trainer.max_epochs=100000", f"paths.lifters={tmp_path}/lifters", f"hydra.run.dir={tmp_path}/run"]
    process = subprocess.Popen(
        [sys.executable, str(repo / "run.py"), *words], cwd=workdir, env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not (checkpoints := list(tmp_path.glob("lifters/*/last.ckpt"))):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == code, output
    assert output.count(f"{name}: ended before the end; the same command goes on") == 1 and "Traceback" not in output
    assert 1 <= record_of(checkpoints[0])["epochs"] < 100000
    assert not list(tmp_path.glob("lifters/*/done.json")) and not (tmp_path / "run" / "metrics.json").exists()
