"""Names of joints as programs write them, and their bodies as MuPoTS-17, the right way round."""

from __future__ import annotations

import numpy as np
import torch

from data.keypoints.formats.points import joint_name
from pose.errors import MismatchError
from pose.joint_sets import HUMAN36M_17, MUPOTS_17, PANOPTIC_19, SMPL_24, JointSet
from pose.to_mupots import to_mupots_17

#: Bodies without a scale get trunk, thighs and shins (CHAIN) of this length in all, mm, an adult's.
BONES_MM = 2140.0
CHAIN = (
    ("neck", "hip"),
    *((f"{side}_{a}", f"{side}_{b}") for side in ("left", "right") for a, b in (("hip", "knee"), ("knee", "ankle"))),
)
#: The head's top above the shoulders, in lengths of the trunk, where a set has neither it nor ears.
HEAD_TOP = 0.55
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
    """(N, J, 3) -> MuPoTS-17 (N, 17, 3), and which of the 17 are made up (17,): `to_mupots_17`, also without a head.

    The middles of hips and shoulders are as good as they. Raises MismatchError without all limbs.

    >>> poses, made = to_mupots(np.zeros((1, 17, 3)), HUMAN36M_17)
    >>> [name for name, is_made in zip(MUPOTS_17.names, made) if is_made]
    ['head']
    """
    added = []
    if not {"head_top", "left_ear"} & set(joints.names) and set(_LIMBS) <= set(joints.names):
        added, at = ["head_top"], {name: poses[:, place] for place, name in enumerate(joints.names)}
        neck, hip = ((at[f"left_{name}"] + at[f"right_{name}"]) / 2 for name in ("shoulder", "hip"))
        toward = at["head"] - neck if "head" in at else neck - hip
        toward = toward / np.maximum(np.linalg.norm(toward, axis=-1, keepdims=True), 1e-9)
        top = neck + HEAD_TOP * np.linalg.norm(neck - hip, axis=-1, keepdims=True) * toward
        poses = np.concatenate([poses, top[:, None]], axis=1)
        joints = JointSet(joints.name, (*joints.names, "head_top"))
    found, inferred = to_mupots_17(torch.from_numpy(np.ascontiguousarray(poses)), joints)
    made = set(inferred + added) - {"hip", "neck"}
    return found.numpy(), np.array([name in made for name in MUPOTS_17.names])


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
