"""Whether predicted poses can be what they are taken for: millimetres, camera axes, order of joints and of people.

Cheap statistics of all predictions beside those of all annotations, before anything is scored. Each finding is one line
with its remedy. What can only be a mistake is refused; what could be a bad method is a warning.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import permutations

import numpy as np
import torch

from pose.errors import DataError
from pose.joint_sets import MUPOTS_17, POSE_SETS, JointSet
from pose.metrics.mupots import AnnotatedScene, PredictedScene
from pose.sequence import PoseSequence
from pose.to_mupots import to_mupots_17

#: Predicted over annotated size of a pose. Between these it can be a bad prediction; units are nearly exact.
_SIZES = (0.2, 5.0)
_UNITS = {"metres": 1e-3, "centimetres": 0.1, "inches": 1 / 25.4}
_UNIT_FACTOR = 1.6
#: Size of an adult who walks.
_PERSON_MM = 460.0
#: Mean |log| of the ratios of bones: 0.02 to 0.42 in the right order, the larger of poses of noise alone, 0.59 and more
#: in others.
_BONES_DIFFER = 0.5
_CLEARLY_BETTER = 0.25
#: Roots this near to the origin, mm, are put there; this fraction of the annotated distance is not a camera's.
_AT_ORIGIN_MM, _TOO_NEAR = 1.0, 0.2
#: People paired in another order must be this much nearer, as a fraction, and that far apart in mm.
_MUCH_NEARER, _APART_MM = 0.5, 200.0

#: Joints this far from where they were detected, in image widths, are perhaps in other axes.
_OFF = 0.05
#: So far off neither sees what the other does.
_FAR_OFF = 0.1

_HIP, _NECK = MUPOTS_17.index("hip"), MUPOTS_17.index("neck")
_BONES = np.array(MUPOTS_17.bones)


def check_poses(
    poses_3d: np.ndarray, annotated: Mapping[str, AnnotatedScene], source: str, joints: JointSet = MUPOTS_17
) -> list[str]:
    """Warnings about predicted poses (N, J, 3) in mm, a line each; ROOT_RELATIVE is the first if their roots are at 0.

    joints: the order that they were read in. Raises DataError naming `source` for metres and other units, another joint
    order, y up and people behind the camera. Nothing is said without annotated people.
    """
    truth = np.concatenate([scene.annotation_3d[scene.valid] for scene in annotated.values()])
    if not len(truth) or not len(poses_3d):
        return []
    poses = _mupots(poses_3d, joints)
    relative = float(np.quantile(np.linalg.norm(poses[:, _HIP], axis=1), 0.99)) < _AT_ORIGIN_MM
    found = [ROOT_RELATIVE] if relative else []
    size = _size(poses) / _size(truth)
    if not _SIZES[0] < size < _SIZES[1]:
        found += _of_size(size, relative, source)
    if odd := _of_joints(poses_3d, poses, truth, source, joints):
        return found + odd  # in a wrong order the rest means nothing
    _check_axes(poses, truth, relative, source)
    depth, expected = np.median(poses[:, _HIP, 2]), np.median(truth[:, _HIP, 2])
    if not relative and depth < _TOO_NEAR * expected:
        found.append(
            f"people stand {depth:.0f} mm before the camera, {expected:.0f} in the annotation (medians): poses_3d are "
            "expected in camera coordinates, the camera at 0; add the camera's place or the root's"
        )
    return found


def check_unit(poses_3d: np.ndarray, source: str) -> None:
    """DataError naming `source` for poses (N, J, 3) of people whose size is in metres or another unit, not in mm."""
    size = _size(poses_3d) / _PERSON_MM
    if not _SIZES[0] < size < _SIZES[1]:
        _refuse_unit(size, source)


def check_view(people: list[PoseSequence], source: str) -> list[str]:
    """Warnings of poses that are far from where they were detected, a line each. DataError naming `source` where they
    are behind the camera or in other axes than it.

    Joints that were detected are compared with those of the poses in the picture; people without them say nothing.
    """
    flips = {"": (1, 1, 1), "x": (-1, 1, 1), "y": (1, -1, 1), "z": (1, 1, -1), "x and z": (-1, 1, -1),
             "y and z": (1, -1, -1), "x and y": (-1, -1, 1)}  # fmt: skip
    off: dict[str, list[np.ndarray]] = {flip: [] for flip in flips}
    for person in people:
        names = [name for name in person.joints_3d.names if name in person.joints_2d.names]
        if person.camera is None or not names or not person.keypoints_2d.any():
            continue
        at = [person.joints_2d.index(name) for name in names]
        seen = (person.confidence[:, at] > 0).numpy()
        poses = person.require("poses_3d")[:, [person.joints_3d.index(name) for name in names]]
        for flip, signs in flips.items():
            points = poses * poses.new_tensor(signs)
            pixels = person.camera.project(torch.where(points[..., 2:] > 1, points, torch.nan))
            apart = (pixels - person.keypoints_2d[:, at]).norm(dim=-1).numpy() / person.camera.width
            off[flip].append(np.nan_to_num(apart, nan=np.inf)[seen])
    if not sum(map(len, off[""])):
        return []
    median = {flip: float(np.median(np.concatenate(values))) for flip, values in off.items()}
    best = min(median, key=lambda flip: median[flip])
    if median[""] > _OFF and median[best] < min(median[""] / 2, _FAR_OFF):
        raise DataError(
            f"{source}: poses_3d have other axes than the camera, x right, y down, z forward: negated in {best} their "
            f"joints are {100 * median[best]:.0f} % of the image's width from the detected ones, "
            + ("as given they are behind it" if math.isinf(median[""]) else f"as given {100 * median['']:.0f} %")
        )
    if median[""] <= _FAR_OFF:
        return []
    if math.isinf(median[""]):
        return [f"{source}: half of the joints of poses_3d or more are behind the camera, as of root-relative poses"]
    return [
        f"{source}: the joints of poses_3d are {100 * median['']:.0f} % of the image's width from the detected ones "
        "(median): keypoints_2d, K and poses_3d must be of one picture in one size"
    ]


#: The warning after which absolute errors mean nothing.
ROOT_RELATIVE = (
    "every hip is at 0: these are root-relative poses; absolute errors, MRPE and AP are left out; add each hip's place "
    "in camera coordinates to have them"
)
#: The beginning of the warning after which millimetres mean nothing.
OTHER_UNIT = "poses are "


def _of_size(size: float, relative: bool, source: str) -> list[str]:
    _refuse_unit(size, source)
    if relative:  # normalised poses, which bone rescaling brings to size
        return [f"{OTHER_UNIT}{size:.3g} times the annotated size: errors without bone rescaling are left out"]
    raise DataError(f"{source}: {OTHER_UNIT}{size:.3g} times the annotated size; poses_3d are expected in mm")


def _refuse_unit(size: float, source: str) -> None:
    for unit, per_mm in _UNITS.items():
        if 1 / _UNIT_FACTOR < size / per_mm < _UNIT_FACTOR:
            raise DataError(f"{source}: poses_3d are in {unit}, mm are expected; multiply them by {1 / per_mm:g}")


def _of_joints(given: np.ndarray, poses: np.ndarray, truth: np.ndarray, source: str, joints: JointSet) -> list[str]:
    differ = _bones_differ(poses, truth)
    if differ < _BONES_DIFFER:
        return []
    others = {}
    for name, other in POSE_SETS.items():
        if len(other) == given.shape[1] and other != joints:
            others[name] = _bones_differ(_mupots(given, other), truth)
    if others and min(others.values()) < min(_BONES_DIFFER, differ - _CLEARLY_BETTER):
        name = min(others, key=lambda one: others[one])
        raise DataError(
            f"{source}: the joints are not in the order of {joints.name}; the bones fit {name}: set "
            f"input_options.joint_set={name} for arrays, joints_3d={name} in a predictions.npz"
        )
    return [
        f"bones are not those of people in the order of {joints.name} (lengths differ by a factor of "
        f"{np.exp(differ):.1f} in the mean): check the order of the joints (docs/conventions.md)"
    ]


def _check_axes(poses: np.ndarray, truth: np.ndarray, relative: bool, source: str) -> None:
    up, expected = (float(np.mean(_unit(p[:, _NECK] - p[:, _HIP])[:, 1])) for p in (poses, truth))
    mirrored = _knees_forward(poses) * _knees_forward(truth) < 0
    behind = not relative and float(np.median(poses[:, _HIP, 2])) < 0
    if expected < -0.3 and up > 0.3:
        axes = "y" if mirrored else "y and z"
        raise DataError(f"{source}: people stand on their heads: y points up, down is expected; negate {axes}")
    if behind:
        raise DataError(
            f"{source}: people are behind the camera, the hips at z = {np.median(poses[:, _HIP, 2]):.0f} mm (median); "
            f"z must point forward; negate {'z' if mirrored else 'x and z'}"
        )
    if mirrored and min(abs(_knees_forward(poses)), abs(_knees_forward(truth))) > 0.1:
        raise DataError(
            f"{source}: knees bend backwards: left and right joints are exchanged, or x is mirrored; exchange them, or "
            "negate x"
        )


def other_order(
    annotated: Mapping[str, AnnotatedScene], predicted: Mapping[str, PredictedScene], most_people: int = 5
) -> list[str]:
    """A warning if people, paired as `given`, stand much nearer to the annotation in another order.

    Sequences of more than `most_people` are not looked at.
    """
    found = []
    for name, scene in predicted.items():
        truth, people = annotated[name], scene.present.shape[1]
        if people != truth.valid.shape[1] or not 1 < people <= most_people:
            continue
        whole = (scene.present & truth.valid).all(axis=1)
        roots, places = scene.poses_3d[whole][:, :, _HIP], truth.annotation_3d[whole][:, :, _HIP]
        if not len(roots):
            continue
        orders = list(permutations(range(people)))
        apart = np.stack([np.linalg.norm(roots[:, list(o)] - places, axis=2).mean(axis=1) for o in orders])  # (O, T)
        given, best, each = apart[0].mean(), apart.mean(axis=1).argmin(), apart.min(axis=0).mean()
        if min(apart[best].mean(), each) < _MUCH_NEARER * given and given - each > _APART_MM:
            order = "in changing orders" if each < _MUCH_NEARER * apart[best].mean() else f"as {list(orders[best])}"
            found.append(f"{name} {order} ({given:.0f} -> {min(apart[best].mean(), each):.0f} mm)")
    if not found:
        return []
    return [
        f"people are not in the annotation's order; their hips fit it much better so: {', '.join(found)}; number "
        "people as annotated, or pair them by protocol.pairing=by2d with keypoints_2d"
    ]


def _mupots(poses_3d: np.ndarray, joints: JointSet) -> np.ndarray:
    return to_mupots_17(torch.from_numpy(np.asarray(poses_3d, np.float64)), joints)[0].numpy()


def _size(poses: np.ndarray) -> float:
    """Root mean square distance of the joints from their middle, the median pose's."""
    return float(np.median(np.sqrt(np.square(poses - poses.mean(1, keepdims=True)).sum(2).mean(1))))


