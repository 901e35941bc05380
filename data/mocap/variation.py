"""Captured motion made various: other bodies, other speeds, other combinations and leaning of the parts.

Minutes of a few people's motion are little to learn from, and every capture system places hips, neck and shoulders in
its own way. So each use of a clip is another person who does something a little different. Poses are (T, 17, 3) mm,
MuPoTS-17, world, y up.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from pose.joint_sets import MUPOTS_17

_AT = {name: index for index, name in enumerate(MUPOTS_17.names)}
_SIDES = ("left", "right")
#: Chains of bones below a joint that turns.
_BELOW = {
    "shoulder": ("elbow", "wrist"),
    "elbow": ("wrist",),
    "hip": ("knee", "ankle"),
    "knee": ("ankle",),
}
_UPPER_BODY = [_AT[n] for n in MUPOTS_17.names if not n.endswith(("hip", "knee", "ankle")) and n != "hip"]

#: Where capture systems put the joints, as parts of the leg (thigh and shank), lowest and highest: CMU's skeletons,
#: those of MPI-INF-3DHP and Human3.6M and usual anatomical proportions lie within.
_PROPORTIONS = {
    "torso": (0.40, 0.62),
    "hip_width": (0.09, 0.17),
    "hip_drop": (0.0, 0.12),
    "shoulder_width": (0.18, 0.25),
    "shoulder_drop": (-0.10, 0.06),
    "upper_arm": (0.30, 0.38),
    "forearm": (0.24, 0.33),
    "head": (0.26, 0.38),
}
#: Leg of an adult 1.68 m tall, mm, and the spread between people; and the limits of a child's, of whom there are few.
_LEG, _LEG_SPREAD = 803.0, 43.0
_CHILD_LEG, _CHILDREN = (480.0, 740.0), 0.08


def varied(poses_3d: np.ndarray, fps: float, rng: np.random.Generator, others: list[np.ndarray]) -> np.ndarray:
    """The motion by another person, in another manner: (T, 17, 3).

    others: motions of the same length whose upper body may take the place of this one's.
    """
    poses = poses_3d
    if others and rng.uniform() < 0.4:
        poses = with_upper_body(poses, others[int(rng.integers(len(others)))])
    if rng.uniform() < 0.5:
        poses = wandering_limbs(poses, fps, rng.uniform(0.1, 0.8), rng)
    if rng.uniform() < 0.35:
        poses = leaning(poses, fps, rng.uniform(0.1, 0.5), rng)
    if rng.uniform() < 0.5:
        poses = mirrored(poses)
    return another_body(poses, rng)


def mirrored(poses_3d: np.ndarray) -> np.ndarray:
    """Left and right exchanged, x reversed."""
    return poses_3d[:, list(MUPOTS_17.flip)] * [-1.0, 1.0, 1.0]


def retimed(poses_3d: np.ndarray, start: float, step: float, n_frames: int) -> np.ndarray:
    """`n_frames` poses from frame `start`, `step` frames apart; past its ends the motion runs back and forth."""
    last = len(poses_3d) - 1
    at = start + step * np.arange(n_frames)
    at = last - np.abs(last - at % (2 * last)) if last else np.zeros(n_frames)
    low = np.minimum(at.astype(int), max(last - 1, 0))
    part = (at - low)[:, None, None]
    return poses_3d[low] * (1 - part) + poses_3d[np.minimum(low + 1, last)] * part


def with_upper_body(poses_3d: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The motion with the upper body (spine and all above) of another of the same length, seen from its own pelvis."""
    relative = (other - other[:, _AT["hip"], None])[:, _UPPER_BODY] @ _pelvis(other)
    scale = _leg(poses_3d) / _leg(other)
    poses = poses_3d.copy()
    poses[:, _UPPER_BODY] = poses_3d[:, _AT["hip"], None] + scale * relative @ _pelvis(poses_3d).swapaxes(1, 2)
    return poses


def wandering_limbs(poses_3d: np.ndarray, fps: float, radians: float, rng: np.random.Generator) -> np.ndarray:
    """Limbs turned about shoulder, hip, elbow and knee by slow random rotations; `radians`: standard deviation."""
    poses = poses_3d.copy()
    for joint, below in _BELOW.items():
        amount = radians * (0.5 if joint in ("hip", "knee") else 1.0)
        for side in _SIDES:
            turn = Rotation.from_rotvec(amount * _slow(len(poses), 3, 0.8 * fps, rng)).as_matrix()
            centre = poses[:, _AT[f"{side}_{joint}"], None]
            moved = [_AT[f"{side}_{name}"] for name in below]
            poses[:, moved] = centre + (poses[:, moved] - centre) @ turn.swapaxes(1, 2)
    return poses


def leaning(poses_3d: np.ndarray, fps: float, radians: float, rng: np.random.Generator) -> np.ndarray:
    """The whole body leant about slowly changing horizontal axes through the point between the feet."""
    vector = np.zeros((len(poses_3d), 3))
    vector[:, [0, 2]] = radians * (0.6 * _slow(len(poses_3d), 2, 1.2 * fps, rng) + rng.standard_normal(2))
    feet = poses_3d[:, [_AT["left_ankle"], _AT["right_ankle"]]].mean(1)
    centre = gaussian_filter1d(feet, 0.4 * fps, axis=0, mode="nearest")[:, None]
    turn = Rotation.from_rotvec(vector).as_matrix().swapaxes(1, 2)
    return centre + (poses_3d - centre) @ turn


