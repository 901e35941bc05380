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
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from fileio.limits import check_unpacked
from pose.errors import DataError, PoseError

#: What can be a key or a member of a set; of these the hash takes no time.
_KEYS = (str, bytes, int, float, type(None), np.integer)


def check_keys(keys: Iterable[Any]) -> None:
    """UnpicklingError for keys whose hash takes long: tuples of one tuple twice double it at each level."""
    for key in keys:
        if not isinstance(key, _KEYS) or (isinstance(key, int) and key.bit_length() > 64):
            raise pickle.UnpicklingError(f"a key of type {type(key).__name__}; text and short numbers are expected")


class _DType:
    """Stands for numpy.dtype. Plain types only: the state of a structured one could forge pointers."""

    def __init__(self, code: str | bytes, *_: Any) -> None:
        if not isinstance(code, str | bytes):
            raise pickle.UnpicklingError(f"an array type that is a {type(code).__name__}")
        text = code.decode("latin1") if isinstance(code, bytes) else code
        if not re.fullmatch(r"[<>|=]?[?biufcSUO]\d{0,3}", text):
            raise pickle.UnpicklingError(f"array type {text!r} is not a plain number or text")
        self.dtype = np.dtype(text)

    def __setstate__(self, state: tuple) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray):
    """An array being unpickled, whose state names a `_DType`."""

    def __setstate__(self, state: Any) -> None:
        version, shape, dtype, fortran_order, content = state
        if len(shape) > 64 or not all(isinstance(side, int) and 0 <= side < 2**63 for side in shape):
            raise pickle.UnpicklingError("an array whose shape is none")
        if dtype.dtype.hasobject and len(content) != math.prod(shape):  # numpy would read past the list's end
            raise pickle.UnpicklingError(f"an array of shape {shape} with {len(content)} elements")
        super().__setstate__((version, shape, dtype.dtype, fortran_order, content))


class Whole(io.BytesIO):
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


_Base: Any = pickle._Unpickler  # type: ignore[attr-defined]


class Unpickler(_Base):
    """Makes what the content of the file `path` asks for, which is held to the file's size and to plain keys."""

    read: Callable[[int], bytes]  # these are set by `load`
    append: Callable[[object], None]
    stack: list[Any]
    metastack: list[list[Any]]

    def __init__(self, path: Path, content: bytes | Whole) -> None:
        super().__init__(Whole(content) if isinstance(content, bytes) else content, encoding="latin1")
        self.path, self.copied = path, 0

    def find_class(self, module: str, name: str) -> Any:
        admitted = {
            ("numpy", "ndarray"): "ndarray",  # only ever passed to _reconstruct
            ("numpy", "dtype"): _DType,
            ("numpy.core.multiarray", "_reconstruct"): self._reconstruct,
            ("numpy.core.multiarray", "scalar"): self._scalar,
            ("numpy.core.numeric", "_frombuffer"): self._from_buffer,
            ("_codecs", "encode"): self._encode,
            ("__builtin__", "bytes"): self._no_bytes,
            ("collections", "OrderedDict"): self._ordered,
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

    def _load_build(self) -> None:
        """As the base's, for arrays and their types only: the state of anything else is attributes."""
        made = self.stack[-2]
        if not isinstance(made, _Array | _DType):
            raise pickle.UnpicklingError(f"a state of a {type(made).__name__}")
        super().load_build()
        if isinstance(made, _Array):
            self._count(made.nbytes)

    def _load_setitem(self) -> None:
        self._check_items(self.stack[-3], self.stack[-2:-1])
        super().load_setitem()

    def _load_setitems(self) -> None:
        self._check_items(self.metastack[-1][-1], self.stack[::2])
        super().load_setitems()

    def _load_dict(self) -> None:
        check_keys(self.stack[::2])
        super().load_dict()

    def _load_additems(self) -> None:
        check_keys(self.stack)
        super().load_additems()

    def _load_frozenset(self) -> None:
        check_keys(self.stack)
        super().load_frozenset()

    dispatch = {
        **_Base.dispatch,
        pickle.BYTEARRAY8[0]: _load_bytearray,
        pickle.BUILD[0]: _load_build,
        pickle.SETITEM[0]: _load_setitem,
        pickle.SETITEMS[0]: _load_setitems,
        pickle.DICT[0]: _load_dict,
        pickle.ADDITEMS[0]: _load_additems,
        pickle.FROZENSET[0]: _load_frozenset,
    }

    def _check_items(self, target: Any, keys: list[Any]) -> None:
        if not isinstance(target, dict):  # an array would write out what it is given
            raise pickle.UnpicklingError(f"an item of a {type(target).__name__}")
        check_keys(keys)

    def _count(self, size: int) -> None:
        """Before or after `size` bytes are copied: a pickle can ask for copies of one content again and again."""
        self.copied += size
        check_unpacked(self.path, self.copied)

    def _reconstruct(self, kind: str, shape: tuple, code: Any) -> np.ndarray:
        return _Array((0,), np.uint8)  # numpy's own placeholder; shape and content follow as its state

    def _scalar(self, dtype: _DType, content: str | bytes) -> Any:
        self._count(dtype.dtype.itemsize)
        return np.frombuffer(content.encode("latin1") if isinstance(content, str) else content, dtype.dtype)[0]

    def _from_buffer(self, content: bytes, dtype: _DType, shape: tuple, order: str) -> np.ndarray:
        if not isinstance(content, bytes | bytearray):  # a view of an array would outlive a second state given to it
            raise pickle.UnpicklingError(f"array content of type {type(content).__name__}")
        return np.frombuffer(content, dtype.dtype).reshape(shape, order=order)  # type: ignore[call-overload]

    def _no_bytes(self) -> bytes:
        return b""  # how Python 3 spells an empty array's content in protocol 2

    def _encode(self, text: str, encoding: str) -> bytes:
        self._count(len(text))
        return text.encode("latin1")  # protocol 2 spells bytes so

    def _ordered(self, pairs: Any = ()) -> OrderedDict:
        self._count(100 * len(pairs))
        check_keys(key for key, _ in pairs)
        return OrderedDict(pairs)  # protocol 2 of Python 2 gives it so


def load_pickle(path: str | Path) -> Any:
    """Content of a pickle of any protocol, Python 2's included (its text and bytes become latin1 text).

    Raises DataError naming the file if it is missing, truncated or damaged, or asks for any other class (named too).
    """
    path = Path(path)
    try:
        return Unpickler(path, path.read_bytes()).load()
    except PoseError:
        raise
    except OSError as error:
        raise DataError(f"{path}: cannot be opened ({error.strerror}); check the path and its permissions") from error
    except Exception as error:  # unpickling damaged bytes raises nearly every type
        detail = " ".join(str(error).split())[:150]
        raise DataError(
            f"{path}: not a pickle or damaged ({type(error).__name__}: {detail}); fetch the file again"
        ) from error
