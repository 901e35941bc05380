"""Canonical features: every person seen as if by a camera that looks straight at them, at one apparent size.

The rays of the keypoints are turned so that the smoothed direction of the hip lies along the optical axis, upright by
gravity where it is known, and divided by a robust apparent size of the body. What is left to learn depends neither on
the place in the image nor on distance, focal length or roll (docs/method.md §4).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pose.cameras import Camera
from pose.errors import DataError, check_shape
from pose.features import Features
from pose.joint_sets import COCO_17, MUPOTS_17
from pose.sequence import PoseSequence

_K = len(COCO_17)
_AT = {name: index for index, name in enumerate(COCO_17.names)}
_ROOT = MUPOTS_17.index("hip")
_OTHERS = [i for i in range(len(MUPOTS_17)) if i != _ROOT]
#: Where the middle of the hips is taken to be: sets of joints whose mean stands for it, and how much each counts.
_CENTRES = (
    (("left_hip", "right_hip"), 1.0),
    (("left_hip",), 0.1),
    (("right_hip",), 0.1),
    (("left_shoulder", "left_knee"), 0.02),
    (("right_shoulder", "right_knee"), 0.02),
    (("left_shoulder", "right_shoulder"), 0.002),
    (("left_knee", "right_knee"), 0.002),
    (("nose",), 1e-4),
)
#: Bones of an adult, mm, that the apparent size is read from.
_BONES = (
    ("left_shoulder", "left_elbow", 290.0), ("right_shoulder", "right_elbow", 290.0),
    ("left_elbow", "left_wrist", 250.0), ("right_elbow", "right_wrist", 250.0),
    ("left_shoulder", "left_hip", 490.0), ("right_shoulder", "right_hip", 490.0),
    ("left_hip", "left_knee", 420.0), ("right_hip", "right_knee", 420.0),
    ("left_knee", "left_ankle", 405.0), ("right_knee", "right_ankle", 405.0),
    ("left_shoulder", "right_shoulder", 340.0),
)  # fmt: skip
_FROM, _TO = [_AT[a] for a, _, _ in _BONES], [_AT[b] for _, b, _ in _BONES]
_LENGTH = [length for _, _, length in _BONES]
#: A bone counts by this power of its apparent size: one that points to the camera looks short and says nothing.
_POWER = 4.0
#: Direction and size are smoothed over so many frames (1/e), the size over more.
_DIRECTION_FRAMES, _SIZE_FRAMES = 6.0, 20.0
#: Apparent size of a person at this distance, mm, where no bone was found at all.
_UNKNOWN_DISTANCE = 4000.0
#: Width of the standard inputs in the unit of one person, mm.
_UNIT = 500.0


@dataclass(frozen=True, eq=False)
class CanonicalView:
    """Of each frame: rotation (T, 3, 3) from camera to view axes, and apparent size (T,) per mm of the body."""

    rotation: Tensor
    size: Tensor


class CanonicalFeatures(Features):
    """Features (T, 74): for each of the COCO-17 joints (x, y, score, found), x and y in the view and by its size, both
    0 where it was not found; how the view moves (3), and gravity in the view's y and z, 1 if it is known, else zeros.

    Targets (T, 51): the 16 MuPoTS-17 joints other than the hip relative to it, mm in view axes, then the hip's (x, y)
    in the view by its size, and ln(depth * size).
    """

    n_features = 4 * _K + 6
    uses_gravity = True

    def encode(self, sequence: PoseSequence, causal: bool) -> tuple[Tensor, CanonicalView]:
        """The sequence's features, not standardised, and the views they were seen in. Detections COCO-19 in px."""
        if sequence.camera is None:
            raise DataError(f"{sequence.name}: has no camera; the lifter needs its intrinsics (fx, fy, cx, cy)")
        points = sequence.keypoints_2d[:, :_K].double()
        scores = sequence.confidence[:, :_K].double().clamp(0, 1)
        scores = torch.where(sequence.detected[:, None] & points.isfinite().all(-1), scores, 0.0)
        found = scores > 0
        rays = _rays(points, sequence.camera)
        weight = torch.where(found, scores.clamp_min(0.02), 0.0)
        direction = _smooth_direction(rays, weight, causal)
        rotation = _upright(direction, sequence.camera.gravity)
        seen = rays @ rotation.transpose(1, 2)
        found &= seen[..., 2] > 0.05
        flat = seen[..., :2] / seen[..., 2:].clamp_min(0.05)
        size = _smooth_size(flat, weight * found, causal)
        places = torch.where(found[..., None], flat / size[:, None, None] / _UNIT, 0.0).clamp(-8, 8)
        joints = torch.cat([places, scores[..., None], found[..., None]], dim=-1).flatten(1)
        moving = _motion(direction, size, rotation, causal)
        features = torch.cat([joints, moving, _gravity_in(rotation, sequence.camera.gravity)], dim=1)
        return features.float(), CanonicalView(rotation, size)

    def targets(self, poses_3d: Tensor, view: CanonicalView) -> Tensor:
        """Poses (T, 17, 3) mm -> targets (T, 51). Inverse of `poses`."""
        check_shape("poses_3d", poses_3d, ("T", len(MUPOTS_17), 3))
        seen = poses_3d.double() @ view.rotation.transpose(1, 2)
        root = seen[:, _ROOT]
        relative = (seen[:, _OTHERS] - root[:, None]).flatten(1)
        offset = root[:, :2] / root[:, 2:] / view.size[:, None] / _UNIT
        return torch.cat([relative, offset, (root[:, 2:] * view.size[:, None]).log()], dim=1).float()

    def poses(self, targets: Tensor, view: CanonicalView) -> Tensor:
        """Targets (T, 51) -> poses (T, 17, 3) in mm, camera coordinates."""
        check_shape("targets", targets, ("T", self.n_targets))
        targets = targets.double()
        rotation, size = view.rotation.to(targets.device), view.size.to(targets.device)[:, None]
        depth = targets[:, -1:].exp() / size
        root = torch.cat([targets[:, -3:-1] * _UNIT * size * depth, depth], dim=1)
        relative = targets[:, :-3].unflatten(1, (len(_OTHERS), 3))
        seen = targets.new_empty((len(targets), len(MUPOTS_17), 3))
        seen[:, _OTHERS] = relative + root[:, None]
        seen[:, _ROOT] = root
        return (seen @ rotation).float()


