"""HDF5 and npz files that may come from anywhere, and the checks of what comes out of any reader.

Data sets come from many hands, so every way in which a file can be unusable (missing, truncated, of another kind, with
a program inside) ends as a `DataError` of one line that names the file. What comes out is plain: dicts and lists of
NumPy arrays; `require` then checks the shape of each.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor

from fileio.atomic import atomic_path
from fileio.limits import FETCH, check_count, check_unpacked, reading
from pose.errors import DataError, ShapeError, check_shape

#: Numbers in lists, which published files use for short things only.
_MOST_LISTED = 2**20


def read_hdf5(path: Path | str, keys: Sequence[str], optional: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """The data sets `keys` of an HDF5 (MATLAB v7.3) file, axes as stored, i.e. reversed from MATLAB's; and those of
    `optional` that are there.

    Raises DataError too for what lies in other files and for announced sizes that the file cannot hold.
    """
    with reading(path, "an HDF5 (MATLAB v7.3) file"), h5py.File(path, "r") as file:
        found = {}
        for key in (*keys, *(key for key in optional if key in file)):
            entry = file.get(key) if isinstance(file.get(key, getlink=True), h5py.HardLink) else None
            if not isinstance(entry, h5py.Dataset):
                raise DataError(f"{path}: has no data set {key!r}, found {', '.join(file) or 'nothing'}; {FETCH}")
            if entry.is_virtual or entry.external or entry.dtype.kind not in "fiub":
                raise DataError(f"{path}: {key}: numbers stored in the file itself are expected; {FETCH}")
            check_unpacked(path, entry.nbytes)
            found[key] = np.asarray(entry[()])
        return found


def read_npz(path: Path | str, keys: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """All arrays of an npz file, or those of `keys` that are there; arrays of Python objects are refused."""
    with reading(path, "an npz file of plain arrays", "write it with numpy.savez, without object arrays"):
        with zipfile.ZipFile(path) as listing:
            check_unpacked(path, sum(item.file_size for item in listing.infolist()))
        with np.load(path, allow_pickle=False) as archive:
            found = {key: archive[key] for key in archive.files if keys is None or key in keys}
        for key, value in found.items():
            if not isinstance(value, np.ndarray):
                raise ValueError(f"{key} is no array")
            if value.size and not value.itemsize:  # as many elements as it likes in no bytes
                raise ValueError(f"{key}: an array of shape {value.shape} without content")
        return found


def write_npz(path: Path | str, **arrays: Any) -> None:
    """Write arrays of numbers and text. DataError where it cannot be written."""
    with atomic_path(path) as partial, open(partial, "wb") as file:
        np.savez(file, **arrays)


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
            check_count(value, _MOST_LISTED, text=False)
            value = np.asarray(value)
        except (ValueError, OverflowError, MemoryError):
            raise DataError(
                f"{path}: {key}: lists of unequal lengths, text or far too many numbers; {remedy}"
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
