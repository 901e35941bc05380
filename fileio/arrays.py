"""The only place of this package that opens pickles, MATLAB, HDF5 and npz files; `fileio.atomic` writes.

Data sets come from many hands, so every way in which a file can be unusable (missing, truncated, of another kind, with
a program inside) ends as a `DataError` of one line that names the file. What comes out is plain: dicts and lists of
NumPy arrays; `require` then checks the shape of each.
"""

from __future__ import annotations

import io
import math
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
import torch
from torch import Tensor

from fileio.atomic import atomic_path as atomic_path
from fileio.limits import check_unpacked, unpacked_bound, written_out
from fileio.mat_reader import plain_variables
from fileio.pickle_reader import load_pickle
from pose.errors import DataError, PoseError, ShapeError, check_shape

#: The remedy for a damaged file of a published data set.
FETCH = "fetch the file again"

#: What gzip can make of a byte at most.
_GZIP_TIMES = 1032


@contextmanager
def reading(path: Path | str, kind: str, remedy: str = FETCH) -> Iterator[None]:
    """Turn whatever goes wrong while `path` is read as a `kind` ("a MATLAB file") into a DataError naming it."""
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


def read_pickle(path: Path | str) -> Any:
    """A pickle of NumPy arrays, numbers, text and plain containers, written by Python 2 (latin1) or 3.

    Raises DataError for a file that cannot be read and, naming the class, for one that asks for anything else.
    """
    return load_pickle(path)