def _rays(points: Tensor, camera: Camera) -> Tensor:
    """(T, K, 2) px -> (T, K, 3): (x, y, 1) in units of the focal length."""
    flat = (points - points.new_tensor([camera.cx, camera.cy])) / points.new_tensor([camera.fx, camera.fy])
    return torch.cat([flat, torch.ones_like(flat[..., :1])], dim=-1)


def _smooth_direction(rays: Tensor, weight: Tensor, causal: bool) -> Tensor:
    """(T, 3) unit vectors toward the middle of the hips."""
    total, amount = rays.new_zeros(len(rays), 3), rays.new_zeros(len(rays))
    for names, share in _CENTRES:
        joints = [_AT[name] for name in names]
        each = share * weight[:, joints].min(dim=1).values
        middle = torch.nn.functional.normalize(torch.nan_to_num(rays[:, joints]).mean(1), dim=-1)
        total, amount = total + each[:, None] * middle, amount + each
    direction = _smooth(total / amount.clamp_min(1e-12)[:, None], amount, _DIRECTION_FRAMES, causal)
    straight = direction.new_tensor([0.0, 0.0, 1.0])
    nothing = direction.norm(dim=-1, keepdim=True) < 1e-6
    return torch.nn.functional.normalize(torch.where(nothing, straight, direction), dim=-1)


