"""`refine`: anyone's trajectories, as plain arrays, through any refinement. Needs neither Lightning nor Hydra.

Brings what people have (any skeleton, any unit, NaN where nothing was found, no scores, one person or many) into the
`PoseSequence`s that refiners take, and the result back. docs/refine_your_own.md shows it at work.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from pose.cameras import Camera
from pose.errors import ConfigError, MismatchError, ShapeError, check_shape
from pose.joint_sets import COCO_19, MUPOTS_17, JointSet
from pose.sequence import PoseSequence
from refinement.gaps import filled, given_joints
from refinement.occlusion.model import OcclusionRefinement
from refinement.refiner import Refiner
from refinement.skeleton import skeleton_from_bones

MM_PER_UNIT = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
DEFAULT_FPS = 30.0


@overload
def refine(
    poses_3d: list[PoseSequence] | list[np.ndarray] | list[Tensor], *args: Any, **options: Any
) -> list[PoseSequence]: ...
@overload
def refine(poses_3d: PoseSequence | np.ndarray | Tensor, *args: Any, **options: Any) -> PoseSequence: ...
def refine(
    poses_3d: Any,
    score: Any = None,
    method: Refiner | None = None,
    fps: Any = None,
    joints: JointSet | None = None,
    *,
    bones: Sequence[int] | Sequence[tuple[int, int]] | None = None,
    root: int | None = None,
    unit: str = "mm",
    camera: Any = None,
    keypoints_2d: Any = None,
    joints_2d: JointSet | None = None,
) -> PoseSequence | list[PoseSequence]:
    """Refine one person's trajectory, or a list of people of any lengths.

    poses_3d (T, J, 3), camera coordinates: x right, y down, z forward. NaN where a joint was not found: whole frames,
        at either end too, or single joints; they are filled. Or a PoseSequence, which brings all the rest with it.
    score (T,) or (T, K) in 0..1: how well the person, or each keypoint, was detected. Absent: 1 where poses are finite.
    method: a refiner, such as PaperRefinement(); the project's default if absent.
    fps: frames per second, 30 if absent.
    joints: the skeleton, with a root; MuPoTS-17 if neither it nor bones are given.
    bones: of another skeleton: each joint's parent (J numbers, the root's own number or -1 for the root), or pairs of
        joints, then with `root`, the index of the root joint (pelvis, mid-hip).
    unit: mm, cm or m, of poses_3d. The result is in mm, as every PoseSequence.
    camera: a Camera or the (3, 3) matrix of intrinsics in px, for methods that look at keypoints_2d (T, K, 2) px, the
        detections, NaN where none; joints_2d: what they and score (T, K) are. If absent: `joints` if K is J, COCO-19
        if 19 beside MuPoTS-17.

    Of a list of people score and keypoints_2d are lists, one entry for each; fps and camera may be. Arrays are refined
    each alone; PoseSequences of one `sequence` and camera may share a floor (docs/refinement.md).

    Returns for each a PoseSequence: `poses_3d` (T, J, 3) mm float32, NaN in joints that were NaN in every frame;
    `observed` (T, J), false where a joint was not given or not seen in that frame and so is inferred; `std_mm` (T, J),
    the standard deviation of the joint's place, from a method that states it; `lifted_3d`, the poses given.
    These are tensors, which NumPy functions take too. Raises ShapeError, DataError, ConfigError or MismatchError.

    >>> walk = np.zeros((5, 17, 3)) + np.arange(5)[:, None, None] * 100 + [0, 0, 4000]
    >>> refine(walk, np.ones(5)).poses_3d.shape
    torch.Size([5, 17, 3])

    Two frames not seen, three joints, metres:

    >>> walk = walk[:, :3] / 1000
    >>> walk[1:3] = np.nan
    >>> result = refine(walk, bones=[0, 0, 1], unit="m", fps=25)
    >>> bool(result.poses_3d.isfinite().all()), result.observed[:, 0].tolist()
    (True, [True, False, False, True, True])
    >>> poses_m = result.poses_3d.numpy() / 1000
    """
    many = isinstance(poses_3d, list | tuple) and all(isinstance(p, PoseSequence) or np.ndim(p) == 3 for p in poses_3d)
    people = list(poses_3d) if many else [poses_3d]
    per_person = {"score": score, "keypoints_2d": keypoints_2d, "fps": fps, "camera": camera}
    each = _for_each(per_person, len(people)) if many else [per_person]
    if unit not in MM_PER_UNIT:
        raise ConfigError(f"unit={unit}: must be one of {', '.join(MM_PER_UNIT)}")
    skeleton = {"joints": joints, "bones": bones, "root": root, "joints_2d": joints_2d}
    given, sequences = [], []
    for number, (person, own) in enumerate(zip(people, each, strict=True)):
        if isinstance(person, PoseSequence):
            options = {**own, **skeleton, "unit": None if unit == "mm" else unit}
            if surplus := [key for key, value in options.items() if value is not None]:
                raise ConfigError(f"{surplus[0]}: is for plain arrays; a PoseSequence brings its own, in mm")
            sequence = person
        else:
            sequence = _sequence(number, person, MM_PER_UNIT[unit], **own, **skeleton)
        given.append(sequence)
        sequences.append(filled(sequence, given_joints(sequence)))
    result = (OcclusionRefinement() if method is None else method)(sequences)
    refined = [_marked(*pair) for pair in zip(result.sequences, given, strict=True)]
    return refined if many else refined[0]


def _for_each(per_person: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Arguments of a list of people -> those of each person."""
    lists = {}
    for key, value in per_person.items():
        if value is None or (key in ("fps", "camera") and not isinstance(value, list | tuple)):
            lists[key] = [value] * count
        elif len(value) != count:
            raise MismatchError(f"{key}: {len(value)} given for {count} people; one for each is expected")
        else:
            lists[key] = list(value)
    return [{key: values[i] for key, values in lists.items()} for i in range(count)]


