"""One person in each frame in the layouts that tools write: (T, 17, 3) -> a function of a folder. `ONE` lists them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from pose.joint_sets import COCO_17, MEDIAPIPE_33
from tests.data.keypoints.formats.writers import CAMEL, SIZE, as_csv, dump, in_order


def landmarks(rows: np.ndarray) -> np.ndarray:
    """(T, 17, 3) px -> (T, 33, 3) of MediaPipe, fractions of the image."""
    return in_order(rows, MEDIAPIPE_33) / [*SIZE, 1]


def mediapipe_named(rows):
    frames = [
        {
            "frame": i,
            "landmarks": {
                n: {"x": x, "y": y, "z": 0.0, "visibility": v}
                for n, (x, y, v) in zip(MEDIAPIPE_33.names, p.tolist(), strict=True)
            },
        }
        for i, p in enumerate(landmarks(rows))
    ]
    return dump(frames)


def mediapipe_upper_case(rows):
    names = [name.upper() for name in MEDIAPIPE_33.names]
    return dump(
        [
            {n: {"x": x, "y": y, "visibility": v} for n, (x, y, v) in zip(names, p.tolist(), strict=True)}
            for p in landmarks(rows)
        ]
    )


def mediapipe_camel_case(rows):
    """The JavaScript library's."""
    points = [[{"x": x, "y": y, "z": 0.0, "visibility": v} for x, y, v in p.tolist()] for p in landmarks(rows)]
    return dump([{"poseLandmarks": p} for p in points])


def mediapipe_tasks(rows):
    """What MediaPipe's tasks give: a list of people, here of one."""
    points = [[{"x": x, "y": y, "z": 0.0, "visibility": v} for x, y, v in p.tolist()] for p in landmarks(rows)]
    return dump([{"landmarks": [p], "worldLandmarks": [p]} for p in points])


def mediapipe_npy(rows):
    def write(folder: Path) -> Path:
        np.save(folder / "k.npy", np.insert(landmarks(rows), 2, 0.3, axis=2))
        return folder / "k.npy"

    return write


def movenet_npy(rows):
    """(T, 1, 1, 17, 3): y, x, score as fractions."""

    def write(folder: Path) -> Path:
        np.save(folder / "k.npy", (rows / [*SIZE, 1])[:, None, None][..., [1, 0, 2]])
        return folder / "k.npy"

    return write


def movenet_json(rows):
    return dump((rows / [*SIZE, 1])[:, None, None][..., [1, 0, 2]].tolist())


def mediapipe_rows(rows):
    return dump([np.insert(p, 2, 0.0, axis=1).tolist() for p in landmarks(rows)])


def mediapipe_csv(rows):
    header = ["frame", *(f"{n}_{a}" for n in MEDIAPIPE_33.names for a in "xyzv")]
    return as_csv([header, *([i, *np.insert(p, 2, 0.0, axis=1).ravel()] for i, p in enumerate(landmarks(rows)))])


def mediapipe_numbered_csv(rows):
    header = ["class", *(f"{a}{i}" for i in range(1, 34) for a in "xyzv")]
    return as_csv([header, *(["walk", *np.insert(p, 2, 0.0, axis=1).ravel()] for p in landmarks(rows))])


def deeplabcut_header(joints):
    columns = [("DLC", joint, axis) for joint in joints for axis in ("x", "y", "likelihood")]
    levels = ("scorer", "bodyparts", "coords")
    return [[level, *(column[place] for column in columns)] for place, level in enumerate(levels)]


def deeplabcut_csv(rows, joints=COCO_17.names):
    return as_csv([*deeplabcut_header(joints), *([i, *p.ravel()] for i, p in enumerate(rows))])


def deeplabcut_of_labelled_pictures(rows):
    """The image's path in three columns."""
    header = [[level, "", "", *columns] for level, *columns in deeplabcut_header(COCO_17.names)]
    return as_csv([*header, *(["labeled-data", "clip", f"img{i:03d}.png", *p.ravel()] for i, p in enumerate(rows))])


def lightning_pose_csv(rows):
    return deeplabcut_csv(rows, CAMEL)


def deeplabcut_h5(rows):
    """What pandas' `to_hdf(format="table")` stores: the columns' names are a pickle of protocol 0."""
    columns = [(1, [("DLC", joint, axis) for joint in COCO_17.names for axis in ("x", "y", "likelihood")])]

    def write(folder: Path) -> Path:
        import pickle

        table = np.zeros(len(rows), dtype=[("index", "<i8"), ("values_block_0", "<f8", (51,))])
        table["index"], table["values_block_0"] = np.arange(len(rows)), rows.reshape(len(rows), -1)
        with h5py.File(folder / "k.h5", "w") as file:
            file["df_with_missing/table"] = table
            file["df_with_missing"].attrs["non_index_axes"] = np.bytes_(pickle.dumps(columns, protocol=0))
        return folder / "k.h5"

    return write


def deeplabcut_h5_of_labelled_pictures(rows):
    """What pandas' `to_hdf` stores by default: each level of a label and which of its values; paths in parts."""

    def write(folder: Path) -> Path:
        axes = {
            "block0_items": [["DLC"], COCO_17.names, ["likelihood", "x", "y"]],
            "axis1": [["labeled-data"], ["clip"], [f"img{i:03d}.png" for i in range(len(rows))]],
        }
        places = {
            "block0_items": [[0] * 51, np.repeat(np.arange(17), 3), [1, 2, 0] * 17],
            "axis1": [[0] * len(rows), [0] * len(rows), range(len(rows))],
        }
        with h5py.File(folder / "k.h5", "w") as file:
            file["df_with_missing/block0_values"] = rows.reshape(len(rows), -1)
            group = file["df_with_missing"]
            for axis, levels in axes.items():
                group.attrs[f"{axis}_nlevels"] = 3
                for level, values in enumerate(levels):
                    file[f"df_with_missing/{axis}_level{level}"] = np.array(values, dtype="S")
                    file[f"df_with_missing/{axis}_label{level}"] = np.array(places[axis][level], dtype=np.int8)
        return folder / "k.h5"

    return write


def npz_one(rows):
    def write(folder: Path) -> Path:
        np.savez(folder / "k.npz", rows)
        return folder / "k.npz"

    return write


def npy_one(rows):
    def write(folder: Path) -> Path:
        np.save(folder / "k.npy", rows)
        return folder / "k.npy"

    return write


def videopose3d(rows):
    def write(folder: Path) -> Path:
        positions = {"clip.mp4": {"custom": [rows[..., :2].astype("float32")]}}
        np.savez_compressed(folder / "data_2d_custom_a.npz", positions_2d=positions, metadata={"layout_name": "coco"})
        return folder / "data_2d_custom_a.npz"

    return write


ONE = [
    movenet_npy, movenet_json, mediapipe_tasks, mediapipe_npy,
    mediapipe_named, mediapipe_upper_case, mediapipe_camel_case, mediapipe_rows, mediapipe_csv, mediapipe_numbered_csv,
    deeplabcut_csv, deeplabcut_of_labelled_pictures, lightning_pose_csv, deeplabcut_h5,
    deeplabcut_h5_of_labelled_pictures, npz_one, npy_one, videopose3d,
]  # fmt: skip
