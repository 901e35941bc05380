"""Material at the rate that a lifter was trained at, and its poses back at the rate of the video.

A lifter has learnt how much people move between two of its frames, so it is fed at that rate. Fewer frames than the
video has are weighted means over the time that they stand for, which is also less noisy than picking every so many;
more are interpolated. Nothing is invented across frames in which a person was not detected.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch
from torch import Tensor

from pose.errors import MismatchError, check_rate
from pose.sequence import PoseSequence

#: Below this rate the frames of a video are pictures of their own: what lies between them nobody saw.
TIME_LAPSE_FPS = 5.0
#: Rates that differ by less than this fraction count as the same.
SAME_RATE = 0.04


def same_rate(fps: float, other: float | None) -> bool:
    """Whether material at `fps` can be used as it is where `other` is expected; None expects nothing.

    >>> same_rate(24.0, 25.0), same_rate(30.0, 25.0), same_rate(60.0, None)
    (True, False, True)
    """
    return other is None or abs(fps / other - 1) <= SAME_RATE + 1e-9


def at_rate(sequence: PoseSequence, fps: float) -> PoseSequence:
    """The same person's detections (any 2D joint set) at another rate, from the same first to the same last moment.

    A frame is detected where the nearest frame of the source is, a joint where it is in that frame; its score is the
    mean of the detected ones around, weighted by nearness in time, and its place likewise, weighted by their squared
    scores too: errors grow about as scores fall, so that is 1/variance. Poses, annotations and visibility are left
    out. Raises ConfigError for a rate that is not positive.
    """
    check_rate(fps)
    length = len(sequence)
    if length == 0:
        return dataclasses.replace(sequence, fps=fps, poses_3d=None, annotation_2d=None, coordinates=None)
    times = torch.from_numpy(_times(length, sequence.fps, fps))
    nearest = times.round().long().clamp(0, length - 1)
    near = sequence.detected[nearest][:, None] & (sequence.confidence[nearest] > 0)
    # A triangle as wide as the larger of the two frame intervals to each side.
    reach = max(1.0, sequence.fps / fps)
    offsets = torch.arange(-math.ceil(reach), math.ceil(reach) + 1)
    source = nearest[:, None] + offsets
    weight = (1 - (source - times[:, None]).abs() / reach).clamp(min=0.0) * ((source >= 0) & (source < length))
    source = source.clamp(0, length - 1)
    seen = (sequence.confidence > 0) & sequence.detected[:, None]
    weights = weight.to(sequence.confidence)[..., None] * seen[source]
    confidence = (weights * sequence.confidence[source]).sum(1) / weights.sum(1).clamp(min=1e-9)
    sure = weights * sequence.confidence[source].clamp(min=1e-3) ** 2
    keypoints_2d = (sure[..., None] * sequence.keypoints_2d[source]).sum(1) / sure.sum(1).clamp(min=1e-9)[..., None]
    return PoseSequence(
        sequence=sequence.sequence,
        person=sequence.person,
        camera=sequence.camera,
        fps=fps,
        keypoints_2d=keypoints_2d * near[..., None],
        confidence=confidence * near,
        detected=sequence.detected[nearest],
        joints_2d=sequence.joints_2d,
        joints_3d=sequence.joints_3d,
    )


def poses_back(poses_3d: Tensor, from_fps: float, to_fps: float, to_frames: int) -> Tensor:
    """Poses (T', J, 3) of a sequence that `at_rate` took to `from_fps`, at its own `to_frames` frames: (T, J, 3).

    Interpolated linearly. Raises MismatchError where T' is not what `at_rate` makes of so many frames.
    """
    check_rate(from_fps)
    check_rate(to_fps)
    times = _times(to_frames, to_fps, from_fps)
    if len(times) != len(poses_3d):
        raise MismatchError(
            f"poses_3d: {len(poses_3d)} frames at {from_fps:g} fps, {len(times)} are expected for {to_frames} frames "
            f"at {to_fps:g} fps"
        )
    if to_frames == 0 or len(poses_3d) == 1:
        return poses_3d[:1].expand(to_frames, -1, -1).clone()
    at = np.interp(np.arange(to_frames), times, np.arange(len(times)))
    before = torch.from_numpy(np.minimum(at.astype(int), len(times) - 2))
    part = (torch.from_numpy(at) - before).to(poses_3d)[:, None, None]
    return poses_3d[before] * (1 - part) + poses_3d[before + 1] * part


def spread(person: PoseSequence, every: int, first: int) -> PoseSequence:
    """A person's frames as one in `every`, `first` the number of frame 0: what lies between is not observed, its poses
    are interpolated, and std_mm grows with how far a joint goes meanwhile."""
    if every == 1:
        return person
    length, fps = (len(person) - 1) * every + 1, person.fps * every
    given = {field.name: getattr(person, field.name) for field in dataclasses.fields(person)}
    arrays = {}
    for key, value in given.items():
        if isinstance(value, Tensor):
            arrays[key] = value.new_zeros(length, *value.shape[1:])
            arrays[key][::every] = value
    for key in ("poses_3d", "lifted_3d", "std_mm"):
        if (value := given[key]) is not None:
            between = poses_back(value.reshape(len(person), len(person.joints_3d), -1), person.fps, fps, length)
            arrays[key] = between.reshape(length, *value.shape[1:])
    if person.std_mm is not None:
        part = torch.arange(length) % every / every
        step = torch.diff(person.require("poses_3d"), dim=0).norm(dim=-1).repeat_interleave(every, dim=0)
        step = torch.cat([step, step.new_zeros(1, step.shape[1])])
        arrays["std_mm"] = torch.hypot(arrays["std_mm"], (part * (1 - part))[:, None] * step)
    arrays["frame"] = torch.arange(length) + int(person.frame[0]) * every + first
    return dataclasses.replace(person, fps=fps, **arrays)


def _times(length: int, fps: float, new_fps: float) -> np.ndarray:
    """When the frames of the new rate are, counted in frames of the old; the last is the last frame itself."""
    if length == 0:
        return np.zeros(0)
    count = math.ceil((length - 1) * new_fps / fps - 1e-6) + 1
    return np.minimum(np.arange(count) * (fps / new_fps), length - 1.0)