def _sequence(
    number: int, poses_3d: ArrayLike, unit_mm: float, score: Any, keypoints_2d: Any, fps: Any, camera: Any,
    joints: JointSet | None, bones: Any, root: int | None, joints_2d: JointSet | None,
) -> PoseSequence:  # fmt: skip
    """One person's arrays as a PoseSequence in mm, NaN poses still in it, scores of what is NaN zero."""
    if bones is not None:
        joints = skeleton_from_bones(bones, root, joints)
    elif joints is None:
        joints = MUPOTS_17
    if root is not None and bones is None:
        joints = dataclasses.replace(joints, root=root, parents=())
    poses = torch.from_numpy(_array(poses_3d, np.float64) * unit_mm).float()
    check_shape("poses_3d", poses, ("T", len(joints), 3))
    found = poses.isfinite().all(-1)
    lens = _camera(camera)
    if keypoints_2d is None:  # nothing to see through it, and zeros must not be taken for points
        lens = None
    points = None if keypoints_2d is None else torch.from_numpy(_array(keypoints_2d))
    if points is not None:
        check_shape("keypoints_2d", points, (len(poses), "K", 2))
    confidence = found.float() if score is None else torch.from_numpy(_array(score))
    if confidence.ndim == 1:
        confidence = confidence[:, None].expand(-1, 1 if points is None else points.shape[1])
    keypoints = "K" if points is None else points.shape[1]
    if confidence.ndim != 2 or len(confidence) != len(poses) or confidence.shape[1] == 0:
        raise ShapeError("score", (len(poses), keypoints), confidence.shape)
    if points is not None and confidence.shape[1] != points.shape[1]:
        if score is not None:
            raise ShapeError("score", (len(poses), keypoints), confidence.shape)
        confidence = found.any(1)[:, None].expand(points.shape[:2]).float()
    detections = _detected_joints(joints, joints_2d, confidence.shape[1], points is not None)
    confidence = confidence.nan_to_num(0.0) * found.any(1)[:, None]
    for name in set(joints.names) & set(detections.names):
        confidence[~found[:, joints.index(name)], detections.index(name)] = 0
    if points is None:
        points = torch.zeros(*confidence.shape, 2)
    else:
        lost = points.isnan().any(-1)
        points, confidence = points.masked_fill(lost[..., None], 0.0), confidence.masked_fill(lost, 0.0)
    return PoseSequence(
        sequence="array" if number == 0 else f"array{number}",  # each a scene of its own
        person=number,
        camera=lens,
        fps=DEFAULT_FPS if fps is None else float(fps),
        keypoints_2d=points,
        confidence=confidence,
        detected=found.any(1) & (confidence > 0).any(1),
        poses_3d=poses,
        coordinates="normal",
        joints_2d=detections,
        joints_3d=joints,
    )


def _array(values: Any, dtype: type = np.float32) -> np.ndarray:
    """A copy of an array or a tensor, on whatever device it is."""
    return np.array(values.detach().cpu() if isinstance(values, Tensor) else values, dtype=dtype)


def _detected_joints(joints: JointSet, joints_2d: JointSet | None, count: int, points: bool) -> JointSet:
    if joints_2d is not None:
        return joints_2d
    if count == len(joints):
        return joints
    if count == len(COCO_19) and joints == MUPOTS_17:
        return COCO_19
    if points:
        raise ConfigError(f"joints_2d=None: which joints are the {count} keypoints_2d? Pass joints_2d=, a JointSet")
    return JointSet("scores", tuple(f"score_{i}" for i in range(count)))


def _camera(camera: Any) -> Camera | None:
    if camera is None or isinstance(camera, Camera):
        return camera
    K = np.asarray(camera, dtype=float)
    check_shape("camera", K, (3, 3))
    # The image size, which refinement does not look at, is taken to be what has its centre at (cx, cy).
    size = [max(1, round(2 * centre)) for centre in K[:2, 2]]
    return Camera(K[0, 0], K[1, 1], K[0, 2], K[1, 2], width=size[0], height=size[1])


def _marked(refined: PoseSequence, given: PoseSequence) -> PoseSequence:
    """The refined person with what is known of gaps: joints that were missing are not observed, or NaN if always."""
    found = given_joints(given)
    never = ~found.any(0)
    return dataclasses.replace(
        refined,
        poses_3d=refined.require("poses_3d").masked_fill(never[:, None], torch.nan),
        observed=refined.require("observed") & found,
        lifted_3d=given.poses_3d if given.lifted_3d is None else given.lifted_3d,
    )
