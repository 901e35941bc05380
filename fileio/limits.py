"""What every reader asks of a file: that it opens, holds what it announces, and says in one line what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pose.errors import DataError, PoseError

#: The remedy for a damaged file of a published data set.
FETCH = "fetch the file again"

#: What a file may unpack to: bytes, and times its own size. Measured data compress by less than ten.
UNPACKED_BYTES, UNPACKED_TIMES = 2**26, 100


@contextmanager
def reading(path: Path | str, kind: str, remedy: str = FETCH) -> Iterator[None]:
    """Turn whatever goes wrong while `path` is read as a `kind` ("a MATLAB file") into a DataError naming it."""
    check_stored(path)
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise DataError(f"{path}: cannot be opened ({error.strerror}); check the path and its permissions") from error
    try:
        yield
    except PoseError:
        raise
    except Exception as error:  # parsers of binary formats raise nearly every type on damaged input
        detail = " ".join(str(error).split())[:150]
        raise DataError(f"{path}: not {kind} or damaged ({type(error).__name__}: {detail}); {remedy}") from error


def check_stored(path: Path | str) -> None:
    """DataError for what is neither a file nor a folder: a pipe or a device may never end, and cannot be read twice."""
    path = Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():
        raise DataError(f"{path}: is a pipe or a device, a file is expected; write its content to a file and give that")


def unpacked_bound(path: Path | str) -> int:
    """Bytes that an honest file of the size of `path` unpacks to at most."""
    return max(UNPACKED_BYTES, UNPACKED_TIMES * Path(path).stat().st_size)


def check_unpacked(path: Path | str, size: int) -> None:
    """Raise DataError if `size` bytes are more than the bound of `path`."""
    if size > UNPACKED_BYTES and size > unpacked_bound(path):
        raise DataError(
            f"{path}: refused: {size / 2**20:.0f} MiB unpacked, more than {UNPACKED_TIMES} times the file; fetch it "
            "from its source"
        )


def check_count(value: Any, most: int, text: bool = True) -> None:
    """ValueError if nested containers hold more than `most` numbers and characters, or, without `text`, any text.

    A pickle can hold one list many times: it counts each time.

    >>> check_count({"a": [[0.0] * 10] * 10, "b": "text"}, most=200)
    """
    waiting, count = [value], 0
    while waiting:
        part = waiting.pop()
        if isinstance(part, str | bytes) and not text:
            raise ValueError("text where numbers are expected")
        if isinstance(part, dict):
            part = [*part, *part.values()]
        count += part.size if isinstance(part, np.ndarray) else len(part) if hasattr(part, "__len__") else 1
        if count > most:
            raise ValueError(f"more than {most} values")
        if isinstance(part, list | tuple | set | frozenset):
            waiting += [inner for inner in part if not isinstance(inner, int | float)]
