"""A training that is killed and started again by the same command ends like one that was never interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

WORDS = ["experiment=train", "data=synthetic", "size=tiny", "trainer.max_epochs=3", "model.network.channels=32"]


def test_killed_in_the_second_epoch(run, repo: Path, workdir: Path, tmp_path: Path) -> None:
    whole = run(*WORDS, f"paths.lifters={tmp_path / 'whole'}", folder="whole_run")
    assert whole.returncode == 0, whole.output

    # Small batches make the epochs long enough to be hit; what is killed is a process like any other.
    words = [*WORDS, f"paths.lifters={tmp_path / 'killed'}"]
    command = [sys.executable, str(repo / "run.py"), *words, f"hydra.run.dir={tmp_path / 'killed_run'}"]
    process = subprocess.Popen(
        command, cwd=workdir, env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not list((tmp_path / "killed").glob("*/last.ckpt")):
        assert process.poll() is None and time.monotonic() < deadline, "the training ended before it could be killed"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not list((tmp_path / "killed").glob("*/done.json")), "killed too late"

    continued = run(*words, folder="continued_run")
    assert continued.returncode == 0, continued.output
    assert ", continued" in continued.output
    (one,), (other,) = (list((tmp_path / name).iterdir()) for name in ("whole", "killed"))
    assert one.name == other.name, "the hash covers no paths"
    first, second = (torch.load(folder / "lifter.ckpt", weights_only=True)["state_dict"] for folder in (one, other))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert continued.metrics == whole.metrics
