from __future__ import annotations

import dataclasses

import pytest
import torch

from inference.scene import Scene, hip_offset_px
from pose.cameras import Camera
from pose.errors import MismatchError
from pose.joint_sets import COCO_19, MUPOTS_17
from pose.level import World, up_of
from pose.sequence import PoseSequence

CAMERA = Camera(1000.0, 1000.0, 500.0, 500.0, 1000, 1000)


def make_person() -> PoseSequence:
    poses_3d = torch.zeros(3, 17, 3) + torch.tensor([0.0, -100.0, 2000.0])
    poses_3d[:, MUPOTS_17.index("left_hip")] = torch.tensor([110.0, 0.0, 2000.0])
    # The middle: (10, 0, 2000) mm, seen at (505, 500) px.
    poses_3d[:, MUPOTS_17.index("right_hip")] = torch.tensor([-90.0, 0.0, 2000.0])
    keypoints_2d, confidence = torch.zeros(3, 19, 2), torch.full((3, 19), 0.9)
    hip = COCO_19.index("hip")
    keypoints_2d[:, hip] = torch.tensor([[505.0, 500.0], [502.0, 504.0], [0.0, 0.0]])
    confidence[2, hip] = 0.05
    return PoseSequence(
        "clip.mp4", 0, CAMERA, 30.0, keypoints_2d, confidence, poses_3d=poses_3d, coordinates="normal",
        lifted_3d=poses_3d, observed=torch.ones(3, 17, dtype=torch.bool),
    )  # fmt: skip


def test_offset_of_the_middle_of_the_hips_by_hand() -> None:
    offset = hip_offset_px(make_person(), CAMERA)
    assert offset[:2].tolist() == pytest.approx([0, 5], abs=1e-3)
    assert bool(offset[2].isnan())


@pytest.mark.parametrize("key", ["poses_3d", "lifted_3d", "observed"])
def test_people_have_all_that_exporters_need(key: str) -> None:
    with pytest.raises(MismatchError, match=rf"clip\.mp4/0: has no {key}"):
        Scene([dataclasses.replace(make_person(), **{key: None})], 30.0, 3, CAMERA, "normal", "clip.mp4")


def test_the_floor_of_the_refinement_is_the_scenes_but_for_a_camera_left_as_it_was_held() -> None:
    floor = World.of(up_of(10.0, 0.0), -1300.0, "people")
    scene = Scene([make_person()], 30.0, 3, CAMERA, "normal", "clip.mp4", ground=floor)
    assert scene.world is floor
    assert dataclasses.replace(scene, level="camera").world.angles_deg == (0, 0)
    assert dataclasses.replace(scene, ground=None).world.how == "camera"
