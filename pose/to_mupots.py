"""3D poses of other joint sets as MuPoTS-17: joints of the same name are kept, missing ones follow from neighbours.

Where joints of genuine annotations lie: docs/method.md §2. What is inferred is named, so that a result can say it.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from pose.errors import MismatchError, check_shape
from pose.joint_sets import MUPOTS_14, MUPOTS_15, MUPOTS_17, JointSet
from pose.sequence import PoseSequence

#: joint -> (from, towards, how far): in this order, so that later ones may rest on earlier ones. The hip joints' middle
#: is exact. Head top: shoulders at 0.818 and ears at 0.927 of the stature.
_INFERRED = {
    "hip": ("left_hip", "right_hip", 0.5),
    "middle of shoulders": ("left_shoulder", "right_shoulder", 0.5),
    "neck": ("left_shoulder", "right_shoulder", 0.5),
    "spine": ("hip", "neck", 0.5),
    "middle of ears": ("left_ear", "right_ear", 0.5),
    "head_top": ("middle of shoulders", "middle of ears", 5 / 3),
    "head": ("neck", "head_top", 1 / 3),
}


def to_mupots_17(poses_3d: Tensor, joints: JointSet) -> tuple[Tensor, list[str]]:
    """Poses (..., J, 3) of any unit -> (..., 17, 3), and the joints that were inferred. MismatchError if any lacks.

    >>> to_mupots_17(torch.zeros(60, 14, 3), MUPOTS_14)[1]
    ['hip', 'spine', 'head']
    """
    check_shape("poses_3d", poses_3d, ("...", len(joints), 3))
    found = {name: poses_3d[..., i, :] for i, name in enumerate(joints.names)}
    for name, (start, end, fraction) in _INFERRED.items():
        if name not in found and start in found and end in found:
            found[name] = found[start] + fraction * (found[end] - found[start])
    if missing := [name for name in MUPOTS_17.names if name not in found]:
        raise MismatchError(
            f"joint set {joints.name} has no {', '.join(missing)}, which the errors count, nor what they could be "
            "inferred from; add them, or give poses of another joint set"
        )
    inferred = [name for name in _INFERRED if name in MUPOTS_17.names and name not in joints.names]
    return torch.stack([found[name] for name in MUPOTS_17.names], dim=-2), inferred


def in_mupots_17(people: list[PoseSequence]) -> tuple[list[PoseSequence], list[str]]:
    """The same people with poses_3d and lifted_3d in MuPoTS-17, and what a result must say of them, a sentence each.

    Masks and deviations of the former joints are left out. MismatchError as `to_mupots_17`.
    """
    notes: dict[str, None] = {}
    found = []
    for person in people:
        if person.joints_3d != MUPOTS_17:
            poses_3d, inferred = to_mupots_17(person.require("poses_3d"), person.joints_3d)
            before = None if person.lifted_3d is None else to_mupots_17(person.lifted_3d, person.joints_3d)[0]
            notes[_note(person.joints_3d, inferred)] = None
            person = dataclasses.replace(
                person, poses_3d=poses_3d, lifted_3d=before, joints_3d=MUPOTS_17,
                visible=None, observed=None, std_mm=None, annotation_2d=None,
            )  # fmt: skip
        found.append(person)
    return found, list(notes)


def _note(joints: JointSet, inferred: list[str]) -> str:
    note = f"joints of {joints.name}: inferred from their neighbours are {', '.join(inferred)}" if inferred else ""
    if joints in (MUPOTS_14, MUPOTS_15):
        return note
    other = f"hip, neck and head of {joints.name} are other points of the body than MuPoTS-3D's, which errors include"
    return "; ".join(filter(None, [note, other]))
