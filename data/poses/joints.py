"""Any body's joints -> MuPoTS-17, in three dimensions; what a set lacks is made up from its neighbours, and says so."""

from __future__ import annotations

import numpy as np

from data.keypoints.formats.points import joint_name
from pose.errors import MismatchError
from pose.joint_sets import HUMAN36M_17, MUPOTS_17, PANOPTIC_19, SMPL_24, JointSet

#: Places of joints that a set lacks, as fractions: of hip to neck, of neck to the head's top, of the trunk's length.
SPINE, HEAD, HEAD_TOP = 0.48, 0.5, 0.45
_LIMBS = [name for name in MUPOTS_17.names if name.startswith(("left_", "right_"))]

#: What MeTRAbs and NLF call skeletons.
SKELETONS = {
    "smpl_24": SMPL_24,
    "coco_19": PANOPTIC_19,
    "h36m_17": HUMAN36M_17,
    "mpi_inf_3dhp_17": MUPOTS_17,
}
#: Markers of other names than joint_name makes: Pose2Sim and Sports2D (Halpe-26), OpenCap.
_MARKERS = {"head": "head_top", "midhip": "hip", "mid_hip": "hip", "pelvis": "hip", "left_shin": "left_knee"}


def named_joints(names: list[str], path: object, halpe: bool = True) -> JointSet:
    """The joints of markers by name; MismatchError unless all limbs are there. halpe: `Head` is the head's top."""
    plain = [joint_name(name.rsplit(":", 1)[-1]) for name in names]
    own = [_MARKERS.get(name, name) if halpe else name for name in plain]
    own = [name if name not in own[:place] else f"{name}_{place}" for place, name in enumerate(own)]
    if lacking := [name for name in _LIMBS if name not in own]:
        raise MismatchError(
            f"{path}: no markers named {', '.join(lacking[:6])} (RShoulder and right_shoulder are the same); it has "
            f"{', '.join(names[:40])}; joints are needed, not skin markers: solve them first"
        )
    return JointSet("markers", tuple(own))


def to_mupots(poses: np.ndarray, joints: JointSet) -> tuple[np.ndarray, np.ndarray]:
    """(N, J, 3) -> MuPoTS-17 (N, 17, 3), and which of the 17 are made up (17,). MismatchError without all limbs.

    >>> poses, made = to_mupots(np.zeros((1, 17, 3)), HUMAN36M_17)
    >>> [name for name, is_made in zip(MUPOTS_17.names, made) if is_made]
    ['head']
    """
    if lacking := [name for name in _LIMBS if name not in joints.names]:
        raise MismatchError(f"joint set {joints.name} has no {', '.join(lacking)}; it has {', '.join(joints.names)}")
    found = {name: poses[:, place] for place, name in enumerate(joints.names) if name in MUPOTS_17.names}
    given = set(found)

    def middle(joint: str) -> np.ndarray:
        return (poses[:, joints.index(f"left_{joint}")] + poses[:, joints.index(f"right_{joint}")]) / 2

    for joint, sides in (("hip", "hip"), ("neck", "shoulder"), ("head", "ear")):  # middles are as good as given
        if joint not in found and f"left_{sides}" in joints.names:
            found[joint] = middle(sides)
            given.add(joint)
    found["neck"] = np.where(np.isfinite(found["neck"]), found["neck"], middle("shoulder"))
    trunk = found["neck"] - found["hip"]
    found.setdefault("spine", found["hip"] + SPINE * trunk)
    top = found["neck"] + HEAD_TOP * trunk
    if "head" in found:
        toward = found["head"] - found["neck"]
        along = toward / np.maximum(np.linalg.norm(toward, axis=-1, keepdims=True), 1e-9)
        top = found["neck"] + HEAD_TOP * np.linalg.norm(trunk, axis=-1, keepdims=True) * along
    found.setdefault("head_top", top)
    found.setdefault("head", found["neck"] + HEAD * (found["head_top"] - found["neck"]))
    stacked = np.stack([found[name] for name in MUPOTS_17.names], axis=1)
    return stacked, np.array([name not in given for name in MUPOTS_17.names])


def unmirrored(poses: np.ndarray, joints: JointSet) -> tuple[np.ndarray, bool]:
    """Poses (N, J, 3), y down, with x turned round if the bodies are mirror images, and whether they were.

    A body's front is where knees and nose lie; its left side, its front and up have a handedness.
    """
    bodies, _ = to_mupots(poses, joints)
    at = {name: bodies[:, place] for place, name in enumerate(MUPOTS_17.names)}
    front = np.cross(at["left_hip"] - at["right_hip"], at["neck"] - at["hip"])  # of a body that is no mirror image
    knees = sum(at[f"{side}_knee"] - (at[f"{side}_hip"] + at[f"{side}_ankle"]) / 2 for side in ("left", "right"))
    ahead = (knees * front).sum(-1)
    if "nose" in joints.names:
        ahead = ahead + ((poses[:, joints.index("nose")] - (at["neck"] + at["head_top"]) / 2) * front).sum(-1)
    mirrored = bool(np.nansum(ahead) < 0)
    return (poses * [-1.0, 1.0, 1.0] if mirrored else poses), mirrored
