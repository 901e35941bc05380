"""3D predictions as other programs write them -> the arrays of a predictions.npz, which `data.predictions` checks.

    preds_3d_kpt_mupots.mat  of the official script, as RootNet and PoseNet write it: a variable TS1_img_000000 for each
                             image, (P, J, 3); beside it preds_2d_kpt_mupots.mat, (P, J, 2). No identities.
    inference_data.mat       of the MPI-INF-3DHP utility: (3, J, 1, T) of each sequence TS1 to TS6
    1.pkl, 2.pkl, ...        of GnTCN and TDBU: (T, P, 3, J) of a sequence each
    .npy, .npz, .pkl         (T, P, J, 3) or, of one person, (T, J, 3): a sequence each, named by the file or the key

or a folder of them. People are numbered by their place; a pose that is all NaN is a person not detected. Units are not
looked at here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fileio.arrays import read_npz, require
from fileio.limits import reading
from fileio.mat_reader import read_mat
from fileio.pickle_reader import read_pickle
from fileio.text_lines import natural_order
from pose.errors import DataError, MismatchError
from pose.joint_sets import MUPOTS_14, MUPOTS_15, MUPOTS_17, POSE_SETS, JointSet

_USUAL = {len(joints): joints for joints in (MUPOTS_14, MUPOTS_15, MUPOTS_17)}
_IMAGE = re.compile(r"(TS\d{1,6})_img_(\d{1,9})")
_SCRIPT = re.compile(r"preds_[23]d_.*\.mat$")
_READABLE = (".npy", ".npz", ".pkl")
_REMEDY = "see docs/evaluate_your_own.md"


def is_foreign(path: Path) -> bool:
    """Whether this cannot be a predictions.npz: a folder, or a file of another kind."""
    return path.is_dir() or path.suffix.lower() in (".mat", ".npy", ".pkl")


def has_identities(path: Path | str) -> bool:
    """Whether a person keeps a number over time; if not, only `by2d` can pair."""
    return not (_SCRIPT.search(Path(path).name) or _script_files(Path(path)))


def read_foreign(path: Path, joint_set: str | None = None) -> dict[str, np.ndarray]:
    """sequence, frame, person, poses_3d, joints_3d and, where there are any, keypoints_2d, joints_2d: a row a pose.

    joint_set: what the joints are; if None the first 14, 15 or all 17 of MuPoTS-17, by their number.
    Raises DataError naming file and variable, MismatchError for a joint set that is not known.
    """
    if _SCRIPT.search(path.name) or _script_files(path):
        return _read_script_files(path, joint_set)
    if path.suffix.lower() == ".mat":
        found = {name: value for name, value in read_mat(path).items() if _sequence(name)}
        if not found:
            raise DataError(f"{path}: is no preds_3d_*.mat and has no variables TS1, TS2, ...; {_REMEDY}")
        return sequences_of({name: _frames_first(value) for name, value in found.items()}, path, joint_set)
    if path.is_dir():
        files = sorted(
            (p for p in path.iterdir() if p.suffix.lower() in _READABLE), key=lambda p: natural_order(p.name)
        )
        if not files:
            raise DataError(f"{path}: holds no {', '.join(_READABLE)} nor preds_3d_kpt_mupots.mat; {_REMEDY}")
        return _joined([_read_file(file, joint_set) for file in files], path)
    return _read_file(path, joint_set)


def sequences_of(arrays: Mapping[Any, Any], path: Path, joint_set: str | None = None) -> dict[str, np.ndarray]:
    """As `read_foreign`, of arrays by the name or number of their sequence, or of one that the file is named after."""
    named = {key: _sequence(str(key)) for key in arrays}
    if None in named.values():
        if len(named) != 1 or (sequence := _sequence(path.stem)) is None:
            raise DataError(
                f"{path}: {str(next(key for key in named if named[key] is None))[:40]!r} names no sequence; name each "
                f"array (or the file of a single one) TS1, TS2, ...; {_REMEDY}"
            )
        named = dict.fromkeys(named, sequence)
    return _joined([_rows(arrays[key], sequence, path, joint_set) for key, sequence in named.items() if sequence], path)


def _frames_first(value: np.ndarray) -> np.ndarray:
    """(3, J, 1, T) or (3, J, T), as MATLAB has them -> (T, 1, J, 3); others as they are."""
    value = value[:, :, None] if value.ndim == 3 and value.shape[0] == 3 else value
    return value.transpose(3, 2, 1, 0) if value.ndim == 4 and value.shape[0] == 3 != value.shape[3] else value


def _read_file(path: Path, joint_set: str | None) -> dict[str, np.ndarray]:
    kind = path.suffix.lower()
    if kind == ".npz":
        return sequences_of(read_npz(path), path, joint_set)
    if kind == ".npy":
        with reading(path, "an npy file of numbers", "write it with numpy.save, without objects"):
            content: Any = np.load(path, allow_pickle=False)
    else:
        content = read_pickle(path)
    return sequences_of(content if isinstance(content, dict) else {"": content}, path, joint_set)


def _sequence(name: str) -> str | None:
    found = re.fullmatch(r"(?:TS)?0*(\d{1,6})", name)
    return f"TS{found[1]}" if found else None


def _rows(value: Any, sequence: str, path: Path, joint_set: str | None) -> dict[str, np.ndarray]:
    name = f"poses of {sequence}"
    poses = require(value, path, name, ("...",), remedy=_REMEDY)
    if poses.ndim in (2, 3) and (J := poses.shape[-1] // 3) in _USUAL and poses.shape[-1] == 3 * J:
        raise DataError(
            f"{path}: {name}: {poses.shape} has x, y, z of {J} joints on one axis; "
            f"reshape it to (T, P, {J}, 3); {_REMEDY}"
        )
    poses = poses[:, None] if poses.ndim == 3 else poses
    if poses.ndim == 4 and poses.shape[-2] == 3 != poses.shape[-1]:  # axes before joints
        poses = poses.swapaxes(2, 3)
    poses = require(poses, path, name, ("T", "P", "J", 3), remedy=f"(T, P, J, 3) is T frames of P people; {_REMEDY}")
    joints = _joints(poses.shape[2], joint_set, path)
    frame, person = np.nonzero(~np.isnan(poses).all(axis=(2, 3)))
    return {
        "sequence": np.full(len(frame), sequence),
        "frame": frame,
        "person": person,
        "poses_3d": poses[frame, person],
        "joints_3d": np.full(len(frame), joints.name),
    }


def _joints(count: int, joint_set: str | None, path: Path) -> JointSet:
    if joint_set is not None and joint_set not in POSE_SETS:
        raise MismatchError(f"input_options.joint_set={joint_set}: not known; known are {', '.join(POSE_SETS)}")
    joints = _USUAL.get(count) if joint_set is None else POSE_SETS[joint_set]
    if joints is None or len(joints) != count:
        held = "14, 15 or 17 joints of MuPoTS-17 are expected"
        if joint_set is not None:
            held = f"{joint_set} has {len(POSE_SETS[joint_set])}"
        fitting = ", ".join(name for name, known in POSE_SETS.items() if len(known) == count)
        raise MismatchError(
            f"{path}: {count} joints, {held}; set input_options.joint_set={fitting or 'NAME'} if it is that"
        )
    return joints


def _joined(parts: list[dict[str, np.ndarray]], path: Path) -> dict[str, np.ndarray]:
    counts = sorted({part["poses_3d"].shape[1] for part in parts})
    if len(counts) != 1:
        held = " and ".join(map(str, counts)) or "no"
        raise DataError(f"{path}: poses of {held} joints; the same joints are expected everywhere; {_REMEDY}")
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


# --- the official script's files -------------------------------------------------------------------------------------


def _script_files(path: Path) -> list[Path]:
    return sorted(path.glob("*preds_3d_*.mat")) if path.is_dir() else []


def _read_script_files(path: Path, joint_set: str | None) -> dict[str, np.ndarray]:
    found = _script_files(path) or [path]
    if len(found) > 1:
        raise DataError(f"{path}: holds {', '.join(file.name for file in found)}; give one of them")
    place = found[0].with_name(found[0].name.replace("_2d_", "_3d_"))
    flat = place.with_name(place.name.replace("_3d_", "_2d_"))
    if flat == place or not flat.is_file():
        raise DataError(
            f"{place}: the 2D file that people are paired by (preds_2d_kpt_mupots.mat beside preds_3d_kpt_mupots.mat) "
            "is missing; put both into one folder"
        )
    poses, points = _images(place, 3), _images(flat, 2)
    rows, joints = [], None
    for (sequence, frame), value in poses.items():
        seen = points.get((sequence, frame))
        if seen is None or seen.shape[:2] != value.shape[:2]:
            held = "missing" if seen is None else f"of shape {seen.shape}"
            raise DataError(
                f"{flat}: {sequence}_img_{frame:06d} is {held}, {value.shape[:2]} in {place.name}; {_REMEDY}"
            )
        joints = _joints(value.shape[1], joint_set, place)
        people = ~np.isnan(value).all(axis=(1, 2))
        count = int(people.sum())
        rows.append(
            {
                "sequence": np.full(count, sequence),
                "frame": np.full(count, frame),
                "person": np.flatnonzero(people),
                "poses_3d": value[people],
                "keypoints_2d": seen[people],
                "joints_3d": np.full(count, joints.name),
                "joints_2d": np.full(count, joints.name),
            }
        )
    return _joined(rows, place)


def _images(path: Path, axes: int) -> dict[tuple[str, int], np.ndarray]:
    """(sequence, frame) -> (P, J, axes)."""
    found = {}
    for name, value in read_mat(path).items():
        if image := _IMAGE.fullmatch(name):
            value = value[None] if value.ndim == 2 and value.size else value
            if value.size:
                found[image[1], int(image[2])] = require(value, path, name, ("P", "J", axes), remedy=_REMEDY)
    if not found:
        raise DataError(f"{path}: has no variable such as TS1_img_000000, (people, joints, {axes}); {_REMEDY}")
    return dict(sorted(found.items(), key=lambda item: (natural_order(item[0][0]), item[0][1])))
