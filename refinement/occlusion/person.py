"""One person as `refinement=occlusion` sees it: the input as arrays, its noise, and the solution."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import scipy  # its parts load when they are used

from pose.joint_sets import COCO_19, JointSet
from pose.sequence import PoseSequence
from refinement.occlusion.identity_switches import identity_switch_frames

if TYPE_CHECKING:
    from refinement.occlusion.model import OcclusionRefinement

#: A score of zero still weighs a little, so that every system can be solved.
SCORE_FLOOR = 0.03
#: The rate of the material that data weights were tuned on; weights are per second, so others are scaled to it.
TUNED_FPS = 30.0
#: Depth noise grows with distance; `root_depth_std_mm` is at this one.
TUNED_DISTANCE_MM = 4000.0
#: Roots nearer than this, or behind, mean that the coordinates are not a camera's.
NEAREST_MM = 300.0
#: Below this score a keypoint is not used at all.
MIN_KEYPOINT_SCORE = 0.05
#: A joint on top of the root still moves a little against it.
LEAST_REACH = 0.1
#: Window of the mean score around a frame, in seconds.
AROUND_S = 2 / 3
#: Detections do not have these joints; files hold some other joint in their place (docs/formats.md).
NOT_DETECTED = {"head_top", "head", "spine"}
#: COCO-19's are the middles of the hips and of the shoulders, on the tuning clips 107 and 72 mm from the skeleton's.
DERIVED = {"hip", "neck"}


@dataclass(frozen=True, eq=False)
class Person:
    """What the solver needs of a sequence, float64 NumPy.

    poses (T, J, 3) mm; score (T,) and joint_score (T, J) in 0..1, zero where undetected; rays (T, M, 2), the detected
    joints' x/z and y/z, or None without; keypoint_score (T, M); matched (M,): their places in the skeleton. metric:
    whether lengths are those of the body, as in normal coordinates. stature_mm: where it is known.
    """

    poses: np.ndarray
    score: np.ndarray
    joint_score: np.ndarray
    rays: np.ndarray | None
    keypoint_score: np.ndarray
    matched: np.ndarray
    joints: JointSet
    fps: float
    metric: bool = True
    stature_mm: float | None = None

    @classmethod
    def of(cls, sequence: PoseSequence) -> Person:
        scores = sequence.confidence.double().clamp(max=1.0).cpu().numpy() * sequence.detected.cpu().numpy()[:, None]
        frame = scores.mean(axis=1)
        names, detected = sequence.joints_3d.names, sequence.joints_2d.names
        joint_score = np.repeat(frame[:, None], len(names), axis=1)
        matched, columns = [], []
        for joint, name in enumerate(names):
            if name not in detected or name in NOT_DETECTED:
                continue
            joint_score[:, joint] = scores[:, detected.index(name)]
            if sequence.joints_2d == COCO_19 != sequence.joints_3d and name in DERIVED:
                continue
            matched.append(joint)
            columns.append(detected.index(name))
        points = sequence.keypoints_2d.double().cpu().numpy()
        rays = None
        if sequence.camera is not None and len(matched) and np.any(points):
            camera = sequence.camera
            rays = (points[:, columns] - [camera.cx, camera.cy]) / [camera.fx, camera.fy]
        poses = sequence.require("poses_3d").double().cpu().numpy()
        return cls(
            poses,
            frame,
            joint_score,
            rays,
            scores[:, columns],
            np.array(matched, dtype=int),
            sequence.joints_3d,
            sequence.fps,
            sequence.coordinates == "normal",
            sequence.stature_mm,
        )

    @cached_property
    def root(self) -> np.ndarray:
        return self.poses[:, self.joints.root]

    @cached_property
    def relative(self) -> np.ndarray:
        return self.poses - self.root[:, None]

    @cached_property
    def reach(self) -> np.ndarray:
        """How far each joint usually is from the root, 1 on average, (J,): what is farther out moves and errs more."""
        distance = np.median(np.linalg.norm(self.relative, axis=-1), axis=0)
        others = np.arange(len(distance)) != self.joints.root
        mean = distance[others].mean() if others.any() else 0.0
        return np.where(others, np.maximum(distance / max(mean, 1e-6), LEAST_REACH), 1.0)

    def without_identity_switches(self, longest_s: float) -> Person:
        """The same person with zero scores where the keypoints are another person's (identity_switches.py)."""
        if self.rays is None or not _before_a_camera(self.root):
            return self
        places = self.rays * np.median(self.root[:, 2])
        return self.unseen(identity_switch_frames(places, self.keypoint_score, self.fps, longest_s))

    def unseen(self, frames: np.ndarray) -> Person:
        """The same person with zero scores in frames (T,) bool."""
        right = ~frames
        return dataclasses.replace(
            self,
            score=self.score * right,
            joint_score=self.joint_score * right[:, None],
            keypoint_score=self.keypoint_score * right[:, None],
        )

    def __getitem__(self, frames: slice) -> Person:
        """The same person in a stretch of frames."""
        cut = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in ("matched",)}
        return dataclasses.replace(
            self, **{key: value[frames] for key, value in cut.items() if isinstance(value, np.ndarray)}
        )


