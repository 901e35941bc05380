"""Locks between processes, on files that the operating system unlocks when their holder ends, however it ends.

So a lock is never stale: a killed job's lock is free the moment it is dead. The empty file itself stays. It is neither
cut nor replaced, and a symbolic link in its place is refused.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from fileio.atomic import cannot_write
from pose.errors import DataError

log = logging.getLogger(__name__)

_UNSUPPORTED = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK}


class NoLocksError(DataError):
    """The file system knows no locks."""


def try_lock(path: Path) -> FileLock | None:
    """The lock on `path`, held until its `release` or its end as an object; None if it is held elsewhere.

    Elsewhere can be in this process too. The folder is made. DataError where the file cannot be made or locked,
    NoLocksError where its file system knows no locks.
    """
    lock = FileLock(path, thread_local=False, fallback_to_soft=False)
    return lock if _acquired(lock, timeout=0) else None


@contextmanager
def waiting_for(path: Path, what: str, poll_s: float = 0.5) -> Iterator[None]:
    """Hold the lock `path` inside the block, waiting until it is free.

    What it is for is logged if that takes longer than `poll_s`, the time between two tries. Errors as in `try_lock`.
    """
    lock = FileLock(path, thread_local=False, fallback_to_soft=False)
    if not _acquired(lock, timeout=poll_s):
        log.info("waiting for %s, which another process is busy with", what)
        _acquired(lock, timeout=-1, poll_s=poll_s)
    try:
        yield
    finally:
        lock.release()


def _acquired(lock: FileLock, timeout: float, poll_s: float = 0.05) -> bool:
    path = Path(lock.lock_file)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout, poll_interval=poll_s)
    except Timeout:
        return False
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            raise NoLocksError(
                f"{path}: its file system knows no locks ({error}); choose another for paths.outputs, or mount it with "
                "them (Lustre: -o flock)"
            ) from error
        raise cannot_write(path, error) from error
    return True