def read_mat(path: Path | str, keys: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """The variables `keys` (default all) of a MATLAB v5 file; cells are arrays of objects, structs structured."""
    with reading(path, "a MATLAB v5 file"):
        if h5py.is_hdf5(path):
            raise DataError(f"{path}: a MATLAB v7.3 (HDF5) file, MATLAB v5 is expected; fetch the original file again")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an unreadable variable is a warning there and an error below
            plain = plain_variables(Path(path).read_bytes(), keys, lambda size: check_unpacked(path, size))
            found = scipy.io.loadmat(io.BytesIO(plain))
        keys = [key for key in found if not key.startswith("__")] if keys is None else keys
        for key in keys:
            if key not in found:
                raise DataError(f"{path}: has no variable {key!r}; {FETCH}")
            if not isinstance(found[key], np.ndarray):
                raise DataError(f"{path}: {key}: an array is expected, found {str(found[key])[:80]!r}; {FETCH}")
    return {key: found[key] for key in keys}


def read_hdf5(path: Path | str, keys: Sequence[str]) -> dict[str, np.ndarray]:
    """The data sets `keys` of an HDF5 (MATLAB v7.3) file, axes as stored, i.e. reversed from MATLAB's.

    Raises DataError too for what lies in other files and for announced sizes that the file cannot hold.
    """
    with reading(path, "an HDF5 (MATLAB v7.3) file"), h5py.File(path, "r") as file:
        found = {}
        for key in keys:
            entry = file.get(key) if isinstance(file.get(key, getlink=True), h5py.HardLink) else None
            if not isinstance(entry, h5py.Dataset):
                raise DataError(f"{path}: has no data set {key!r}, found {', '.join(file) or 'nothing'}; {FETCH}")
            if entry.is_virtual or entry.external or entry.dtype.kind not in "fiub":
                raise DataError(f"{path}: {key}: numbers stored in the file itself are expected; {FETCH}")
            check_unpacked(path, entry.nbytes)
            if entry.chunks:
                _check_chunks(path, key, entry)
            found[key] = np.asarray(entry[()])
        return found


def _check_chunks(path: Path | str, key: str, entry: h5py.Dataset) -> None:
    """DataError for a data set in chunks that are larger than the file admits, by their shape or once unpacked.

    The gzip filter of HDF5 takes memory for as much as it finds in a chunk, whatever the chunk's shape.
    """
    size = math.prod(entry.chunks or ()) * entry.dtype.itemsize
    check_unpacked(path, size)
    properties = entry.id.get_create_plist()
    filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    gzip, shuffle, checksum = h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32
    if [kind for kind in filters if kind != checksum] not in ([], [shuffle], [gzip], [shuffle, gzip]):
        raise DataError(f"{path}: {key}: packed by another method than gzip; write it again")
    if gzip not in filters:
        return
    chunks: list[Any] = []
    entry.id.chunk_iter(chunks.append)
    bound = unpacked_bound(path)
    for chunk in chunks:
        if chunk.filter_mask >> filters.index(gzip) & 1 or _GZIP_TIMES * chunk.size <= bound:
            continue
        packed = entry.id.read_direct_chunk(chunk.chunk_offset)[1]
        if len(packed) > 2 * size + 1024 or len(zlib.decompressobj().decompress(packed, size + 1)) > size:
            raise DataError(f"{path}: {key}: a chunk holds more than its {size} bytes; fetch it from its source")


def read_npz(path: Path | str) -> dict[str, np.ndarray]:
    """All arrays of an npz file; arrays of Python objects are refused."""
    with reading(path, "an npz file of plain arrays", "write it with numpy.savez, without object arrays"):
        with open(path, "rb") as file:
            if file.read(2) != b"PK":
                raise ValueError("no zip signature")
        with zipfile.ZipFile(path) as listing:
            check_unpacked(path, sum(item.file_size for item in listing.infolist()))
        with np.load(path, allow_pickle=False) as archive:
            found = {key: archive[key] for key in archive.files}
        for key, value in found.items():
            if not isinstance(value, np.ndarray):
                raise ValueError(f"{key} is no array")
            if value.size and not value.itemsize:  # as many elements as it likes in no bytes
                raise ValueError(f"{key}: an array of shape {value.shape} without content")
        return found


# --- checks ----------------------------------------------------------------------------------------------------------


def require_shape(
    value: np.ndarray,
    path: Path | str,
    key: str,
    pattern: Sequence[int | str],
    sizes: dict[str, int] | None = None,
    remedy: str = FETCH,
) -> None:
    """Raise DataError naming file, key, expected, found and remedy unless `value` fits `pattern` and is not empty.

    pattern: as in pose.errors.check_shape. sizes: what its letters stand for, where known from elsewhere ({"T": 201}).
    """
    sizes = {} if sizes is None else sizes
    known = [f"{size}={sizes[size]}" if isinstance(size, str) and size in sizes else size for size in pattern]
    try:
        check_shape(key, value, pattern, sizes)
    except ShapeError as error:
        raise DataError(f"{path}: {ShapeError(key, known, error.actual)}; {remedy}") from None
    if value.size == 0:
        raise DataError(f"{path}: {key}: empty, shape {value.shape}; at least one frame is expected; {remedy}")


def require(
    value: Any,
    path: Path | str,
    key: str,
    pattern: Sequence[int | str],
    sizes: dict[str, int] | None = None,
    remedy: str = FETCH,
) -> np.ndarray:
    """`value` (an array, a scalar, nested lists) as an array of numbers that passes `require_shape`, or DataError."""
    if isinstance(value, (list, tuple, int, float, np.generic)):
        try:
            check_unpacked(path, 8 * written_out(value, text=False))
            value = np.asarray(value)
        except (ValueError, OverflowError, MemoryError):
            raise DataError(
                f"{path}: {key}: lists of unequal lengths or text, numbers are expected; {remedy}"
            ) from None
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub":
        found = f"an array of {value.dtype}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
        raise DataError(f"{path}: {key}: an array of numbers is expected, found {found}; {remedy}")
    require_shape(value, path, key, pattern, sizes, remedy)
    return np.asarray(value, dtype=value.dtype.newbyteorder("="))


def require_mask(
    value: Any,
    path: Path | str,
    key: str,
    pattern: Sequence[int | str],
    sizes: dict[str, int] | None = None,
    remedy: str = FETCH,
) -> np.ndarray:
    """As `require`, for an array of 0 and 1 (of any type) -> bool."""
    value = require(value, path, key, pattern, sizes, remedy)
    odd = (value != 0) & (value != 1)
    if odd.any():
        place = tuple(int(i) for i in np.argwhere(odd)[0])
        raise DataError(f"{path}: {key}: 0 or 1 is expected, found {value[place]} at index {place}; {remedy}")
    return value.astype(bool)


def member(container: Any, key: str | int, path: Path | str, name: str = "") -> Any:
    """`container[key]` of a dict or list out of a pickle; DataError naming the file and `name` (default: the key)."""
    try:
        return container[key]
    except (KeyError, IndexError, TypeError):
        found = type(container).__name__
        if isinstance(container, dict):  # numbers can have more digits than Python writes
            found += f" with keys {', '.join(name for name in container if isinstance(name, str))[:100]}"
        raise DataError(f"{path}: has no {name or key}, found a {found}; {FETCH}") from None


def to_tensor(array: np.ndarray) -> Tensor:
    """A tensor with memory of its own: float32, or bool for a mask."""
    return torch.from_numpy(np.array(array, dtype=bool if array.dtype == bool else np.float32, order="C"))
