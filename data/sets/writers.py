"""Writes the data sets' own formats (docs/method.md §3): MATLAB v5 and v7.3, protocol 2 pickles, camera.calibration.

Nothing here knows how the content came about. The same content gives the same bytes: dates that the formats carry are
overwritten with a fixed text.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io

from pose.cameras import Camera
from pose.joint_sets import MUPOTS_17, JointSet

_MPI_28_NAMES = (
    "spine_3 spine_4 spine_2 spine hip neck head head_top left_clavicle left_shoulder left_elbow left_wrist left_hand "
    "right_clavicle right_shoulder right_elbow right_wrist right_hand left_hip left_knee left_ankle left_foot left_toe "
    "right_hip right_knee right_ankle right_foot right_toe"
)
#: The 28 joints of MPI-INF-3DHP's training annotations; those that are in MuPoTS-17 bear its names.
MPI_28 = JointSet("MPI-28", tuple(_MPI_28_NAMES.split()), root=4)

_DATE = "Created on: Thu Jan 1 00:00:00 1970"


def mpi_28_joints(poses_3d: np.ndarray) -> np.ndarray:
    """MuPoTS-17 poses (..., 17, 3) with plausible places for the other 11 joints of MPI-INF-3DHP: (..., 28, 3)."""
    joints = {name: poses_3d[..., i, :] for i, name in enumerate(MUPOTS_17.names)}
    across = joints["left_hip"] - joints["right_hip"]
    forward = np.cross(across, joints["neck"] - joints["hip"])
    forward /= np.linalg.norm(forward, axis=-1, keepdims=True)
    for name, part in (("spine_2", 0.3), ("spine_3", 0.6), ("spine_4", 0.85)):
        joints[name] = joints["spine"] + part * (joints["neck"] - joints["spine"])
    for side in ("left", "right"):
        shank = joints[f"{side}_ankle"] - joints[f"{side}_knee"]
        length = np.linalg.norm(shank, axis=-1, keepdims=True)
        joints[f"{side}_clavicle"] = joints["neck"] + 0.25 * (joints[f"{side}_shoulder"] - joints["neck"])
        joints[f"{side}_hand"] = joints[f"{side}_wrist"] + 0.4 * (joints[f"{side}_wrist"] - joints[f"{side}_elbow"])
        joints[f"{side}_foot"] = joints[f"{side}_ankle"] + 0.12 * shank + 0.32 * length * forward
        joints[f"{side}_toe"] = joints[f"{side}_foot"] + 0.16 * length * forward
    return np.stack([joints[name] for name in MPI_28.names], axis=-2)


def _cell(items: Sequence[Any], shape: tuple[int, ...]) -> np.ndarray:
    """A MATLAB cell array: an array of objects filled in row-major order."""
    cell = np.empty(len(items), dtype=object)
    cell[:] = items
    return cell.reshape(shape)


def _save_mat(path: Path, content: dict[str, Any]) -> None:
    """A MATLAB v5 file, uncompressed as the published ones."""
    file = io.BytesIO()  # scipy seeks a great deal
    scipy.io.savemat(file, content)
    file.seek(0)
    file.write(f"MATLAB 5.0 MAT-file, Platform: posix, {_DATE}".ljust(116).encode())
    path.write_bytes(file.getbuffer())


def write_mpi_annotations(
    path: Path, annot2: Sequence[np.ndarray], annot3: Sequence[np.ndarray], univ_annot3: Sequence[np.ndarray]
) -> None:
    """annot.mat of an MPI-INF-3DHP training recording; per camera (T, 28, 2) px and twice (T, 28, 3) mm."""
    fields = {"annot2": annot2, "annot3": annot3, "univ_annot3": univ_annot3}
    n_frames, n_cameras = len(annot2[0]), len(annot2)
    content: dict[str, Any] = {
        name: _cell([values.reshape(n_frames, -1).astype(np.float32) for values in per_camera], (n_cameras, 1))
        for name, per_camera in fields.items()
    }
    content["cameras"] = np.arange(n_cameras)[None]
    content["frames"] = np.arange(n_frames)[:, None]
    _save_mat(path, content)


def write_calibration(
    path: Path, cameras: Sequence[Camera], rotations: Sequence[np.ndarray], positions: Sequence[np.ndarray]
) -> None:
    """camera.calibration of an MPI-INF-3DHP recording: cameras, and their places in the world in mm.

    rotations (3, 3) world to camera axes, positions (3,).
    """
    lines = ["Skeletool Camera Calibration File V1.0"]
    for number, (camera, rotation, position) in enumerate(zip(cameras, rotations, positions, strict=True)):
        intrinsic, extrinsic = np.eye(4), np.eye(4)
        intrinsic[:3, :3] = camera.K.numpy()
        extrinsic[:3, :3], extrinsic[:3, 3] = rotation, -rotation @ position
        lines += [
            f"name          {number}",
            "  sensor      10 10",
            f"  size        {camera.width} {camera.height}",
            "  animated    0",
            "  intrinsic   " + " ".join(f"{value:.9g}" for value in intrinsic.ravel()),
            "  extrinsic   " + " ".join(f"{value:.9g}" for value in extrinsic.ravel()),
            "  radial      0",
        ]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")


def write_mpi_test_annotations(
    path: Path,
    annot2: np.ndarray,
    annot3: np.ndarray,
    univ_annot3: np.ndarray,
    valid_frame: np.ndarray,
    activity: np.ndarray | None = None,
) -> None:
    """annot_data.mat (v7.3) of an MPI-INF-3DHP test recording: (T, 17, 2) px, twice (T, 17, 3) mm, (T,) bool, and where
    given the activities (T,) from 1."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in (("annot2", annot2), ("annot3", annot3), ("univ_annot3", univ_annot3)):
            file.create_dataset(name, data=values[:, None].astype(np.float64), track_times=False)
        file.create_dataset("valid_frame", data=valid_frame[:, None].astype(np.float64), track_times=False)
        if activity is not None:
            file.create_dataset("activity_annotation", data=activity[:, None].astype(np.float64), track_times=False)
        for dataset in file.values():
            dataset.attrs["MATLAB_class"] = np.bytes_(b"double")
    with open(path, "rb+") as file:
        header = f"MATLAB 7.3 MAT-file, Platform: posix, {_DATE} HDF5 schema 1.00 .".ljust(116)
        file.write(header.encode() + bytes(8) + b"\x00\x02IM")


