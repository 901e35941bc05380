"""A small body model, true to the schema of SMPL's and SMPL-X's files, and what four programs write of bodies in it.

Nothing here is of the genuine models: each joint is the middle of two vertices of its own, which stand like a person.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
from scipy.sparse import csc_matrix
from scipy.spatial.transform import Rotation

from pose.joint_sets import SMPL_24

T, FOCAL, CENTRE = 40, 1500.0, (960.0, 540.0)
#: m, y up, of a T-pose, in the order of SMPL's 24 joints.
REST = np.array(
    [
        [0, 0, 0], [0.07, -0.09, 0], [-0.07, -0.09, 0], [0, 0.11, -0.02], [0.1, -0.47, 0], [-0.1, -0.47, 0],
        [0, 0.25, 0], [0.09, -0.87, -0.04], [-0.09, -0.87, -0.04], [0, 0.3, 0.02], [0.11, -0.93, 0.08],
        [-0.11, -0.93, 0.08], [0, 0.51, -0.01], [0.08, 0.42, -0.01], [-0.08, 0.42, -0.01], [0, 0.58, 0.04],
        [0.17, 0.45, -0.02], [-0.17, 0.45, -0.02], [0.43, 0.44, -0.04], [-0.43, 0.44, -0.04], [0.68, 0.45, -0.04],
        [-0.68, 0.45, -0.04], [0.77, 0.44, -0.05], [-0.77, 0.44, -0.05],
    ]
)  # fmt: skip
SIZES = {"smpl": (24, 6890), "smplx": (55, 10475)}


def _model(kind: str) -> dict[str, np.ndarray]:
    joints, vertices = SIZES[kind]
    rng = np.random.default_rng(0)
    rest = np.concatenate([REST[:22] if kind == "smplx" else REST, rng.normal(size=(joints, 3))])[:joints]
    template, shapes = rng.normal(size=(vertices, 3)), rng.normal(0, 0.01, (vertices, 3, 10))
    regressor = np.zeros((joints, vertices))
    for joint, place in enumerate(rest):
        regressor[joint, [2 * joint, 2 * joint + 1]] = 0.5
        template[2 * joint], template[2 * joint + 1] = place + 0.05, place - 0.05
    parents = np.array([*SMPL_24.parents, *range(24, 55)])[:joints].astype(np.uint32)
    parents[0] = 2**32 - 1
    tree = np.stack([parents, np.arange(joints, dtype=np.uint32)])
    return {"J_regressor": regressor, "v_template": template, "shapedirs": shapes, "kintree_table": tree}


def body_model(path: Path, kind: str) -> Path:
    """The file: a pkl as SMPL's is, the regressor sparse, or an npz as SMPL-X's, with objects among its arrays."""
    held = _model(kind)
    if path.suffix == ".pkl":
        path.write_bytes(pickle.dumps(held | {"J_regressor": csc_matrix(held["J_regressor"]), "bs_type": "lrotmin"}, 2))
    else:
        np.savez(path, **held, part2num=np.array({"hip": 0}, dtype=object))
    return path


def parameters() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two walkers' rotation vectors (2, T, 24, 3), shapes (2, T, 10), places (2, T, 3) m, facing a level camera."""
    phase = np.linspace(0, 4 * np.pi, T)
    pose = np.zeros((2, T, 24, 3))
    pose[:, :, 0] = Rotation.from_euler("yx", [20, 180], degrees=True).as_rotvec()
    for joint, sign in ((1, 1), (2, -1)):
        pose[:, :, joint, 0] = -0.5 * sign * np.sin(phase)
        pose[:, :, joint + 3, 0] = 0.5 - 0.4 * sign * np.cos(phase)
        pose[:, :, joint + 15, 2] = -1.2 * sign  # arms down
        pose[:, :, joint + 17, 1] = -0.4 * sign
    pose[:, :, 9] = [0.1, 0.2, 0.05]
    betas = np.repeat(np.random.default_rng(1).normal(size=(2, 1, 10)), T, axis=1)
    place = np.zeros((2, T, 3))
    place[..., 0] = np.array([[-0.8], [0.8]]) + np.linspace(0, 0.5, T)
    place[..., 2] = [[4.5], [6.0]]
    return pose, betas, place


