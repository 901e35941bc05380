"""One process at a time, whatever happens to it; and one training of a lifter that several runs want."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from experiments.training import lifters
from experiments.training.devices import Plan
from fileio import locks
from fileio.locks import FileLock, waiting_for
from pose.errors import DataError

FORK = multiprocessing.get_context("fork")


def hold(path: Path, held, seconds: float) -> None:
    assert FileLock(path).take() or os._exit(3)
    held.set()
    time.sleep(seconds)
    os._exit(0)


@pytest.fixture
def holder(tmp_path: Path):
    """A process that holds the lock `tmp_path/lock` for a minute."""
    held = FORK.Event()
    process = FORK.Process(target=hold, args=(tmp_path / "lock", held, 60.0))
    process.start()
    assert held.wait(30)
    yield process
    process.kill()
    process.join()


def test_a_lock_is_one_processs(holder, tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    assert not lock.take()
    assert lock.holder().startswith(f"process {holder.pid} on ")


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_the_lock_of_a_dead_process_is_free_though_its_file_stays(holder, tmp_path: Path, sign: int) -> None:
    os.kill(holder.pid, sign)
    holder.join(30)
    assert json.loads((tmp_path / "lock").read_text())["pid"] == holder.pid
    lock = FileLock(tmp_path / "lock")
    assert lock.take()
    assert lock.holder().startswith(f"process {os.getpid()} on ")
    assert not FileLock(tmp_path / "lock").take(), "within a process too"
    lock.release()
    lock.release()
    assert FileLock(tmp_path / "lock").take()


def test_who_waits_says_so_once_and_gets_it(holder, tmp_path: Path, caplog) -> None:
    threading.Timer(0.3, holder.kill).start()
    with caplog.at_level("INFO"), waiting_for(tmp_path / "lock", "the lifter", poll_s=0.02):
        assert not holder.is_alive()
    assert caplog.text.count(f"waiting for the lifter, which process {holder.pid} on ") == 1
    assert FileLock(tmp_path / "lock").take(), "given back"


def test_an_error_inside_gives_it_back(tmp_path: Path) -> None:
    with pytest.raises(KeyError), waiting_for(tmp_path / "lock", "it"):
        raise KeyError
    assert FileLock(tmp_path / "lock").take()


def test_unusable_places_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file/lock: cannot be written"):
        FileLock(tmp_path / "file" / "lock").take()
    (tmp_path / "lock").write_text("[]")
    assert FileLock(tmp_path / "lock").holder() == "another process"

    def refuse(*_) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    with pytest.raises(DataError, match="knows no locks"):
        FileLock(tmp_path / "lock").take()


# --- lifters ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def trainings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Trainings without their work: what trained is noted here."""
    noted: list[str] = []

    def train_in(folder: Path, *_) -> None:
        noted.append(threading.current_thread().name)
        time.sleep(0.2)
        (folder / "done.json").write_text(json.dumps({"trained_by": threading.current_thread().name}))

    monkeypatch.setattr(lifters, "run_folder", lambda: tmp_path / threading.current_thread().name)
    monkeypatch.setattr(lifters, "_identify", lambda *_: (None, {"all": "settings"}, "abc"))
    monkeypatch.setattr(lifters, "plan", lambda *_: Plan("cpu", 1, 1))
    monkeypatch.setattr(lifters, "_train_in", train_in)
    return noted


def at_once(cfg, count: int) -> list[dict]:
    results: list[dict] = []
    threads = [threading.Thread(target=lambda: results.append(lifters.train(cfg)[1])) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(results) == count
    return results


def configuration(tmp_path: Path, fresh: bool):
    from omegaconf import OmegaConf

    paths = {"lifters": str(tmp_path / "lifters")}
    return OmegaConf.create({"fresh": fresh, "paths": paths, "trainer": {}, "data": {"batch_size": 1}})


@pytest.mark.parametrize("fresh", [False, True])
def test_runs_that_want_one_lifter_train_it_once(trainings: list[str], tmp_path: Path, fresh: bool) -> None:
    results = at_once(configuration(tmp_path, fresh), 4)
    assert len(trainings) == 1
    assert all(result == {"trained_by": trainings[0]} for result in results)
    assert json.loads((tmp_path / "lifters" / "abc" / "spec.json").read_text()) == {"all": "settings"}


def test_fresh_trains_again_what_was_there_before_and_empties_its_folder(trainings: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "lifters" / "abc"
    at_once(configuration(tmp_path, fresh=False), 1)
    (folder / "last.ckpt").write_text("half")
    at_once(configuration(tmp_path, fresh=False), 1)
    assert len(trainings) == 1
    assert (folder / "last.ckpt").exists()
    at_once(configuration(tmp_path, fresh=True), 3)
    assert len(trainings) == 2
    assert not (folder / "last.ckpt").exists()
    (folder / "done.json").unlink()
    (folder / "last.ckpt").write_text("half")
    at_once(configuration(tmp_path, fresh=True), 1)
    assert not (folder / "last.ckpt").exists(), "nor is a half-trained one continued"


def test_a_failed_training_leaves_the_lock_to_the_next(
    trainings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_) -> None:
        raise DataError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(lifters, "_train_in", fail)
        with pytest.raises(DataError):
            lifters.train(configuration(tmp_path, fresh=False))
    assert at_once(configuration(tmp_path, fresh=False), 1)
