"""`.npz` and `.npy` of keypoints, or JSON of the same, for what no other format fits; VideoPose3D's `data_2d_*.npz`.

docs/inputs.md documents the keys.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from data.keypoints.coco19 import RawDetections
from data.keypoints.parsing import Hints, Reader, check_size, joints_of, numeric
from fileio.arrays import read_npz, require
from fileio.limits import check_count, reading
from fileio.pickle_reader import unpickled
from pose.errors import DataError

_REMEDY = "docs/inputs.md says what the arrays are"
_KEYS = {"keypoints", "confidence", "frame", "box_score", "n_frames", "fps", "image_size", "joint_set", "identity"}
_VIDEOPOSE3D = "positions_2d.npy"
_MANY = 10  # people: so many may be the frames of a file with the axes in another order
_MULTIPOSE = 56  # MoveNet's y, x, score of 17 joints, box and score


def read_npy(path: Path, hints: Hints, max_bytes: int) -> RawDetections:
    """One array (T, K, 2 | 3) or (T, P, K, 2 | 3)."""
    check_size(path, path.stat().st_size, max_bytes)
    with reading(path, "an npy file of numbers", "write it with numpy.save, without objects"):
        return _read({"keypoints": np.load(path, allow_pickle=False)}, path, hints)


def reader_of(content: Any) -> Reader | None:
    """Of JSON that is such an array and nothing else."""
    bare = isinstance(content, list) and content and isinstance(content[0], list)
    array = numeric(content) if bare else None
    if array is None or array.ndim < 3 or array.shape[-1] not in (2, 3, _MULTIPOSE):
        return None

    def read_nested(_: Any, path: Path, hints: Hints) -> RawDetections:
        return _read({"keypoints": array}, path, hints)

    return read_nested


def read_arrays(path: Path, hints: Hints, max_bytes: int) -> RawDetections:
    """keypoints (N, K, 2 | 3), with frame (N) or a row a frame, or (T, P, K, 2 | 3).

    confidence: as keypoints without the last axis, if that is 2. NaN is a missing joint. Raises DataError naming the
    key.
    """
    with reading(path, "an npz file of plain arrays"), zipfile.ZipFile(path) as archive:
        check_size(path, sum(item.file_size for item in archive.infolist()), max_bytes)
        if _VIDEOPOSE3D in archive.namelist():
            return _read({"keypoints": _videopose3d(archive.read(_VIDEOPOSE3D), path)}, path, hints)
    return _read(read_npz(path), path, hints)


def _videopose3d(content: bytes, path: Path) -> np.ndarray:
    """(T, K, 2) out of `{subject: {action: [an array for each camera]}}`, a pickle inside of an array's file."""
    file = io.BytesIO(content)
    np.lib.format.read_magic(file)
    np.lib.format.read_array_header_1_0(file)
    subjects = unpickled(path, file.read())
    check_count(subjects, len(content))
    subjects = subjects.item() if isinstance(subjects, np.ndarray) else subjects
    found = [
        (f"{subject}/{action}/{camera}", array)
        for subject, actions in subjects.items()
        for action, cameras in actions.items()
        for camera, array in enumerate(cameras)
    ]
    if len(found) != 1:
        names = ", ".join(name for name, _ in found[:6])
        raise DataError(
            f"{path}: positions_2d of one video are expected, found {len(found)} ({names}); save one of them with "
            "numpy.save"
        )
    return np.array(found[0][1], dtype=np.float64)


def _read(arrays: dict[str, np.ndarray], path: Path, hints: Hints) -> RawDetections:
    if len(arrays) == 1:  # by any name
        arrays = {"keypoints": next(iter(arrays.values()))}
    scores = next((key for key in ("scores", "keypoint_scores") if key in arrays), None)
    if scores is not None:  # as rtmlib and MMPose name them
        arrays = {"confidence": arrays[scores]} | {key: value for key, value in arrays.items() if key != scores}
    if "keypoints" not in arrays or set(arrays) - _KEYS:
        found = ", ".join(f"{key} {value.shape}" for key, value in sorted(arrays.items()))
        raise DataError(
            f"{path}: 'keypoints' and further only {', '.join(sorted(_KEYS))} are expected, found {found[:200]}; "
            f"{_REMEDY}"
        )
    keypoints = arrays["keypoints"]
    most = 3 if keypoints.shape[-1:] == (_MULTIPOSE,) else 4
    while keypoints.ndim > most and keypoints.shape[1] == 1:  # a picture each time
        keypoints = keypoints[:, 0]
    arrays = {**arrays, "keypoints": keypoints}
    if keypoints.ndim == 3 and keypoints.shape[-1] == _MULTIPOSE:
        people = keypoints[..., :51].reshape(*keypoints.shape[:2], 17, 3)[..., [1, 0, 2]]
        arrays = {**arrays, "keypoints": people, "box_score": keypoints[..., -1]}
    people, frame, listed = _rows(arrays, path)
    name = hints.joint_set or _text(arrays.get("joint_set"), path)
    joints, assumed = joints_of(people.shape[1], path, name)
    size = _numbers(arrays, "image_size", path, 2, whole=True)
    fps = _numbers(arrays, "fps", path, 1)
    count = _numbers(arrays, "n_frames", path, 1, whole=True)
    return RawDetections(
        number=frame,
        keypoints=people[..., :2],
        confidence=people[..., 2],
        box_score=_box_score(arrays, path, len(frame)),
        joints=joints,
        assumed=assumed,
        bare=keypoints.shape[-1] in (2, 3),
        listed=listed,
        complete=len(listed) > 0,
        fps=None if fps is None else fps[0],
        image_size=None if size is None else (int(size[0]), int(size[1])),
        n_frames=None if count is None else int(count[0]),
        identity=_identity(arrays, path, len(frame)),
    )


