"""Which joints of a motion capture skeleton make up MuPoTS-17: one table per naming convention.

A table gives for each MuPoTS-17 joint a source joint, or several of which the first that is there counts. `{side}`
stands for left and right in the convention's spelling. Names are compared without case, spaces, punctuation and
namespace (`mixamorig:LeftUpLeg` is `leftupleg`). The head's top is the head's end site; where a file has none, or one
of no length, it is put on the line from neck to head. Another convention is one more table.

Skeletons of the CMU database (ASF, and its BVH conversions, which keep the bone `lowerback` and the `HipJoint`s) are
then brought to the joints that people are annotated with, by `_annotated`: their `radius` ends at two thirds of the
forearm, their root lies above and behind the middle of the hips, their neck below the shoulders. The trunk of other
skeletons is taken as the file has it, since each exporter places it in a way of its own: `spine` about two thirds of
the way from hip to neck, `head` where the head bone starts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from data.mocap.kinematics import Motion
from pose.errors import ConfigError, DataError
from pose.joint_sets import MUPOTS_17

#: A source joint, or several of which the first that is there counts.
Source = str | tuple[str, ...]

#: From the head joint to its top, as a fraction of the leg's length, where the file does not say.
_HEAD_OF_LEG = 0.22
#: An end site nearer to the head than this fraction of the leg says nothing.
_NO_LENGTH = 0.05
#: From elbow to wrist, in lengths of CMU's radius.
_FOREARM_OF_RADIUS = 1.5
#: Names that only skeletons of the CMU database have, plain. The Poser conversion has them too.
_CMU_ONLY = {"lowerback", "lhipjoint", "rhipjoint"}


def _table(sides: tuple[str, str], limbs: Mapping[str, str], trunk: Mapping[str, Source]) -> dict[str, Source]:
    table = dict(trunk)
    for side, spelt in zip(("left", "right"), sides, strict=True):
        table |= {f"{side}_{joint}": name.format(side=spelt) for joint, name in limbs.items()}
    return table


_SIDES = ("Left", "Right")
_ARM = {"shoulder": "{side}Arm", "elbow": "{side}ForeArm", "wrist": "{side}Hand"}
_LEG = {"hip": "{side}UpLeg", "knee": "{side}Leg", "ankle": "{side}Foot"}

TABLES: dict[str, dict[str, Source]] = {
    "CMU ASF": _table(
        ("l", "r"),
        {
            "shoulder": "{side}clavicle",
            "elbow": "{side}humerus",
            "wrist": "{side}radius",
            "hip": "{side}hipjoint",
            "knee": "{side}femur",
            "ankle": "{side}tibia",
        },
        {"hip": "root", "spine": "upperback", "neck": "thorax", "head": "upperneck", "head_top": "head"},
    ),
    # cgspeed's conversion for Poser; the one for MotionBuilder is read by the next table
    "CMU BVH for Poser": _table(
        _SIDES,
        {joint: f"{{side}}{joint.capitalize()}" for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")},
        {"hip": "Hips", "spine": "Chest2", "neck": "lowerneck", "head": "Head"},
    ),
    "MotionBuilder (CMU BVH, Mixamo, LAFAN1, Perception Neuron)": _table(
        _SIDES,
        _ARM | _LEG,
        {
            "hip": "Hips",
            "spine": ("Spine2", "Spine1", "Spine"),
            "neck": "Neck",
            "head": "Head",
            "head_top": ("HeadTop_End", "Head end"),
        },
    ),
    "Rokoko": _table(
        _SIDES,
        _ARM | {"hip": "{side}Thigh", "knee": "{side}Shin", "ankle": "{side}Foot"},
        {"hip": "Hips", "spine": ("Spine3", "Spine2"), "neck": "Neck", "head": "Head"},
    ),
    "Xsens and plain names": _table(
        _SIDES,
        {joint: f"{{side}}{joint.capitalize()}" for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")},
        {
            "hip": ("Hips", "Hip", "Pelvis"),
            "spine": ("Chest3", "Chest2", "Chest", "Spine2", "Spine1", "Spine"),
            "neck": "Neck",
            "head": "Head",
            "head_top": ("Head end", "HeadTop", "Head_Top"),
        },
    ),
}
for _one in TABLES.values():
    _one.setdefault("head_top", "Head end")


def to_mupots(motion: Motion, source: Path | str, joint_map: Mapping[str, Source] | None = None) -> np.ndarray:
    """Poses (T, 17, 3), MuPoTS-17, in the motion's own unit and frame.

    joint_map: a table that is tried before the known ones. Raises DataError, listing the file's joints and the known
    tables, where none fits; ConfigError for a joint_map that names joints other than MuPoTS-17's, or not enough.
    """
    tables = dict(TABLES) if joint_map is None else {"joint_map": _checked(joint_map), **TABLES}
    index: dict[str, int] = {}
    for i, name in enumerate(motion.names):
        index.setdefault(_plain(name), i)
    for table in tables.values():
        columns = {joint: _column(source_joint, index) for joint, source_joint in table.items()}
        if all(column is not None for joint, column in columns.items() if joint != "head_top"):
            break
    else:
        raise DataError(
            f"{source}: joints of no known naming ({'; '.join(TABLES)}); say which is which: "
            f"'prepare.joint_map={{hip: Hips, left_knee: LeftLeg, ...}}', for {', '.join(MUPOTS_17.names)}; "
            f"the file's joints: {', '.join(motion.names[:200])}"
        )
    poses = np.full((len(motion.positions), len(MUPOTS_17), 3), np.nan)
    for joint, column in columns.items():
        if column is not None:
            poses[:, MUPOTS_17.index(joint)] = motion.positions[:, column]
    poses = _with_head_top(poses)
    return _annotated(poses) if set(index) >= _CMU_ONLY else poses


def _checked(joint_map: Mapping[str, Source]) -> dict[str, Source]:
    known, needed = set(MUPOTS_17.names), set(MUPOTS_17.names) - {"head_top"}
    if not needed <= set(joint_map) <= known:
        wrong, lacking = sorted(set(joint_map) - known), sorted(needed - set(joint_map))
        kinds = (("not", wrong), ("without", lacking))
        found = "; ".join(f"{what} {', '.join(which)}" for what, which in kinds if which)
        raise ConfigError(f"prepare.joint_map: a joint of the file for each of {', '.join(MUPOTS_17.names)}; {found}")
    return {"head_top": "Head end", **joint_map}


def _plain(name: str) -> str:
    plain = re.sub(r"[^a-z0-9]", "", name.rsplit(":", 1)[-1].lower())
    return re.sub(r"^mixamorig\d*", "", plain)


def _column(source: Source, index: Mapping[str, int]) -> int | None:
    """Where the first source joint that is there is; None if there is none."""
    choices = (source,) if isinstance(source, str) else source
    return next((index[_plain(name)] for name in choices if _plain(name) in index), None)


def _with_head_top(poses: np.ndarray) -> np.ndarray:
    """The poses with the head's top put on the line from neck to head where it is unknown or on the head itself."""

    def joint(name: str) -> np.ndarray:
        return poses[:, MUPOTS_17.index(name)]

    def distance(a: str, b: str) -> float:
        return float(np.median(np.linalg.norm(joint(a) - joint(b), axis=-1)))

    leg = distance("left_hip", "left_knee") + distance("left_knee", "left_ankle")
    if not distance("head_top", "head") >= _NO_LENGTH * leg:
        along = joint("head") - joint("neck")
        along = along / np.maximum(np.linalg.norm(along, axis=-1, keepdims=True), 1e-9)
        poses[:, MUPOTS_17.index("head_top")] = joint("head") + _HEAD_OF_LEG * leg * along
    return poses


def _annotated(poses: np.ndarray) -> np.ndarray:
    """Poses (T, 17, 3) with CMU's joints -> the wrists and trunk joints of MPI-INF-3DHP and MuPoTS-3D.

    The fractions were read off annotations of real frames of four people; `hip` is the middle of the hip joints.
    """
    found = {name: poses[:, MUPOTS_17.index(name)] for name in MUPOTS_17.names}
    bone = found["head"] - found["neck"]
    hip = (found["left_hip"] + found["right_hip"]) / 2
    neck = found["neck"] + 0.31 * bone
    placed = {
        "hip": hip,
        "spine": hip + 0.48 * (neck - hip),
        "neck": neck,
        "head": found["neck"] + 0.83 * bone,
        "head_top": found["head_top"] + 0.6 * (found["head_top"] - found["head"]),
    }
    for side in ("left", "right"):
        elbow = found[f"{side}_elbow"]
        placed[f"{side}_wrist"] = elbow + _FOREARM_OF_RADIUS * (found[f"{side}_wrist"] - elbow)
    annotated = poses.copy()
    for name, positions in placed.items():
        annotated[:, MUPOTS_17.index(name)] = positions
    return annotated