def truth(kind: str) -> np.ndarray:
    """(2, T, 24, 3) mm: joints by 4 x 4 matrices down the chain."""
    model, (pose, betas, place) = _model(kind), parameters()
    found = np.zeros((2, T, 24, 3))
    for p, t in np.ndindex(2, T):
        rest = (model["J_regressor"] @ (model["v_template"] + model["shapedirs"] @ betas[p, t]))[:24]
        whole: list[np.ndarray] = []
        for joint in range(24 if kind == "smpl" else 22):
            parent = SMPL_24.parents[joint]
            move = np.eye(4)
            move[:3, :3] = Rotation.from_rotvec(pose[p, t, joint]).as_matrix()
            move[:3, 3] = rest[joint] - (rest[parent] if joint else 0)
            whole.append(whole[parent] @ move if joint else move)
            found[p, t, joint] = whole[joint][:3, 3] + place[p, t]
    return found * 1000


def wham(path: Path) -> Path:
    """A defaultdict, as its demo dumps it, without the vertices that it has too; the second person comes later."""
    from collections import defaultdict

    pose, betas, place = parameters()
    held: defaultdict = defaultdict(dict)
    for p in (0, 1):
        held[p]["pose"] = pose[p].reshape(T, 72).astype(np.float32)
        held[p]["trans"], held[p]["betas"] = place[p].astype(np.float32), betas[p].astype(np.float32)
        held[p]["frame_ids"] = np.arange(T) + 5 * p
    joblib.dump(held, path)
    return path


def wham_vertices(path: Path) -> Path:
    """Of the first person, the vertices alone: both of each joint stand where it is."""
    verts = np.zeros((T, SIZES["smpl"][1], 3), np.float32)
    verts[:, :48] = np.repeat(truth("smpl")[0] / 1000, 2, axis=1)
    joblib.dump({0: {"trans": np.zeros((T, 3)), "verts": verts, "frame_ids": np.arange(T)}}, path, compress=3)
    return path


def gvhmr(path: Path) -> Path:
    pose, betas, place = (torch.from_numpy(part[0]).float() for part in parameters())
    K = torch.tensor([[FOCAL, 0, CENTRE[0]], [0, FOCAL, CENTRE[1]], [0, 0, 1]]).repeat(T, 1, 1)
    incam = {
        "global_orient": pose[:, 0], "body_pose": pose[:, 1:22].reshape(T, 63), "betas": betas, "transl": place,
    }  # fmt: skip
    torch.save({"smpl_params_incam": incam, "smpl_params_global": incam, "K_fullimg": K, "net_outputs": {}}, path)
    return path


def tram(path: Path) -> Path:
    """One person's dict of tensors, some of them views, in an npy."""
    pose, betas, place = (torch.from_numpy(part[0]).float() for part in parameters())
    turned = torch.from_numpy(Rotation.from_rotvec(pose.reshape(-1, 3)).as_matrix()).float().reshape(T, 24, 3, 3)
    held: Any = {
        "pred_rotmat": torch.cat([turned, turned])[T:], "pred_shape": betas, "pred_trans": place[:, None],
        "frame": torch.arange(T) + 3, "pred_cam": torch.zeros(T, 3),
    }  # fmt: skip
    np.save(path, held, allow_pickle=True)
    return path


def prompthmr(path: Path) -> Path:
    """Two people; its picture is half as large as the video's."""
    pose, betas, place = parameters()
    people = {
        p + 1: {
            "track_id": p + 1,
            "frames": np.arange(T) + 5 * p,
            "smplx_cam": {
                "pose": np.concatenate([pose[p, :, :22].reshape(T, 66), np.zeros((T, 9))], axis=1),
                "shape": betas[p],
                "trans": place[p],
            },
        }
        for p in (0, 1)
    }
    camera = {"img_focal": np.float32(FOCAL / 2), "img_center": np.array(CENTRE) / 2}
    joblib.dump({"camera": camera, "people": people, "timings": {}, "has_tracks": True}, path)
    return path
