"""One floor for the people of a scene, from feet that rest, and how large each person must be to stand on it.

The floor n p = h through the resting feet p of all people (contact.py) and the logarithms s of the people's sizes are
the minimum of

    sum over rests (n p - h e^-s - o)² / REST_STD_MM²  +  sum over people (s² / scale_std² + o² / PERSON_STD_MM²)
    + tilt² / TILT_STD_DEG² + roll² / ROLL_STD_DEG²

with tilt and roll of n against the up of people who stand (pose/level.py) or the camera's gravity, and o how much
higher a person's feet are than others'. A larger person stands farther away: e^s moves along the viewing rays. So one
floor ties the distances of all people, and how it lies follows from where they walk. Rests that don't fit lose weight
as under Student's t. A person whose rests lie at several heights, or who would need an unlikely size, climbs, jumps or
stands on something: such people are left out and left free, one after the other, the worst first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from pose.cameras import Camera
from pose.errors import ConfigError
from pose.joint_sets import MUPOTS_17
from pose.level import World
from pose.sequence import PoseSequence
from refinement.occlusion.contact import LEGS, Contact, hysteresis, resting, spans_of
from refinement.occlusion.person import Person, Solution

if TYPE_CHECKING:
    from refinement.occlusion.model import OcclusionRefinement

Array = np.ndarray
GroundSetting = Literal["auto", "off", "plane"]

#: How much a foot's height varies from rest to rest and from person to person, mm.
REST_STD_MM, PERSON_STD_MM = 30.0, 35.0
#: Standard deviations of an up that people tell, about the camera's axes right and forward, and of one given, degrees.
TILT_STD_DEG, ROLL_STD_DEG, GIVEN_STD_DEG = 3.5, 2.0, 0.3
#: A squared residual of so many variances has lost half of its weight.
TAIL = 3.0
#: A resting foot touches the floor within the first height and leaves it above the second, mm.
TOUCH_MM, LEAVE_MM = 90.0, 150.0
#: Who stands on the floor rests for so many seconds, at least this fraction of them within LEAVE_MM, and needs a size
#: that is off by at most so many standard deviations.
LEAST_S, LEAST_FRACTION, MOST_STD = 0.3, 0.8, 1.5
#: A rest of so many seconds counts once, a longer one for each second again.
FULL_S = 0.2
#: Rounds of the solve that starts from the solution without a floor.
ROUNDS = 4


@dataclass(frozen=True, eq=False)
class Feet:
    """What the floor needs of a person: places (T, 2, 3) mm, rest (T, 2) bool, scale_std and frames per second."""

    places: Array
    rest: Array
    scale_std: float
    fps: float


@dataclass(frozen=True, eq=False)
class Floor:
    """up (3,) and height_mm of the floor n p = h. Of each person: used, whether it stands on it, else why not; scale,
    the logarithm of its size, and scale_std; touch (T, 2): the feet that touch it."""

    up: Array
    height_mm: float
    used: Array
    why_not: list[str]
    scale: Array
    scale_std: Array
    touch: list[Array]


@dataclass(frozen=True, eq=False)
class Footing:
    """How a person stands: contact, scale, scale_std; start (T, J, 3): the poses without a floor."""

    contact: Contact
    scale: float
    scale_std: float
    start: Array


def check_ground(value: Any) -> None:
    """Raise ConfigError unless `value` is auto, off or plane."""
    if value not in get_args(GroundSetting):
        raise ConfigError(f"ground={value}: must be one of {', '.join(get_args(GroundSetting))}")


def on_the_ground(
    method: OcclusionRefinement, sequences: list[PoseSequence], people: list[Person], solutions: list[Solution]
) -> tuple[list[Solution], tuple[World | None, ...], list[str]]:
    """Solutions with everybody on the floor who stands on one; of each person that floor; and what a user must know.

    People of one `sequence` before one camera share a floor. It takes MuPoTS-17, a camera, 2D keypoints and normal
    coordinates; others stay as they are.
    """
    solutions, notes = list(solutions), []
    worlds: list[World | None] = [None] * len(people)
    scenes: dict[Any, list[int]] = {}
    for number, (sequence, person) in enumerate(zip(sequences, people, strict=True)):
        # Without a prior of the size (bones.py) there is no camera, no common scale or no human.
        if solutions[number].scale_std > 0 and person.joints == MUPOTS_17:
            scenes.setdefault((sequence.sequence, sequence.camera), []).append(number)
    for key, numbers in scenes.items():
        camera = key[1]
        floor, how = _floor_of([people[i] for i in numbers], [solutions[i] for i in numbers], camera, method.ground)
        if floor is None:
            notes.append(f"Ground: {how}, so no floor is assumed.")
            continue
        world = World.of(floor.up, floor.height_mm, how)
        for k, i in enumerate(numbers):
            if not floor.used[k]:
                notes.append(f"Ground: person {sequences[i].person} is not held to the floor: {floor.why_not[k]}.")
                continue
            worlds[i] = world
            contact = Contact.of(floor.touch[k], people[i].fps, floor.up, floor.height_mm)
            footing = Footing(contact, float(floor.scale[k]), float(floor.scale_std[k]), solutions[i].poses)
            solutions[i] = method.solve(people[i], ROUNDS, footing)
        notes += [
            f"Ground: person {one.person} is not held to the floor: its bones are no adult's, its size is unknown."
            for number, one in enumerate(sequences)
            if (one.sequence, one.camera) == key and number not in numbers
        ]
    return solutions, tuple(worlds), notes


def _floor_of(
    people: list[Person], solutions: list[Solution], camera: Camera, ground: GroundSetting
) -> tuple[Floor | None, Any]:
    """The floor of a scene and how its up was found, or None and why there is none."""
    if camera.gravity is not None:
        up = -np.array(camera.gravity) / np.linalg.norm(camera.gravity)
    else:
        poses, observed = (
            np.concatenate([getattr(found, key) for found in solutions]) for key in ("poses", "observed")
        )
        level = World.fit(poses, observed)
        if level.how == "camera":
            return None, "nobody stands for long enough to tell what is up"
        up = level.axes[2]
    feet = [
        Feet(found.poses[:, LEGS[2]], resting(found.poses, found.observed, up, one.fps), found.scale_std, one.fps)
        for one, found in zip(people, solutions, strict=True)
    ]
    given = camera.gravity is not None
    floor = fit_floor(feet, up, given, everybody=ground == "plane")
    return floor, "nobody is seen to stand on a floor" if floor is None else "given" if given else "people"


def fit_floor(people: Sequence[Feet], up: Array, given: bool, everybody: bool = False) -> Floor | None:
    """The floor under people before one camera, None where no foot rests on any. given: up is known, not found from
    people. everybody: whoever rests stands on the floor."""
    rests = [_rests(person) for person in people]
    used = np.array([seconds.sum() >= LEAST_S for _, seconds in rests], dtype=bool)
    why_not = ["no foot is seen to rest"] * len(people)
    scale, scale_std = np.zeros(len(people)), np.array([person.scale_std for person in people])
    normal, height = up, 0.0
    while used.any():
        chosen = np.flatnonzero(used)
        stds = np.array([people[i].scale_std for i in chosen.tolist()])
        normal, height, scale[chosen], scale_std[chosen] = _fit([rests[i] for i in chosen.tolist()], stds, up, given)
        faults = []
        for i in chosen.tolist():
            points, seconds = rests[i]
            off = seconds[np.abs(points @ normal * np.exp(scale[i]) - height) > LEAVE_MM].sum() / seconds.sum()
            size = abs(scale[i]) / people[i].scale_std
            faults.append((off / (1 - LEAST_FRACTION), size / MOST_STD))
        if everybody or max(map(max, faults)) <= 1:
            break
        # Of people whose sizes contradict each other, any may be wrong: those far away are left out first.
        far = [float(np.median(np.linalg.norm(rests[i][0], axis=1))) for i in chosen.tolist()]
        worst = int(
            np.argmax([max(fault) * d if max(fault) > 1 else 0.0 for fault, d in zip(faults, far, strict=True)])
        )
        i, (off, size) = int(chosen[worst]), faults[worst]
        why_not[i] = (
            "the feet rest at several heights"
            if off > size
            else f"it would have to be {100 * abs(np.expm1(scale[i])):.0f} % {'larger' if scale[i] > 0 else 'smaller'}"
        )
        used[i], scale[i], scale_std[i] = False, 0.0, people[i].scale_std
    if not used.any():
        return None
    touch = []
    for person, grown, stands in zip(people, np.exp(scale), used, strict=True):
        above = np.abs(person.places @ normal * grown - height)
        near = [hysteresis(above[:, foot] < TOUCH_MM, above[:, foot] < LEAVE_MM) for foot in range(2)]
        touch.append(person.rest & stands & (everybody | np.stack(near, axis=1)))
    return Floor(normal, float(height), used, why_not, scale, scale_std, touch)


def _rests(person: Feet) -> tuple[Array, Array]:
    """Places (N, 3) of a person's resting feet and for how many seconds (N,) they were there, about one at most."""
    points, seconds = [np.zeros((0, 3))], []
    for foot in range(2):
        for start, end in spans_of(person.rest[:, foot]):
            for part in np.array_split(np.arange(start, end), max(1, round((end - start) / person.fps))):
                points.append(person.places[part, foot].mean(axis=0, keepdims=True))
                seconds.append(len(part) / person.fps)
    return np.concatenate(points), np.array(seconds)