def _bones_differ(poses: np.ndarray, truth: np.ndarray) -> float:
    """Mean |log| of the ratios of the median bones' lengths, sizes aside."""
    lengths = [
        np.median(np.linalg.norm(p[:, _BONES[:, 0]] - p[:, _BONES[:, 1]], axis=2), axis=0) for p in (poses, truth)
    ]
    ratios = np.log(np.maximum(lengths[0] / _size(poses), 1e-3)) - np.log(np.maximum(lengths[1] / _size(truth), 1e-3))
    return float(np.abs(ratios).mean())


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def _knees_forward(poses: np.ndarray) -> float:
    """How far knees stand out to the front of the line from hip to ankle, mean over poses, as a part of the thigh.

    The sign changes where left and right, or one axis, are exchanged.
    """
    at = {name: poses[:, i] for i, name in enumerate(MUPOTS_17.names)}
    left = _unit(at["left_hip"] - at["right_hip"] + at["left_shoulder"] - at["right_shoulder"])
    front = _unit(np.cross(left, at["neck"] - at["hip"]))
    parts = []
    for side in ("left", "right"):
        hip, knee, ankle = (at[f"{side}_{name}"] for name in ("hip", "knee", "ankle"))
        thigh = np.maximum(np.linalg.norm(knee - hip, axis=1), 1e-9)
        parts.append(((knee - (hip + ankle) / 2) * front).sum(1) / thigh)
    return float(np.mean(parts))
