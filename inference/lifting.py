"""Tracks -> 3D: every person through the lifter at the lifter's own rate, and back to the rate of the video."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from inference.resampling import at_rate, poses_back, same_rate
from lightning_modules.prediction import lift
from pose.errors import MismatchError
from pose.joint_sets import COCO_19
from pose.sequence import PoseSequence

if TYPE_CHECKING:
    from lightning_modules.lifter import Lifter

#: Where the middle of the hips is taken to be if a person's hips were never seen: straight below the neck, in units of
#: the distance between the shoulders.
_TORSO = 1.4


def lift_tracks(lifter: Lifter, sequences: list[PoseSequence]) -> list[PoseSequence]:
    """The same sequences, of one frame rate, with `poses_3d` for every frame, resampled if need be."""
    if not sequences:
        return []
    fps = sequences[0].fps
    if any(sequence.fps != fps for sequence in sequences):
        raise MismatchError(f"fps: sequences of one video are expected, rates {sorted({s.fps for s in sequences})}")
    filled = [with_hips(sequence) for sequence in sequences]
    if lifter.fps is None or same_rate(fps, lifter.fps):
        poses = [one.require("poses_3d") for one in lift(lifter, filled)]
    else:
        resampled = lift(lifter, [at_rate(sequence, lifter.fps) for sequence in filled])
        poses = [
            poses_back(one.require("poses_3d"), lifter.fps, fps, len(own))
            for one, own in zip(resampled, sequences, strict=True)
        ]
    return [own.with_poses(pose, lifter.coordinates) for own, pose in zip(sequences, poses, strict=True)]


def with_hips(sequence: PoseSequence) -> PoseSequence:
    """The sequence with a place for each missing hip joint of detected frames, scores unchanged (0).

    The network takes all joints relative to the middle of the hips, whatever its score, and people cut by the border of
    the image have none there. It comes from the one hip that was seen, else from where the hips are relative to the
    neck in the nearest frames that have both, else from the shoulders; without any of these it stays.
    """
    left, right, hip, neck = (COCO_19.index(name) for name in ("left_hip", "right_hip", "hip", "neck"))
    missing = sequence.detected & (sequence.confidence[:, hip] == 0)
    if not bool(missing.any()):
        return sequence
    points, seen = sequence.keypoints_2d.clone(), sequence.confidence > 0
    whole = seen[:, hip] & seen[:, neck]
    shoulders = (points[:, COCO_19.index("left_shoulder")] - points[:, COCO_19.index("right_shoulder")]).norm(dim=-1)
    if bool(whole.any()):
        offset = (points[:, hip] - points[:, neck])[_nearest(whole)]
    else:
        offset = torch.stack([torch.zeros_like(shoulders), _TORSO * shoulders], dim=-1)
    from_neck = missing & seen[:, neck]
    points[from_neck, hip] = (points[:, neck] + offset)[from_neck]
    for side in (left, right):
        here = missing & seen[:, side]
        points[here, hip] = points[here, side]
    return dataclasses.replace(sequence, keypoints_2d=points)


def _nearest(good: Tensor) -> Tensor:
    """Index (T,) of the nearest frame where `good` (T,) holds."""
    frames = good.nonzero()[:, 0]
    at = torch.arange(len(good), device=good.device)
    later = torch.searchsorted(frames, at).clamp(max=len(frames) - 1)
    earlier = (later - 1).clamp(min=0)
    return torch.where((frames[later] - at).abs() < (frames[earlier] - at).abs(), frames[later], frames[earlier])
