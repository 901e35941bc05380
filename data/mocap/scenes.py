"""Scenes of one to four people in captured motion: who does what, before which camera, seen by which detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from data.mocap.clips import Clip
from data.mocap.variation import retimed, varied
from data.synthetic.bodies import random_body
from data.synthetic.detections import SimulatedDetector
from data.synthetic.motions import KINDS, procedural_motion
from data.synthetic.scenes import SeenPerson, View, compose_scene, look_at, render_scene
from pose.cameras import Camera
from pose.joint_sets import COCO_17

#: Fractions of scenes with one, two, three and four people.
_PEOPLE = (0.3, 0.3, 0.25, 0.15)
#: Largest fraction of a scene that a person may stand right behind another one.
_BEHIND = 0.25
#: No joint comes nearer to the camera than this along its axis, mm.
NEAREST = 500.0
#: Width and height of the pictures.
PICTURES = ((1920, 1080), (1280, 720), (1080, 1920), (2048, 2048), (640, 480))


@dataclass(frozen=True)
class Take:
    """A part of a clip: frames from `start` on, `step` frames of the clip for one of the scene."""

    clip: int
    start: float
    step: float

    def poses(self, clips: Sequence[Clip], n_frames: int) -> np.ndarray:
        """(n_frames, 17, 3) mm."""
        return retimed(clips[self.clip].poses_3d.astype(float), self.start, self.step, n_frames)


@dataclass(frozen=True, eq=False)
class Cast:
    """What a scene is made of, before anything moves.

    takes: of each person; None for one who moves as in the synthetic data. others: takes whose upper bodies may be
    used instead, one per person, or none: the captured people as they are. farthest: limits of the distance of the
    person farthest away, mm.
    """

    takes: list[Take | None]
    others: list[Take]
    view: View
    hand_held: bool
    detector: SimulatedDetector
    farthest: tuple[float, float]


def training_cast(
    clips: Sequence[Clip], n_frames: int, fps: float, procedural: float, rng: np.random.Generator
) -> Cast:
    """A scene to learn from: any people, camera and detector. procedural: fraction of procedural people."""
    n_people = _number_of_people(rng)
    takes: list[Take | None] = [_take(clips, n_frames, fps, _speed(rng), rng) for _ in range(n_people)]
    others = [_take(clips, n_frames, fps, _speed(rng), rng) for _ in range(n_people)]
    takes = [None if rng.uniform() < procedural else take for take in takes]
    picture = PICTURES[int(rng.integers(len(PICTURES)))]
    distance, view = _training_view(n_people, picture, rng)
    farthest = (0.95 * distance, 1.05 * distance)
    return Cast(takes, others, view, bool(rng.uniform() < 0.25), _training_detector(rng), farthest)


def evaluation_cast(
    clips: Sequence[Clip],
    n_frames: int,
    fps: float,
    n_people: int,
    picture: tuple[int, int] | Camera,
    rng: np.random.Generator,
) -> Cast:
    """A scene to measure on: the captured people as they are, HR-Net's detections, a camera or any of that size."""
    return _cast([_take(clips, n_frames, fps, 1.0, rng) for _ in range(n_people)], [], picture, 0.0, rng)


def film(cast: Cast, clips: Sequence[Clip], n_frames: int, fps: float, rng: np.random.Generator) -> list[SeenPerson]:
    """The people of a scene as its camera sees and its detector finds them."""
    motions = []
    for person, take in enumerate(cast.takes):
        if take is None:
            motions.append(procedural_motion(str(rng.choice(KINDS)), n_frames, fps, random_body(rng), rng))
        elif cast.others:
            others = [cast.others[person].poses(clips, n_frames)]
            motions.append(varied(take.poses(clips, n_frames), fps, rng, others))
        else:
            motions.append(take.poses(clips, n_frames))
    view = cast.view.hand_held(n_frames, fps, rng) if cast.hand_held else cast.view
    placed = compose_scene(motions, view, rng, attempts=16, farthest=cast.farthest, behind=_BEHIND)
    return render_scene(placed, _far_enough(view, placed), fps, rng, cast.detector)


