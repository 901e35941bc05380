"""A second read of a data set comes from one file that holds what the first read found.

Reading means parsing MATLAB cells and pickles and checking every number, each time with the same outcome. So
`read_sequences` keeps the outcome, `FOLDER/read/<set>-<hash>.safetensors`, and trusts it only while nothing can differ:

- The hash stands for the reader's class, all its arguments, its resolved folders and the coordinates. A set has one
  entry for each of these, replaced when it is stale.
- Inside is stated what it was made from: size, inode and both dates (of content and of status, so that a restored date
  does not deceive) of every file, and the code that reads (a hash of the modules of `data` and `pose`, and the versions
  of the libraries that parse). All must agree with what is there now. Files that change during the read, or changed
  within 2 s before it began (a file system's dates may be as coarse), are not kept.
- A checksum (CRC-32) covers all of it. An entry that is damaged, truncated or foreign is announced, read past and
  replaced.
- It is written by `atomic_path`, so that of several processes each finds a whole entry or none; where it cannot be
  written the run is told once and goes on. Beyond LARGEST_FOLDER the oldest entries are removed.

Arrays come into memory of their own: a mapped file that another machine replaces would crash the run. Masks that are
all true and frames that count from 0 are not stored, `PoseSequence` fills them in. What comes back equals a fresh read
bit by bit. Training's hash never sees any of this: it is of the data sets' files.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import logging
import time
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import Tensor

import pose
from data.sets.reader import Reader
from fileio.atomic import atomic_path
from pose.cameras import Camera
from pose.errors import DataError
from pose.joint_sets import joint_set
from pose.sequence import PoseSequence

logger = logging.getLogger(__name__)

#: Version of the entries' format.
VERSION = 1

#: Bytes that a folder of entries may take.
LARGEST_FOLDER = 8 * 2**30

#: Dates of files are taken to be no finer than this.
_COARSE_NS = 2 * 10**9


def read_sequences(reader: Reader, coordinates: str, folder: Path | str | None) -> list[PoseSequence]:
    """`reader.sequences(coordinates)`, from the cache in `folder` if it holds them. None: no cache."""
    if folder is None:
        return reader.sequences(coordinates)
    began = time.time_ns()
    made_by = _made_by(reader, coordinates)
    digest = hashlib.sha256(json.dumps(made_by).encode()).hexdigest()[:16]
    path = Path(folder) / "read" / f"{reader.name}-{digest}.safetensors"
    sources = _sources(reader)
    content = {"version": VERSION, "code": _code(), "made_by": made_by, "sources": sources}
    if sources is not None:
        found = _load(path, content)
        if found is not None:
            return found
    found = reader.sequences(coordinates)
    if sources is not None and _settled(sources, began) and _sources(reader) == sources:
        _store(path, content, found)
    return found


# --- what an entry was made from -------------------------------------------------------------------------------------


def _made_by(reader: Reader, coordinates: str) -> dict[str, str]:
    """The reader's class and all that it was built with."""
    arguments = {
        key: str(value.resolve()) if isinstance(value, Path) else repr(value) for key, value in vars(reader).items()
    }
    return {"reader": f"{type(reader).__module__}.{type(reader).__qualname__}", "coordinates": coordinates, **arguments}


def _sources(reader: Reader) -> dict[str, list[int]] | None:
    """Size, dates and inode of every file that is read; None if one is missing."""
    found = {}
    for path in reader.files():
        try:
            about = path.stat()
        except OSError:
            return None
        found[str(path)] = [about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino]
    return found


def _settled(sources: dict[str, list[int]], began: int) -> bool:
    """Whether the last change lies so long before the read began that a later one would have another date."""
    return max((dates[1] for dates in sources.values()), default=0) < began - _COARSE_NS


@functools.cache
def _code() -> str:
    """Hash of the code that reads, and of the libraries that parse for it."""
    digest = hashlib.sha256(f"{np.__version__} {scipy.__version__} {h5py.__version__}".encode())
    for folder in (Path(__file__).parent, Path(pose.__file__).parent):
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


# --- entries ---------------------------------------------------------------------------------------------------------

_ARRAYS = ("keypoints_2d", "confidence", "detected", "poses_3d", "annotation_2d", "annotated", "visible", "frame")


