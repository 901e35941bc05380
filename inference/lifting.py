"""Tracks -> 3D: every person through the lifter at the lifter's own rate, and back to the rate of the video.

A lifter that knows where gravity points errs less about how far people lean. Where the camera's tilt and roll are not
given, a first pass without gravity finds them from how people stand, and a second one makes use of it.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import torch

from inference.missing_joints import with_all_joints
from inference.resampling import TIME_LAPSE_FPS, at_rate, poses_back, same_rate
from lightning_modules.prediction import lift
from pose.errors import MismatchError
from pose.level import World, up_of
from pose.sequence import PoseSequence

if TYPE_CHECKING:
    from lightning_modules.lifter import Lifter


def lift_upright(
    lifter: Lifter,
    sequences: list[PoseSequence],
    tilt_deg: float | None = None,
    roll_deg: float | None = None,
    moves: bool = False,
) -> list[PoseSequence]:
    """As `lift_tracks`, with gravity as far as it is known: given as tilt and roll of the camera (`CameraSettings`), or
    found from people who stand; if neither, or if the camera moves, without. Only one that was given stays in the
    cameras of the result."""
    if not lifter.features.uses_gravity:
        return lift_tracks(lifter, sequences)
    if tilt_deg is not None and roll_deg is not None:
        return lift_tracks(lifter, [_with_up(one, up_of(tilt_deg, roll_deg)) for one in sequences])
    lifted = lift_tracks(lifter, sequences)
    if moves:  # and gravity with it
        return lifted
    poses = [one.require("poses_3d")[one.detected].numpy() for one in lifted]
    world = World.fit(np.concatenate(poses), tilt_deg=tilt_deg, roll_deg=roll_deg) if poses else World.fit(np.zeros(0))
    if world.how == "camera":
        return lifted
    found = lift_tracks(lifter, [_with_up(one, world.axes[2]) for one in sequences])
    if world.how == "given":
        return found
    return [dataclasses.replace(one, camera=own.camera) for one, own in zip(found, sequences, strict=True)]


def _with_up(sequence: PoseSequence, up: np.ndarray) -> PoseSequence:
    if sequence.camera is None:
        return sequence
    x, y, z = (-up).tolist()
    return dataclasses.replace(sequence, camera=dataclasses.replace(sequence.camera, gravity=(x, y, z)))


def lift_tracks(lifter: Lifter, sequences: list[PoseSequence]) -> list[PoseSequence]:
    """The same sequences, of one frame rate, with `poses_3d` for every frame, resampled if need be;
    below TIME_LAPSE_FPS each frame by itself."""
    if not sequences:
        return []
    fps = sequences[0].fps
    if any(sequence.fps != fps for sequence in sequences):
        raise MismatchError(f"fps: sequences of one video are expected, rates {sorted({s.fps for s in sequences})}")
    filled = [with_all_joints(sequence) for sequence in sequences]
    if lifter.fps is not None and fps < TIME_LAPSE_FPS:
        single = [
            dataclasses.replace(one.selected(slice(t, t + 1)), fps=lifter.fps)
            for one in filled
            for t in range(len(one))
        ]
        alone = torch.cat([one.require("poses_3d") for one in lift(lifter, single)])
        split = alone.split([len(own) for own in sequences])
        return [own.with_poses(pose, lifter.coordinates) for own, pose in zip(sequences, split, strict=True)]
    if lifter.fps is None or same_rate(fps, lifter.fps):
        poses = [one.require("poses_3d") for one in lift(lifter, filled)]
    else:
        resampled = lift(lifter, [at_rate(sequence, lifter.fps) for sequence in filled])
        poses = [
            poses_back(one.require("poses_3d"), lifter.fps, fps, len(own))
            for one, own in zip(resampled, sequences, strict=True)
        ]
    return [own.with_poses(pose, lifter.coordinates) for own, pose in zip(sequences, poses, strict=True)]