def another_body(poses_3d: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The motion by a person of another size and build, its joints placed as another capture system might.

    Bones keep their directions. Half of the people keep the proportions of the capture but for a few per cent.
    """
    wanted = _draw_proportions(rng) if rng.uniform() < 0.5 else {}
    leg = float(np.clip(rng.normal(_LEG, _LEG_SPREAD), _LEG - 3 * _LEG_SPREAD, _LEG + 3 * _LEG_SPREAD))
    if rng.uniform() < _CHILDREN:
        leg = float(rng.uniform(*_CHILD_LEG))
    old = poses_3d * (leg / _leg(poses_3d))
    new = old.copy()

    def factor(part: str, a: str, b: str) -> float:
        if part in wanted:
            return wanted[part] * leg / _length(old, a, b)
        return float(np.clip(rng.normal(1, 0.04), 0.88, 1.12))

    def hang(joint: str, parent: str, scale: float) -> None:
        new[:, _AT[joint]] = new[:, _AT[parent]] + scale * (old[:, _AT[joint]] - old[:, _AT[parent]])

    torso = factor("torso", "hip", "neck")
    hang("spine", "hip", torso * rng.uniform(0.9, 1.1) if wanted else torso)
    new[:, _AT["neck"]] = new[:, _AT["hip"]] + torso * (old[:, _AT["neck"]] - old[:, _AT["hip"]])
    head = factor("head", "neck", "head_top")
    hang("head", "neck", head)
    hang("head_top", "neck", head)
    _hang_pair(old, new, "hip", "hip", leg, wanted, rng)
    _hang_pair(old, new, "shoulder", "neck", leg, wanted, rng)
    upper_arm = factor("upper_arm", "left_shoulder", "left_elbow")
    forearm = factor("forearm", "left_elbow", "left_wrist")
    thigh = float(np.clip(rng.normal(1, 0.03), 0.92, 1.08))
    for side in _SIDES:
        hang(f"{side}_elbow", f"{side}_shoulder", upper_arm)
        hang(f"{side}_wrist", f"{side}_elbow", forearm)
        hang(f"{side}_knee", f"{side}_hip", thigh)
        hang(f"{side}_ankle", f"{side}_knee", 2 - thigh)
    return new


def _hang_pair(
    old: np.ndarray, new: np.ndarray, joint: str, parent: str, leg: float, wanted: dict[str, float],
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Place left and right `joint` beside `parent`, at the wanted width and drop or a few per cent off the old ones."""
    axes = _pelvis(old) if joint == "hip" else _chest(old)
    offsets = [(old[:, _AT[f"{side}_{joint}"]] - old[:, _AT[parent]])[:, None] @ axes for side in _SIDES]
    width = np.mean([np.abs(offset[:, 0, 0]).mean() for offset in offsets])
    drop = -np.mean([offset[:, 0, 1].mean() for offset in offsets])
    scale = wanted[f"{joint}_width"] * leg / width if wanted else float(rng.normal(1, 0.05))
    lower = wanted[f"{joint}_drop"] * leg - drop if wanted else float(rng.normal(0, 0.01)) * leg
    for side, offset in zip(_SIDES, offsets, strict=True):
        moved = offset * [scale, 1.0, 1.0] - [0.0, lower, 0.0]
        new[:, _AT[f"{side}_{joint}"]] = new[:, _AT[parent]] + (moved @ axes.swapaxes(1, 2))[:, 0]


def _draw_proportions(rng: np.random.Generator) -> dict[str, float]:
    return {part: float(rng.uniform(*limits)) for part, limits in _PROPORTIONS.items()}


def _slow(n_frames: int, columns: int, frames: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise (T, columns) of about unit variance that changes within about `frames` frames."""
    reach = int(3 * frames)
    noise = gaussian_filter1d(rng.standard_normal((n_frames + 2 * reach, columns)), frames / 2, axis=0)
    return noise[reach : reach + n_frames] * np.sqrt(np.sqrt(np.pi) * frames)


def _length(poses: np.ndarray, a: str, b: str) -> float:
    return float(np.median(np.linalg.norm(poses[:, _AT[a]] - poses[:, _AT[b]], axis=1)))


def _leg(poses: np.ndarray) -> float:
    """Thigh and shank, mm, mean of both sides."""
    bones = [(f"{s}_{a}", f"{s}_{b}") for s in _SIDES for a, b in (("hip", "knee"), ("knee", "ankle"))]
    return sum(_length(poses, *bone) for bone in bones) / 2


def _pelvis(poses: np.ndarray) -> np.ndarray:
    """Axes (T, 3, 3) of the pelvis as columns: left, up, forward."""
    return _axes(poses[:, _AT["left_hip"]] - poses[:, _AT["right_hip"]], poses[:, _AT["spine"]] - poses[:, _AT["hip"]])


def _chest(poses: np.ndarray) -> np.ndarray:
    across = poses[:, _AT["left_shoulder"]] - poses[:, _AT["right_shoulder"]]
    return _axes(across, poses[:, _AT["neck"]] - poses[:, _AT["spine"]])


def _axes(across: np.ndarray, up: np.ndarray) -> np.ndarray:
    left = across / np.linalg.norm(across, axis=1, keepdims=True)
    up = up - (up * left).sum(1, keepdims=True) * left
    up /= np.linalg.norm(up, axis=1, keepdims=True)
    return np.stack([left, up, np.cross(left, up)], axis=-1)
