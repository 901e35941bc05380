"""`PoseRows`: what a file of another program's 3D poses says, before people are tracked, placed and refined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from pose.errors import DataError, check_shape
from pose.joint_sets import JointSet

Space = Literal["camera", "world", "body"]
#: Longer videos and larger crowds are damaged files.
MAX_FRAMES, MAX_PEOPLE = 3_600_000, 1000
REMEDY = "docs/refine_your_own.md says what is read"


class Options(NamedTuple):
    """What the user says of a file that does not say it: its joint set's name, the image's (width, height) in px, the
    file of the body model whose parameters it has."""

    joint_set: str | None = None
    image_size: tuple[int, int] | None = None
    body_model: str | None = None


@dataclass(frozen=True, eq=False)
class PoseRows:
    """N rows, each a person in a frame.

    program: that wrote it. joints: of poses_3d (N, J, 3), NaN where unknown. frame (N,): 0-based. space: of poses_3d,
    which are always right-handed with x right, y down, z forward: `camera`, mm from the camera; `world`, mm from
    anywhere, y along gravity; `body`, from wherever the person is, in mm or, without `in_mm`, at a scale of its own.
    score (N, J) in 0..1, None: all that is finite counts. std_mm (N, J): standard deviations, None if unknown.
    identity (N,): who it is, None where people must be tracked. focal_px (N,), image_size (width, height): of the
    camera, None if unknown. keypoints_2d (N, J, 2): px of the joints in the image, None if unknown. notes: what a user
    must know, a sentence each.

    Raises ShapeError for arrays that do not agree, DataError for no or absurdly many rows and for no camera.
    """

    program: str
    joints: JointSet
    frame: np.ndarray
    poses_3d: np.ndarray
    space: Space
    in_mm: bool = True
    score: np.ndarray | None = None
    std_mm: np.ndarray | None = None
    identity: np.ndarray | None = None
    fps: float | None = None
    focal_px: np.ndarray | None = None
    image_size: tuple[int, int] | None = None
    keypoints_2d: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        sizes = {"J": len(self.joints), "N": len(self.frame)}
        for name, pattern in {
            "poses_3d": ("N", "J", 3),
            "score": ("N", "J"),
            "std_mm": ("N", "J"),
            "identity": ("N",),
            "focal_px": ("N",),
            "keypoints_2d": ("N", "J", 2),
        }.items():
            if getattr(self, name) is not None:
                check_shape(f"{self.program}: {name}", getattr(self, name), pattern, sizes)
        if not np.isfinite(self.poses_3d).all(-1).any():
            raise DataError(f"{self.program}: no pose in this file; {REMEDY}")
        focal, size = () if self.focal_px is None else self.focal_px, self.image_size
        if not (np.isfinite(focal).all() and np.greater(focal, 0).all()) or (size is not None and min(size) < 1):
            raise DataError(f"{self.program}: focal length {np.min(focal):g} px, image {size}: no camera; {REMEDY}")
        if self.frame.min() < 0 or self.frame.max() >= MAX_FRAMES or np.bincount(self.frame).max() > MAX_PEOPLE:
            raise DataError(f"{self.program}: frames {self.frame.min()} to {self.frame.max()} or a crowd; {REMEDY}")


def one_person(poses_3d: np.ndarray) -> dict[str, Any]:
    """frame, identity and poses_3d of one person's poses (T, J, 3); frames without any joint are left out."""
    frame = np.flatnonzero(np.isfinite(poses_3d).all(-1).any(-1))
    return {"frame": frame, "identity": np.zeros(len(frame), int), "poses_3d": poses_3d[frame]}
