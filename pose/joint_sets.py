"""Joint sets: the names, order, mirror pairs and bones of every skeleton this project meets.

A joint set is data and lives here alone. Joints are found by name, so an array of one set is brought into another
with `remap_index`. Sources: docs/method.md §2 (MuPoTS-17, COCO-19, Common-14) and the formats' own documentation
(OpenPose BODY_25, BODY_25B and its COCO model's 18, Human3.6M-17 as VideoPose3D orders it, MPII, CMU Panoptic-19,
Halpe-26 of AlphaPose, LSP, AI Challenger, CrowdPose, MediaPipe Pose-33, 28 joints of MPI-INF-3DHP).

>>> MUPOTS_17.names[MUPOTS_17.root]
'hip'
>>> MUPOTS_17.index("left_wrist")
7
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from pose.errors import MismatchError


@dataclass(frozen=True)
class JointSet:
    """A named, ordered set of joints.

    names: joint names in array order, left and right as `left_*` / `right_*`.
    root: index of the root joint, or None where the set has none (COCO-17).
    parents: for each joint the index of its parent joint (the root's parent is itself), or empty if not a tree.
    """

    name: str
    names: tuple[str, ...]
    root: int | None = None
    parents: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def index(self, joint: str) -> int:
        """Position of a joint by name; KeyError naming the set if it has none."""
        try:
            return self.names.index(joint)
        except ValueError:
            raise KeyError(f"{self.name} has no joint {joint!r}; it has {', '.join(self.names)}") from None

    @cached_property
    def flip(self) -> tuple[int, ...]:
        """Index that swaps left and right: `poses[..., flip, :]` names the mirrored person's joints correctly."""
        other = {"left_": "right_", "right_": "left_"}
        swapped = []
        for name in self.names:
            side = next((s for s in other if name.startswith(s)), None)
            swapped.append(self.index(other[side] + name[len(side) :]) if side else self.index(name))
        return tuple(swapped)

    @cached_property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """(child, parent) pairs, the root left out."""
        return tuple((child, parent) for child, parent in enumerate(self.parents) if child != parent)


def remap_index(source: JointSet, target: JointSet) -> list[int]:
    """Index array `i` such that `array_of_source[..., i, :]` is in `target`'s order.

    Raises MismatchError, with both joint lists, if `source` lacks a joint of `target`.

    >>> remap_index(COCO_19, COMMON_14)
    [17, 12, 14, 16, 11, 13, 15, 18, 5, 7, 9, 6, 8, 10]
    """
    missing = [name for name in target.names if name not in source.names]
    if missing:
        raise MismatchError(
            f"joint set {source.name} has no {', '.join(missing)}, needed by {target.name}; "
            f"{source.name}: {', '.join(source.names)}; {target.name}: {', '.join(target.names)}"
        )
    return [source.names.index(name) for name in target.names]


def remap_index_or_last(source: JointSet, target: JointSet) -> list[int]:
    """As `remap_index`, but a joint without a namesake takes the source's last joint (MuPoTS `by2d` ignores those)."""
    return [source.names.index(n) if n in source.names else len(source) - 1 for n in target.names]


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


MUPOTS_17 = JointSet(
    "MuPoTS-17",
    _names(
        "head_top neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist "
        "right_hip right_knee right_ankle left_hip left_knee left_ankle hip spine head"
    ),
    root=14,
    parents=(1, 15, 1, 2, 3, 1, 5, 6, 14, 8, 9, 14, 11, 12, 14, 14, 1),
)

#: Its first joints, as 3D predictions have them that leave out the trunk or the head.
MUPOTS_14 = JointSet("MuPoTS-14", MUPOTS_17.names[:14])
MUPOTS_15 = JointSet("MuPoTS-15", MUPOTS_17.names[:15], root=14)

COCO_17 = JointSet(
    "COCO-17",
    _names(
        "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow left_wrist "
        "right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle"
    ),
)

COCO_19 = JointSet("COCO-19", COCO_17.names + ("hip", "neck"), root=17)

COMMON_14 = JointSet(
    "Common-14",
    _names(
        "hip right_hip right_knee right_ankle left_hip left_knee left_ankle neck left_shoulder left_elbow left_wrist "
        "right_shoulder right_elbow right_wrist"
    ),
    root=0,
    parents=(0, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 7, 11, 12),
)

BODY_25 = JointSet(
    "BODY_25",
    _names(
        "nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist hip right_hip right_knee "
        "right_ankle left_hip left_knee left_ankle right_eye left_eye right_ear left_ear left_big_toe left_small_toe "
        "left_heel right_big_toe right_small_toe right_heel"
    ),
    root=8,
)

BODY_25B = JointSet(
    "BODY_25B",
    COCO_17.names
    + _names("upper_neck head_top left_big_toe left_small_toe left_heel right_big_toe right_small_toe right_heel"),
)

HUMAN36M_17 = JointSet(
    "Human3.6M-17",
    _names(
        "hip right_hip right_knee right_ankle left_hip left_knee left_ankle spine neck nose head_top left_shoulder "
        "left_elbow left_wrist right_shoulder right_elbow right_wrist"
    ),
    root=0,
    parents=(0, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15),
)

OPENPOSE_18 = JointSet(
    "OpenPose-18",
    _names(
        "nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist right_hip right_knee "
        "right_ankle left_hip left_knee left_ankle right_eye left_eye right_ear left_ear"
    ),
)

MPII_16 = JointSet(
    "MPII-16",
    _names(
        "right_ankle right_knee right_hip left_hip left_knee left_ankle hip thorax neck head_top right_wrist "
        "right_elbow right_shoulder left_shoulder left_elbow left_wrist"
    ),
    root=6,
)

LSP_14 = JointSet(
    "LSP-14",
    _names(
        "right_ankle right_knee right_hip left_hip left_knee left_ankle right_wrist right_elbow right_shoulder "
        "left_shoulder left_elbow left_wrist neck head_top"
    ),
)

AIC_14 = JointSet(
    "AIC-14",
    _names(
        "right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist right_hip right_knee right_ankle "
        "left_hip left_knee left_ankle head_top neck"
    ),
)

CROWDPOSE_14 = JointSet("CrowdPose-14", COCO_17.names[5:] + ("head_top", "neck"))

PANOPTIC_19 = JointSet(
    "Panoptic-19",
    _names(
        "neck nose hip left_shoulder left_elbow left_wrist left_hip left_knee left_ankle right_shoulder right_elbow "
        "right_wrist right_hip right_knee right_ankle left_eye left_ear right_eye right_ear"
    ),
    root=2,
)

HALPE_26 = JointSet(
    "Halpe-26",
    COCO_17.names
    + _names("head_top neck hip left_big_toe right_big_toe left_small_toe right_small_toe left_heel right_heel"),
    root=19,
)

MEDIAPIPE_33 = JointSet(
    "MediaPipe-33",
    _names(
        "nose left_eye_inner left_eye left_eye_outer right_eye_inner right_eye right_eye_outer left_ear right_ear "
        "left_mouth right_mouth left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist left_pinky "
        "right_pinky left_index right_index left_thumb right_thumb left_hip right_hip left_knee right_knee left_ankle "
        "right_ankle left_heel right_heel left_foot_index right_foot_index"
    ),
)

SMPL_24 = JointSet(
    "SMPL-24",
    _names(
        "hip left_hip right_hip spine1 left_knee right_knee spine left_ankle right_ankle spine3 left_foot right_foot "
        "neck left_collar right_collar head left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist "
        "left_hand right_hand"
    ),
    root=0,
    parents=(0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21),
)

#: SAM 3D Body's joints; those without a name here are of hands and feet, or skin.
MHR_70 = JointSet(
    "MHR-70",
    _names(
        "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow left_hip "
        "right_hip left_knee right_knee left_ankle right_ankle"
    )
    + tuple({41: "right_wrist", 62: "left_wrist", 69: "neck"}.get(i, f"mhr_{i}") for i in range(15, 70)),
)

#: Joint sets of detectors, by which inputs are recognised and named.
JOINT_SETS: dict[str, JointSet] = {
    joints.name: joints
    for joints in (
        MUPOTS_17,
        COCO_17,
        COCO_19,
        COMMON_14,
        OPENPOSE_18,
        BODY_25,
        BODY_25B,
        HUMAN36M_17,
        MPII_16,
        PANOPTIC_19,
        HALPE_26,
        MEDIAPIPE_33,
    )
}

#: 2D keypoints of so many joints: none of these orders is the usual one, so bodies must tell them apart.
FOURTEEN: tuple[JointSet, ...] = (LSP_14, AIC_14, CROWDPOSE_14, COMMON_14)

#: What 2D keypoints can be given in.
KEYPOINT_SETS: dict[str, JointSet] = {**JOINT_SETS, **{joints.name: joints for joints in FOURTEEN}}

#: What 3D poses can be given in; the short ones are never looked for among 2D keypoints.
POSE_SETS: dict[str, JointSet] = {**JOINT_SETS, MUPOTS_14.name: MUPOTS_14, MUPOTS_15.name: MUPOTS_15}

#: MuPoTS-17 out of the 28 joints of MPI-INF-3DHP's training annotations (0-based).
MUPOTS_17_OF_MPI_28: tuple[int, ...] = (7, 5, 14, 15, 16, 9, 10, 11, 23, 24, 25, 18, 19, 20, 4, 3, 6)


def joint_set(name: str) -> JointSet:
    """The joint set of that name; MismatchError listing the known ones otherwise."""
    if name not in KEYPOINT_SETS:
        raise MismatchError(f"unknown joint set {name!r}; known: {', '.join(KEYPOINT_SETS)}")
    return KEYPOINT_SETS[name]


def same_joint_set(name: str, found: JointSet, expected: Sequence[JointSet] | JointSet) -> None:
    """Raise MismatchError naming both unless `found` is (one of) `expected`."""
    allowed = (expected,) if isinstance(expected, JointSet) else tuple(expected)
    if found not in allowed:
        raise MismatchError(f"{name}: joint set {found.name} given, {' or '.join(j.name for j in allowed)} expected")
