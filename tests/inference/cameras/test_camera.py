"""The camera: given, from the people, or guessed; and the scale from known heights."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from data.keypoints import read_detections
from data.synthetic.scenes import compose_scene, look_at, render_scene
from inference.cameras.camera import USABLE_STD, CameraSettings, KnownHeights, check_image_size, stature
from inference.cameras.focal import LENS_STD, estimate_focal, focal_of_fov, standing_places
from inference.tracking import OfflineTracker, sequences
from pose.cameras import Camera
from pose.errors import ConfigError
from pose.joint_sets import COCO_19, MUPOTS_17
from pose.sequence import PoseSequence

SIZE = (1920, 1080)
#: Heights over the ankles, mm, and distances to the side, of the joints of a person who stands straight.
STANDING = {"shoulder": (1320.0, 170.0), "hip": (820.0, 90.0), "knee": (410.0, 90.0), "ankle": (0.0, 90.0)}


def standing_people(focal: float, pitch_deg: float, size: tuple[int, int] = SIZE) -> list[PoseSequence]:
    """Eight people of 1.60 to 1.80 m who stand straight at six places each, exactly projected."""
    rng = np.random.default_rng(3)
    pitch = math.radians(pitch_deg)
    camera = Camera(focal, focal, size[0] / 2, size[1] / 2, *size)
    view = look_at(camera, np.array([0.0, 900 + 7000 * math.tan(pitch), 0.0]), np.array([0.0, 900.0, 7000.0]))
    people = []
    for number in range(8):
        height = rng.uniform(0.95, 1.05)
        keypoints = torch.full((6, len(COCO_19), 2), 10.0)
        reach = 0.8 * 7000 * size[0] / 2 / focal
        places = np.column_stack([rng.uniform(-reach, reach, 6), rng.uniform(5500, 10_000, 6)])
        for joint, (up, aside) in STANDING.items():
            for side, sign in (("left", -1), ("right", 1)):
                points = np.column_stack([places[:, 0] + sign * aside, np.full(6, up * height), places[:, 1]])
                pixels = camera.project(torch.from_numpy(view.to_camera(points[:, None])))
                keypoints[:, COCO_19.index(f"{side}_{joint}")] = pixels[:, 0].float()
        people.append(PoseSequence("made", number, None, 30.0, keypoints, torch.ones(6, len(COCO_19))))
    return people


@pytest.mark.parametrize(("focal", "pitch"), [(1200.0, 15.0), (1700.0, 15.0), (1700.0, 30.0), (2400.0, 20.0)])
def test_focal_length_of_a_tilted_camera(focal: float, pitch: float) -> None:
    found = estimate_focal(standing_people(focal, pitch), SIZE)
    assert found is not None
    assert found.px == pytest.approx(focal, rel=0.08)
    assert found.relative_std < USABLE_STD
    assert found.pitch_deg == pytest.approx(pitch, abs=2.0)


def test_the_order_of_people_does_not_matter() -> None:
    """From 60 places on some are chosen."""
    people = [*standing_people(1400.0, 12.0), *standing_people(1300.0, 14.0)[:4]]
    found = [estimate_focal([people[i] for i in np.random.default_rng(s).permutation(12)], SIZE) for s in range(2)]
    assert found[0] is not None and found[0].places == 60
    assert found[0] == found[1]


def test_a_level_camera_does_not_tell_its_focal_length() -> None:
    found = estimate_focal(standing_people(1200.0, 0.0), SIZE)
    assert found is not None
    assert found.relative_std > 0.8 * LENS_STD
    camera = CameraSettings().resolve(SIZE, standing_people(1200.0, 0.0))
    assert camera.how == "guessed"
    assert camera.camera.fx == pytest.approx(focal_of_fov(60, 1920))
    assert "guess" in camera.note
    assert "proportion" in camera.note


def test_an_estimate_is_used_and_said() -> None:
    camera = CameraSettings().resolve(SIZE, standing_people(1200.0, 20.0))
    assert camera.how == "estimated"
    assert camera.camera.fx == camera.camera.fy == pytest.approx(1200, rel=0.08)
    assert (camera.camera.cx, camera.camera.cy) == (960, 540)
    assert "estimated from how people stand" in camera.note


def test_the_guess_is_across_the_longer_side() -> None:
    camera = CameraSettings().resolve((1080, 1920), [])
    assert camera.how == "guessed"
    assert "because it is not estimated from people here" in camera.note
    assert camera.camera.fx == pytest.approx(960 / math.tan(math.radians(30)))


def test_who_sits_or_bends_or_hides_does_not_stand() -> None:
    people = standing_people(1500.0, 10.0)
    assert len(standing_places(people).person) == 48
    bent = [PoseSequence("made", 0, None, 30.0, p.keypoints_2d.clone(), p.confidence.clone()) for p in people]
    for person in bent[:4]:  # knees far ahead
        for side in ("left", "right"):
            person.keypoints_2d[:, COCO_19.index(f"{side}_knee"), 0] += 80
    for person in bent[4:]:
        person.confidence[:, COCO_19.index("left_ankle")] = 0.1
    assert len(standing_places(bent).person) == 0
    assert estimate_focal(bent, SIZE) is None


def test_a_person_who_stays_counts_once() -> None:
    person = standing_people(1500.0, 10.0)[0]
    frames = torch.zeros(200, dtype=torch.long)
    still = PoseSequence("made", 0, None, 30.0, person.keypoints_2d[frames], person.confidence[frames])
    assert len(standing_places([still]).person) == 1


def walkers(golden: Path, focal: float, pitch_deg: float) -> list[PoseSequence]:
    """Eighteen times a person of CMU's walks past, detected as by HR-Net."""
    clips = np.load(golden / "mocap" / "cmu_30fps.npz")
    pitch, people = math.radians(pitch_deg), []
    camera = Camera(focal, focal, 960.0, 540.0, *SIZE)
    view = look_at(camera, np.array([0.0, 900 + 6000 * math.tan(pitch), 0.0]), np.array([0.0, 900.0, 6000.0]))
    for seed in range(6):
        rng = np.random.default_rng(seed)
        motions = []
        for _ in range(3):
            motion = clips[str(rng.choice(["02_01", "02_02"]))][:75].astype(float) * rng.normal(1, 0.055)
            motion[..., 1] -= np.percentile(motion[..., 1].min(1), 5)
            motions.append(motion)
        for one in render_scene(compose_scene(motions, view, rng, farthest=(5500, 7500)), view, 30.0, rng):
            keypoints, scores = torch.from_numpy(one.detection[..., :2]), torch.from_numpy(one.detection[..., 2])
            people.append(
                PoseSequence("cmu", len(people), None, 30.0, keypoints, scores, torch.from_numpy(one.detected))
            )
    return people


