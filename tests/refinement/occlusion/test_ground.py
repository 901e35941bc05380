"""The floor: found from resting feet, stood on without sliding, and left out for whom it doesn't hold."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from data.synthetic.bodies import random_body
from data.synthetic.motions import procedural_motion
from pose.cameras import Camera
from pose.errors import ConfigError
from pose.features import flip_2d, flip_3d
from pose.joint_sets import COCO_19, MUPOTS_17
from pose.level import World, up_of
from pose.sequence import PoseSequence
from refinement.occlusion.contact import hysteresis, resting
from refinement.occlusion.ground import Feet, fit_floor
from refinement.occlusion.model import OcclusionRefinement
from refinement.refiner import RefinementResult

CAMERA = Camera(1500.0, 1500.0, 960.0, 540.0, 1920, 1080)
ANKLES = [MUPOTS_17.index("left_ankle"), MUPOTS_17.index("right_ankle")]
TILT_DEG, CAMERA_MM = 8.0, 1500.0
UP = up_of(TILT_DEG, 0.0)


def walker(
    person: int,
    x_mm: float = 0.0,
    z_mm: float = 4500.0,
    size: float = 1.0,
    fps: float = 30.0,
    rising_mm: float = 0.0,
    length_s: float = 5.0,
) -> tuple[PoseSequence, np.ndarray]:
    """Somebody who walks about before a camera that looks down, as a lifter that knows no sizes sees him; and the truth
    (T, 17, 3). rising_mm: how much higher each second of the floor is than the one before."""
    rng = np.random.default_rng(person)
    frames = round(length_s * fps)
    motion = procedural_motion("walk", frames, fps, random_body(np.random.default_rng(0)), rng) * size
    motion[..., 1] += rising_mm * np.floor(np.arange(frames) / fps)[:, None]
    motion[..., [0, 2]] -= motion[:, [14]][..., [0, 2]].mean(axis=0)
    level = (motion + [x_mm, -CAMERA_MM, -z_mm]) * [1, -1, -1]
    tilt = np.radians(TILT_DEG)
    turn = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    truth = level @ turn.T
    points = CAMERA.project(torch.from_numpy(truth))
    seconds = np.arange(frames) / fps
    wave = np.stack([np.sin(9 * seconds + joint) for joint in range(17)], axis=1)[..., None] * [6.0, 6.0, 25.0]
    lifted = truth / size + wave + 60 * np.sin(1.5 * seconds)[:, None, None] * [0, 0, 1]
    names = [name if name in MUPOTS_17.names else "head" for name in COCO_19.names]
    sequence = PoseSequence(
        "scene", person, CAMERA, fps, points[:, [MUPOTS_17.index(name) for name in names]].float(),
        torch.full((frames, 19), 0.9), torch.ones(frames, dtype=torch.bool), torch.from_numpy(lifted).float(),
        coordinates="normal", annotation_2d=points.float(),
    )  # fmt: skip
    return sequence, truth


@cache
def two_people() -> tuple[list[PoseSequence], list[np.ndarray]]:
    pairs = [walker(1, -700, 3800, 0.95), walker(2, 600, 5200, 1.05)]
    return [sequence for sequence, _ in pairs], [truth for _, truth in pairs]


def refine(people: list[PoseSequence], **keys: Any) -> RefinementResult:
    return OcclusionRefinement(**keys)(people)


def the_floor(result: RefinementResult) -> World:
    assert result.ground is not None and result.ground[0] is not None
    return result.ground[0]


def feet_of(person: PoseSequence) -> np.ndarray:
    return person.require("poses_3d").double().numpy()[:, ANKLES]


def test_feet_neither_slide_nor_float() -> None:
    people, truths = two_people()
    result, free = refine(people), refine(people, ground="off")
    world = the_floor(result)
    assert result.ground is not None and result.ground[1] is world
    assert np.degrees(np.arccos(world.axes[2] @ UP)) < 2
    slide, float_mm = {}, {}
    for name, found in (("auto", result), ("off", free)):
        steps, heights = [], []
        for person, truth in zip(found.sequences, truths, strict=True):
            still = np.linalg.norm(np.diff(truth[:, ANKLES], axis=0), axis=-1) < 0.5
            steps.append(np.linalg.norm(np.diff(feet_of(person), axis=0), axis=-1)[still])
            heights.append((feet_of(person) @ world.axes[2] - world.floor_mm)[1:][still])
        slide[name], float_mm[name] = np.concatenate(steps).mean(), np.abs(np.concatenate(heights)).mean()
    assert slide["auto"] < min(2.0, 0.6 * slide["off"])
    assert float_mm["auto"] < 30


def test_one_floor_ties_the_sizes_of_all_people() -> None:
    people, truths = two_people()
    apart = {}
    for ground in ("auto", "off"):
        found = refine(people, ground=ground)
        sizes = [
            np.log(np.median(person.root[:, 2].double().numpy() / truth[:, 14, 2]))
            for person, truth in zip(found.sequences, truths, strict=True)
        ]
        apart[ground] = abs(sizes[0] - sizes[1])
    assert apart["auto"] < 0.5 * apart["off"]
    tied, free = refine(people).scale_std_pct, refine(people, ground="off").scale_std_pct
    assert tied is not None and free is not None and tied[0] < free[0]


@pytest.mark.parametrize("why", ["rises", "unseen"])
def test_people_who_do_not_stand_on_the_floor_are_left_free(why: str) -> None:
    people, _ = two_people()
    odd, _ = walker(3, 0, 4500, rising_mm=300.0 if why == "rises" else 0.0)
    if why == "unseen":
        scores = odd.confidence.clone()
        scores[:, [COCO_19.index("left_ankle"), COCO_19.index("right_ankle")]] = 0
        odd = dataclasses.replace(odd, confidence=scores)
    result = refine([*people, odd])
    assert result.ground is not None and [world is None for world in result.ground] == [False, False, True]
    expected = {"rises": "several heights", "unseen": "no foot"}[why]
    assert [note for note in result.notes if "person 3" in note and expected in note]
    alone = refine([odd], ground="off").sequences[0]
    assert torch.equal(result.sequences[2].require("poses_3d"), alone.require("poses_3d"))


def test_bodies_that_are_no_humans_are_left_free_and_said() -> None:
    odd, _ = walker(3, 0, 4500)
    poses = odd.require("poses_3d")
    odd = dataclasses.replace(odd, poses_3d=odd.root[:, None] + 2.5 * (poses - odd.root[:, None]))
    result = refine([*two_people()[0], odd])
    assert result.ground is not None and [world is None for world in result.ground] == [False, False, True]
    assert [note for note in result.notes if "person 3 is not held to the floor: its bones are no adult's" in note]


def test_plane_holds_everybody_whose_feet_rest() -> None:
    odd, _ = walker(3, 0, 4500, rising_mm=300.0)
    result = refine([*two_people()[0], odd], ground="plane")
    assert result.ground is not None and None not in result.ground


def lying(person: PoseSequence) -> PoseSequence:
    """The person turned by a right angle in the image."""
    side, centre = torch.tensor([-1, 1]), torch.tensor([CAMERA.cx, CAMERA.cy])
    poses = person.require("poses_3d")[..., [1, 0, 2]] * torch.tensor([-1, 1, 1])
    points = (person.keypoints_2d - centre)[..., [1, 0]] * side + centre
    return dataclasses.replace(person, poses_3d=poses, keypoints_2d=points)


@pytest.mark.parametrize("change", ["no camera", "universal", "off", "nobody stands"])
def test_no_floor_without_what_it_takes(change: str) -> None:
    people, _ = two_people()
    if change == "no camera":
        people = [dataclasses.replace(person, camera=None) for person in people]
    elif change == "universal":
        people = [dataclasses.replace(person, coordinates="universal") for person in people]
    elif change == "nobody stands":  # lying: up becomes left
        turned = [person.require("poses_3d")[..., [1, 0, 2]] * torch.tensor([-1, 1, 1]) for person in people]
        people = [dataclasses.replace(one, poses_3d=poses) for one, poses in zip(people, turned, strict=True)]
        people = [
            dataclasses.replace(
                one,
                keypoints_2d=(one.keypoints_2d - 540)[..., [1, 0]] * torch.tensor([-1, 1]) + torch.tensor([960, 540]),
            )
            for one in people
        ]
    result = refine(people, ground="off" if change == "off" else "auto")
    assert result.ground is None or set(result.ground) == {None}
    assert bool(result.notes) == (change == "nobody stands")


def test_a_given_gravity_is_kept() -> None:
    x, y, z = (-up_of(TILT_DEG + 3, 0.0)).tolist()
    camera = dataclasses.replace(CAMERA, gravity=(x, y, z))
    result = refine([dataclasses.replace(person, camera=camera) for person in two_people()[0]])
    assert the_floor(result).how == "given"
    assert the_floor(result).angles_deg[0] == pytest.approx(TILT_DEG + 3, abs=0.5)


def test_the_order_of_people_changes_nothing() -> None:
    people, _ = two_people()
    forward, backward = refine(people).sequences, refine(people[::-1]).sequences[::-1]
    for a, b in zip(forward, backward, strict=True):
        torch.testing.assert_close(a.require("poses_3d"), b.require("poses_3d"), rtol=0, atol=0.1)


def test_the_mirrored_scene_is_the_mirror_image() -> None:
    people, _ = two_people()
    mirrored = []
    for person in people:
        points, scores = flip_2d(person.keypoints_2d, person.confidence, CAMERA.width)
        poses = flip_3d(person.require("poses_3d"))
        mirrored.append(
            dataclasses.replace(
                person,
                keypoints_2d=points,
                confidence=scores,
                camera=CAMERA.flipped(),
                poses_3d=poses,
                annotation_2d=None,
            )
        )
    for a, b in zip(refine(people).sequences, refine(mirrored).sequences, strict=True):
        torch.testing.assert_close(flip_3d(b.require("poses_3d")), a.require("poses_3d"), rtol=0, atol=0.5)


def test_rates_agree() -> None:
    at_30, at_60 = ([walker(1, -700, 3800, 0.95, fps)[0], walker(2, 600, 5200, 1.05, fps)[0]] for fps in (30.0, 60.0))
    for a, b in zip(refine(at_30).sequences, refine(at_60).sequences, strict=True):
        assert float((a.require("poses_3d") - b.require("poses_3d")[::2]).norm(dim=-1).mean()) < 25


def test_unusable_settings_are_named() -> None:
    with pytest.raises(ConfigError, match="ground=floor: must be one of auto, off, plane"):
        refine([], ground="floor")


def test_hysteresis_keeps_spans_that_were_entered() -> None:
    enter = np.array([0, 1, 0, 0, 0, 0], dtype=bool)
    stay = np.array([1, 1, 1, 0, 1, 1], dtype=bool)
    assert hysteresis(enter, stay).tolist() == [True, True, True, False, False, False]


def test_a_resting_foot_is_still_below_the_body_and_seen() -> None:
    _, truth = walker(1)
    seen = np.ones((150, 17), dtype=bool)
    rest = resting(truth, seen, UP, 30.0)
    speed = np.linalg.norm(np.gradient(truth[:, ANKLES], axis=0), axis=-1) * 30
    assert 0.2 < rest.mean() < 0.9
    assert speed[rest].max() < 300
    assert not rest[speed > 400].any()
    assert not resting(truth, seen, -UP, 30.0).any()  # upside down nothing carries
    assert not resting(truth, seen, UP, 0.0166).any()  # a picture a minute: nobody saw it rest
    seen[:, ANKLES[0]] = False
    assert not resting(truth, seen, UP, 30.0)[:, 0].any()


def test_the_floor_of_exact_points_is_exact() -> None:
    rng = np.random.default_rng(0)
    people = []
    for grown in (1.0, 1.03):
        places = np.stack([rng.uniform(-1500, 1500, 60), np.full(60, 1300.0), rng.uniform(3000, 6000, 60)], axis=1)
        places = np.repeat(places, 2, axis=0).reshape(60, 2, 3) / grown
        people.append(Feet(places, np.ones((60, 2), dtype=bool), 0.05, 1.0))
    floor = fit_floor(people, np.array([0.0, -1.0, 0.0]), given=True)
    assert floor is not None and floor.used.all()
    assert floor.scale[1] - floor.scale[0] == pytest.approx(np.log(1.03), abs=0.01)
    assert floor.height_mm == pytest.approx(-1300 * np.exp(floor.scale[0]), rel=0.01)
    assert (floor.scale_std < 0.05).all()