def write_mupots_annotations(
    path: Path, annot2: np.ndarray, annot3: np.ndarray, univ_annot3: np.ndarray, valid: np.ndarray
) -> None:
    """annot.mat of a MuPoTS-3D sequence: (T, P, 17, 2) px, twice (T, P, 17, 3) mm, (T, P) bool."""
    frames_people = annot2.shape[:2]
    points = [values.swapaxes(2, 3).astype(np.float64) for values in (annot2, annot3, univ_annot3)]
    fields = np.dtype([(name, object) for name in ("annot2", "annot3", "univ_annot3", "isValidFrame")])
    structs = []
    for at in np.ndindex(frames_people):
        struct = np.empty((1, 1), dtype=fields)
        struct[0, 0] = (*(values[at] for values in points), np.array([[valid[at]]], dtype=np.uint8))
        structs.append(struct)
    _save_mat(path, {"annotations": _cell(structs, frames_people)})


def write_mupots_occlusion(path: Path, occluded: np.ndarray) -> None:
    """occlusion.mat of a MuPoTS-3D sequence: (T, P, 17) bool, true where occluded."""
    labels = [row[None].astype(np.uint8) for row in occluded.reshape(-1, occluded.shape[-1])]
    _save_mat(path, {"occlusion_labels": _cell(labels, occluded.shape[:2])})
