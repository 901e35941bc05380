"""From joint positions to the rotations of a skeleton with fixed bones. Arrays in, arrays out; BVH itself is in `bvh`.

A position says where a bone points, not how it is twisted about itself. Directions are therefore kept exactly, and the
twist is chosen so that it neither jumps nor drifts:

- hip: left hip and spine give the whole frame; the chest has the line of the shoulders.
- arms and legs: elbows and knees are hinges. Where a limb is bent, the normal of its plane is the hinge's axis, for
  both of its bones. Where it is straight the plane is noise: the axis of the moments around it is carried over.
- all others: the smallest rotation from the parent's.

Rest pose: a T, y up, the person facing +z, the left arm along +x. A bone without a direction (its ends coincide) keeps
the last one that it had.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from pose.errors import check_shape
from pose.joint_sets import MUPOTS_17

Array = NDArray[np.floating]

X, Y, Z = np.eye(3)
#: Length below which a bone has no direction, mm.
_NO_LENGTH = 1e-3
#: Sine of the angle below which two directions span no plane.
_NO_PLANE = 1e-6
#: Standard deviation of the moments that a straight limb takes its hinge from, s.
_HINGE_MEMORY_S = 0.25
#: Weight of the hinge's rest position against those moments, so that there always is one.
_HINGE_REST = 1e-3


@dataclass(frozen=True, eq=False)
class Segment:
    """The bone from joint `head` to joint `tail`, turned by the BVH joint `name`, a child of segment `parent`.

    rest (3,): its direction in the rest pose. `name` is `head` where only one bone starts there.
    """

    name: str
    parent: str
    head: str
    tail: str
    rest: Array


def _limbs(side: str, lateral: Array) -> list[Segment]:
    """Leg and arm of a side; lateral: where it lies."""
    return [
        Segment(f"{side}_pelvis", "hip", "hip", f"{side}_hip", lateral),
        Segment(f"{side}_hip", f"{side}_pelvis", f"{side}_hip", f"{side}_knee", -Y),
        Segment(f"{side}_knee", f"{side}_hip", f"{side}_knee", f"{side}_ankle", -Y),
        Segment(f"{side}_clavicle", "spine", "neck", f"{side}_shoulder", lateral),
        Segment(f"{side}_shoulder", f"{side}_clavicle", f"{side}_shoulder", f"{side}_elbow", lateral),
        Segment(f"{side}_elbow", f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist", lateral),
    ]


#: All bones, parents first. The head's top hangs on the head here, not on the neck.
SEGMENTS: tuple[Segment, ...] = (
    Segment("lower_spine", "hip", "hip", "spine", Y),
    Segment("spine", "lower_spine", "spine", "neck", Y),
    Segment("neck", "spine", "neck", "head", Y),
    Segment("head", "neck", "head", "head_top", Y),
    *_limbs("right", -X),
    *_limbs("left", X),
)


@dataclass(frozen=True, eq=False)
class _Hinge:
    """Upper and lower bone of a limb. rest: the hinge's axis in the rest pose, positive as the limb bends.

    open: the direction of the upper bone opposite to the one that it can least point in; perpendicular to `rest`. The
    smallest rotation from it is well defined wherever the limb goes.
    """

    upper: str
    lower: str
    rest: Array
    open: Array


_HINGES = (
    _Hinge("right_hip", "right_knee", X, (Z - Y) / 2**0.5),
    _Hinge("left_hip", "left_knee", X, (Z - Y) / 2**0.5),
    _Hinge("right_shoulder", "right_elbow", Y, (Z - X) / 2**0.5),
    _Hinge("left_shoulder", "left_elbow", -Y, (Z + X) / 2**0.5),
)


@dataclass(frozen=True, eq=False)
class BonePose:
    """A moving skeleton with fixed bones over T frames, y up.

    root (T, 3) mm: the hip. lengths: mm by segment name. rotations: (T, 3, 3) by segment name and `hip`, from the rest
    pose to the pose, in the frame of the scene.
    """

    root: Array
    lengths: dict[str, float]
    rotations: dict[str, Array]

    def local(self, name: str) -> Array:
        """(T, 3, 3): the rotation of a segment within its parent's frame, of the hip within the scene's."""
        parent = {segment.name: segment.parent for segment in SEGMENTS}.get(name)
        if parent is None:
            return self.rotations[name]
        return np.swapaxes(self.rotations[parent], 1, 2) @ self.rotations[name]

    def positions(self) -> Array:
        """(T, 17, 3) mm, MuPoTS-17: where the fixed bones put the joints."""
        places = {"hip": self.root}
        for segment in SEGMENTS:
            bone = self.rotations[segment.name] @ (segment.rest * self.lengths[segment.name])
            places[segment.tail] = places[segment.head] + bone
        return np.stack([places[joint] for joint in MUPOTS_17.names], axis=1)


def bone_pose(poses: Array, fps: float) -> BonePose:
    """Fix the bones of finite poses (T, 17, 3), mm, y up, MuPoTS-17, at their median lengths and find the rotations.

    Raises ShapeError.
    """
    check_shape("poses", poses, ("T", len(MUPOTS_17), 3))
    joints = dict(zip(MUPOTS_17.names, np.moveaxis(poses.astype(np.float64), 1, 0), strict=True))
    bones = {segment.name: joints[segment.tail] - joints[segment.head] for segment in SEGMENTS}
    lengths = {name: float(np.median(np.linalg.norm(bone, axis=1))) for name, bone in bones.items()}
    directions = {segment.name: _directions(bones[segment.name], segment.rest) for segment in SEGMENTS}
    hips = _directions(joints["left_hip"] - joints["right_hip"], X)
    shoulders = _directions(joints["left_shoulder"] - joints["right_shoulder"], X)
    rotations = {"hip": _frames(directions["lower_spine"], hips, Y, X)}
    hinges = {hinge.upper: hinge for hinge in _HINGES}
    for segment in SEGMENTS:
        name, parent = segment.name, rotations[segment.parent]
        if name in rotations:
            continue  # a lower bone, found with its upper one
        if name == "spine":
            rotations[name] = _frames(directions[name], shoulders, segment.rest, X)
        elif name in hinges:
            hinge = hinges[name]
            upper, lower = directions[name], directions[hinge.lower]
            axis = _hinge_axis(upper, lower, parent, hinge, fps)
            rotations[name] = _frames(upper, axis, segment.rest, hinge.rest)
            rotations[hinge.lower] = _frames(lower, axis, segment.rest, hinge.rest)
        else:
            rotations[name] = parent @ _smallest_rotation(segment.rest, _into(parent, directions[name]))
    return BonePose(joints["hip"], lengths, rotations)


def euler_deg(rotations: Array, order: str) -> Array:
    """(T, 3, 3) -> (T, 3) degrees about the moving axes in `order`, as continuous over time as they can be.

    Each rotation has two triples of angles, (a, b, c) and (a + 180, 180 - b, c + 180), and all turns of 360 degrees of
    them. The one nearest to the frame before is taken.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # at 90 degrees, where scipy's angles are valid all the same
        one = Rotation.from_matrix(rotations).as_euler(order, degrees=True)
    other = one * [1, -1, 1] + 180.0
    stay, swap = (np.abs((one[1:] - before + 180) % 360 - 180).sum(1) for before in (one[:-1], other[:-1]))
    odd = np.cumsum(np.concatenate([[False], swap < stay])) % 2 == 1
    return np.unwrap(np.where(odd[:, None], other, one), axis=0, period=360.0)


