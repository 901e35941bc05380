"""What joblib wrote, without joblib: a pickle, perhaps compressed by zlib, with arrays in between its instructions.

Read by allow-list as every pickle (fileio/pickle_reader.py), but by Python's own machine, which alone can be stopped at
an array. 4D-Humans' and PHALP's results come so.
"""

from __future__ import annotations

import io
import math
import pickle
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from fileio.limits import reading, unpacked_bound
from fileio.pickle_reader import Admitted
from pose.errors import DataError

ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


class _Wrapper:
    """Replaces joblib's NumpyArrayWrapper, whose array follows its state."""

    state: dict[str, Any]

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.state = state

    def array(self, file: io.BytesIO) -> np.ndarray:
        dtype, shape = self.state["dtype"].dtype, tuple(self.state["shape"])
        if dtype.hasobject:
            raise pickle.UnpicklingError("an array of objects; numbers are expected")
        if self.state.get("numpy_array_alignment_bytes") is not None:
            file.read(file.read(1)[0])
        size = dtype.itemsize * math.prod(shape)
        content = file.read(size) if 0 <= size <= len(file.getbuffer()) else b""
        if len(content) != size:
            raise pickle.UnpicklingError(f"an array of shape {shape} that is not in the file")
        return np.frombuffer(content, dtype).reshape(shape, order="F" if self.state.get("order") == "F" else "C")


#: The one written in Python, which the module keeps to itself.
_Machine: Any = pickle._Unpickler  # type: ignore[attr-defined]


class _Unpickler(Admitted, _Machine):
    dispatch = dict(_Machine.dispatch)

    def __init__(self, path: Path | str, content: bytes) -> None:
        self.path, self.file = path, io.BytesIO(content)
        _Machine.__init__(self, self.file, encoding="latin1")

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("joblib.numpy_pickle", "NumpyArrayWrapper"):
            return _Wrapper
        return super().find_class(module, name)

    def load_build(self) -> None:
        super().load_build()
        if isinstance(self.stack[-1], _Wrapper):
            self.stack[-1] = self.stack[-1].array(self.file)

    dispatch[pickle.BUILD[0]] = load_build


def read_joblib(path: Path | str) -> Any:
    """Content of a file of `joblib.dump`, plain or zlib. DataError for damage, other classes and absurd sizes."""
    with reading(path, "a file of joblib"):
        content = Path(path).read_bytes()
        if content.startswith(ZLIB):
            bound = unpacked_bound(path)
            content = zlib.decompressobj().decompress(content, bound + 1)
            if len(content) > bound:
                raise DataError(
                    f"{path}: refused: more than {bound / 2**20:.0f} MiB unpacked; fetch it from its source"
                )
        return _Unpickler(path, content).load()
