"""`.npz` of keypoints, for what no other format fits. docs/inputs.md documents the keys."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from data.keypoints.coco19 import RawDetections
from data.keypoints.parsing import Hints, check_size, joints_of
from fileio.arrays import read_npz, require
from fileio.limits import reading
from pose.errors import DataError

_REMEDY = "docs/inputs.md says what the arrays are"
_KEYS = {"keypoints", "confidence", "frame", "box_score", "n_frames", "fps", "image_size", "joint_set"}


def read_arrays(path: Path, hints: Hints, max_bytes: int) -> RawDetections:
    """keypoints (N, K, 2 | 3) with frame (N), or (T, P, K, 2 | 3); confidence without the last axis if it is 2.

    NaN is a missing joint. Raises DataError naming the key.
    """
    with reading(path, "an npz file of plain arrays"), zipfile.ZipFile(path) as archive:
        check_size(path, sum(item.file_size for item in archive.infolist()), max_bytes)
    arrays = read_npz(path)
    if "keypoints" not in arrays or set(arrays) - _KEYS:
        raise DataError(
            f"{path}: 'keypoints' and further only {', '.join(sorted(_KEYS))} are expected, found "
            f"{', '.join(sorted(arrays))[:200]}; {_REMEDY}"
        )
    people, frame, listed = _rows(arrays, path)
    keypoints, confidence = people[..., :2], people[..., 2]
    missing = np.logical_not(np.isfinite(people).all(axis=-1))
    joints = joints_of(keypoints.shape[1], path, hints.joint_set or _text(arrays.get("joint_set"), path))
    size = _numbers(arrays, "image_size", path, 2, whole=True)
    fps = _numbers(arrays, "fps", path, 1)
    count = _numbers(arrays, "n_frames", path, 1, whole=True)
    return RawDetections(
        number=frame,
        keypoints=np.where(missing[..., None], 0.0, keypoints),
        confidence=np.where(missing, 0.0, confidence),
        box_score=_box_score(arrays, path, len(frame)),
        joints=joints,
        listed=listed,
        complete=len(listed) > 0,
        fps=None if fps is None else fps[0],
        image_size=None if size is None else (int(size[0]), int(size[1])),
        n_frames=None if count is None else int(count[0]),
    )


def _rows(arrays: dict[str, np.ndarray], path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N, K, 3) x, y, score; the frame of each row; all frames if the array has an axis of them."""
    keypoints = arrays["keypoints"]
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
        frame = np.repeat(np.arange(n_frames), n_people)
        return values.reshape(-1, *values.shape[2:]), frame, np.arange(n_frames)
    frame = arrays.get("frame")
    frame = require(frame, path, "frame", ("N",), {"N": len(values)}, _REMEDY)
    if frame.dtype.kind not in "iu" or int(frame.min()) < 0 or int(frame.max()) >= 1000 * (len(frame) + 10):
        raise DataError(f"{path}: frame: whole numbers from 0 are expected, found {frame.dtype} up to {frame.max()}")
    return values, frame.astype(np.int64), np.empty(0, dtype=np.int64)


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
