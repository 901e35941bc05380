"""What a training runs on, and how parallel jobs share devices (made-up ones: none are needed here)."""

from __future__ import annotations

import multiprocessing
import os
import time
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from experiments.training import devices
from experiments.training.devices import Plan, plan, taken
from fileio.locks import try_lock
from pose.errors import ConfigError

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch):
    """Pretend that CUDA devices of these names are visible."""

    def pretend(*names: str) -> None:
        monkeypatch.setattr(devices, "visible", lambda: list(names))

    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    return pretend


def trainer(**settings):
    return OmegaConf.create({"accelerator": "auto", "devices": 1, **settings})


def test_the_batch_of_a_step_stays_whatever_shares_it(gpus) -> None:
    gpus()
    assert plan(trainer(), 1024) == Plan("cpu", 1, 1024)
    assert not plan(trainer(), 1024).in_processes
    assert plan(trainer(devices=4), 1024) == Plan("cpu", 4, 256)
    gpus(*"01234567")
    assert plan(trainer(accelerator="cpu", strategy="ddp", devices=2), 1024) == Plan("cpu", 2, 512)
    assert plan(trainer(strategy="ddp", devices="auto"), 1024) == Plan("cuda", 8, 128)
    assert plan(trainer(devices=-1, accumulate_grad_batches=4), 1024) == Plan("cuda", 8, 32, 4)
    assert plan(trainer(devices=[6, 1]), 1024) == Plan("cuda", 2, 512, 1, (1, 6))
    assert plan(trainer(), 1024).in_processes, "a GPU is shared by processes that see only theirs"
    gpus("0", "1", "2")
    assert plan(trainer(devices="auto"), 999).batch_size == 333


@pytest.mark.parametrize(
    ("settings", "batch", "said"),
    [
        ({"devices": 3}, 1024, "data.batch_size=1024: must divide by 3 devices x 1 accumulated"),
        ({"devices": 4, "accumulate_grad_batches": 3}, 64, "data.batch_size=64: must divide by 4 devices x 3"),
        ({"accumulate_grad_batches": 0}, 64, "trainer.accumulate_grad_batches=0"),
        ({"accumulate_grad_batches": "two"}, 64, "trainer.accumulate_grad_batches=two"),
        ({}, "many", "data.batch_size=many"),
        ({}, 0, "data.batch_size=0"),
        ({"devices": 5}, 60, "trainer.devices=5: 4 of cuda are here"),
        ({"devices": [0, 4]}, 60, "4 of cuda"),
        ({"devices": [-2, 0]}, 60, "4 of cuda"),
        ({"devices": 0}, 60, "trainer.devices=0"),
        ({"devices": "some"}, 60, "trainer.devices=some: must be a number"),
        ({"devices": ["a"]}, 60, "must be a number"),
        ({"devices": None}, 60, "trainer.devices=None"),
        ({"strategy": "fsdp"}, 60, "trainer.strategy=fsdp: must be one of auto, ddp"),
        ({"num_nodes": 2}, 60, "trainer.num_nodes=2"),
        ({"accelerator": "mps"}, 60, "trainer.accelerator=mps: no such device"),
    ],
)
def test_what_cannot_be_had_is_said(gpus, settings: dict, batch, said: str) -> None:
    gpus(*"0123")
    with pytest.raises(ConfigError, match=said.replace("[", "\\[")):
        plan(trainer(**settings), batch)


def test_no_gpu_is_an_error_only_where_one_is_asked_for(gpus) -> None:
    gpus()
    with pytest.raises(ConfigError, match=r"trainer.accelerator=gpu: no such device .* trainer=cpu"):
        plan(trainer(accelerator="gpu"), 64)


def test_devices_have_the_names_that_cuda_gives_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert devices.visible() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-5f, GPU-07")
    assert devices.visible() == ["GPU-5f", "GPU-07"]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert devices.visible() == [], "named but not there"


def test_a_batch_systems_job_has_locks_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    alone = devices.lock_folder()
    monkeypatch.setenv("SLURM_JOB_ID", "71")
    assert devices.lock_folder() != alone


def test_locks_of_devices_lie_in_a_private_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    folder = devices.lock_folder().parent
    assert folder.stat().st_mode & 0o077 == 0, "nobody else can put a link there"
    folder.rmdir()
    (tmp_path / "mine").mkdir()
    folder.symlink_to(tmp_path / "mine")
    with pytest.raises(ConfigError, match="is no folder of yours; remove it, or set TMPDIR"):
        devices.lock_folder()


def test_a_free_device_is_taken_and_given_back(gpus, tmp_path: Path) -> None:
    gpus("GPU-a", "GPU-b", "GPU-c")
    one, two = Plan("cuda", 1, 8), Plan("cuda", 2, 8)
    with taken(one, tmp_path) as first, taken(two, tmp_path) as others:
        assert first == {"CUDA_VISIBLE_DEVICES": "GPU-a"}
        assert others == {"CUDA_VISIBLE_DEVICES": "GPU-b,GPU-c"}
    with taken(Plan("cuda", 1, 8, chosen=(2,)), tmp_path) as chosen:
        assert chosen == {"CUDA_VISIBLE_DEVICES": "GPU-c"}
    with taken(Plan("cpu", 4, 8), tmp_path) as none:
        assert none == {}


def work(place: Path, count: int, intervals) -> None:
    with taken(Plan("cuda", count, 8), place, poll_s=0.02) as environment:
        start = time.monotonic()
        time.sleep(0.1)
        for name in environment["CUDA_VISIBLE_DEVICES"].split(","):
            intervals.put((name, start, time.monotonic()))
    intervals.close()
    intervals.join_thread()
    os._exit(0)


def test_parallel_jobs_never_share_a_device_and_use_all(gpus, tmp_path: Path) -> None:
    gpus("GPU-a", "GPU-b")
    intervals = FORK.Queue()
    counts = [1, 2, 1, 1, 2, 1]
    jobs = [FORK.Process(target=work, args=(tmp_path, count, intervals)) for count in counts]
    for job in jobs:
        job.start()
    seen = sorted(intervals.get(timeout=30) for _ in range(sum(counts)))
    for job in jobs:
        job.join(30)
        assert job.exitcode == 0
    assert {name for name, _, _ in seen} == {"GPU-a", "GPU-b"}
    for (name, _, end), (following, start, _) in pairwise(seen):
        assert name != following or end <= start, "two jobs at once on one device"


def test_a_training_sees_the_free_device_only(gpus, run_here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpus("made-up-0", "made-up-1")
    monkeypatch.setattr(devices, "lock_folder", lambda: tmp_path / "locks")
    busy = try_lock(tmp_path / "locks" / "made-up-0.lock")
    assert busy is not None
    done = run_here(
        "experiment=train", "data=synthetic", "size=tiny", "data.windows_per_epoch=64", f"paths.lifters={tmp_path}/l"
    )
    assert done.returncode == 0, done.output
    assert "training on the device made-up-1" in done.output
    log = (done.folder / "training" / "rank_0" / "main.log").read_text()
    assert "rank 0 of 1 trains the lifter" in log
    assert "on the devices made-up-1" in log
    curves = (done.folder / "curves" / "metrics.csv").read_text()
    assert "train/loss" in curves, "what the training logs arrives at the run's logger"
    assert done.metrics["metrics"]["lifted"]["mpjpe_mm"] > 0
    assert try_lock(tmp_path / "locks" / "made-up-1.lock") is not None, "given back"