def _upright(direction: Tensor, gravity: tuple[float, float, float] | None) -> Tensor:
    """(T, 3, 3): rows are the view's axes x right, y down, z along `direction`, in camera coordinates."""
    image = direction.new_tensor([0.0, 1.0, 0.0])
    image = image - (direction @ image)[:, None] * direction
    down = image
    if gravity is not None:
        fall = torch.nn.functional.normalize(direction.new_tensor(gravity), dim=-1)
        fall = fall - (direction @ fall)[:, None] * direction
        # Straight from above gravity says nothing about the image's up; there the image's own takes over.
        down = fall + (0.3 - fall.norm(dim=-1, keepdim=True)).clamp_min(0) * image
    y = torch.nn.functional.normalize(down, dim=-1)
    return torch.stack([torch.linalg.cross(y, direction), y, direction], dim=1)


def _smooth_size(flat: Tensor, weight: Tensor, causal: bool) -> Tensor:
    """(T,) apparent size of the body: length in the view per mm."""
    ratio = (flat[:, _FROM] - flat[:, _TO]).norm(dim=-1) / flat.new_tensor(_LENGTH)
    each = torch.minimum(weight[:, _FROM], weight[:, _TO])
    each = torch.where(each > 0, each, 0.0)
    amount = each.sum(1)
    mean = ((each * torch.nan_to_num(ratio) ** _POWER).sum(1) / amount.clamp_min(1e-12)) ** (1 / _POWER)
    amount = torch.where(mean > 1e-7, amount, 0.0)
    log = torch.where(amount > 0, mean.clamp_min(1e-7).log(), 0.0)
    if not bool((amount > 0).any()):
        return torch.full_like(mean, 1 / _UNKNOWN_DISTANCE)
    return _smooth(log[:, None], amount, _SIZE_FRAMES, causal)[:, 0].exp()


def _motion(direction: Tensor, size: Tensor, rotation: Tensor, causal: bool) -> Tensor:
    """(T, 3): how fast the view turns to the right and down, in the person's unit, and grows, per frame."""
    both = torch.cat([direction, size[:, None].log()], dim=1)
    before = torch.cat([both[:1], both[:-1]])
    after = both if causal else torch.cat([both[1:], both[-1:]])
    change = (after - before) / (1 if causal else 2)
    turn = (rotation[:, :2] @ change[:, :3, None])[..., 0] / size[:, None] / _UNIT
    return (torch.cat([turn, change[:, 3:] * 4], dim=1) * 10).clamp(-8, 8)


def _gravity_in(rotation: Tensor, gravity: tuple[float, float, float] | None) -> Tensor:
    if gravity is None:
        return rotation.new_zeros(len(rotation), 3)
    seen = rotation @ torch.nn.functional.normalize(rotation.new_tensor(gravity), dim=-1)
    return torch.cat([seen[:, 1:], torch.ones_like(seen[:, :1])], dim=1)


def _smooth(values: Tensor, weight: Tensor, frames: float, causal: bool) -> Tensor:
    """Weighted means of (T, C) with weights (T,) falling by 1/e within `frames`, on both sides or on the past alone.

    Frames without weight take what is nearest, however far.
    """
    have = weight > 0
    if not bool(have.any()):
        return torch.zeros_like(values)
    frame = torch.arange(len(values), device=values.device)
    last = torch.cummax(torch.where(have, frame, -1), 0).values
    first = int(have.nonzero()[0])
    filled = values[torch.where(last < 0, first, last)]
    weight = torch.where(have, weight / weight[have].mean(), 1e-6)
    stacked = torch.cat([filled * weight[:, None], weight[:, None]], dim=1)
    total = _decayed(stacked, frames)
    if not causal:
        total = total + _decayed(stacked.flip(0), frames).flip(0) - stacked
    return total[:, :-1] / total[:, -1:]


def _decayed(values: Tensor, frames: float) -> Tensor:
    """(T, C) -> sums of each frame and all before it, those k frames before by exp(-k / frames)."""
    total, step = values, 1
    while step < len(values) and step < 60 * frames:
        decay = torch.exp(values.new_tensor(-step / frames))
        total = torch.cat([total[:step], total[step:] + decay * total[:-step]])
        step *= 2
    return total
