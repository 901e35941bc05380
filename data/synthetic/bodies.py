"""People of the synthetic data: bone lengths that vary by person, and the posing of a skeleton from joint angles.

World coordinates: mm, right-handed, y up, floor at y = 0. A person's own axes are x left, y up, z forward, so a
person at heading 0 faces +z. Every bone keeps its length exactly: the upper body is posed by forward kinematics, the
legs by two-link inverse kinematics from the hips to the ankles, which is what keeps standing feet where they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose.joint_sets import MUPOTS_17


@dataclass(frozen=True)
class Body:
    """Bone lengths of one person in mm.

    hip_drop and hip_width: how far below and beside the root (hip) each hip joint lies. lower_spine: root to spine,
    upper_spine: spine to neck, shoulder: neck to shoulder joint, head: neck to head, head_top: neck to head top.
    ankle: height of the ankle above the floor.
    """

    hip_drop: float
    hip_width: float
    thigh: float
    shank: float
    ankle: float
    lower_spine: float
    upper_spine: float
    shoulder: float
    upper_arm: float
    forearm: float
    head: float
    head_top: float

    @property
    def leg(self) -> float:
        return self.thigh + self.shank


def random_body(rng: np.random.Generator) -> Body:
    """An adult between about 1.5 and 1.95 m whose limbs each deviate a few per cent from the average proportions."""
    height = float(np.clip(rng.normal(1720, 95), 1500, 1950))

    def part(fraction: float, spread: float = 0.03) -> float:
        return height * fraction * float(np.clip(rng.normal(1, spread), 1 - 2 * spread, 1 + 2 * spread))

    head_top = part(0.160)
    return Body(
        hip_drop=part(0.040, 0.06),
        hip_width=part(0.056, 0.06),
        thigh=part(0.240),
        shank=part(0.235),
        ankle=part(0.045, 0.05),
        lower_spine=part(0.125, 0.05),
        upper_spine=part(0.145, 0.05),
        shoulder=part(0.110, 0.05),
        upper_arm=part(0.165),
        forearm=part(0.145),
        head=0.6 * head_top,
        head_top=head_top,
    )


@dataclass
class Posture:
    """What a skeleton does over T frames: angles in radians, places in mm (world).

    root (T, 3); heading (T,) about the vertical; pelvis (T, 3) and torso (T, 3): forward bend, turn to the left, lean
    to the right, of the pelvis in the heading's frame and of the chest in the pelvis's frame; head (T, 2): nod
    forward and turn to the left, in the chest's frame. arms: per side (T, 4) shoulder flexion (forward), abduction
    (outward), rotation (hand inward), elbow flexion. ankles: per side the wanted place (T, 3); an ankle out of reach
    is pulled toward the hip.
    """

    root: np.ndarray
    heading: np.ndarray
    pelvis: np.ndarray
    torso: np.ndarray
    head: np.ndarray
    arms: dict[str, np.ndarray]
    ankles: dict[str, np.ndarray]


def rotation(axis: int, angle: np.ndarray | float) -> np.ndarray:
    """Right-handed rotations (..., 3, 3) about x, y or z (axis 0, 1, 2) by `angle` (...) in radians."""
    c, s = np.cos(angle), np.sin(angle)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.zeros((*np.shape(angle), 3, 3))
    matrix[..., axis, axis] = 1
    matrix[..., i, i] = matrix[..., j, j] = c
    matrix[..., i, j], matrix[..., j, i] = -s, s
    return matrix


def _bend_turn_lean(angles: np.ndarray) -> np.ndarray:
    return rotation(1, angles[:, 1]) @ rotation(0, angles[:, 0]) @ rotation(2, angles[:, 2])


def _bent_leg(hip: np.ndarray, ankle: np.ndarray, knee_toward: np.ndarray, body: Body) -> tuple[np.ndarray, np.ndarray]:
    """Knee and ankle (T, 3) of a leg from `hip` to `ankle`, the knee on the side of the direction `knee_toward`."""
    line = ankle - hip
    wanted = np.linalg.norm(line, axis=1, keepdims=True)
    direction = line / wanted
    # A knee is never quite straight; a hard limit would make it jerk where the leg gets there.
    limit, softness = 0.975 * body.leg, 0.012 * body.leg
    reach = np.maximum(wanted - softness * np.logaddexp(0, (wanted - limit) / softness), 0.35 * body.leg)
    along = (body.thigh**2 - body.shank**2 + reach**2) / (2 * reach)
    outward = knee_toward - (knee_toward * direction).sum(1, keepdims=True) * direction
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    return hip + direction * along + outward * np.sqrt(body.thigh**2 - along**2), hip + direction * reach


def pose_body(body: Body, posture: Posture) -> np.ndarray:
    """The skeleton (T, 17, 3) in mm, MuPoTS-17, world coordinates."""
    poses = np.empty((len(posture.root), len(MUPOTS_17), 3))

    def place(name: str, origin: np.ndarray, axes: np.ndarray, offset: tuple[float, float, float]) -> np.ndarray:
        poses[:, MUPOTS_17.index(name)] = origin + axes @ np.array(offset)
        return poses[:, MUPOTS_17.index(name)]

    heading = rotation(1, posture.heading)
    pelvis = heading @ _bend_turn_lean(posture.pelvis)
    waist = pelvis @ _bend_turn_lean(posture.torso / 2)
    chest = pelvis @ _bend_turn_lean(posture.torso)
    head = chest @ rotation(1, posture.head[:, 1]) @ rotation(0, posture.head[:, 0])

    root = place("hip", posture.root, pelvis, (0, 0, 0))
    neck = place("neck", place("spine", root, waist, (0, body.lower_spine, 0)), chest, (0, body.upper_spine, 0))
    # The face is a little in front of the neck.
    place("head", neck, head, (0, body.head * np.cos(0.2), body.head * np.sin(0.2)))
    place("head_top", neck, head, (0, body.head_top, 0))
    for side, left in (("left", 1.0), ("right", -1.0)):
        flexion, abduction, inward, elbow = posture.arms[side].T
        # A raised arm lifts its shoulder.
        raised = np.clip((np.hypot(flexion, abduction) - 0.9) / 2, 0, 0.5)
        girdle = chest @ rotation(2, left * (raised - 0.12))
        shoulder = place(f"{side}_shoulder", neck, girdle, (left * body.shoulder, 0, 0))
        arm = chest @ rotation(0, -flexion) @ rotation(2, left * abduction) @ rotation(1, -left * inward)
        joint = place(f"{side}_elbow", shoulder, arm, (0, -body.upper_arm, 0))
        place(f"{side}_wrist", joint, arm @ rotation(0, -elbow), (0, -body.forearm, 0))

        hip = place(f"{side}_hip", root, pelvis, (left * body.hip_width, -body.hip_drop, 0))
        knee, ankle = _bent_leg(hip, posture.ankles[side], heading @ np.array([left * 0.12, 0, 1.0]), body)
        poses[:, MUPOTS_17.index(f"{side}_knee")] = knee
        poses[:, MUPOTS_17.index(f"{side}_ankle")] = ankle
    return poses