def _far_enough(view: View, placed: Sequence[np.ndarray]) -> View:
    """The view from farther back if somebody would come nearer than NEAREST to the camera or get behind it."""
    nearest = min(float(view.to_camera(motion)[..., 2].min()) for motion in placed)
    if nearest >= NEAREST:
        return view
    forward = view.rotation[..., 2, :]
    return replace(view, position=view.position - (NEAREST - nearest) * forward)


def _speed(rng: np.random.Generator) -> float:
    """Of a clip in a scene: also slow enough for material at 60 frames per second."""
    return float(np.exp(rng.uniform(np.log(0.42), np.log(1.4))))


def _number_of_people(rng: np.random.Generator) -> int:
    return 1 + int(rng.choice(len(_PEOPLE), p=_PEOPLE))


def _take(clips: Sequence[Clip], n_frames: int, fps: float, speed: float, rng: np.random.Generator) -> Take:
    """Somewhere in some clip; long clips are taken more often, but not in proportion to their length."""
    weights = np.sqrt([len(clip) / clip.fps for clip in clips])
    number = int(rng.choice(len(clips), p=weights / weights.sum()))
    step = speed * clips[number].fps / fps
    slack = max(len(clips[number]) - 1 - step * (n_frames - 1), 0.0)
    return Take(number, float(rng.uniform(0, slack)), step)


def _cast(
    takes: Sequence[Take | None],
    others: list[Take],
    picture: tuple[int, int] | Camera,
    weak: float,
    rng: np.random.Generator,
) -> Cast:
    nearest = 2400.0 + 750 * (len(takes) - 1)
    farthest = (nearest, nearest + 2400)
    distance = float(rng.uniform(*farthest))
    camera = picture if isinstance(picture, Camera) else any_camera(distance, picture, rng)
    view = any_view(distance, camera, rng)
    return Cast(list(takes), others, view, bool(rng.uniform() < 0.25), detector(weak), farthest)


def _training_view(n_people: int, picture: tuple[int, int], rng: np.random.Generator) -> tuple[float, View]:
    """The distance in mm of the person farthest away, and a view of any lens, direction and roll.

    25 to 100 degrees across the picture's longer side, looking up by 10 to down by 50 degrees, rolled by up to 30. The
    farthest person is 0.06 to 1.2 times as tall as the picture, 1.4 to 20 m away.
    """
    width, height = picture
    nearest = 1500.0 + 700 * (n_people - 1)
    while True:
        focal = max(picture) / (2 * np.tan(np.radians(rng.uniform(25, 100)) / 2))
        distance = float(np.exp(rng.uniform(np.log(nearest), np.log(20000.0))))
        if 0.06 * height < focal * 1700 / distance < 1.2 * height:
            break
    centre = rng.normal([width / 2, height / 2], [0.01 * width, 0.01 * height])
    camera = Camera(focal, focal * rng.normal(1, 0.002), *centre.tolist(), width=width, height=height)
    down = np.radians(rng.normal(0, 6) if rng.uniform() < 0.4 else rng.uniform(-10, 50))
    room = max(distance * height / (2 * focal) - 1000, 0.0) + 500
    aim = 900 + rng.uniform(-1, 1) * min(room, 0.5 * distance)
    position = np.array([0.0, max(900 + distance * np.sin(down), 200.0), 0.0])
    level = rng.uniform() < 0.4
    roll = np.radians(np.clip(rng.normal(0, 1.5 if level else 10.0), -30, 30))
    return distance, look_at(camera, position, np.array([0.0, aim, distance * np.cos(down)]), roll=roll)


