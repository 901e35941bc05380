"""`Scene`: what `predict` makes of a video, all trajectories in one metric space. The type that exporters take."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from inference.cameras.motion import CameraMotion
from pose.cameras import Camera
from pose.coordinates import Coordinates
from pose.features import MIN_SCORE
from pose.joint_sets import COCO_19, MUPOTS_17
from pose.level import Leveling, World, check_leveling
from pose.sequence import PoseSequence


@dataclass(frozen=True, eq=False)
class Scene:
    """All people of one video.

    people: numbered from 0, longest track first, each over consecutive frames, with refined `poses_3d` (MuPoTS-17),
    `lifted_3d`, `observed`, detections (COCO-19) and, if the refinement states it, `std_mm`. fps: frames per second of
    the video. n_frames: its frames. camera: the intrinsics used, px. coordinates: normal or universal. source: the
    input's name. notes: what a user must know, one sentence each (such as how the camera was found). level: auto lets
    motion formats and pictures stand on the floor, camera leaves them as the camera was held. tilt_deg, roll_deg: how
    it was held, where that is known (pose/level.py). ground: the floor that the refinement let people stand on, if any.
    motion: whether the camera moved; if it did the room moves, and the level is a mean.

    Raises MismatchError for a person without one of these arrays, ConfigError for another level.

    >>> poses_3d = torch.zeros(60, 17, 3) + torch.tensor([0.0, 0.0, 4000.0])
    >>> camera = Camera(1500.0, 1500.0, 960.0, 540.0, 1920, 1080)
    >>> person = PoseSequence(
    ...     "clip.mp4", 0, camera, 30.0, torch.full((60, 19, 2), 500.0), torch.full((60, 19), 0.9),
    ...     poses_3d=poses_3d, lifted_3d=poses_3d, observed=torch.ones(60, 17, dtype=torch.bool), coordinates="normal",
    ... )
    >>> scene = Scene([person], 30.0, 60, camera, "normal", "clip.mp4")
    >>> float(scene.people[0].root[:, 2].mean())  # mm from the camera
    4000.0
    """

    people: list[PoseSequence]
    fps: float
    n_frames: int
    camera: Camera
    coordinates: Coordinates
    source: str
    notes: list[str] = field(default_factory=list)
    level: Leveling = "auto"
    tilt_deg: float | None = None
    roll_deg: float | None = None
    ground: World | None = None
    motion: CameraMotion = field(default_factory=CameraMotion)

    def __post_init__(self) -> None:
        check_leveling(self.level)
        for person in self.people:
            for key in ("poses_3d", "lifted_3d", "observed"):
                person.require(key)

    @cached_property
    def world(self) -> World:
        """Where up and the floor are: as the refinement found them, else from all people's poses, or as given."""
        if self.ground is not None and self.level == "auto":
            return self.ground
        poses, observed = (
            np.concatenate([array_of(person, key) for person in self.people] or [np.zeros(shape)])
            for key, shape in (("poses_3d", (0, len(MUPOTS_17), 3)), ("observed", (0, len(MUPOTS_17))))
        )
        return World.fit(poses, observed.astype(bool), self.tilt_deg, self.roll_deg, self.level)


def hip_offset_px(person: PoseSequence, camera: Camera) -> Tensor:
    """(T,) how far the middle of the hips, projected, is from the detected one; NaN where that was not seen.

    Not of the joint `hip`, the pelvis: in skeletons of motion capture it lies a hand's breadth above.
    """
    sides = [MUPOTS_17.index(name) for name in ("left_hip", "right_hip")]
    hip = COCO_19.index("hip")
    projected = camera.project(person.require("poses_3d")[:, sides].mean(dim=1))
    offset = (projected - person.keypoints_2d[:, hip]).norm(dim=-1)
    return offset.masked_fill(person.confidence[:, hip] < MIN_SCORE, torch.nan)


def array_of(person: PoseSequence, key: str) -> np.ndarray:
    """An array of a person, such as poses_3d, for NumPy."""
    return person.require(key).cpu().numpy()
