"""`lift`: people's 2D detections over time in, the same sequences with predicted 3D poses out (docs/method.md §7).

People of about the same length run side by side in one call of the network, mirrored too, and long sequences are
cut into parts, so that a few large calls serve any number of people of any length.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pose.coordinates import universal_scale
from pose.errors import DataError, MismatchError, check_finite, check_number
from pose.features import flip_3d, mirrored
from pose.joint_sets import MUPOTS_17
from pose.progress import Progress
from pose.sequence import PoseSequence

if TYPE_CHECKING:
    from lightning_modules.lifter import Lifter


#: How much shorter than the longest of a call a sequence may be, whichever is more; the padding is wasted computation.
_WASTED, _WASTED_FRAMES = 0.05, 16


def lift(
    lifter: Lifter,
    sequences: list[PoseSequence],
    flip: bool = True,
    frames_per_call: int = 2048,
) -> list[PoseSequence]:
    """The sequences with `poses_3d` predicted for every frame, undetected ones included, in mm.

    flip: average with the mirrored-back prediction on the mirrored detections, in mm.
    frames_per_call: how many frames the network takes at once, beside those before and after that it looks at; bounds
    memory, has no influence on the result.

    Runs on the lifter's device, in evaluation mode; poses come back on each sequence's own device. Raises MismatchError
    for detections of another joint set than the lifter's, DataError without a camera or for detections that are NaN.

    >>> from lightning_modules.checkpoint import load_lifter
    >>> from pose.cameras import Camera
    >>> camera = Camera(1500.0, 1500.0, 960.0, 540.0, 1920, 1080)
    >>> keypoints_2d = 960 + 200 * torch.rand(50, 19, 2, generator=torch.Generator().manual_seed(0))  # px, COCO-19
    >>> person = PoseSequence("clip", 0, camera, 25.0, keypoints_2d, torch.full((50, 19), 0.9))
    >>> (found,) = lift(load_lifter("builtin:mocap_normal"), [person])
    >>> found.poses_3d.shape, found.coordinates
    (torch.Size([50, 17, 3]), 'normal')
    """
    check_number("frames_per_call", frames_per_call, low=1, whole=True)
    inputs = [_network_input(lifter, sequence, flip) for sequence in sequences if len(sequence)]
    was_training = lifter.training
    lifter.eval()
    try:
        # Also while training in mixed precision, so that validation sees what a prediction gives later.
        with torch.inference_mode(), torch.autocast(lifter.device.type, enabled=False):
            outputs = _run(lifter, [features for features, _ in inputs], frames_per_call)
            poses = iter([_decode(lifter, found, views) for found, (_, views) in zip(outputs, inputs, strict=True)])
    finally:
        lifter.train(was_training)
    predicted = []
    for sequence in sequences:
        # A clone made here is an ordinary tensor, which a refinement can differentiate through.
        poses_3d = next(poses).clone() if len(sequence) else torch.zeros(0, len(MUPOTS_17), 3)
        if lifter.scaled and len(sequence):
            seen = sequence.detected if bool(sequence.detected.any()) else slice(None)
            poses_3d = poses_3d * universal_scale(poses_3d[seen])
        predicted.append(sequence.with_poses(poses_3d.to(sequence.keypoints_2d.device), lifter.coordinates))
    return predicted


def lift_newest(lifter: Lifter, sequences: list[PoseSequence]) -> Tensor:
    """(P, 17, 3) mm: the pose of each sequence's last frame by a causal lifter, as `lift` finds it, at a fraction of
    the cost. Sequences, of at least a frame each, need no frames before the last `receptive_field`.

    Raises MismatchError for a lifter that is not causal, and what `lift` raises.
    """
    if not lifter.causal or lifter.normalises_over_time:
        raise MismatchError("lifter: looks at later frames; give a causal one, such as builtin:mocap_normal_causal")
    inputs = [_network_input(lifter, sequence, True) for sequence in sequences]
    was_training = lifter.training
    lifter.eval()
    try:
        with torch.inference_mode(), torch.autocast(lifter.device.type, enabled=False):
            windows = torch.cat([features[:, -lifter.receptive_field :] for features, _ in inputs])
            outputs = lifter.windows(windows.to(lifter.feature_mean.dtype)).float().split([len(f) for f, _ in inputs])
            poses = [
                _decode(lifter, own.expand(-1, len(sequence), -1), views)[-1]
                for own, (_, views), sequence in zip(outputs, inputs, sequences, strict=True)
            ]
    finally:
        lifter.train(was_training)
    return torch.stack(poses).clone().cpu()


def _network_input(lifter: Lifter, sequence: PoseSequence, flip: bool) -> tuple[Tensor, list[Any]]:
    """Standardised features, as given and mirrored, padded at the ends: (1 or 2, T + receptive_field - 1, F); and the
    view of each."""
    if sequence.joints_2d.name != lifter.joints_2d:
        raise MismatchError(
            f"{sequence.name}: detections are {sequence.joints_2d.name}, the lifter was trained on {lifter.joints_2d}; "
            "use a detector or a lifter of the same joint set"
        )
    if sequence.camera is None:
        raise DataError(f"{sequence.name}: has no camera; the lifter needs its intrinsics (fx, fy, cx, cy)")
    if lifter.normalises_over_time and len(sequence) == 1:
        raise DataError(f"{sequence.name}: has a single frame; a network with norm=instance needs at least 2")
    check_finite(f"{sequence.name}: detections", sequence.keypoints_2d)
    check_finite(f"{sequence.name}: scores", sequence.confidence)
    seen = dataclasses.replace(
        sequence, keypoints_2d=sequence.keypoints_2d.float(), confidence=sequence.confidence.float()
    )
    encoded = [lifter.features.encode(one, lifter.causal) for one in ([seen, mirrored(seen)] if flip else [seen])]
    features = lifter.feature_standardiser(torch.stack([values for values, _ in encoded]).to(lifter.device))
    context = lifter.receptive_field - 1
    left = context if lifter.causal else context // 2
    first, last = features[:, :1], features[:, -1:]
    padded = torch.cat([first.expand(-1, left, -1), features, last.expand(-1, context - left, -1)], dim=1)
    return padded, [view for _, view in encoded]


def _run(lifter: Lifter, views: list[Tensor], frames_per_call: int) -> list[Tensor]:
    """Network outputs (1 or 2, T, O) of each padded input, standardised, float32."""
    dtype, context = lifter.feature_mean.dtype, lifter.receptive_field - 1
    progress = Progress("lifting", sum(len(view) * (view.shape[1] - context) for view in views), "frames, mirrored too")

    def network(features: Tensor) -> Tensor:
        found = lifter(features.to(dtype)).float()
        progress.add(found.shape[0] * found.shape[1])
        return found

    if lifter.normalises_over_time:  # people must not share a call
        return [network(view) for view in views]
    outputs: list[Tensor] = [torch.empty(0)] * len(views)
    for group in _groups([view.shape[1] - context for view in views], frames_per_call, context):
        frames = max(views[index].shape[1] for index in group)
        side_by_side = torch.cat([_lengthened(views[index], frames) for index in group])
        found = torch.cat(
            [
                network(side_by_side[:, start : start + frames_per_call + context])
                for start in range(0, frames - context, frames_per_call)
            ],
            dim=1,
        )
        for index, own in zip(group, found.split([len(views[index]) for index in group]), strict=True):
            outputs[index] = own[:, : views[index].shape[1] - context]
    return outputs


def _groups(lengths: list[int], frames_per_call: int, context: int) -> list[list[int]]:
    """Indices of the sequences that run side by side: nearly as long as the longest of them, together one call.

    Each brings its own context, so that many short ones are no more frames than a call of one long sequence has.
    """
    groups: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        longest = lengths[groups[-1][0]] if groups else 0
        fits = groups and (len(groups[-1]) + 1) * (longest + context) <= frames_per_call + context
        if fits and longest - lengths[index] <= max(_WASTED * longest, _WASTED_FRAMES):
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def _lengthened(view: Tensor, frames: int) -> Tensor:
    """(V, T, F) -> (V, frames, F) by repeating the last frame."""
    return torch.cat([view, view[:, -1:].expand(-1, frames - view.shape[1], -1)], dim=1)


def _decode(lifter: Lifter, outputs: Tensor, views: list[Any]) -> Tensor:
    """Standardised outputs (1 or 2, T, O) -> poses (T, 17, 3) in mm, the mirrored view turned back and averaged."""
    targets = lifter.target_standardiser.invert(outputs)
    poses_3d, *turned = [lifter.features.poses(own, view) for own, view in zip(targets, views, strict=True)]
    return (poses_3d + flip_3d(turned[0])) / 2 if turned else poses_3d
