"""Figures and warnings of a result."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from inference.quality import figures_of, scene_warnings, warnings_of
from inference.scene import Scene
from pose.cameras import Camera
from pose.joint_sets import COCO_19, MUPOTS_17
from pose.sequence import PoseSequence
from tests.inference.render.people import walker

CAMERA = Camera(1000.0, 1000.0, 960.0, 540.0, 1920, 1080)


def made(number: int, start: tuple[float, float], velocity: tuple[float, float] = (100, 0)) -> PoseSequence:
    """A walker of about 1.7 m over two seconds, seen where it is."""
    poses = walker(60, 30.0, start, velocity)
    names = [name if name in MUPOTS_17.names else "head" for name in COCO_19.names]
    keypoints = CAMERA.project(poses)[:, [MUPOTS_17.index(name) for name in names]].clone()
    middle = poses[:, [MUPOTS_17.index("left_hip"), MUPOTS_17.index("right_hip")]].mean(dim=1)
    keypoints[:, COCO_19.index("hip")] = CAMERA.project(middle)
    return PoseSequence(
        "a.mp4", number, CAMERA, 30.0, keypoints, torch.full((60, 19), 0.9), poses_3d=poses, lifted_3d=poses,
        observed=torch.ones(60, 17, dtype=torch.bool), coordinates="normal",
    )  # fmt: skip


def scene_of(*people: PoseSequence) -> Scene:
    return Scene(list(people), 30.0, 60, CAMERA, "normal", "a.mp4")


def warned(person: PoseSequence) -> list[str]:
    return warnings_of(person, figures_of(person, scene_of(person)))


def test_a_good_person_is_not_warned_about() -> None:
    person = made(0, (-300, 4000))
    figures = figures_of(person, scene_of(person))
    assert figures.stature_m == pytest.approx(1.72, abs=0.1) and figures.distance_m == pytest.approx(4.0, abs=0.05)
    assert (figures.observed_pct, figures.outside_frames) == (100, 0)
    assert figures.hips_off_pct == pytest.approx(0, abs=0.01)
    assert warned(person) == []


def test_each_warning() -> None:
    person = made(3, (-300, 4000))
    half = torch.arange(60)[:, None].expand(60, 17) % 3 == 0
    (said,) = warned(dataclasses.replace(person, observed=half))
    assert said.startswith("Warning: person 3: only 33 % of the joints were observed")
    hips = [MUPOTS_17.index("left_hip"), MUPOTS_17.index("right_hip")]
    lost = person.require("observed").clone()
    lost[:, hips] = False
    (said,) = warned(dataclasses.replace(person, observed=lost))
    assert said == "Warning: person 3: never observed: left hip, right hip; they are inferred from the other joints."
    lost[7, hips] = True
    assert warned(dataclasses.replace(person, observed=lost)) == []
    (said,) = warned(dataclasses.replace(person, keypoints_2d=person.keypoints_2d + 120.0))
    assert "the hips are up to 9 % of the image's width" in said
    poses = person.require("poses_3d")
    (said,) = warned(dataclasses.replace(person, poses_3d=0.5 * poses))  # half as far, half as tall
    assert "a stature of 0.8" in said
    assert warned(dataclasses.replace(person, poses_3d=0.5 * poses, stature_mm=860.0)) == []  # heights= says so
    (said,) = warned(made(0, (3000, 4000), (1500, 0)))
    assert "out of the image, wholly or in part, in " in said and " of 60 frames" in said


def test_a_stature_means_nothing_in_universal_coordinates() -> None:
    person = made(0, (-300, 4000))
    scene = dataclasses.replace(scene_of(person), coordinates="universal")
    assert figures_of(person, scene).stature_m is None


def test_what_the_whole_scene_tells() -> None:
    person = made(0, (-300, 4000))
    seen, far = person.keypoints_2d, torch.tensor([1920.0, 1080.0])

    def said(keypoints: torch.Tensor, **more) -> list[str]:
        scene = scene_of(dataclasses.replace(person, keypoints_2d=keypoints))
        return [line for line in scene_warnings(dataclasses.replace(scene, **more)) if "Warning: person" not in line]

    assert said(seen) == []
    for other, says in (
        (dataclasses.replace(CAMERA, fx=400.0), "fx=400 px sees 135 degrees:"),
        (dataclasses.replace(CAMERA, fx=15000.0), "fx=15000 px sees 7 degrees:"),
        (dataclasses.replace(CAMERA, cx=320.0, cy=180.0), "the centre (320, 180) is not in the middle:"),
    ):
        (odd,) = said(seen, camera=other)
        assert f"of pictures of 1920 x 1080 px {says} fx, fy, cx and cy are perhaps those of another" in odd
    (heads,) = said(far - seen)
    assert "people stand on their heads in the picture" in heads
    (lying,) = said(seen.flip(-1) + torch.tensor([600.0, 0.0]))
    assert "people lie in the picture" in lying and "y before x" in lying
    assert said(seen.flip(-1) + torch.tensor([600.0, 0.0]), roll_deg=90.0) == []
    (corner,) = said(seen / 3)
    assert "of a smaller picture" in corner and "of 1920 x 1080 px" in corner
    (doubled,) = said(seen[torch.arange(60) // 2 * 2])
    assert "in 51% of the frames people are exactly where they were" in doubled


def test_a_detector_that_finds_one_person_is_told() -> None:
    one, other = made(0, (-300, 4000)), made(1, (300, 4500))
    after = dataclasses.replace(other, frame=other.frame + 60)
    (said,) = scene_warnings(scene_of(one, after))
    assert said.startswith("Warning: no two of the 2 people were detected in one frame") and "rtmpose" in said
    assert scene_warnings(scene_of(one, other)) == scene_warnings(scene_of(one)) == []
