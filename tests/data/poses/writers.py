"""Two people's walks in the layouts in which other programs leave 3D poses: one small file of each, true to its schema.

Written from the programs' own documentation; none of these is a program's genuine output.
"""

from __future__ import annotations

import json
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from pose.joint_sets import BODY_25, COCO_17, HALPE_26, HUMAN36M_17, MEDIAPIPE_33, MHR_70, MUPOTS_17, SMPL_24, JointSet

FPS, SIZE, FOCAL, T = 30.0, (1920, 1080), 1500.0, 60
GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "mocap" / "cmu_30fps.npz"


def walks() -> np.ndarray:
    """(2, T, 17, 3) mm, camera coordinates of a level camera 1.4 m high: captured walks side by side, 5 m away."""
    with np.load(GOLDEN) as clips:
        both = np.stack([clips[name][:T].astype(float) for name in ("02_01", "02_02")])
    both = both * [1.0, -1.0, -1.0]
    both -= both[:, :1, 14:15] * [1.0, 0.0, 1.0]
    return both + np.array([[-700.0, 1400.0, 5500.0], [700.0, 1400.0, 5000.0]])[:, None, None]


def in_set(poses: np.ndarray, joints: JointSet) -> np.ndarray:
    """MuPoTS-17 (..., 17, 3) -> another set; faces about the head, feet at the ankles, all else at the neck."""
    at = {name: poses[..., i, :] for i, name in enumerate(MUPOTS_17.names)}
    across = at["left_hip"] - at["right_hip"]
    front = np.cross(across, at["neck"] - at["hip"])
    front, side = (v / np.linalg.norm(v, axis=-1, keepdims=True) for v in (front, across))
    face = {"nose": at["head"] + 90 * front, "thorax": at["neck"]}
    for name, sign in (("left", 1), ("right", -1)):
        face |= {
            f"{name}_ear": at["head"] + 70 * sign * side,
            f"{name}_eye": at["head"] + (80 * front + 30 * sign * side),
        }
    known = face | at
    return np.stack([known.get(name, known["neck"]) for name in joints.names], axis=-2)


def pixels(points: np.ndarray) -> np.ndarray:
    return points[..., :2] / points[..., 2:] * FOCAL + np.array(SIZE) / 2


def trc(path: Path) -> Path:
    """Pose2Sim's Halpe-26 markers of the first person, m, y up; a frame of empty cells and a NaN."""
    short = {"left": "L", "right": "R"}
    names = []
    for name in HALPE_26.names:
        first, _, rest = name.partition("_")
        plain = {"head_top": "Head", "neck": "Neck", "hip": "Hip", "nose": "Nose"}
        names.append(short[first] + rest.title().replace("_", "") if first in short else plain[name])
    points = in_set(walks()[0], HALPE_26) * [1, -1, -1] / 1000
    lines = [
        "PathFileType\t4\t(X/Y/Z)\tclip.trc",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        f"60\t60\t{T}\t26\tm\t60\t1\t{T}",
        "Frame#\tTime\t" + "\t\t\t".join(names) + "\t\t",
        "\t\t" + "\t".join(f"{axis}{i}" for i in range(1, 27) for axis in "XYZ"),
        "",
    ]
    for frame, row in enumerate(points):
        cells = [f"{value:.5f}" for value in row.ravel()]
        cells = [""] * 78 if frame == 7 else ["NaN"] * 3 + cells[3:] if frame == 9 else cells
        lines.append("\t".join([str(frame + 1), f"{frame / 60:.3f}", *cells]))
    path.write_text("\n".join(lines) + "\n")
    return path


def c3d(path: Path) -> Path:
    """Two subjects' joints, mm, z up."""
    import ezc3d

    file = ezc3d.c3d()
    points = np.concatenate(list(in_set(walks(), HUMAN36M_17)), axis=1)[..., [0, 2, 1]] * [1, 1, -1]
    file["parameters"]["POINT"]["LABELS"]["value"] = [f"S{p}:{name}" for p in (0, 1) for name in HUMAN36M_17.names]
    file["parameters"]["POINT"]["UNITS"]["value"] = ["mm"]
    file["parameters"]["POINT"]["RATE"]["value"] = [FPS]
    file["data"]["points"] = np.concatenate([points, np.ones((*points.shape[:2], 1))], axis=-1).transpose(2, 1, 0)
    file.write(str(path))
    return path


def freemocap(path: Path) -> Path:
    np.save(path, (in_set(walks()[0], MEDIAPIPE_33)[..., [0, 2, 1]] * [1, 1, -1]).astype(np.float64))
    return path


def motionbert(path: Path) -> Path:
    """As with --pixel: px of the image, depth at the same scale."""
    points = in_set(walks()[0], HUMAN36M_17)
    scale = FOCAL / points[:, :1, 2:]
    depth = (points[..., 2:] - points[:, :1, 2:]) * scale
    np.save(path, np.concatenate([pixels(points), depth], axis=-1).astype(np.float32))
    return path