def _fit(rests: list[tuple[Array, Array]], std: Array, up: Array, given: bool) -> tuple[Array, float, Array, Array]:
    """Up, height, scales and their standard deviations of people who all stand on the floor, by Gauss-Newton steps."""
    p, seconds = (np.concatenate(parts) for parts in zip(*rests, strict=True))
    count = len(rests)
    owner = np.repeat(np.arange(count), [len(points) for points, _ in rests])
    own_scale, own_offset = (np.arange(len(p)), 3 + owner), (np.arange(len(p)), 3 + count + owner)
    right, forward, up = World.of(up).axes
    angles = np.radians([GIVEN_STD_DEG, GIVEN_STD_DEG] if given else [ROLL_STD_DEG, TILT_STD_DEG])
    prior = np.concatenate([angles**-2.0, [1e-9], std**-2.0, np.full(count, PERSON_STD_MM**-2.0)])
    x = np.zeros(3 + 2 * count)  # slopes to the right and forward, h, s, o
    x[2] = np.median(p @ up)
    H = np.diag(prior)
    for _ in range(12):
        lower = x[2] * np.exp(-x[3 + owner])
        off = p @ (up + x[0] * right + x[1] * forward) - lower - x[3 + count + owner]
        J = np.zeros((len(p), len(x)))
        J[:, 0], J[:, 1], J[:, 2] = p @ right, p @ forward, -np.exp(-x[3 + owner])
        J[own_scale], J[own_offset] = lower, -1.0
        weight = np.minimum(seconds / FULL_S, 1.0) / (REST_STD_MM**2 + off**2 / TAIL)
        H = (J * weight[:, None]).T @ J + np.diag(prior)
        x = x - np.linalg.solve(H, J.T @ (weight * off) + prior * x)
    normal = up + x[0] * right + x[1] * forward
    size = np.linalg.norm(normal)
    return normal / size, float(x[2] / size), x[3 : 3 + count], np.sqrt(np.diag(np.linalg.inv(H))[3 : 3 + count])
