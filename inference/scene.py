"""What `predict` makes of a video: every person's trajectory in one metric space. The type that exporters take."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from pose.cameras import Camera
from pose.coordinates import Coordinates
from pose.errors import check_shape
from pose.features import MIN_SCORE
from pose.joint_sets import COCO_19, MUPOTS_17


@dataclass(frozen=True, eq=False)
class PredictedPerson:
    """One person over T consecutive frames, from the track's first frame to its last.

    person: number, from 0, longest track first. frame (T,): 0-based frames of the video.
    poses_3d (T, 17, 3) mm, camera coordinates (x right, y down, z forward), MuPoTS-17: refined. poses_3d_plain: before
    refinement. observed (T, 17) bool: rests on what was seen in that frame, false: inferred from other frames.
    confidence (T,): 0..1, the mean score of the frame's detection, 0 where there was none. std_mm (T, 17): standard
    deviation of each joint's place, None if the refinement has none. keypoints_2d (T, 19, 2) px and scores (T, 19):
    COCO-19, zeros where undetected.
    """

    person: int
    frame: np.ndarray
    poses_3d: np.ndarray
    poses_3d_plain: np.ndarray
    observed: np.ndarray
    confidence: np.ndarray
    keypoints_2d: np.ndarray
    scores: np.ndarray
    std_mm: np.ndarray | None = None

    def __post_init__(self) -> None:
        sizes = {"J": len(MUPOTS_17), "K": len(COCO_19)}
        for name, pattern in {
            "frame": ("T",),
            "poses_3d": ("T", "J", 3),
            "poses_3d_plain": ("T", "J", 3),
            "observed": ("T", "J"),
            "confidence": ("T",),
            "keypoints_2d": ("T", "K", 2),
            "scores": ("T", "K"),
            "std_mm": ("T", "J"),
        }.items():
            if getattr(self, name) is not None:
                check_shape(f"person {self.person}: {name}", getattr(self, name), pattern, sizes)

    def __len__(self) -> int:
        return len(self.frame)

    def hip_offset_px(self, camera: Camera) -> np.ndarray:
        """(T,) how far the middle of the hips, projected, is from the detected one; NaN where that was not seen.

        Not of the joint `hip`, the pelvis: in skeletons of motion capture it lies a hand's breadth above.
        """
        sides = [MUPOTS_17.index(name) for name in ("left_hip", "right_hip")]
        projected = camera.project(torch.from_numpy(self.poses_3d[:, sides].mean(axis=1))).numpy()
        hip = COCO_19.index("hip")
        offset = np.linalg.norm(projected - self.keypoints_2d[:, hip], axis=1)
        return np.where(self.scores[:, hip] >= MIN_SCORE, offset, np.nan)


@dataclass(frozen=True, eq=False)
class PredictedScene:
    """All people of one video.

    fps: frames per second of the video. n_frames: its frames. camera: the intrinsics used, px. coordinates: normal or
    universal. source: the input's name. notes: what a user must know, one sentence each (such as how the camera was
    found).

    >>> person = PredictedPerson(
    ...     person=0,
    ...     frame=np.arange(60),
    ...     poses_3d=np.zeros((60, 17, 3)) + [0, 0, 4000],
    ...     poses_3d_plain=np.zeros((60, 17, 3)) + [0, 0, 4000],
    ...     observed=np.ones((60, 17), dtype=bool),
    ...     confidence=np.full(60, 0.9),
    ...     keypoints_2d=np.full((60, 19, 2), 500.0),
    ...     scores=np.full((60, 19), 0.9),
    ... )
    >>> camera = Camera(1500.0, 1500.0, 960.0, 540.0, 1920, 1080)
    >>> scene = PredictedScene([person], 30.0, 60, camera, "normal", "clip.mp4")
    >>> float(scene.people[0].poses_3d[:, MUPOTS_17.index("hip"), 2].mean())  # mm from the camera
    4000.0
    """

    people: list[PredictedPerson]
    fps: float
    n_frames: int
    camera: Camera
    coordinates: Coordinates
    source: str
    notes: list[str] = field(default_factory=list)