def mmpose(path: Path) -> Path:
    points = in_set(walks(), HUMAN36M_17) / 1000
    points = points - points[:, :, :1]
    lifted = np.stack([-points[..., 0], points[..., 2], -points[..., 1]], axis=-1)
    lifted[..., 2] -= lifted[..., 2].min(axis=-1, keepdims=True)
    frames = [
        {
            "frame_id": t + 1,
            "instances": [{"keypoints": lifted[p, t].tolist(), "keypoint_scores": [0.9] * 17} for p in (0, 1)],
        }
        for t in range(T)
    ]
    path.write_text(json.dumps({"meta_info": {}, "instance_info": frames}))
    return path


def mediapipe(path: Path) -> Path:
    points = in_set(walks()[0], MEDIAPIPE_33)
    hips = points[:, [23, 24]].mean(1, keepdims=True)
    frames = []
    for world, image in zip((points - hips) / 1000, pixels(points) / SIZE, strict=True):
        frames.append(
            {
                "pose_world_landmarks": [dict(zip("xyz", xyz.tolist(), strict=True), visibility=0.9) for xyz in world],
                "pose_landmarks": [dict(zip("xy", xy.tolist(), strict=True), z=0.0, visibility=0.9) for xy in image],
            }
        )
    path.write_text(json.dumps(frames))
    return path


def _sam3d() -> list[Any]:
    """People in another order in every other frame."""
    points = in_set(walks(), MHR_70) / 1000
    move = np.array([0.1, -0.2, 3.0], np.float32)
    return [
        [
            {
                "pred_keypoints_3d": (points[p, t] - move).astype(np.float32),
                "pred_cam_t": move,
                "focal_length": np.float32(FOCAL),
                "bbox": np.zeros(4, np.float32),
            }
            for p in ((0, 1) if t % 2 else (1, 0))
        ]
        for t in range(T)
    ]


def sam3d(path: Path) -> Path:
    path.write_bytes(pickle.dumps(_sam3d()))
    return path


def sam3d_npy(path: Path) -> Path:
    held = np.empty(T, object)
    held[:] = _sam3d()
    np.save(path, held, allow_pickle=True)
    return path


def phalp(path: Path) -> Path:
    points = np.zeros((2, T, 45, 3))
    points[:, :, :25] = in_set(walks(), BODY_25) / 1000
    root = points[:, :, [8]].copy()
    points[:, :, :25] -= root
    root[..., 2] *= 5000 / 256 * max(SIZE) / FOCAL  # the same picture at its focal length
    frames = {
        f"_DEMO/img/{t + 1:06d}.jpg": {
            "tid": [3, 8],
            "tracked_time": [0, 0 if t != 20 else 1],
            "conf": [0.95, 0.9],
            "size": [[SIZE[1], SIZE[0]]] * 2,
            "3d_joints": [points[p, t].astype(np.float32) for p in (0, 1)],
            "camera": [root[p, t, 0].astype(np.float32) for p in (0, 1)],
        }
        for t in range(T)
    }
    joblib.dump(frames, path, compress=3)
    assert path.read_bytes()[:1] == b"\x78" and zlib.decompress(path.read_bytes())
    return path


def metrabs(path: Path) -> Path:
    """(T, P, J, 3) mm, camera coordinates."""
    points = in_set(walks(), SMPL_24).swapaxes(0, 1)
    points[5, 1] = np.nan
    np.savez(path, poses3d=points, joint_uncertainties=np.full(points.shape[:3], 50.0), skeleton="smpl_24")
    return path


def rtmlib(path: Path) -> Path:
    """What `Wholebody3d` returned for each frame, appended and pickled; x and y of the first are px of a crop."""
    points = in_set(walks(), COCO_17)
    frames = []
    for frame in points.swapaxes(0, 1):
        whole = np.zeros((2, 133, 3))
        whole[:, :17, 2:] = (frame - frame[:, 11:13].mean(1, keepdims=True))[..., 2:] / 1000
        seen = np.zeros((2, 133, 2))
        seen[:, :17] = pixels(frame)
        frames.append((whole, np.full((2, 133), 0.9, np.float32), np.zeros_like(whole), seen))
    path.write_bytes(pickle.dumps(frames))
    return path


#: What writes the file, its name, the people in it.
ALL: dict[str, tuple[Callable[[Path], Path], str, int]] = {
    "trc": (trc, "clip.trc", 1),
    "c3d": (c3d, "clip.c3d", 2),
    "freemocap": (freemocap, "mediapipe_body_3d_xyz.npy", 1),
    "motionbert": (motionbert, "X3D.npy", 1),
    "mmpose": (mmpose, "results_clip.json", 2),
    "mediapipe": (mediapipe, "landmarks.json", 1),
    "sam3d": (sam3d, "sam.pkl", 2),
    "sam3d_npy": (sam3d_npy, "sam.npy", 2),
    "phalp": (phalp, "demo_clip.pkl", 2),
    "metrabs": (metrabs, "metrabs.npz", 2),
    "rtmlib": (rtmlib, "wholebody3d.pkl", 2),
}