def _load(path: Path, content: dict[str, Any]) -> list[PoseSequence] | None:
    """The sequences of an entry with that content; None if it has another or is not there, whole or readable."""
    try:
        with safe_open(path, "np") as file:
            about = file.metadata()
            stated = json.loads(about["content"])
            if stated != content:
                logger.info("%s: made from other files or by other code, reading the files again", path)
                return None
            arrays = {key: file.get_tensor(key) for key in sorted(file.keys())}
        if about["checksum"] != _checksum(about["content"] + about["sequences"], arrays):
            raise ValueError("the checksum differs")
        return [_sequence(i, plain, arrays) for i, plain in enumerate(json.loads(about["sequences"]))]
    except FileNotFoundError:
        return None
    except Exception as error:  # whatever a damaged file leads to
        detail = " ".join(str(error).split())[:150]
        logger.warning("%s: damaged (%s: %s), reading the files again", path, type(error).__name__, detail)
        return None


def _store(path: Path, content: dict[str, Any], sequences: list[PoseSequence]) -> None:
    arrays = {f"{i:06d}.{key}": a for i, sequence in enumerate(sequences) for key, a in _arrays(sequence).items()}
    about = {"content": json.dumps(content), "sequences": json.dumps([_plain(sequence) for sequence in sequences])}
    about["checksum"] = _checksum(about["content"] + about["sequences"], arrays)
    try:
        with atomic_path(path) as partial:
            mode = partial.stat().st_mode
            save_file(arrays, partial, about)  # makes the file its owner's alone
            partial.chmod(mode)
        _trim(path.parent)
    except (DataError, OSError, SafetensorError) as error:
        if path.parent not in _told:
            _told.add(path.parent)
            why = " ".join(str(error).split())
            logger.warning("%s: what was read cannot be kept, the next run will read the files again", why)


#: Folders that could not be written, and of which that has been said.
_told: set[Path] = set()


def _trim(folder: Path) -> None:
    """Remove the oldest files, unfinished ones of killed runs too, until the folder is no larger than allowed."""
    files = []
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another process's, finished meanwhile
            files.append((path.stat(), path))
    total = 0
    for about, path in sorted(files, key=lambda entry: -entry[0].st_mtime_ns):
        total += about.st_size
        if total > LARGEST_FOLDER:
            path.unlink(missing_ok=True)


def _checksum(text: str, arrays: dict[str, np.ndarray]) -> str:
    """CRC-32 of the text, and of name, type, shape and content of each array."""
    found = zlib.crc32(text.encode())
    for key, array in arrays.items():
        found = zlib.crc32(f"{key} {array.dtype.str} {array.shape}".encode(), found)
        found = zlib.crc32(np.ascontiguousarray(array).data, found)
    return f"{found:08x}"


def _arrays(sequence: PoseSequence) -> dict[str, np.ndarray]:
    """The arrays that `PoseSequence` would not fill in, in the order of their names."""
    found = {key: value.contiguous() for key in sorted(_ARRAYS) if (value := getattr(sequence, key)) is not None}
    for key in ("detected", "annotated", "visible"):
        if bool(found[key].all()):
            del found[key]
    if torch.equal(found["frame"], torch.arange(len(sequence))):
        del found["frame"]
    return {key: value.numpy() for key, value in found.items()}


def _plain(sequence: PoseSequence) -> dict[str, Any]:
    """All but the arrays."""
    found = {key: getattr(sequence, key) for key in ("sequence", "person", "fps", "coordinates")}
    found |= {key: getattr(sequence, key).name for key in ("joints_2d", "joints_3d")}
    return found | {"camera": None if sequence.camera is None else dataclasses.asdict(sequence.camera)}


def _sequence(i: int, plain: dict[str, Any], arrays: dict[str, np.ndarray]) -> PoseSequence:
    tensors: dict[str, Tensor] = {
        key: torch.from_numpy(arrays[name]) for key in _ARRAYS if (name := f"{i:06d}.{key}") in arrays
    }
    joints = {key: joint_set(plain[key]) for key in ("joints_2d", "joints_3d")}
    camera = None if plain["camera"] is None else Camera(**plain["camera"])
    return PoseSequence(**{**plain, **joints, **tensors, "camera": camera})
