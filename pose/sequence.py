"""`PoseSequence`: one person over time, the type that readers return and every stage takes and gives.

Shapes: T frames, K joints of the 2D set, J joints of the 3D set. Masks are distinct and true means good:
`detected` (a detector found the person), `annotated` (the 3D truth counts), `visible` (a joint is not occluded).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from pose.cameras import Camera
from pose.coordinates import Coordinates, check_coordinates
from pose.errors import ConfigError, MismatchError, check_number, check_shape
from pose.joint_sets import COCO_19, MUPOTS_17, JointSet


@dataclass(frozen=True, eq=False)
class PoseSequence:
    """One person's frames, in order.

    sequence, person: where it comes from, such as "TS1" and 0; `name` joins them.
    camera: intrinsics in pixels, or None if unknown.
    fps: frames per second of this material as it stands (after any decimation).
    keypoints_2d (T, K, 2) px and confidence (T, K) in 0..1, zeros where undetected.
    detected (T,): the frame holds a valid detection.
    poses_3d (T, J, 3) mm, camera coordinates: annotation or prediction, NaN where there is none; None if unknown.
    annotation_2d (T, J, 2) px: where the annotation puts the joints of the 3D set in the image; None if unknown.
    annotated (T,): the annotation of that frame counts in an evaluation.
    visible (T, J): the joint is not occluded.
    frame (T,): 0-based frame numbers in the source video.
    coordinates: "normal" or "universal", whichever `poses_3d` holds; None without poses.
    stature_mm: how tall the person is known to be; None if unknown.
    Of predictions, None where unknown: observed (T, J), the joint's place rests on what was seen in that frame, false
    where it was inferred from others; std_mm (T, J), standard deviation of the joint's place, mm; lifted_3d (T, J, 3)
    mm, the poses before refinement.

    Masks default to all true. Arrays of different lengths, a frame rate that is not positive and an unknown coordinates
    raise ShapeError or ConfigError.

    >>> camera = Camera(1500.0, 1500.0, 960.0, 540.0, 1920, 1080)
    >>> person = PoseSequence("TS1", 0, camera, 30.0, torch.zeros(60, 19, 2), torch.zeros(60, 19))
    >>> person
    PoseSequence(TS1/0, 60 frames at 30 fps, COCO-19 -> MuPoTS-17, None)
    >>> person.with_poses(torch.zeros(60, 17, 3), "normal").decimated(2)
    PoseSequence(TS1/0, 30 frames at 15 fps, COCO-19 -> MuPoTS-17, normal)
    """

    sequence: str
    person: int
    camera: Camera | None
    fps: float
    keypoints_2d: Tensor
    confidence: Tensor
    detected: Tensor = None  # type: ignore[assignment]  # filled below
    poses_3d: Tensor | None = None
    annotation_2d: Tensor | None = None
    annotated: Tensor = None  # type: ignore[assignment]  # filled below
    visible: Tensor = None  # type: ignore[assignment]  # filled below
    frame: Tensor = None  # type: ignore[assignment]  # filled below
    coordinates: Coordinates | None = None
    joints_2d: JointSet = COCO_19
    joints_3d: JointSet = MUPOTS_17
    stature_mm: float | None = None
    observed: Tensor | None = None
    std_mm: Tensor | None = None
    lifted_3d: Tensor | None = None

    def __post_init__(self) -> None:
        def default(name: str, make) -> None:
            if getattr(self, name) is None:
                object.__setattr__(self, name, make())

        length, device = len(self.keypoints_2d), self.keypoints_2d.device
        default("detected", lambda: torch.ones(length, dtype=torch.bool, device=device))
        default("annotated", lambda: torch.ones(length, dtype=torch.bool, device=device))
        default("visible", lambda: torch.ones(length, len(self.joints_3d), dtype=torch.bool, device=device))
        default("frame", lambda: torch.arange(length, device=device))
        sizes = {"T": length, "K": len(self.joints_2d), "J": len(self.joints_3d)}
        for name, pattern in {
            "keypoints_2d": ("T", "K", 2),
            "confidence": ("T", "K"),
            "detected": ("T",),
            "poses_3d": ("T", "J", 3),
            "annotation_2d": ("T", "J", 2),
            "annotated": ("T",),
            "visible": ("T", "J"),
            "frame": ("T",),
            "observed": ("T", "J"),
            "std_mm": ("T", "J"),
            "lifted_3d": ("T", "J", 3),
        }.items():
            if getattr(self, name) is not None:
                check_shape(f"{self.name}: {name}", getattr(self, name), pattern, sizes)
        check_number("fps", self.fps, above=0, hint=f"frames per second ({self.name})")
        if self.coordinates is not None:
            check_coordinates(self.coordinates)
        elif self.poses_3d is not None:
            raise ConfigError(f"{self.name}: poses_3d are given without a coordinates (normal or universal)")

    def __len__(self) -> int:
        return len(self.keypoints_2d)

    def __repr__(self) -> str:
        return (
            f"PoseSequence({self.name}, {len(self)} frames at {self.fps:g} fps, {self.joints_2d.name} -> "
            f"{self.joints_3d.name}, {self.coordinates})"
        )

    @property
    def name(self) -> str:
        return f"{self.sequence}/{self.person}"

    @property
    def root(self) -> Tensor:
        """Root positions (T, 3) in mm."""
        if self.joints_3d.root is None:
            raise MismatchError(f"{self.name}: joint set {self.joints_3d.name} has no root joint")
        return self.require("poses_3d")[:, self.joints_3d.root]

    def with_poses(self, poses_3d: Tensor, coordinates: Coordinates) -> PoseSequence:
        """The same person with other 3D poses (a prediction, a refinement); masks and detections are kept."""
        return dataclasses.replace(self, poses_3d=poses_3d, coordinates=coordinates)

    def require(self, key: str) -> Tensor:
        """The array of that name, such as poses_3d; MismatchError naming the person if there is none."""
        value = getattr(self, key)
        if value is None:
            raise MismatchError(f"{self.name}: has no {key}")
        return value

    def selected(self, frames: Tensor | slice) -> PoseSequence:
        """Only these frames: a mask (T,), indices or a slice."""
        arrays = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        chosen = {name: value[frames] for name, value in arrays.items() if isinstance(value, Tensor)}
        return dataclasses.replace(self, **chosen)

    def decimated(self, step: int) -> PoseSequence:
        """Every `step`-th frame from frame 0, at fps / step."""
        return self if step == 1 else dataclasses.replace(self.selected(slice(None, None, step)), fps=self.fps / step)


def one_coordinates(sequences: list[PoseSequence]) -> Coordinates | None:
    """The coordinates that all of them hold; MismatchError naming two sequences if they differ."""
    for sequence in sequences[1:]:
        if sequence.coordinates != sequences[0].coordinates:
            raise MismatchError(
                f"{sequences[0].name} is {sequences[0].coordinates}, {sequence.name} is {sequence.coordinates}: "
                "coordinates cannot be mixed"
            )
    return sequences[0].coordinates if sequences else None
