"""The one way files are written: under their final names only when complete, whatever stops the program.

Temporary names begin with a dot and lie beside their targets, so that a move within one file system puts them in place.
A program that is killed leaves such a file behind; the next write of the target removes it once it is a day old.
"""

from __future__ import annotations

import glob
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pose.errors import DataError

#: Seconds without a change after which a temporary file or folder is that of a killed program.
LEFTOVER_S = 86_400.0


@contextmanager
def atomic_path(path: Path | str, sync: bool = True) -> Iterator[Path]:
    """A temporary path beside `path`, with its ending, that becomes `path` when the block ends without an error.

    Folders are made. After an error nothing is left and an older file stays as it was. What killed programs left of
    earlier tries goes a day later. sync: wait until the disk has it; many small files of a set that can be made again
    need not. Raises DataError if it cannot be written.
    """
    path = Path(path)
    partial = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        partial.touch(exist_ok=False)
        yield partial
        if sync:
            with open(partial, "rb+") as file:
                os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with suppress(OSError):  # it went where it belongs, or its folder is gone too
            partial.unlink()


def write_bytes(path: Path | str, content: bytes | memoryview, sync: bool = True) -> None:
    """Write a file, as `atomic_path` does."""
    with atomic_path(path, sync) as partial:
        partial.write_bytes(content)


def cannot_write(path: Path | str, error: OSError) -> DataError:
    """What to raise where `path` cannot be written: one line, whatever a library made of the system's reason."""
    reason = os.strerror(error.errno) if error.errno else " ".join(str(error).split())
    return DataError(f"{path}: cannot be written ({reason}); check permissions and free space")


def _remove_leftovers(path: Path) -> None:
    """Remove temporary files for `path` that are unchanged for a day: their writers were killed."""
    for left in path.parent.glob(f".{glob.escape(path.stem)}-????????{glob.escape(path.suffix)}"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > LEFTOVER_S:
                left.unlink()