def _training_detector(rng: np.random.Generator) -> SimulatedDetector:
    """Any detector: between HR-Net and MoveNet, like OpenPose (nothing where it is unsure) or like MediaPipe.

    Half of them also miss joints, exchange sides or look at fewer pictures a second.
    """
    kind = rng.choice(["heatmaps", "openpose", "mediapipe"], p=[0.6, 0.2, 0.2])
    if kind == "heatmaps":
        found = detector(float(rng.beta(0.7, 1.0)))
    elif kind == "openpose":
        found = replace(
            detector(float(rng.uniform(0, 0.7))), score=rng.uniform(0.75, 0.95), below=rng.uniform(0.05, 0.35)
        )
    else:
        found = SimulatedDetector(
            lasting=rng.uniform(0.005, 0.009), momentary=0.001, guess=0.045, tail=0.5, score=rng.uniform(0.95, 1.1),
            spread=0.04, guess_score=rng.uniform(0.3, 0.9), guess_spread=0.1, swaps=rng.uniform(0.0, 0.03),
        )  # fmt: skip
    found = replace(found, offset=rng.uniform(0.003, 0.010), pixel=rng.uniform(0.0, 1.0))
    if rng.uniform() < 0.5:
        return found
    return replace(
        found,
        turns=float(rng.choice([0.0, rng.uniform(0.005, 0.06)])),
        absent=float(rng.choice([0.0, rng.uniform(0.0, 0.2)])),
        never=float(rng.choice([0.0, rng.uniform(0.0, 0.12)])),
        without=COCO_17.names[:5] if rng.uniform() < 0.1 else (),
        every=float(rng.choice([1.0, rng.uniform(1.0, 2.5)])),
    )


def any_camera(distance: float, picture: tuple[int, int], rng: np.random.Generator) -> Camera:
    """Any usual lens; a person 1.9 m tall at `distance` mm fills at most the picture's height."""
    width, height = picture
    focal = height * rng.uniform(0.55, max(0.7, min(1.6, distance / 1900)))
    centre = rng.normal([width / 2, height / 2], [0.01 * width, 0.01 * height])
    return Camera(focal, focal * rng.normal(1, 0.002), *centre.tolist(), width=width, height=height)


def any_view(distance: float, camera: Camera, rng: np.random.Generator) -> View:
    """A camera with a person at `distance` mm, from near the floor up to looking down by 35 degrees.

    It need not look straight at the person: where the person leaves room in the picture it may look past.
    """
    level = rng.uniform() < 0.4
    room = max(distance * camera.height / (2 * camera.fx) - 1000, 100.0)
    aim = 900 + rng.uniform(-1, 1) * room
    if level:  # as most cameras are: somewhere between hip and overhead, hardly tilted
        position = np.array([0.0, np.clip(aim + distance * np.tan(rng.normal(0, 0.05)), 400, 2600), 0.0])
    else:
        position = np.array([0.0, max(900 + distance * np.tan(np.radians(rng.uniform(-8, 35))), 300.0), 0.0])
    return look_at(camera, position, np.array([0.0, aim, distance]), roll=rng.normal(0, 0.025))


def detector(weak: float) -> SimulatedDetector:
    """From HR-Net (`weak` 0: sure and exact) to MoveNet (1: half as sure, heavy-tailed errors, sides mistaken).

    benchmarks/studies/detection_noise.py sets both beside what the real ones gave.
    """
    return SimulatedDetector(
        lasting=0.005 - 0.001 * weak,
        momentary=0.0025 - 0.0015 * weak,
        guess=0.03 + 0.015 * weak,
        offset=0.003 + 0.005 * weak,
        tail=0.3 + 0.6 * weak,
        score=1.0 - 0.15 * weak,
        spread=0.035 + 0.1 * weak,
        guess_score=0.27 - 0.5 * weak,
        guess_spread=0.14 - 0.02 * weak,
        swaps=0.01 + 0.05 * weak,
        lapses=0.002 + 0.08 * weak,
    )
