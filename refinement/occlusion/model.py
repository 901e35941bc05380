"""`refinement=occlusion`: where was each joint, given what the lifter said, what the detector saw, and how people move?

For each person the refined trajectory is the most probable one under a Gaussian model with robust data terms:

- the lifter's root and relative joints, each with a standard deviation that grows as detection scores fall: the joint's
  own score, the frame's mean score and the mean around it (the network looks at many frames, so unseen ones spoil their
  neighbours); the root's depth is trusted apart from its sideways place;
- the 2D keypoints: root plus relative joint, seen through the camera, should meet the detected joint;
- motion: the root's and the joints' velocities are Ornstein-Uhlenbeck processes, given by a speed and a time constant.
  That is a weight on first and on second differences, in physical units whatever the frame rate. A difference that is
  large for such a process loses weight (Student's t), so that a stroke or a jump keeps its height while slow motion is
  held calm. Joints far out on the body move and err more: their speeds and standard deviations are in proportion to
  their distance from the root;
- each bone has one length per person, drawn toward the proportions of adults where the lifter's cannot be right
  (bones.py). In the result the lengths are exactly constant. What is not known of a person's size is a part of the
  standard deviations that all frames have in common;
- the ground: where people's feet rest, one floor for the scene is found, and how large everybody must be to stand on it
  (ground.py). The solution is then refined with feet that keep their place and height (contact.py).

Before that, spans in which the detections jump to another person and back lose their scores: where they are another
track's (shared_detections.py), and where no body moves that fast (identity_switches.py).

Root and relative joints are solved for in turn, a few times, with robust weights from the last solution: a lifter's
root or a keypoint far from everything else loses its weight, which is what happens where a detection belongs to another
person. Every solve is a banded system (solver.py), so the cost is linear in the frames. The result is a
local minimum of a model, not the truth. Without a camera or 2D keypoints these terms are left out; coordinates that are
not in front of a camera get no separate depth.

The model takes errors of different frames as independent; a lifter's last. So the standard deviations that follow
from it are multiplied by three factors, for which root mean square errors lie within one of them in 68% of cases on
the errors that the other values were tuned on. A lifter with other errors asks for others.

The values were found by random search and single changes: at first on errors of a small lifter on CMU motion capture,
since then on scenes of other motion, of people that the pretrained lifter was trained on, with the errors of that
lifter and of one before it (benchmarks/studies/refinement_motion.py, `--part train`). Among settings that did about as
well, those were kept with which the reference noise of tests/refinement/occlusion/test_model.py and a fixed lag on
white noise do well, so these are no independent judges.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass

import numpy as np
import torch

from pose.errors import check_number
from pose.progress import Progress
from pose.sequence import PoseSequence
from refinement.occlusion.bones import Bones, with_rigid_head
from refinement.occlusion.contact import LEGS
from refinement.occlusion.fixed_lag import solve_fixed_lag
from refinement.occlusion.ground import Footing, GroundSetting, check_ground, on_the_ground
from refinement.occlusion.person import Noise, Person, Solution
from refinement.occlusion.shared_detections import without_foreign_detections
from refinement.occlusion.solver import point_variances, solve_points, sweep_skeleton
from refinement.refiner import RefinementResult, check_refinable, with_refined

#: Below this score a joint counts as inferred.
MIN_OBSERVED_SCORE = 0.3
#: The lifter is never believed to be farther off than 100 m, which keeps long unseen spans solvable.
LEAST_PRECISION = 1e-10


@dataclass(frozen=True)
class OcclusionRefinement:
    """The default refinement. See the module's docstring for the model; fields are the keys of its configuration.

    *_std_mm: standard deviations at full scores: of the lifter's root sideways and in depth (at 4 m), `3d_only` where
    there are no 2D keypoints; of its relative joints; of a keypoint, for the root and for its joint, at the body's
    distance; of a bone's length in the last round (it starts at `bone_weight_growth` ^ (rounds - 1) less weight).
    *_exponent: how fast 1/variance falls with a score (joint, keypoint: its own; frame: the frame's mean; window: the
    mean over 2/3 s; bone: with the joints' trust in the frame). *_outlier_mm: a keypoint that far off has lost three
    quarters of its weight; *_outlier_scale: the same for the lifter's root and joints, in squared standard deviations.
    *_speed_std_mm_s, *_time_constant_s: the motion model; *_motion_tail: a squared difference of so many times its
    variance has lost half of its weight. stature_mm, stature_std_mm: the prior of adults; lifter_length_factor: how
    much the lifter's bone lengths may be off, in units of how much they change. identity_switch_s: the longest span
    that is rejected as another person's, 0 for none. *_std_factor: factors on the stated standard deviations of the
    root and of the other joints, observed or inferred. rounds: how often root and joints are solved. lag: null, or the
    number of later frames that a frame may be refined from (refinement/occlusion/fixed_lag.py). ground: auto lets
    people stand on one floor whose feet rest on one, plane everybody whose feet rest anywhere, off nobody.

    Raises ConfigError naming the key for a value that cannot be used; called, as `PaperRefinement`.

    >>> poses_3d = torch.zeros(60, 17, 3) + torch.tensor([0.0, 0.0, 4000.0])  # mm
    >>> poses_3d[20:30, :, 2] += 800  # ten undetected frames
    >>> confidence = torch.ones(60, 19)
    >>> confidence[20:30] = 0
    >>> person = PoseSequence(
    ...     "TS1", 0, None, 30.0, torch.zeros(60, 19, 2), confidence, poses_3d=poses_3d, coordinates="normal"
    ... )
    >>> (refined,) = OcclusionRefinement()([person]).sequences
    >>> bool((refined.root[25, 2] - 4000).abs() < 20)
    True
    >>> refined.observed[:, 0].sum(), refined.std_mm.shape
    (tensor(50), torch.Size([60, 17]))
    """

    root_side_std_mm: float = 4400.0
    root_depth_std_mm: float = 470.0
    root_side_3d_only_std_mm: float = 30.0
    root_depth_3d_only_std_mm: float = 120.0
    root_frame_score_exponent: float = 2.3
    root_window_score_exponent: float = 0.0
    root_outlier_scale: float = 0.68
    root_speed_std_mm_s: float = 780.0
    root_time_constant_s: float = 1.7
    root_motion_tail: float = 0.1
    joint_std_mm: float = 16.0
    joint_score_exponent: float = 2.1
    joint_frame_score_exponent: float = 1.85
    joint_window_score_exponent: float = 1.93
    joint_speed_std_mm_s: float = 500.0
    joint_time_constant_s: float = 0.15
    joint_motion_tail: float = 0.05
    joint_outlier_scale: float = 0.42
    keypoint_root_std_mm: float = 65.0
    keypoint_root_score_exponent: float = 2.35
    keypoint_root_outlier_mm: float = 119.0
    keypoint_joint_std_mm: float = 36.0
    keypoint_joint_score_exponent: float = 1.3
    keypoint_frame_score_exponent: float = 1.6
    keypoint_joint_outlier_mm: float = 254.0
    bone_std_mm: float = 10.0
    bone_frame_exponent: float = 0.5
    bone_weight_growth: float = 2.5
    stature_mm: float = 1680.0
    stature_std_mm: float = 90.0
    lifter_length_factor: float = 2.5
    identity_switch_s: float = 5.0
    root_std_factor: float = 4.0
    observed_std_factor: float = 2.6
    inferred_std_factor: float = 1.4
    rounds: int = 7
    lag: int | None = None
    ground: GroundSetting = "auto"

    name = "occlusion"

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            key, value = field.name, getattr(self, field.name)
            if key == "lag":
                if value is not None:
                    check_number(key, value, low=0, whole=True, hint="frames, or null to refine from all of them")
            elif key == "ground":
                check_ground(value)
            elif key == "rounds":
                check_number(key, value, low=1, whole=True)
            elif key == "bone_weight_growth":
                check_number(key, value, low=1)
            elif key.endswith("exponent") or key == "identity_switch_s":
                check_number(key, value, low=0)
            else:
                check_number(key, value, above=0)

    def __call__(self, sequences: list[PoseSequence]) -> RefinementResult:
        start = time.perf_counter()
        for sequence in sequences:
            check_refinable(sequence)
        people = [Person.of(sequence) for sequence in sequences]
        if self.lag is None and self.identity_switch_s > 0:
            people = without_foreign_detections(sequences, people)
        progress = Progress("refinement", sum(map(len, sequences)))
        solutions = [
            self.solve(one, progress=progress) if self.lag is None else solve_fixed_lag(self, one, self.lag)
            for one in people
        ]
        ground, notes = None, []
        if self.ground != "off" and self.lag is None:
            solutions, ground, notes = on_the_ground(self, sequences, people, solutions)
        refined = []
        for sequence, found in zip(sequences, solutions, strict=True):
            given = sequence.require("poses_3d")
            poses, std = (torch.from_numpy(values).to(given) for values in (found.poses, found.std))
            refined.append(with_refined(sequence, poses, torch.from_numpy(found.observed).to(given.device), std))
        scale_std_pct = tuple(100 * found.scale_std for found in solutions)
        return RefinementResult(refined, time.perf_counter() - start, None, scale_std_pct, ground, notes)

    def solve(
        self,
        person: Person,
        rounds: int | None = None,
        footing: Footing | None = None,
        asked: slice = slice(None),
        progress: Progress | None = None,
    ) -> Solution:
        """One person's solution after `rounds`, or as many as the key says; with footing on the floor, started from a
        solution without it. asked: the frames of which the standard deviations are."""
        person = person.without_identity_switches(self.identity_switch_s)
        noise = Noise.of(self, person)
        bones = Bones.of(self, person, noise.frames)
        contact, start = None, None
        if footing is not None:  # all that the lifter says, at the size with which the person stands on the floor
            contact, grown = footing.contact, np.exp(footing.scale)
            bones = dataclasses.replace(bones, lengths=bones.lengths * grown, scale_std=footing.scale_std)
            person = dataclasses.replace(person, poses=person.poses * grown)
            start = dataclasses.replace(person, poses=footing.start * grown)
        root0 = person.root
        relative0 = bones.exact(person.relative) if bones.scale_std > 0 else person.relative
        root, relative = (root0, relative0) if start is None else (start.root, start.relative)
        root_motion = _motion_weights(np.ones(1), self.root_speed_std_mm_s, self.root_time_constant_s, person.fps)
        joint_motion = _motion_weights(person.reach, self.joint_speed_std_mm_s, self.joint_time_constant_s, person.fps)
        root_prior = root_core = _heavy_tailed(root_motion, root[:, None], np.inf)
        joint_prior = joint_core = _heavy_tailed(joint_motion, relative, np.inf)
        A_root = A_joints = np.zeros(0)
        rounds = rounds or self.rounds
        progress = progress or Progress("refinement on the floor", len(person.poses))
        for turn in range(rounds):
            if turn > 0 or start is not None:
                root_prior = _heavy_tailed(root_motion, root[:, None], self.root_motion_tail)
                joint_prior = _heavy_tailed(joint_motion, relative, self.joint_motion_tail)
            off = _keypoint_residuals(person, root, relative)
            away = np.einsum("ti,tij,tj->t", root - root0, noise.root_full, root - root0)
            A_root = noise.root * ((1 + away / self.root_outlier_scale) ** -2)[
                :, None, None
            ] + LEAST_PRECISION * np.eye(3)
            b = np.einsum("tij,tj->ti", A_root, root0)
            if person.rays is not None:
                weights = noise.keypoint_root / (1 + off / self.keypoint_root_outlier_mm**2) ** 2
                # Root + relative joint on the ray: (X + r)_xy = ray_xy (Z + r_z).
                lines, target = _ray_terms(person.rays, -_across(person.rays, relative[:, person.matched]), weights)
                A_root, b = A_root + lines.sum(1), b + target.sum(1)
            first = root_prior[0]
            if contact is not None:
                flat, target, hold = contact.terms(relative[:, LEGS[2]])
                A_root, b, first = A_root + flat.sum(1), b + target.sum(1), first + hold.sum(1)
            root = solve_points(A_root[None], b[None], first, root_prior[1])[0]

            away = ((relative - relative0) ** 2).sum(axis=-1) * noise.joints_full
            believed = noise.joints * (1 + away / self.joint_outlier_scale) ** -2 + LEAST_PRECISION
            A_joints = believed.T[..., None, None] * np.eye(3)
            b_joints = (believed[..., None] * relative0).transpose(1, 0, 2)
            if person.rays is not None:
                weights = noise.keypoint_joints / (1 + off / self.keypoint_joint_outlier_mm**2) ** 2
                lines, target = _ray_terms(person.rays, -_across(person.rays, root[:, None]), weights)
                A_joints[person.matched] += lines.transpose(1, 0, 2, 3)
                b_joints[person.matched] += target.transpose(1, 0, 2)
            first = joint_prior[0]
            if contact is not None:
                flat, target, hold = contact.terms(np.repeat(root[:, None], 2, axis=1))
                A_joints[LEGS[2]] += flat.transpose(1, 0, 2, 3)
                b_joints[LEGS[2]] += target.transpose(1, 0, 2)
                first = first.copy()  # a prior's, which is not to be changed
                first[LEGS[2]] += hold.T
            relative = sweep_skeleton(
                A_joints,
                b_joints,
                first,
                joint_prior[1],
                bones.pairs,
                bones.lengths,
                noise.bones * self.bone_weight_growth ** (turn + 1 - rounds),
                bones.order,
                relative.transpose(1, 0, 2),
            ).transpose(1, 0, 2)
            progress.add(len(person.poses) / rounds)
        observed = person.joint_score >= MIN_OBSERVED_SCORE
        first, second = map(np.concatenate, zip(root_core, joint_core, strict=True))
        found = point_variances(np.concatenate([A_root[None], A_joints]), first, second, asked).T / 3
        variance = found[:, 1:]
        variance[:, person.joints.root] = 0.0
        variance += found[:, :1]
        factor = np.where(observed[asked], self.observed_std_factor, self.inferred_std_factor)
        factor[:, person.joints.root] = self.root_std_factor
        poses = root[:, None] + with_rigid_head(bones.exact(relative), person.joints)
        # A person of another size stands nearer or farther: the error is along the ray and lasts for all frames.
        common = bones.scale_std**2 * (poses[asked] ** 2).sum(axis=-1) / 3
        std = np.sqrt(bones.bounded(factor**2 * variance + common))
        return Solution(poses, observed, std, bones.scale_std)


def _motion_weights(reach: np.ndarray, speed: float, time_constant: float, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights (J,) of |first| and |second differences|² of velocities of std `reach` (J,) * speed, mm/s, and that time
    constant, s."""
    diffusion = 2 * (reach * speed) ** 2 / time_constant
    return fps / (diffusion * time_constant**2), fps**3 / diffusion


def _heavy_tailed(
    weights: tuple[np.ndarray, np.ndarray], points: np.ndarray, tail: float
) -> tuple[np.ndarray, np.ndarray]:
    """Weights (J, T) of first and second differences of points (T, J, 3), which fall where a difference is large: by
    half where the squared difference is `tail` times what is usual in its three coordinates (Student's t)."""
    found = []
    for order, weight in enumerate(weights, 1):
        steps = (np.diff(points, order, axis=0) ** 2).sum(axis=-1) * weight / 3
        rows = np.zeros((len(points), len(weight)))
        rows[order:] = weight / (1 + steps / tail)
        found.append(np.ascontiguousarray(rows.T))
    return found[0], found[1]


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
    b = np.empty((*weights.shape, 3))
    b[..., :2], b[..., 2] = target, -(u * target[..., 0] + v * target[..., 1])
    return A, b * weights[..., None]
