"""Locks between processes: files that the operating system unlocks when their holder ends, however it ends.

So a lock is never stale: a killed job's lock is free the moment it is dead. The file itself stays and says who holds or
last held it, for people to read; its content decides nothing.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fileio.atomic import cannot_write
from pose.errors import DataError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

_UNSUPPORTED = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK}


class NoLocksError(DataError):
    """The file system knows no locks."""


class FileLock:
    """An exclusive lock on `path`, whose folder is made. It can be taken once at a time, by any process or thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Take it if it is free. DataError where the file cannot be made or locked, NoLocksError where its file system
        knows no locks.

        On Windows there is no such lock and it is always free: run one job at a time there.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise cannot_write(self.path, error) from error
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in _UNSUPPORTED:
                raise NoLocksError(
                    f"{self.path}: its file system knows no locks ({error}); choose another for paths.outputs, or "
                    "mount it with them (Lustre: -o flock)"
                ) from error
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise cannot_write(self.path, error) from error
            return False
        try:
            os.truncate(descriptor, 0)
            os.write(descriptor, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode())
        except OSError as error:
            os.close(descriptor)
            raise cannot_write(self.path, error) from error
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Give it back; nothing happens if it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> str:
        """Who holds or last held it: "process 12 on host"."""
        try:
            content = json.loads(self.path.read_text())
            return f"process {content['pid']} on {content['host']}"
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return "another process"


@contextmanager
def waiting_for(path: Path, what: str, poll_s: float = 0.5) -> Iterator[None]:
    """Hold the lock `path` inside the block, waiting for whoever has it; `what` it is for is logged meanwhile."""
    lock = FileLock(path)
    told = False
    while not lock.take():
        if not told:
            log.info("waiting for %s, which %s is busy with", what, lock.holder())
            told = True
        time.sleep(poll_s)
    try:
        yield
    finally:
        lock.release()