@pytest.mark.parametrize(("focal", "pitch"), [(1200.0, 20.0), (1663.0, 20.0), (2400.0, 25.0), (1200.0, 2.0)])
def test_captured_walkers_give_the_focal_length_or_say_that_they_do_not(golden, focal: float, pitch: float) -> None:
    found = estimate_focal(walkers(golden, focal, pitch), SIZE)
    assert found is not None
    assert abs(math.log(found.px / focal)) < 2 * found.relative_std
    if pitch >= 20:
        assert abs(math.log(found.px / focal)) < max(0.15, 0.8 * abs(math.log(focal_of_fov(60, 1920) / focal)))
        assert found.relative_std < 0.3
        assert found.pitch_deg == pytest.approx(pitch, abs=4)
    else:
        assert found.relative_std > 0.9 * LENS_STD


def test_mupots_ts1_does_not_tell_more_than_the_guess(golden: Path) -> None:
    """A nearly level camera; about 1500 px are true. What is said must hold: the estimate is within its uncertainty."""
    found = read_detections(golden / "detections" / "ts1_keypoints.json", fps=30, image_size=(2048, 2048))
    people = sequences(found, OfflineTracker()(found), None, 30.0)
    estimate = estimate_focal(people, (2048, 2048))
    assert estimate is not None
    assert abs(math.log(estimate.px / 1500)) < 2 * estimate.relative_std
    camera = CameraSettings().resolve((2048, 2048), people)
    assert camera.camera.fx == pytest.approx(1500, rel=0.2)


def test_given_values_come_first() -> None:
    camera = CameraSettings(fx=1500.0, cx=900.0).resolve(SIZE, []).camera
    assert (camera.fx, camera.fy, camera.cx, camera.cy, camera.width) == (1500, 1500, 900, 540, 1920)
    fov = CameraSettings(fov_deg=90.0).resolve(SIZE, [])
    assert fov.how == "fov"
    assert fov.camera.fx == pytest.approx(960)


