"""MATLAB v5 files that may come from anywhere: what they announce is checked before SciPy's reader is given them.

That reader is C code that believes a file: unknown types of values and cells deep inside cells end the process,
announced sizes take as much memory. The tags of a file say all that is needed to find out (MathWorks, "MAT-File
Format", level 5).
"""

from __future__ import annotations

import io
import math
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np
import scipy  # its parts load when they are used

from fileio.limits import FETCH, reading, unpacked_bound
from pose.errors import DataError

_HEADER, _TAG = 128, 8  # bytes
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR, _NUMBERS = 1, 2, 4, range(6, 16)
#: Types of the elements that hold an array's values: integers and floats, and for text UTF-8, 16 and 32 too.
_VALUES = frozenset((1, 2, 3, 4, 5, 6, 7, 9, 12, 13))
_TEXT = _VALUES | {16, 17, 18}

_TAGS = {endian: struct.Struct(endian + "II").unpack_from for endian in "<>"}

#: Structs in cells are two; a few more do no harm.
MAX_DEPTH = 8

Element = tuple[int, int, int]  # type, start and end of its content


def read_mat(path: Path | str, keys: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """The variables `keys` (default all) of a MATLAB v5 file; cells are arrays of objects, structs structured."""
    with reading(path, "a MATLAB v5 file"):
        if h5py.is_hdf5(path):
            raise DataError(f"{path}: a MATLAB v7.3 (HDF5) file, MATLAB v5 is expected; fetch the original file again")
        plain = _checked(Path(path).read_bytes(), unpacked_bound(path))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an unreadable variable is a warning there and an error below
            found = scipy.io.loadmat(io.BytesIO(plain))
        keys = [key for key in found if not key.startswith("__")] if keys is None else keys
        for key in keys:
            if key not in found:
                raise DataError(f"{path}: has no variable {key!r}; {FETCH}")
            if not isinstance(found[key], np.ndarray):
                raise DataError(f"{path}: {key}: an array is expected, found {str(found[key])[:80]!r}; {FETCH}")
    return {key: found[key] for key in keys}


def _checked(content: bytes, most: int) -> bytes:
    """The file without compression. ValueError if it unpacks to more than `most` bytes, holds anything but plain
    arrays, is nested deeper than MAX_DEPTH or announces more than it holds."""
    endian = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if endian is None or struct.unpack(endian + "H", content[124:126]) != (0x0100,):
        raise ValueError("no MATLAB v5 header")
    found = [content[:_HEADER]]
    for kind, start, stop in _elements(content, _HEADER, len(content), endian, padded=False):
        variable = content[start - _TAG : stop]
        if kind == _COMPRESSED:
            room = most - sum(map(len, found))
            variable = zlib.decompressobj().decompress(content[start:stop], max(room, 1))
            if len(variable) >= room:
                raise ValueError(f"it unpacks to more than {most >> 20} MiB")
        _check_arrays(variable, list(_elements(variable, 0, len(variable), endian)), endian, 1)
        found.append(variable)
    return b"".join(found)


def _elements(view: bytes, at: int, end: int, endian: str, padded: bool = True) -> Iterator[Element]:
    """The elements between `at` and `end`. padded: to whole words of 8 bytes, as all but the outermost are."""
    tag = _TAGS[endian]
    while at < end:
        if end - at < _TAG:
            raise ValueError("a tag is cut off")
        kind, size = tag(view, at)
        if kind >> 16:  # the short form: four bytes of content in the tag itself
            kind, size, start, after = kind & 0xFFFF, kind >> 16, at + 4, at + _TAG
            if size > 4:
                raise ValueError("a short element of more than four bytes")
        else:
            start = at + _TAG
            after = start + size + (-size % 8 if padded else 0)
        if start + size > end:
            raise ValueError(f"an element of {size} bytes where {end - start} are left")
        yield kind, start, start + size
        at = after


def _check_arrays(view: bytes, arrays: Sequence[Element], endian: str, depth: int) -> None:
    """ValueError unless these elements, and all inside them, are plain arrays as large as they announce."""
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    for kind, start, stop in arrays:
        if kind != _MATRIX:
            raise ValueError(f"an array is expected, found an element of type {kind}")
        if start == stop:  # an empty array
            continue
        (_, flags, _), (_, dims, dims_end), _, *parts = _elements(view, start, stop, endian)
        word = struct.unpack_from(endian + "I", view, flags)[0]
        array_class, is_complex = word & 0xFF, bool(word & 0x800)
        shape = struct.unpack_from(f"{endian}{(dims_end - dims) // 4}i", view, dims)
        if not 2 <= len(shape) <= 32 or min(shape) < 0:
            raise ValueError(f"an array of shape {shape}")
        count = math.prod(shape)
        if array_class == _CHAR or array_class in _NUMBERS:
            odd = [part[0] for part in parts if part[0] not in (_TEXT if array_class == _CHAR else _VALUES)]
            if odd or len(parts) != 1 + is_complex:  # it would take what follows for the imaginary part
                raise ValueError(f"values of type {odd[0]}" if odd else f"{len(parts)} elements of values")
            held = parts[0][2] - parts[0][1]
        elif array_class == _CELL:
            held = len(parts)
            _check_arrays(view, parts, endian, depth + 1)
        elif array_class == _STRUCT:
            (_, width_at, _), (_, names, names_end), *parts = parts
            width = struct.unpack_from(endian + "i", view, width_at)[0]
            if not 0 < width <= 256:
                raise ValueError(f"field names of {width} bytes")
            held = len(parts) // max(1, (names_end - names) // width)
            _check_arrays(view, parts, endian, depth + 1)
        else:  # function handles, objects, sparse and opaque arrays
            raise ValueError(f"an array of class {array_class}, which is not plain data")
        if count > held:
            raise ValueError(f"an array of shape {shape} with {held} values")
