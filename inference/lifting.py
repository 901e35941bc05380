"""Tracks -> 3D: every person through the lifter at the lifter's own rate, and back to the rate of the video."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.missing_joints import with_all_joints
from inference.resampling import at_rate, poses_back, same_rate
from lightning_modules.prediction import lift
from pose.errors import MismatchError
from pose.sequence import PoseSequence

if TYPE_CHECKING:
    from lightning_modules.lifter import Lifter


def lift_tracks(lifter: Lifter, sequences: list[PoseSequence]) -> list[PoseSequence]:
    """The same sequences, of one frame rate, with `poses_3d` for every frame, resampled if need be."""
    if not sequences:
        return []
    fps = sequences[0].fps
    if any(sequence.fps != fps for sequence in sequences):
        raise MismatchError(f"fps: sequences of one video are expected, rates {sorted({s.fps for s in sequences})}")
    filled = [with_all_joints(sequence) for sequence in sequences]
    if lifter.fps is None or same_rate(fps, lifter.fps):
        poses = [one.require("poses_3d") for one in lift(lifter, filled)]
    else:
        resampled = lift(lifter, [at_rate(sequence, lifter.fps) for sequence in filled])
        poses = [
            poses_back(one.require("poses_3d"), lifter.fps, fps, len(own))
            for one, own in zip(resampled, sequences, strict=True)
        ]
    return [own.with_poses(pose, lifter.coordinates) for own, pose in zip(sequences, poses, strict=True)]