@dataclass(frozen=True, eq=False)
class Noise:
    """1/variance of everything said about a person, 1/mm².

    root (T, 3, 3); joints (T, J); root_full (T, 3, 3) and joints_full (J,), the same at full scores, with which robust
    terms measure residuals; keypoint_root and keypoint_joints (T, M); bones (T,); frames (T,): how much each frame is
    worth, relative.
    """

    root: np.ndarray
    root_full: np.ndarray
    joints: np.ndarray
    joints_full: np.ndarray
    keypoint_root: np.ndarray
    keypoint_joints: np.ndarray
    bones: np.ndarray
    frames: np.ndarray

    @classmethod
    def of(cls, keys: OcclusionRefinement, person: Person) -> Noise:
        per_frame = TUNED_FPS / person.fps
        score, floor = person.score, SCORE_FLOOR
        around = scipy.ndimage.uniform_filter1d(score, 2 * round(AROUND_S * person.fps / 2) + 1, mode="nearest") + floor
        frame = score + floor
        seen = person.rays is not None
        side = keys.root_side_std_mm if seen else keys.root_side_3d_only_std_mm
        depth = keys.root_depth_std_mm if seen else keys.root_depth_3d_only_std_mm
        root_full = _root_precision(person.root, side, depth) * per_frame
        root_trust = frame**keys.root_frame_score_exponent * around**keys.root_window_score_exponent
        frames = frame**keys.joint_frame_score_exponent * around**keys.joint_window_score_exponent
        joints_full = (keys.joint_std_mm * person.reach) ** -2.0
        joints = (person.joint_score + floor) ** keys.joint_score_exponent * frames[:, None] * joints_full * per_frame
        used = np.where(person.keypoint_score > MIN_KEYPOINT_SCORE, person.keypoint_score, 0.0)
        return cls(
            root=root_full * root_trust[:, None, None],
            root_full=root_full / per_frame,
            joints=joints,
            joints_full=joints_full,
            keypoint_root=_power(used, keys.keypoint_root_score_exponent) / keys.keypoint_root_std_mm**2 * per_frame,
            keypoint_joints=_power(used, keys.keypoint_joint_score_exponent)
            * (frame**keys.keypoint_frame_score_exponent)[:, None]
            / keys.keypoint_joint_std_mm**2
            * per_frame,
            bones=frames**keys.bone_frame_exponent / keys.bone_std_mm**2 * per_frame,
            frames=frames,
        )


@dataclass(frozen=True, eq=False)
class Solution:
    """poses (T, J, 3) mm; observed (T, J) bool; std (T, J): standard deviation of each coordinate, mm; scale_std: that
    of the logarithm of the person's size, which `std` holds too."""

    poses: np.ndarray
    observed: np.ndarray
    std: np.ndarray
    scale_std: float = 0.0


def _before_a_camera(root: np.ndarray) -> bool:
    """Whether these can be a camera's coordinates; in single frames a lifter that guesses may put a root anywhere."""
    if not len(root):
        return False
    tenth = np.interp(0.1 * (len(root) - 1), np.arange(len(root)), np.sort(root[:, 2]))  # a fixed lag asks often
    return bool(tenth >= NEAREST_MM)


def _power(scores: np.ndarray, power: float) -> np.ndarray:
    """scores ** power, zero staying zero."""
    return np.where(scores > 0, np.maximum(scores, 1e-9) ** power, 0.0)


def _root_precision(root: np.ndarray, side_mm: float, depth_mm: float) -> np.ndarray:
    """(T, 3, 3): side_mm across the viewing ray, depth_mm (at 4 m, growing with distance) along it."""
    across = np.broadcast_to(np.eye(3) / side_mm**2, (len(root), 3, 3))
    if not _before_a_camera(root):
        return across.copy()
    ray = root / np.maximum(np.linalg.norm(root, axis=1, keepdims=True), 1e-6)
    along = ray[:, :, None] * ray[:, None, :]
    # A person who seems much nearer than usual is no more certain for that.
    depth = depth_mm * np.maximum(root[:, 2], np.median(root[:, 2]) / 2) / TUNED_DISTANCE_MM
    return across - along / side_mm**2 + along / depth[:, None, None] ** 2
