"""Arrays: FreeMoCap and MotionBERT (npy), MeTRAbs and NLF (npz)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from data.poses.joints import SKELETONS, named_joints
from data.poses.rows import REMEDY, Options, PoseRows, one_person
from fileio.arrays import require
from pose.errors import DataError, MismatchError
from pose.joint_sets import HUMAN36M_17, JOINT_SETS, MEDIAPIPE_33

#: MotionBERT's numbers within this are fractions of the image or of a crop, beyond it they are px.
_FRACTIONS = 5.0


def read_npy(array: np.ndarray, path: Path, options: Options) -> PoseRows:
    """(T, 33 or more, 3): FreeMoCap, mm, z up. (T, 17, 3): MotionBERT."""
    points = np.asarray(require(array, path, "the array", ("T", "J", 3), remedy=REMEDY), float)
    if points.shape[1] == len(HUMAN36M_17):
        return _motionbert(points, options)
    if points.shape[1] in (len(MEDIAPIPE_33), 75, 553):  # further ones are hands and face
        points = points[:, : len(MEDIAPIPE_33)]
        upright = np.stack([points[..., 0], -points[..., 2], points[..., 1]], axis=-1)
        return PoseRows("FreeMoCap", MEDIAPIPE_33, **one_person(upright), space="world")
    raise DataError(f"{path}: {points.shape[1]} joints; 17 (MotionBERT) or 33 (FreeMoCap) are expected; {REMEDY}")


def _motionbert(points: np.ndarray, options: Options) -> PoseRows:
    """Human3.6M-17, x right, y down, z forward, in px of the image (--pixel) or in [-1, 1] of it or of a crop."""
    in_px = np.nanmax(np.abs(points)) > _FRACTIONS
    own = one_person(points - points[:, :1])
    own["poses_3d"] = np.where(np.isfinite(own["poses_3d"]), own["poses_3d"], np.nan)
    note = "Places: MotionBERT's --pixel writes them, this file has none." if not in_px else ""
    return PoseRows(
        "MotionBERT", HUMAN36M_17, **own, space="body", in_mm=False, image_size=options.image_size,
        keypoints_2d=points[own["frame"], :, :2] if in_px else None, notes=(note,) if note else (),
    )  # fmt: skip


def read_npz(arrays: dict[str, np.ndarray], path: Path, options: Options) -> PoseRows:
    """poses3d (T, J, 3), (T, P, J, 3) or with `frame` (N, J, 3), mm, camera coordinates; joint_uncertainties mm.

    The skeleton is `joint_names`, the name `skeleton`, or the user's `input_options.joint_set`.
    """
    poses = arrays["poses3d"]
    if poses.ndim == 4:
        frame = np.repeat(np.arange(len(poses)), poses.shape[1])
        each = [key for key, value in arrays.items() if value.shape[:2] == poses.shape[:2]]
        arrays = arrays | {key: arrays[key].reshape(-1, *arrays[key].shape[2:]) for key in each}
        arrays["frame"] = frame
    sizes: dict[str, int] = {}
    poses = np.asarray(require(arrays["poses3d"], path, "poses3d", ("N", "J", 3), sizes, REMEDY), float)
    joints = _skeleton(arrays, path, options, sizes["J"])
    there = np.isfinite(poses).all(-1).any(-1)
    frame = require(arrays.get("frame", np.arange(len(poses))), path, "frame", ("N",), sizes, REMEDY).astype(int)[there]
    beside = {"std_mm": "joint_uncertainties", "identity": "track_id"}
    beside_rows = {
        key: np.asarray(require(arrays[name], path, name, ("N", "J")[: 2 if key == "std_mm" else 1], sizes, REMEDY))
        for key, name in beside.items()
        if name in arrays
    }
    extra: dict[str, Any] = {key: value[there] for key, value in beside_rows.items()}
    if "identity" not in extra and len(np.unique(frame)) == len(frame):
        extra["identity"] = np.zeros(len(frame), int)
    K = arrays.get("intrinsic_matrix")
    focal = None if K is None else np.full(len(frame), float(require(K, path, "intrinsic_matrix", (3, 3))[0, 0]))
    return PoseRows(
        "MeTRAbs or NLF", joints, frame, poses[there], "camera", focal_px=focal, image_size=options.image_size, **extra
    )


def _skeleton(arrays: dict[str, np.ndarray], path: Path, options: Options, count: int):
    if "joint_names" in arrays:
        return named_joints([str(name) for name in np.ravel(arrays["joint_names"])], path, halpe=False)
    name = options.joint_set or (str(arrays["skeleton"]) if "skeleton" in arrays else "")
    joints = SKELETONS.get(name, JOINT_SETS.get(name))
    if joints is None or len(joints) != count:
        raise MismatchError(
            f"{path}: which {count} joints poses3d has is not known (skeleton={name or 'not given'}); give "
            f"input_options.joint_set=, one of {', '.join([*SKELETONS, *JOINT_SETS])}"
        )
    return joints