def _directions(vectors: Array, default: Array) -> Array:
    """(T, 3) -> unit vectors; one without a length takes the last direction before it, or the first after it."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return _held(vectors / np.maximum(length, _NO_LENGTH), length[:, 0] > _NO_LENGTH, default)


def _held(values: Array, good: NDArray[np.bool_], default: Array) -> Array:
    """Values (T, ...) with those that are not good replaced by the last good one, or else the first; or `default`."""
    if not good.any():
        return np.broadcast_to(default, values.shape).copy()
    last = np.maximum.accumulate(np.where(good, np.arange(len(good)), -1))
    return values[np.where(last < 0, np.argmax(good), last)]


def _frames(along: Array, across: Array, rest_along: Array, rest_across: Array) -> Array:
    """Rotations (T, 3, 3) that take rest_along to `along` (T, 3), and rest_across toward `across` (T, 3).

    Where the two are parallel, `across` is held and, if that is parallel too, replaced by any perpendicular.
    """
    normal = np.cross(along, across)
    size = np.linalg.norm(normal, axis=1)
    good = size > _NO_PLANE
    if not good.all():
        across = _held(across, good, rest_across)
        normal = np.cross(along, across)
        size = np.linalg.norm(normal, axis=1)
        bad = size <= _NO_PLANE
        normal[bad] = np.cross(along[bad], np.eye(3)[np.abs(along[bad]).argmin(axis=1)])
        size = np.linalg.norm(normal, axis=1)
    normal /= size[:, None]
    found = np.stack([along, np.cross(normal, along), normal], axis=2)
    rest_normal = np.cross(rest_along, rest_across)
    rest = np.stack([rest_along, np.cross(rest_normal, rest_along), rest_normal], axis=1)
    return found @ rest.T


def _smallest_rotation(start: Array, ends: Array) -> Array:
    """Rotations (T, 3, 3) by the smallest angle from unit `start` (3,) to unit `ends` (T, 3).

    Opposite directions are joined by half a turn about one fixed perpendicular.
    """
    x, y, z = np.cross(start, ends).T
    cosine = ends @ start
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    opposite = cosine < -1 + 1e-12
    rotations = np.eye(3) + cross + cross @ cross / np.where(opposite, 1.0, 1 + cosine)[:, None, None]
    about = np.cross(start, np.eye(3)[np.abs(start).argmin()])
    about /= np.linalg.norm(about)
    rotations[opposite] = 2 * np.outer(about, about) - np.eye(3)
    return rotations


def _into(frames: Array, vectors: Array) -> Array:
    """Vectors (T, 3) of the scene in the coordinates of frames (T, 3, 3)."""
    return np.einsum("tji,tj->ti", frames, vectors)


def _hinge_axis(upper: Array, lower: Array, parent: Array, hinge: _Hinge, fps: float) -> Array:
    """Unit axes (T, 3), perpendicular to `upper`, about which `lower` is bent; see the module's docstring.

    The axis is an angle about the upper bone, as (cosine, sine), counted from where the smallest rotation from
    `hinge.open` brings it. The share of the frame's own plane is the squared sine of the limb's bend, the rest comes
    from the frames around it, each with the square of that weight: a knee overstretched by noise has no say.
    """
    carried = _smallest_rotation(hinge.open, _into(parent, upper)) @ hinge.rest
    zero = np.einsum("tij,tj->ti", parent, carried)
    quarter = np.cross(upper, zero)
    normal = np.cross(upper, lower)
    own = np.stack([(normal * zero).sum(1), (normal * quarter).sum(1)])
    bend = np.linalg.norm(own, axis=0)
    own *= bend
    around = gaussian_filter1d(own * bend**2, _HINGE_MEMORY_S * fps, axis=1)
    around[0] += _HINGE_REST
    around /= np.maximum(np.linalg.norm(around, axis=0), 1e-12)
    angle = own + (1 - bend**2) * around
    size = np.linalg.norm(angle, axis=0)
    cosine, sine = np.where(size > 1e-9, angle, around) / np.where(size > 1e-9, size, 1.0)
    return cosine[:, None] * zero + sine[:, None] * quarter
