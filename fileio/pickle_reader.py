"""Pickles that may come from anywhere: NumPy arrays, numbers, text and plain containers are read, all else is refused.

A pickle is a program. The data sets' pickles and the published checkpoints need few constructors; they are admitted by
name and replaced by methods, whose classes no pickle can reach, and numpy never sees an unchecked array state.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from fileio.atomic import write_bytes
from fileio.limits import reading
from pose.errors import DataError


class _DType:
    """Replaces numpy.dtype. Plain types only: the state of a structured one could forge pointers."""

    def __init__(self, code: str | bytes) -> None:
        text = code.decode("latin1") if isinstance(code, bytes) else code
        if not isinstance(text, str) or not re.fullmatch(r"[<>|=]?[?biufcSUO]\d{0,3}", text):
            raise pickle.UnpicklingError(f"array type {str(text)[:60]!r} is not a plain number or text")
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


class Sparse:
    """Replaces scipy.sparse.csc_matrix, which body models hold."""

    state: dict[str, Any]

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.state = state

    def array(self) -> np.ndarray:
        """The whole matrix. ValueError, and whatever SciPy raises, for damage and for more than 2^26 numbers."""
        from scipy.sparse import csc_matrix

        held, shape = [np.array(self.state[key]) for key in ("data", "indices", "indptr")], self.state["_shape"]
        if math.prod(shape) > 2**26:
            raise ValueError(f"a matrix of shape {shape}")
        matrix = csc_matrix((held[0], held[1], held[2]), shape=shape)
        matrix.check_format(full_check=True)
        return matrix.toarray()


class Admitted:
    """The classes that pickles may name, replaced: a base beside one of Python's unpicklers. path: for messages."""

    path: Path | str

    def find_class(self, module: str, name: str) -> Any:
        admitted = {
            ("numpy", "ndarray"): "ndarray",  # only ever passed to _reconstruct
            ("numpy", "dtype"): self._dtype,
            ("numpy.core.multiarray", "_reconstruct"): self._reconstruct,
            ("numpy.core.multiarray", "scalar"): self._scalar,
            ("numpy.core.numeric", "_frombuffer"): self._from_buffer,
            ("_codecs", "encode"): self._encode,
            ("builtins", "bytes"): self._no_bytes,
            ("collections", "OrderedDict"): self._ordered,
            ("collections", "defaultdict"): self._plain_dict,
            ("builtins", "dict"): self._plain_dict,  # what a defaultdict makes
            ("scipy.sparse.csc", "csc_matrix"): Sparse,
            ("torch._utils", "_rebuild_tensor_v2"): self._tensor,
            ("torch.storage", "_load_from_bytes"): self._storage,
        }
        # Renamed by NumPy 2, SciPy 1.8 and Python 3; files of both exist.
        for new, old in (("numpy._core", "numpy.core"), ("sparse._csc", "sparse.csc"), ("__builtin__", "builtins")):
            module = module.replace(new, old)
        key = (module, name)
        if key not in admitted:
            raise DataError(
                f"{self.path}: refused to load {module}.{name}, which could run a program; numpy arrays, numbers, "
                "text and plain containers are expected; fetch the file from its source"
            )
        return admitted[key]

    def _dtype(self, code: str | bytes, *_: Any) -> _DType:
        return _DType(code)

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
        return text.encode("latin1")  # protocol 2 spells bytes so; no codec is looked up

    def _ordered(self, pairs: Any = ()) -> OrderedDict:
        return OrderedDict(pairs)

    def _plain_dict(self, *_: Any) -> dict:
        return {}  # its items follow

    def _storage(self, content: bytes) -> np.ndarray:
        import torch

        if content.startswith(b"PK"):  # never so in a pickle, and might unpack to more than it is
            raise pickle.UnpicklingError("a zip archive in place of a tensor's content")
        held = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)  # a torch file in the pickle
        return torch.empty(0, dtype=held.dtype).set_(held).numpy()

    def _tensor(self, flat: np.ndarray, offset: int, size: tuple, stride: tuple, *_: Any) -> np.ndarray:
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if not isinstance(flat, np.ndarray) or flat.ndim != 1 or min((offset, *size, *stride), default=0) < 0:
            raise pickle.UnpicklingError("a tensor without content")
        if math.prod(size) > len(flat) or (math.prod(size) and last >= len(flat)):
            raise pickle.UnpicklingError(f"a tensor of shape {size} with {len(flat)} elements")
        strides = [step * flat.itemsize for step in stride]
        return np.lib.stride_tricks.as_strided(flat[offset:], size, strides).copy()


class _Unpickler(Admitted, pickle.Unpickler):
    def __init__(self, path: Path | str, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="latin1")
        self.path = path


def read_pickle(path: str | Path) -> Any:
    """Content of a pickle of any protocol, Python 2's included (its text and bytes become latin1 text).

    Raises DataError naming the file if it is missing, truncated or damaged, or asks for any other class (named too).
    """
    with reading(path, "a pickle"):
        return unpickled(path, Path(path).read_bytes())


def unpickled(path: str | Path, content: bytes) -> Any:
    """As `read_pickle`, of a pickle inside the file `path`; the caller's `reading` names what is damaged."""
    for operation, argument, _ in pickletools.genops(content):  # fails where announced bytes are missing
        if isinstance(argument, int) and "PUT" in operation.name and argument > len(content):  # memory for as many
            raise pickle.UnpicklingError(f"place {argument} in a file of {len(content)} bytes")
    return _Unpickler(path, content).load()


def write_pickle(path: str | Path, content: Any, sync: bool = True) -> None:
    """Write a pickle of protocol 2, which Python 2 reads too; sync as in `atomic_path`."""
    write_bytes(path, pickle.dumps(content, protocol=2), sync)