def test_the_image_size_is_given_found_or_follows_from_the_centre() -> None:
    assert CameraSettings(image_size=(640, 480)).size((1, 2), "x") == (640, 480)
    assert CameraSettings().size((1920, 1080), "x") == (1920, 1080)
    assert CameraSettings(fx=1.0, cx=320.5, cy=240).size(None, "x") == (641, 480)
    with pytest.raises(ConfigError, match=r"x: the size of the image is not known; give camera\.image_size"):
        CameraSettings().size(None, "x")


@pytest.mark.parametrize(
    "settings",
    [
        {"fx": 0.0}, {"fx": -5.0}, {"fx": math.nan}, {"fy": 1000.0}, {"fx": 1000.0, "fov_deg": 60.0}, {"cx": math.inf},
        {"fov_deg": 0.0}, {"fov_deg": 180.0}, {"fov_deg": 1.05}, {"image_size": (0, 100)},
        {"image_size": (640, 480, 3)},
    ],
)  # fmt: skip
def test_values_that_cannot_be_used(settings: dict) -> None:
    with pytest.raises(ConfigError, match=r"^camera\."):
        CameraSettings(**settings)


def test_a_size_that_the_keypoints_do_not_fit_is_refused() -> None:
    people = standing_people(1700.0, 15.0)
    check_image_size(SIZE, people)
    said = r"camera\.image_size=\[960, 540\]: the keypoints don't fit it, \d+% of them lie outside; they reach from x="
    with pytest.raises(ConfigError, match=said):
        CameraSettings(fx=1000.0).resolve((960, 540), people)
    # Single joints outside are how a person leaves the picture, and undetected ones say nothing.
    people[0].keypoints_2d[:, :2] = 5000.0
    check_image_size(SIZE, people)
    unseen = [dataclasses.replace(one, confidence=torch.zeros_like(one.confidence)) for one in people]
    check_image_size((100, 100), unseen)
    check_image_size(SIZE, [])


def made_person(height_mm: float) -> np.ndarray:
    """Two frames of a person of that stature, straight, joints on a vertical line; (2, 17, 3) mm."""
    height = {
        "head_top": 1.0, "head": 0.93, "neck": 0.82, "shoulder": 0.82, "elbow": 0.63, "wrist": 0.49, "spine": 0.67,
        "hip": 0.53, "knee": 0.285, "ankle": 0.045,
    }  # fmt: skip
    pose = np.zeros((2, len(MUPOTS_17), 3))
    for index, name in enumerate(MUPOTS_17.names):
        joint = name.removeprefix("left_").removeprefix("right_")
        pose[:, index] = 0, -height[joint] * height_mm, 4000
    return pose


def test_stature_and_what_known_heights_do() -> None:
    seen = np.ones((2, 17), dtype=bool)
    assert stature(made_person(1700.0), seen) == pytest.approx(1700, abs=1)
    people = [
        PoseSequence(
            "clip", number, None, 30.0, torch.zeros(2, 19, 2), torch.zeros(2, 19), coordinates="normal",
            poses_3d=torch.from_numpy(made_person(height)), observed=torch.from_numpy(seen & (height > 1500)),
        )
        for number, height in enumerate((1700.0, 1600.0, 1500.0))
    ]  # fmt: skip
    np.testing.assert_allclose(KnownHeights({0: 1870.0}).factors(people), 1.1, atol=1e-6)
    np.testing.assert_allclose(
        KnownHeights({0: 1870.0, 1: 1440.0}).factors(people), [1.1, 0.9, math.sqrt(1.1 * 0.9)], atol=1e-6
    )
    np.testing.assert_allclose(KnownHeights().factors(people), 1)
    with pytest.raises(ConfigError, match=r"heights\[3\]: there is no such person; people are 0 to 2"):
        KnownHeights({3: 1700.0}).told(people)
    assert [one.stature_mm for one in KnownHeights({1: 1650.0}).told(people)] == [None, 1650.0, None]
    with pytest.raises(ConfigError, match=r"heights\[0\]=1\.7: must be a number >= 400 and <= 2600; mm"):
        KnownHeights({0: 1.7})


def test_joints_that_were_not_seen_do_not_spoil_the_stature() -> None:
    poses = np.concatenate([made_person(1700.0), 3 * made_person(1700.0)])
    observed = np.repeat([True, True, False, False], 17).reshape(4, 17)
    assert stature(poses, observed) == pytest.approx(1700, abs=1)


def test_millimetres_of_a_lens_are_those_across_the_longer_side() -> None:
    for size in ((1088, 1920), (1920, 1088)):
        with pytest.raises(ConfigError, match="26 mm are 1387 px"):
            CameraSettings(fx=26.0).resolve(size, [])
