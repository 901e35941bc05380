"""One process at a time, whatever happens to it."""

from __future__ import annotations

import errno
import multiprocessing
import os
import re
import signal
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock

from fileio.locks import NoLocksError, try_lock, waiting_for
from pose.errors import DataError

SPAWN = multiprocessing.get_context("spawn")


def hold(path: Path, held, seconds: float) -> None:
    lock = try_lock(path)
    assert lock is not None
    held.set()
    time.sleep(seconds)


@pytest.fixture
def holder(tmp_path: Path):
    """A process that holds the lock `tmp_path/lock` for a minute."""
    held = SPAWN.Event()
    process = SPAWN.Process(target=hold, args=(tmp_path / "lock", held, 60.0))
    process.start()
    assert held.wait(60)
    yield process
    process.kill()
    process.join()


def test_the_lock_of_a_dead_process_is_free_though_its_file_stays(holder, tmp_path: Path) -> None:
    assert try_lock(tmp_path / "lock") is None
    os.kill(holder.pid, signal.SIGKILL)
    holder.join(30)
    lock = try_lock(tmp_path / "lock")
    assert lock is not None
    assert try_lock(tmp_path / "lock") is None, "within a process too"
    lock.release()
    assert try_lock(tmp_path / "lock") is not None


def test_who_waits_says_so_once_and_gets_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    held = threading.Event()

    def hold_shortly() -> None:
        lock = try_lock(tmp_path / "lock")
        assert lock is not None
        held.set()
        time.sleep(0.3)

    threading.Thread(target=hold_shortly).start()
    assert held.wait(10)
    with caplog.at_level("INFO"), waiting_for(tmp_path / "lock", "the lifter", poll_s=0.02):
        assert try_lock(tmp_path / "lock") is None
    assert caplog.text.count("waiting for the lifter, which another process is busy with") == 1
    with pytest.raises(KeyError), waiting_for(tmp_path / "lock", "it"):  # given back, and so after an error
        raise KeyError
    assert try_lock(tmp_path / "lock") is not None


def test_the_file_in_its_place_keeps_its_content_and_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("precious")
    lock = try_lock(tmp_path / "lock")
    assert lock is not None
    lock.release()
    (tmp_path / "link").symlink_to(tmp_path / "lock")
    with pytest.raises(DataError, match=r"link: cannot be written \(Too many levels of symbolic links\)"):
        try_lock(tmp_path / "link")
    assert (tmp_path / "lock").read_text() == "precious"


def test_unusable_places_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file/lock: cannot be written"):
        try_lock(tmp_path / "file" / "lock")
    for code, kind, text in ((errno.ENOSYS, NoLocksError, "knows no locks"), (errno.EIO, DataError, "Input/output")):

        def fail(*_, code: int = code) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(FileLock, "_acquire", fail)
        with pytest.raises(kind, match=text):
            try_lock(tmp_path / "lock")


def test_only_filelock_locks(repo: Path) -> None:
    """So that the product works where there is no fcntl, on Windows."""
    folders = ("pose", "fileio", "data", "lightning_modules", "refinement", "inference", "experiments")
    files = [path for folder in folders for path in (repo / folder).rglob("*.py")]
    assert len(files) > 100
    found = [path for path in files if re.search(r"\b(fcntl|msvcrt)\b", path.read_text(encoding="utf-8"))]
    assert not found