def _identity(arrays: dict[str, np.ndarray], path: Path, count: int) -> np.ndarray | None:
    if "identity" not in arrays:
        return None
    identity = require(arrays["identity"].reshape(-1), path, "identity", ("N",), {"N": count}, _REMEDY)
    return np.nan_to_num(identity, nan=-1).astype(np.int64)


def _rows(arrays: dict[str, np.ndarray], path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N, K, 3) x, y, score; the frame of each row; all frames if the array has an axis of them."""
    keypoints = arrays["keypoints"]
    if keypoints.ndim in (3, 4) and keypoints.shape[-2:] == (33, 4):  # MediaPipe's x, y, z, visibility
        keypoints = keypoints[..., [0, 1, 3]]
    by_frame = keypoints.ndim == 4
    axes = ("T", "P", "K") if by_frame else ("N", "K")
    if keypoints.ndim not in (3, 4) or keypoints.shape[-1] not in (2, 3):
        raise DataError(
            f"{path}: keypoints: shape (N, K, 2 or 3) or (T, P, K, 2 or 3) is expected, found {keypoints.shape}; "
            f"{_REMEDY}"
        )
    values = require(keypoints, path, "keypoints", (*axes, keypoints.shape[-1]), remedy=_REMEDY).astype(np.float64)
    if keypoints.shape[-1] == 2:
        scores = arrays.get("confidence", np.ones(values.shape[:-1]))
        sizes: dict[str, int] = dict(zip(axes, values.shape, strict=False))
        scores = require(scores, path, "confidence", axes, sizes, _REMEDY).astype(np.float64)
        values = np.concatenate([values, scores[..., None]], axis=-1)
    elif "confidence" in arrays:
        raise DataError(f"{path}: confidence: already the last column of keypoints; leave one of them out")
    if by_frame:
        if "frame" in arrays:
            raise DataError(f"{path}: frame: not with keypoints (T, P, K, ...), whose first axis is the frame")
        n_frames, n_people = values.shape[:2]
        if n_people >= _MANY and _steps(values, 0) > 2 * _steps(values, 1):
            raise DataError(
                f"{path}: keypoints: (frames, people, joints, 2 or 3) is expected; in {keypoints.shape} people move "
                "less along the second axis than along the first, so that seems to be the frames; swap the two"
            )
        frame = np.repeat(np.arange(n_frames), n_people)
        return values.reshape(-1, *values.shape[2:]), frame, np.arange(n_frames)
    if "frame" not in arrays:  # one person, a row a frame
        return values, np.arange(len(values)), np.arange(len(values))
    frame = arrays["frame"]
    frame = require(frame, path, "frame", ("N",), {"N": len(values)}, _REMEDY)
    if frame.dtype.kind not in "iu" or int(frame.min()) < 0 or int(frame.max()) >= 1000 * (len(frame) + 10):
        raise DataError(f"{path}: frame: whole numbers from 0 are expected, found {frame.dtype} up to {frame.max()}")
    return values, frame.astype(np.int64), np.empty(0, dtype=np.int64)


def _steps(people: np.ndarray, axis: int) -> float:
    """Median distance from one entry to the next along an axis of (T, P, K, 3); 0 where nothing tells."""
    points = np.where((people[..., :2] == 0).all(-1, keepdims=True), np.nan, people[..., :2])
    far = np.linalg.norm(np.diff(points, axis=axis), axis=-1)
    return float(np.median(far[np.isfinite(far)])) if np.isfinite(far).any() else 0.0


def _box_score(arrays: dict[str, np.ndarray], path: Path, count: int) -> np.ndarray:
    if "box_score" not in arrays:
        return np.full(count, np.nan)
    scores = arrays["box_score"]
    flat = scores.reshape(-1) if scores.ndim == 2 else scores
    return require(flat, path, "box_score", ("N",), {"N": count}, _REMEDY).astype(np.float64)


def _numbers(arrays: dict[str, Any], key: str, path: Path, count: int, whole: bool = False) -> np.ndarray | None:
    """`count` numbers above 0, or None if the file has none."""
    if key not in arrays:
        return None
    values = require(arrays[key].reshape(-1), path, key, (count,), remedy=_REMEDY).astype(np.float64)
    if not ((values > 0) & (values < 1e9)).all() or (whole and (values != np.round(values)).any()):
        kind = "whole numbers" if whole else "numbers"
        raise DataError(f"{path}: {key}: {kind} above 0 are expected, found {values}; {_REMEDY}")
    return values


def _text(value: np.ndarray | None, path: Path) -> str | None:
    if value is None:
        return None
    if value.dtype.kind != "U" or value.size != 1:
        raise DataError(f"{path}: joint_set: a name is expected, found an array of {value.dtype}; {_REMEDY}")
    return str(value.reshape(-1)[0])
