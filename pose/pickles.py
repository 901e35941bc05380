"""Pickles that may come from anywhere: numpy arrays, scalars and plain containers are read, all else is refused.

A pickle is a program. The data sets' pickles and the published checkpoints need few constructors; what stands for them
here is stand-in classes and bound methods, which no pickle can alter, and numpy never sees an unchecked array state.

The unpickler is Python's own in Python: the one in C sets aside gigabytes for a memo that a few bytes ask for, and the
pickles read here are few objects around large arrays.
"""

from __future__ import annotations

import io
import math
import pickle
import re
import struct
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pose.errors import DataError, PoseError


class _DType:
    """Stands for numpy.dtype. Plain types only: the state of a structured one could forge pointers."""

    def __init__(self, code: str | bytes, *_: Any) -> None:
        text = code.decode("latin1") if isinstance(code, bytes) else str(code)
        if not re.fullmatch(r"[<>|=]?[?biufcSUO]\d{0,3}", text):
            raise pickle.UnpicklingError(f"array type {text!r} is not a plain number or text")
        self.dtype = np.dtype(text)

    def __setstate__(self, state: tuple) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray):
    """An array being unpickled, whose state names a `_DType`."""

    def __setstate__(self, state: Any) -> None:
        version, shape, dtype, fortran_order, content = state
        if dtype.dtype.hasobject and len(content) != math.prod(shape):  # numpy would read past the list's end
            raise pickle.UnpicklingError(f"an array of shape {shape} with {len(content)} elements")
        super().__setstate__((version, shape, dtype.dtype, fortran_order, content))


class _Whole(io.BytesIO):
    """Bytes that do not end early: Python's unpickler takes what it gets."""

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        if size is not None and len(found) < size:
            raise EOFError("it breaks off")
        return found

    def readline(self, size: int | None = -1) -> bytes:
        found = super().readline(size)
        if not found.endswith(b"\n"):
            raise EOFError("it breaks off")
        return found


class _Unpickler(pickle._Unpickler):  # type: ignore[name-defined,misc]
    read: Callable[[int], bytes]  # these two are set by `load`
    append: Callable[[object], None]

    def __init__(self, path: Path, content: bytes) -> None:
        super().__init__(_Whole(content), encoding="latin1")
        self.path = path

    def find_class(self, module: str, name: str) -> Any:
        admitted = {
            ("numpy", "ndarray"): "ndarray",  # only ever passed to _reconstruct
            ("numpy", "dtype"): _DType,
            ("numpy.core.multiarray", "_reconstruct"): self._reconstruct,
            ("numpy.core.multiarray", "scalar"): self._scalar,
            ("numpy.core.numeric", "_frombuffer"): self._from_buffer,
            ("_codecs", "encode"): self._encode,
            ("__builtin__", "bytes"): self._no_bytes,
            ("collections", "OrderedDict"): OrderedDict,
        }
        key = (module.replace("numpy._core", "numpy.core"), name)  # numpy 2 renamed it; both kinds are about
        if key not in admitted:
            raise DataError(
                f"{self.path}: refused to load {module}.{name}, which could run a program; numpy arrays, numbers, "
                "text, lists, tuples and dicts are expected; do not open this file elsewhere, fetch it from its source"
            )
        return admitted[key]

    def _load_bytearray(self: Any) -> None:
        """As the base's, but the memory is taken after the bytes are there."""
        (length,) = struct.unpack("<Q", self.read(8))
        self.append(bytearray(self.read(length)))

    dispatch = {**pickle._Unpickler.dispatch, pickle.BYTEARRAY8[0]: _load_bytearray}  # type: ignore[attr-defined]

    def _reconstruct(self, kind: str, shape: tuple, code: Any) -> np.ndarray:
        return _Array((0,), np.uint8)  # numpy's own placeholder; shape and content follow as its state

    def _scalar(self, dtype: _DType, content: str | bytes) -> Any:
        return np.frombuffer(content.encode("latin1") if isinstance(content, str) else content, dtype.dtype)[0]

    def _from_buffer(self, content: bytes, dtype: _DType, shape: tuple, order: str) -> np.ndarray:
        if not isinstance(content, bytes | bytearray):  # a view of an array would outlive a second state given to it
            raise pickle.UnpicklingError(f"array content of type {type(content).__name__}")
        return np.frombuffer(content, dtype.dtype).reshape(shape, order=order)  # type: ignore[call-overload]

    def _no_bytes(self) -> bytes:
        return b""  # how Python 3 spells an empty array's content in protocol 2

    def _encode(self, text: str, encoding: str) -> bytes:
        return text.encode("latin1")  # protocol 2 spells bytes so


def load_pickle(path: str | Path) -> Any:
    """Content of a pickle of any protocol, Python 2's included (its text and bytes become latin1 text).

    Raises DataError naming the file if it is missing, truncated or damaged, or asks for any other class (named too).
    """
    path = Path(path)
    try:
        return _Unpickler(path, path.read_bytes()).load()
    except PoseError:
        raise
    except OSError as error:
        raise DataError(f"{path}: cannot be opened ({error.strerror}); check the path and its permissions") from error
    except Exception as error:  # unpickling damaged bytes raises nearly every type
        detail = " ".join(str(error).split())[:150]
        raise DataError(
            f"{path}: not a pickle or damaged ({type(error).__name__}: {detail}); fetch the file again"
        ) from error
