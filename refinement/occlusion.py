"""`refinement=occlusion`: where was each joint, given what the lifter said, what the detector saw, and how people move?

For each person the refined trajectory is the most probable one under a Gaussian model with robust data terms:

- the lifter's root and relative joints, each with a standard deviation that grows as detection scores fall: the joint's
  own score, the frame's mean score and the mean around it (the network looks at many frames, so unseen ones spoil their
  neighbours); the root's depth is trusted apart from its sideways place;
- the 2D keypoints: root plus relative joint, seen through the camera, should meet the detected joint;
- motion: the root's and the joints' velocities are Ornstein-Uhlenbeck processes, given by a speed and the time for
  which it lasts. That is a weight on first and on second differences, in physical units whatever the frame rate;
- each bone has one length per person, its weighted median.

Root and relative joints are solved for in turn, a few times, with robust weights from the last solution: a lifter's
root or a keypoint far from everything else loses its say, which is what happens where a detection belongs to another
person. Every solve is a banded system (refinement/blocks.py), so the cost is linear in the frames. The result is a
local minimum of a model, not the truth. Without a camera or 2D keypoints these terms are left out; coordinates that are
not in front of a camera get no separate depth.

The values were tuned by random search on errors of a small lifter on CMU motion capture (simulated cameras and
detections) that neither its training nor the figures in docs/refinement_results.md use; among settings that did about
as well there, the root's motion and the `alone` values were chosen with an eye on the reference noise of
tests/refinement/test_occlusion.py, which is therefore no independent judge of them.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import uniform_filter1d

from pose.errors import ConfigError
from pose.joint_sets import JointSet
from pose.sequence import PoseSequence
from refinement.blocks import point_variances, solve_points
from refinement.refiner import Progress, RefinementResult, check_refinable

#: A score of zero still weighs a little, so that every system can be solved.
SCORE_FLOOR = 0.03
#: The rate of the material that data weights were tuned on; weights are per second, so others are scaled to it.
TUNED_FPS = 30.0
#: Depth noise grows with distance; `root_depth_mm` is at this one.
TUNED_DISTANCE_MM = 4000.0
#: A root nearer than this, or behind, means that the coordinates are not a camera's.
NEAREST_MM = 300.0
#: Below this score a keypoint is not used at all, and a joint counts as inferred below the second.
MIN_KEYPOINT_SCORE, MIN_OBSERVED_SCORE = 0.05, 0.3
#: Window of the mean score around a frame, in seconds.
AROUND_S = 2 / 3
#: Detections do not have these joints; files hold some other joint in their place (docs/formats.md).
NOT_DETECTED = {"head_top", "head", "spine"}


@dataclass(frozen=True)
class OcclusionRefinement:
    """The product's refinement. See the module's docstring for the model; fields are the keys of its configuration.

    *_mm: standard deviations at full scores: of the lifter's root sideways and in depth (at 4 m), `alone` where there
    are no 2D keypoints; of its relative joints; of a keypoint, for the root and for its joint, at the body's distance.
    *_power: how fast 1/variance falls with a score (joint, keypoint: its own; frame: the frame's mean; around: the mean
    over 2/3 s). *_outlier_mm: a keypoint that far off has lost three quarters of its weight; root_outlier: the same for
    the lifter's root, in squared standard deviations. *_speed (mm/s), *_lasting (s): the motion model. bone_share: how
    much of a bone's deviation from its person's length is removed. rounds: how often root and joints are solved.
    lag: null, or the number of later frames that a frame may be refined from (refinement/fixed_lag.py).

    Raises ConfigError naming the key for a value that cannot be used; called, as `PaperRefinement`.
    """

    root_side_mm: float = 3000.0
    root_depth_mm: float = 370.0
    root_side_alone_mm: float = 30.0
    root_depth_alone_mm: float = 120.0
    root_frame_power: float = 2.2
    root_around_power: float = 0.6
    root_outlier: float = 0.73
    root_speed: float = 780.0
    root_lasting: float = 1.7
    joint_mm: float = 48.0
    joint_power: float = 1.7
    joint_frame_power: float = 1.2
    joint_around_power: float = 3.1
    joint_speed: float = 2700.0
    joint_lasting: float = 0.15
    keypoint_root_mm: float = 110.0
    keypoint_root_power: float = 2.7
    keypoint_root_outlier_mm: float = 107.0
    keypoint_joint_mm: float = 35.0
    keypoint_joint_power: float = 5.2
    keypoint_frame_power: float = 1.4
    keypoint_joint_outlier_mm: float = 310.0
    bone_share: float = 0.6
    rounds: int = 4
    lag: int | None = None

    name = "occlusion"

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            key, value = field.name, getattr(self, field.name)
            if key == "lag":
                if value is not None and (not isinstance(value, int) or value < 0):
                    raise ConfigError(f"lag={value}: must be a whole number of frames >= 0, or null for none")
            elif key == "rounds":
                if not isinstance(value, int) or value < 1:
                    raise ConfigError(f"rounds={value}: must be a whole number >= 1")
            elif key.endswith("power") or key == "bone_share":
                highest = 1.0 if key == "bone_share" else np.inf
                if not 0 <= value <= highest:
                    raise ConfigError(f"{key}={value}: must be between 0 and {highest:g}")
            elif not (0 < value < np.inf):
                raise ConfigError(f"{key}={value}: must be a positive number")

    def __call__(self, sequences: list[PoseSequence], progress: Progress | None = None) -> RefinementResult:
        from refinement.fixed_lag import solve_fixed_lag

        start = time.perf_counter()
        for sequence in sequences:
            check_refinable(sequence)
        refined, observed, deviations = [], [], []
        for sequence in sequences:
            person = Person.of(sequence)
            poses, std = self.solve(person) if self.lag is None else solve_fixed_lag(self, person, self.lag)
            given = _given(sequence)
            refined.append(dataclasses.replace(sequence, poses_3d=torch.from_numpy(poses).to(given)))
            observed.append(torch.from_numpy(person.joint_score >= MIN_OBSERVED_SCORE))
            deviations.append(torch.from_numpy(std).to(given))
            if progress is not None:
                progress(len(refined), len(sequences))
        return RefinementResult(refined, time.perf_counter() - start, observed=observed, std_mm=deviations)

    def solve(self, person: Person) -> tuple[np.ndarray, np.ndarray]:
        """Refined poses (T, J, 3) mm and their standard deviations (T, J) mm."""
        noise = _Noise.of(self, person)
        root0, relative0 = person.root, person.relative
        root, relative = root0, relative0
        root_prior = _motion_weights(self.root_speed, self.root_lasting, person.fps)
        joint_prior = _motion_weights(self.joint_speed, self.joint_lasting, person.fps)
        joints = np.ones(relative.shape[1])
        A_root = A_joints = np.zeros(0)
        for _ in range(self.rounds):
            off = _keypoint_residuals(person, root, relative)
            trust = (
                1
                / (1 + np.einsum("ti,tij,tj->t", root - root0, noise.root_full, root - root0) / self.root_outlier) ** 2
            )
            A_root = noise.root * trust[:, None, None]
            b = np.einsum("tij,tj->ti", A_root, root0)
            if person.rays is not None:
                weights = noise.keypoint_root / (1 + off / self.keypoint_root_outlier_mm**2) ** 2
                # Root + relative joint on the ray: (X + r)_xy = ray_xy (Z + r_z).
                lines, target = _ray_terms(person.rays, -_across(person.rays, relative[:, person.matched]), weights)
                A_root, b = A_root + lines.sum(1), b + target.sum(1)
            root = solve_points(A_root[None], b[None], joints[:1] * root_prior[0], joints[:1] * root_prior[1])[0]

            A_joints = noise.joints.T[..., None, None] * np.eye(3)
            b_joints = (noise.joints[..., None] * relative0).transpose(1, 0, 2)
            if person.rays is not None:
                weights = noise.keypoint_joints / (1 + off / self.keypoint_joint_outlier_mm**2) ** 2
                lines, target = _ray_terms(person.rays, -_across(person.rays, root[:, None]), weights)
                A_joints[person.matched] += lines.transpose(1, 0, 2, 3)
                b_joints[person.matched] += target.transpose(1, 0, 2)
            relative = solve_points(A_joints, b_joints, joints * joint_prior[0], joints * joint_prior[1]).transpose(
                1, 0, 2
            )
            relative[:, person.joints.root] = 0.0
        relative = _steady_bones(relative, relative0, noise.frames, person.joints, self.bone_share)
        variance = point_variances(A_joints, joints * joint_prior[0], joints * joint_prior[1])
        variance[person.joints.root] = 0.0
        variance += point_variances(A_root[None], joints[:1] * root_prior[0], joints[:1] * root_prior[1])
        return root[:, None] + relative, np.sqrt(variance.T / 3)


@dataclass(frozen=True, eq=False)
class Person:
    """What the solver needs of a sequence, float64 NumPy.

    poses (T, J, 3) mm; score (T,) and joint_score (T, J) in 0..1, zero where undetected; rays (T, M, 2), the detected
    joints' x/z and y/z, with keypoint_score (T, M) and `matched` (M,), their places in the skeleton, or None without.
    """

    poses: np.ndarray
    score: np.ndarray
    joint_score: np.ndarray
    rays: np.ndarray | None
    keypoint_score: np.ndarray
    matched: np.ndarray
    joints: JointSet
    fps: float

    @classmethod
    def of(cls, sequence: PoseSequence) -> Person:
        scores = sequence.confidence.double().clamp(max=1.0).cpu().numpy() * sequence.detected.cpu().numpy()[:, None]
        frame = scores.mean(axis=1)
        names, detected = sequence.joints_3d.names, sequence.joints_2d.names
        pairs = [
            (j, detected.index(name)) for j, name in enumerate(names) if name in detected and name not in NOT_DETECTED
        ]
        joint_score = np.repeat(frame[:, None], len(names), axis=1)
        matched, columns = (np.array(values, dtype=int) for values in (zip(*pairs, strict=True) if pairs else ((), ())))
        joint_score[:, matched] = scores[:, columns]
        points = sequence.keypoints_2d.double().cpu().numpy()
        rays = None
        if sequence.camera is not None and len(matched) and np.any(points):
            camera = sequence.camera
            rays = (points[:, columns] - [camera.cx, camera.cy]) / [camera.fx, camera.fy]
        poses = _given(sequence).double().cpu().numpy()
        return cls(poses, frame, joint_score, rays, scores[:, columns], matched, sequence.joints_3d, sequence.fps)

    @property
    def root(self) -> np.ndarray:
        return self.poses[:, self.joints.root]

    @property
    def relative(self) -> np.ndarray:
        return self.poses - self.root[:, None]

    def __getitem__(self, frames: slice) -> Person:
        """The same person in a stretch of frames."""
        cut = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in ("matched",)}
        return dataclasses.replace(
            self, **{key: value[frames] for key, value in cut.items() if isinstance(value, np.ndarray)}
        )


@dataclass(frozen=True, eq=False)
class _Noise:
    """1/variance of everything said about a person, 1/mm².

    root (T, 3, 3) and root_full, the same at full scores; joints (T, J); keypoint_root and keypoint_joints (T, M);
    frames (T,): how much each frame is worth, relative.
    """

    root: np.ndarray
    root_full: np.ndarray
    joints: np.ndarray
    keypoint_root: np.ndarray
    keypoint_joints: np.ndarray
    frames: np.ndarray

    @classmethod
    def of(cls, keys: OcclusionRefinement, person: Person) -> _Noise:
        per_frame = TUNED_FPS / person.fps
        score, floor = person.score, SCORE_FLOOR
        around = uniform_filter1d(score, 2 * round(AROUND_S * person.fps / 2) + 1, mode="nearest") + floor
        frame = score + floor
        seen = person.rays is not None
        side = keys.root_side_mm if seen else keys.root_side_alone_mm
        depth = keys.root_depth_mm if seen else keys.root_depth_alone_mm
        root_full = _root_precision(person.root, side, depth) * per_frame
        root_trust = frame**keys.root_frame_power * around**keys.root_around_power
        frames = frame**keys.joint_frame_power * around**keys.joint_around_power
        joints = (person.joint_score + floor) ** keys.joint_power * frames[:, None] / keys.joint_mm**2 * per_frame
        used = np.where(person.keypoint_score > MIN_KEYPOINT_SCORE, person.keypoint_score, 0.0)
        return cls(
            root=root_full * root_trust[:, None, None],
            root_full=root_full / per_frame,
            joints=joints,
            keypoint_root=_power(used, keys.keypoint_root_power) / keys.keypoint_root_mm**2 * per_frame,
            keypoint_joints=_power(used, keys.keypoint_joint_power)
            * (frame**keys.keypoint_frame_power)[:, None]
            / keys.keypoint_joint_mm**2
            * per_frame,
            frames=frames,
        )


def _given(sequence: PoseSequence) -> torch.Tensor:
    poses = sequence.poses_3d
    if poses is None:
        raise ConfigError(f"{sequence.name}: no 3D poses to refine")
    return poses


def _power(scores: np.ndarray, power: float) -> np.ndarray:
    """scores ** power, zero staying zero."""
    return np.where(scores > 0, np.maximum(scores, 1e-9) ** power, 0.0)


def _motion_weights(speed: float, lasting: float, fps: float) -> tuple[float, float]:
    """Weights of |first| and |second differences|² of a velocity with this standard deviation and correlation time."""
    diffusion = 2 * speed**2 / lasting
    return fps / (diffusion * lasting**2), fps**3 / diffusion


def _root_precision(root: np.ndarray, side_mm: float, depth_mm: float) -> np.ndarray:
    """(T, 3, 3): side_mm across the viewing ray, depth_mm (at 4 m, growing with distance) along it."""
    across = np.broadcast_to(np.eye(3) / side_mm**2, (len(root), 3, 3))
    if root[:, 2].min() < NEAREST_MM:
        return across.copy()
    distance = np.linalg.norm(root, axis=1)
    ray = root / distance[:, None]
    along = ray[:, :, None] * ray[:, None, :]
    depth = depth_mm * root[:, 2] / TUNED_DISTANCE_MM
    return across - along / side_mm**2 + along / depth[:, None, None] ** 2


def _across(rays: np.ndarray, points: np.ndarray) -> np.ndarray:
    """How far points (T, M or 1, 3) lie beside rays (T, M, 2), in x and y at their own depth: (T, M, 2) mm."""
    return points[..., :2] - rays * points[..., 2:]


def _keypoint_residuals(person: Person, root: np.ndarray, relative: np.ndarray) -> np.ndarray:
    """Squared distance of each matched joint from its ray, mm² (T, M)."""
    if person.rays is None:
        return np.zeros(0)
    return (_across(person.rays, root[:, None] + relative[:, person.matched]) ** 2).sum(axis=-1)


def _ray_terms(rays: np.ndarray, target: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A (T, M, 3, 3), b (T, M, 3) of weights * |(x - u z, y - v z) - target|² for a point (x, y, z), rays (u, v)."""
    u, v = rays[..., 0], rays[..., 1]
    A = np.zeros((*weights.shape, 3, 3))
    A[..., 0, 0] = A[..., 1, 1] = weights
    A[..., 0, 2] = A[..., 2, 0] = -weights * u
    A[..., 1, 2] = A[..., 2, 1] = -weights * v
    A[..., 2, 2] = weights * (u * u + v * v)
    b = np.stack([target[..., 0], target[..., 1], -(u * target[..., 0] + v * target[..., 1])], axis=-1)
    return A, b * weights[..., None]


def _steady_bones(
    relative: np.ndarray, given: np.ndarray, frames: np.ndarray, joints: JointSet, share: float
) -> np.ndarray:
    """Move each bone's length by `share` toward its weighted median over the frames, from the root outward."""
    if share == 0 or not joints.parents:
        return relative
    parents = list(joints.parents)
    length = np.linalg.norm(given - given[:, parents], axis=-1)
    order = np.argsort(length, axis=0)
    below = np.cumsum(frames[order], axis=0)
    middle = (below >= below[-1] / 2).argmax(axis=0)
    typical = np.take_along_axis(length, np.take_along_axis(order, middle[None], axis=0), axis=0)[0]
    bones = relative - relative[:, parents]
    now = np.linalg.norm(bones, axis=-1)
    bones *= (1 - share + share * typical / np.maximum(now, 1e-6))[..., None]
    steady = relative.copy()
    placed = {joints.root}
    while len(placed) < len(parents):
        for joint, parent in enumerate(parents):
            if joint not in placed and parent in placed:
                steady[:, joint] = steady[:, parent] + bones[:, joint]
                placed.add(joint)
    return steady
