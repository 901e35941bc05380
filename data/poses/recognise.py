"""Which program's 3D poses a file holds, by its content, and the one function that reads them all."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from data.keypoints.parsing import described, read_json
from data.poses import arrays, parameters, pickles, text
from data.poses.c3d import read_c3d
from data.poses.rows import REMEDY, Options, PoseRows
from fileio.arrays import read_npz
from fileio.joblib_reader import ZLIB, read_joblib
from fileio.limits import reading
from fileio.pickle_reader import unpickled
from fileio.torch_reader import load_tensors
from pose.errors import DataError, PoseError

MAX_BYTES = 2**30
KNOWN = (
    "TRC, C3D, npy of FreeMoCap and MotionBERT, JSON of MMPose and MediaPipe, pickles of SAM 3D Body and 4D-Humans, "
    "npz of MeTRAbs and NLF, lists of rtmlib's Wholebody3d, WHAM, GVHMR, TRAM, PromptHMR"
)
_NPY, _ZIP = b"\x93NUMPY", b"PK\x03\x04"
#: Each tells whether a content is of its kind; its reader.
FORMATS = (
    (pickles.is_phalp, pickles.read_phalp),
    (pickles.is_sam3d, pickles.read_sam3d),
    (pickles.is_rtmlib, pickles.read_rtmlib),
    (parameters.is_wham, parameters.read_wham),
    (parameters.is_gvhmr, parameters.read_gvhmr),
    (parameters.is_tram, parameters.read_tram),
    (parameters.is_prompthmr, parameters.read_prompthmr),
    (text.is_mmpose, text.read_mmpose),
    (text.is_mediapipe, text.read_mediapipe),
)


def read_poses(path: Path | str, options: Options | None = None) -> PoseRows:
    """Everybody's 3D poses of a file of any known program. DataError, MismatchError or ConfigError for all else.

    >>> import numpy as np
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/mediapipe_body_3d_xyz.npy", np.random.default_rng(0).normal(0, 300, (60, 33, 3)))
    ...     rows = read_poses(f"{folder}/mediapipe_body_3d_xyz.npy")
    >>> rows.program, rows.space, rows.poses_3d.shape
    ('FreeMoCap', 'world', (60, 33, 3))
    """
    try:
        return _read(Path(path), options or Options())
    except PoseError as error:
        if str(path) in str(error):
            raise
        raise DataError(f"{path}: {error}") from error


def _read(path: Path, options: Options) -> PoseRows:
    with reading(path, "a file"), open(path, "rb") as file:
        start = file.read(64)
    if path.stat().st_size > MAX_BYTES:
        raise DataError(
            f"{path}: {path.stat().st_size / 2**20:.0f} MiB, at most {MAX_BYTES >> 20} MiB are read; cut it"
        )
    if start.startswith(b"PathFileType"):
        return text.read_trc(path, options)
    if path.suffix.lower() == ".c3d" or (start[1:2] == b"\x50" and start[:1] <= b"\x10"):
        return read_c3d(path, options)
    content = _content(path, start)
    if isinstance(content, np.ndarray):
        return arrays.read_npy(content, path, options)
    if isinstance(content, dict) and isinstance(content.get("poses3d"), np.ndarray):
        return arrays.read_npz(content, path, options)
    for is_it, read in FORMATS:
        if is_it(content):
            with reading(path, "3D poses as its program writes them", REMEDY):
                return read(content, path, options)
    raise DataError(f"{path}: no known 3D poses, {described(content)} was found; known: {KNOWN}; {REMEDY}")


def _content(path: Path, start: bytes) -> Any:
    """What a file holds, in plain types and arrays."""
    if start.startswith(_NPY):
        with reading(path, "an npy file", REMEDY), open(path, "rb") as file:
            if np.lib.format.read_magic(file) == (1, 0) and np.lib.format.read_array_header_1_0(file)[2].hasobject:
                held = unpickled(path, file.read())
                return held.tolist() if isinstance(held, np.ndarray) else held
            return np.load(path, allow_pickle=False)
    if start.startswith(_ZIP):
        with reading(path, "a zip archive"), zipfile.ZipFile(path) as archive:
            of_torch = any(name.endswith("data.pkl") for name in archive.namelist())
        return load_tensors(path) if of_torch else read_npz(path)
    if start.startswith((b"\x80", *ZLIB)):
        return read_joblib(path)
    if start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        return read_json(path, MAX_BYTES)
    raise DataError(f"{path}: begins with {start[:24]!r}; known: {KNOWN}; {REMEDY}")
