"""What a network sees and predicts: `Features`, the published ones, standardisation, flips, the depth augmentation.

All of it is docs/method.md §4, as pure torch functions that follow the device and dtype of their input. Another kind
of features is a subclass of `Features` (`pose.canonical` has one; docs/extending.md shows how to add one).

Published features (..., 42): for each of the 13 Common-14 joints after the hip (x, y, score), x and y in units of the
focal length relative to the hip, then the hip's own (x, y, score). Targets (..., 51): the 16 MuPoTS-17 joints
without the hip relative to it, in mm, then the hip as (x mm, y mm, ln z).
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from pose.cameras import Camera
from pose.errors import DataError, check_shape
from pose.joint_sets import COCO_19, COMMON_14, MUPOTS_17, remap_index
from pose.sequence import PoseSequence

N_FEATURES = 3 * len(COMMON_14)
N_TARGETS = 3 * len(MUPOTS_17)

#: A joint scored below this is replaced by the constant place (-1700/fx, -1700/fy).
MIN_SCORE = 0.1
MISSING_PX = -1700.0

_COMMON_OF_COCO = remap_index(COCO_19, COMMON_14)
_ROOT = MUPOTS_17.index("hip")
_OTHERS = [i for i in range(len(MUPOTS_17)) if i != _ROOT]


def with_derived_joints(keypoints_2d: Tensor, confidence: Tensor) -> tuple[Tensor, Tensor]:
    """COCO-17 -> COCO-19: hip and neck as means of hips and shoulders, scores as harmonic means.

    keypoints_2d (..., 17, 2) px and confidence (..., 17) -> (..., 19, 2) and (..., 19). A person who is all zeros
    (undetected) stays all zeros.

    >>> points, scores = with_derived_joints(torch.full((60, 17, 2), 100.0), torch.full((60, 17), 0.8))
    >>> points.shape, points[0, COCO_19.index("hip")], round(float(scores[0, COCO_19.index("hip")]), 3)
    (torch.Size([60, 19, 2]), tensor([100., 100.]), 0.8)
    """
    check_shape("keypoints_2d", keypoints_2d, ("...", 17, 2))
    check_shape("confidence", confidence, ("...", 17))
    points, scores = [keypoints_2d], [confidence]
    for left, right in (("left_hip", "right_hip"), ("left_shoulder", "right_shoulder")):
        a, b = COCO_19.index(left), COCO_19.index(right)
        points.append(((keypoints_2d[..., a, :] + keypoints_2d[..., b, :]) / 2)[..., None, :])
        harmonic = 2 / (1 / (confidence[..., a] + 1e-6) + 1 / (confidence[..., b] + 1e-6))
        nobody = (confidence == 0).all(dim=-1)
        scores.append(harmonic.masked_fill(nobody, 0.0)[..., None])
    return torch.cat(points, dim=-2), torch.cat(scores, dim=-1)


def features_2d(keypoints_2d: Tensor, confidence: Tensor, camera: Camera) -> Tensor:
    """COCO-19 detections (..., 19, 2) px, (..., 19) -> features (..., 42), not standardised.

    >>> camera = Camera(1000.0, 1000.0, 960.0, 540.0, 1920, 1080)
    >>> features = features_2d(torch.full((60, 19, 2), 1060.0), torch.ones(60, 19), camera)
    >>> features.shape, features[0, -3:]  # the hip's own x, y, score come last
    (torch.Size([60, 42]), tensor([0.1000, 0.5200, 1.0000]))
    """
    check_shape("keypoints_2d", keypoints_2d, ("...", len(COCO_19), 2))
    check_shape("confidence", confidence, ("...", len(COCO_19)))
    focal = keypoints_2d.new_tensor([camera.fx, camera.fy])
    centre = keypoints_2d.new_tensor([camera.cx, camera.cy])
    points = (keypoints_2d[..., _COMMON_OF_COCO, :] - centre) / focal
    scores = confidence[..., _COMMON_OF_COCO, None]
    hip, others = points[..., :1, :], points[..., 1:, :]
    relative = torch.where(scores[..., 1:, :] < MIN_SCORE, MISSING_PX / focal, others - hip)
    body = torch.cat([relative, scores[..., 1:, :]], dim=-1).flatten(-2)
    return torch.cat([body, hip[..., 0, :], scores[..., 0, :]], dim=-1)


def encode_3d(poses_3d: Tensor) -> Tensor:
    """Poses (..., 17, 3) in mm, MuPoTS-17 -> targets (..., 51), not standardised. Inverse of `decode_3d`."""
    check_shape("poses_3d", poses_3d, ("...", len(MUPOTS_17), 3))
    root = poses_3d[..., _ROOT, :]
    relative = (poses_3d[..., _OTHERS, :] - root[..., None, :]).flatten(-2)
    return torch.cat([relative, root[..., :2], root[..., 2:].log()], dim=-1)


def decode_3d(targets: Tensor) -> Tensor:
    """Targets (..., 51) -> poses (..., 17, 3) in mm. Inverse of `encode_3d`.

    >>> poses_3d = torch.zeros(60, 17, 3) + torch.tensor([0.0, 0.0, 4000.0])
    >>> targets = encode_3d(poses_3d)
    >>> targets.shape, bool(torch.allclose(decode_3d(targets), poses_3d))
    (torch.Size([60, 51]), True)
    """
    check_shape("targets", targets, ("...", N_TARGETS))
    root = torch.cat([targets[..., -3:-1], targets[..., -1:].exp()], dim=-1)
    relative = targets[..., :-3].unflatten(-1, (len(_OTHERS), 3))
    poses_3d = targets.new_empty((*targets.shape[:-1], len(MUPOTS_17), 3))
    poses_3d[..., _OTHERS, :] = relative + root[..., None, :]
    poses_3d[..., _ROOT, :] = root
    return poses_3d


def flip_2d(keypoints_2d: Tensor, confidence: Tensor, width: float) -> tuple[Tensor, Tensor]:
    """Mirror COCO-19 detections in an image `width` px wide: x -> width - x, left and right swapped.

    An undetected joint's x = 0 becomes `width`, as in the published training. Use with `Camera.flipped()`.

    >>> points, scores = flip_2d(torch.full((19, 2), 100.0), torch.ones(19), width=1920)
    >>> points[0]
    tensor([1820.,  100.])
    """
    check_shape("keypoints_2d", keypoints_2d, ("...", len(COCO_19), 2))
    swap = list(COCO_19.flip)
    swapped = keypoints_2d[..., swap, :]
    return torch.stack([width - swapped[..., 0], swapped[..., 1]], dim=-1), confidence[..., swap]


def flip_3d(poses_3d: Tensor) -> Tensor:
    """Mirror poses (..., 17, 3): x -> -x, left and right swapped. Its own inverse.

    >>> pose = torch.zeros(17, 3)
    >>> pose[MUPOTS_17.index("left_wrist")] = torch.tensor([300.0, 0.0, 2000.0])
    >>> flip_3d(pose)[MUPOTS_17.index("right_wrist")]
    tensor([-300.,    0., 2000.])
    """
    check_shape("poses_3d", poses_3d, ("...", len(MUPOTS_17), 3))
    return poses_3d[..., list(MUPOTS_17.flip), :] * poses_3d.new_tensor([-1.0, 1.0, 1.0])


def draw_depth_scale(poses_3d: Tensor, generator: torch.Generator | None = None) -> float:
    """Scale of one person sequence's move along the depth: N(1, 0.2), clamped so that nothing gets behind the camera.

    poses_3d (T, 17, 3) in mm. At least 0.6 and 1e-5 more than max of -(z_joint - z_root) / z_root; at most 1.5.
    """
    check_shape("poses_3d", poses_3d, ("T", len(MUPOTS_17), 3))
    drawn = 1.0 + 0.2 * float(torch.randn((), generator=generator, dtype=torch.float64))
    z_root = poses_3d[:, _ROOT, 2].double()
    nearest = float((-(poses_3d[..., 2].double() - z_root[:, None]) / z_root[:, None]).max())
    return min(max(drawn, 0.6, nearest + 1e-5), 1.5)


def scale_depth(keypoints_2d: Tensor, poses_3d: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Move a person to `scale` times its distance: root *= scale, the relative pose kept; 2D about the hip /= scale.

    keypoints_2d (..., 19, 2) px, poses_3d (..., 17, 3) mm -> the same shapes.
    """
    check_shape("keypoints_2d", keypoints_2d, ("...", len(COCO_19), 2))
    check_shape("poses_3d", poses_3d, ("...", len(MUPOTS_17), 3))
    hip = keypoints_2d[..., COCO_19.index("hip"), :][..., None, :]
    root = poses_3d[..., _ROOT, :][..., None, :]
    return (keypoints_2d - hip) / scale + hip, poses_3d - root + root * scale


