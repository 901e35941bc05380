"""What a file may become in memory: bytes, and lists that are small in it and huge when written out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from pose.errors import DataError

#: What a file may unpack to: bytes, and times its own size. Measured data compress by less than ten.
UNPACKED_BYTES, UNPACKED_TIMES = 2**26, 100
_MAX_DEPTH = 32
#: What anything but a plain value may be as text; tensors show a thousand numbers at most.
_STRANGE = 1000


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


def written_out(value: Any, text: bool = True) -> int:
    """Numbers and characters in nested containers: what an array or a text of them takes.

    A pickle can hold one list many times; it counts each time. ValueError for lists nested too deeply and, without
    `text`, for text: in an array one long one makes all elements as large.

    >>> inner = [0.0] * 10
    >>> written_out({"a": [inner] * 10, "b": "text"})
    106
    """
    counts: dict[int, int] = {}

    def count(part: Any, depth: int) -> int:
        if part is None or isinstance(part, (int, float)):
            return 1
        if isinstance(part, str | bytes | bytearray) or (isinstance(part, np.ndarray) and part.dtype.kind in "SU"):
            if not text:
                raise ValueError("text")
            return len(part) if not isinstance(part, np.ndarray) else part.nbytes
        if isinstance(part, np.ndarray):
            return part.size
        if isinstance(part, np.generic):
            return 1
        if not isinstance(part, list | tuple | set | frozenset | dict):
            return _STRANGE
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deeply")
        if id(part) not in counts:
            inner: Iterable = part if not isinstance(part, dict) else (*part, *part.values())
            counts[id(part)] = sum(count(value, depth + 1) for value in inner)
        return counts[id(part)]

    return count(value, 0)