def mirrored(sequence: PoseSequence) -> PoseSequence:
    """The person in the mirrored image: detections, camera and poses. DataError without a camera."""
    if sequence.camera is None:
        raise DataError(f"{sequence.name}: has no camera; a mirrored image needs its width")
    keypoints_2d, confidence = flip_2d(sequence.keypoints_2d, sequence.confidence, sequence.camera.width)
    return dataclasses.replace(
        sequence,
        keypoints_2d=keypoints_2d,
        confidence=confidence,
        camera=sequence.camera.flipped(),
        poses_3d=None if sequence.poses_3d is None else flip_3d(sequence.poses_3d),
        annotation_2d=None,
    )


class Features(ABC):
    """How a network sees a person and how its outputs become poses: what `model.features` names.

    n_features, n_targets: columns of the network's input and output. Constructor arguments are plain values; the lifter
    keeps them beside its weights.
    """

    n_features: ClassVar[int]
    n_targets: ClassVar[int] = N_TARGETS
    #: Whether they make use of `camera.gravity`.
    uses_gravity: ClassVar[bool] = False

    @abstractmethod
    def encode(self, sequence: PoseSequence, causal: bool) -> tuple[Tensor, Any]:
        """Features (T, n_features) of a person's detections and camera, not standardised; and the view, whatever
        `targets` and `poses` need to know of it.

        causal: features of a frame may depend on that frame and those before it only. The sequence's poses are truth
        to train on, or missing: features never depend on them.
        """

    @abstractmethod
    def targets(self, poses_3d: Tensor, view: Any) -> Tensor:
        """Poses (T, 17, 3) in mm, camera coordinates -> targets (T, n_targets), not standardised."""

    @abstractmethod
    def poses(self, targets: Tensor, view: Any) -> Tensor:
        """Inverse of `targets`: (T, n_targets) -> (T, 17, 3) in mm."""


class PublishedFeatures(Features):
    """The published ones: see the module. Without a view, each frame by itself."""

    n_features = N_FEATURES

    def encode(self, sequence: PoseSequence, causal: bool) -> tuple[Tensor, None]:
        if sequence.camera is None:
            raise DataError(f"{sequence.name}: has no camera; the lifter needs its intrinsics (fx, fy, cx, cy)")
        return features_2d(sequence.keypoints_2d, sequence.confidence, sequence.camera), None

    def targets(self, poses_3d: Tensor, view: Any) -> Tensor:
        return encode_3d(poses_3d)

    def poses(self, targets: Tensor, view: Any) -> Tensor:
        return decode_3d(targets)


@dataclass(frozen=True, eq=False)
class Standardiser:
    """x -> (x - mean) / std per column, and back. mean, std (C,).

    >>> standardise = Standardiser.fit(torch.tensor([[1.0, 10.0], [3.0, 30.0]]))
    >>> standardise(torch.tensor([[3.0, 20.0]]))
    tensor([[1., 0.]])
    """

    mean: Tensor
    std: Tensor

    def __post_init__(self) -> None:
        check_shape("mean", self.mean, ("C",), sizes := {})
        check_shape("std", self.std, ("C",), sizes)
        if not bool((self.std > 0).all()):
            column = int((~(self.std > 0)).nonzero()[0])
            raise DataError(
                f"std[{column}]={float(self.std[column]):g}: every column must vary over the training data; "
                "use more or more varied training sequences"
            )

    @classmethod
    def fit(cls, samples: Tensor) -> Standardiser:
        """Mean and population std of each column of (N, C), NaN left out, accumulated in float64, kept as float32.

        A column that never varies (a detector with constant scores) gets std 1.
        """
        check_shape("samples", samples, ("N", "C"))
        total = samples.new_zeros(samples.shape[1], dtype=torch.float64)
        square, count = total.clone(), total.clone()
        for chunk in samples.split(65536):
            chunk = chunk.double()
            good = ~chunk.isnan()
            total += chunk.nan_to_num().sum(0)
            count += good.sum(0)
        mean = total / count
        for chunk in samples.split(65536):
            square += (chunk.double() - mean).square().nan_to_num().sum(0)
        std = (square / count).sqrt()
        return cls(mean.float(), torch.where(std == 0, torch.ones_like(std), std).float())

    def __call__(self, values: Tensor) -> Tensor:
        return (values - self.mean.to(values)) / self.std.to(values)

    def invert(self, values: Tensor) -> Tensor:
        return values * self.std.to(values) + self.mean.to(values)
