"""Joint sets are data: their order is checked against each format's own documentation."""

from __future__ import annotations

import pytest

from pose.errors import MismatchError
from pose.joint_sets import (
    BODY_25,
    COCO_17,
    HALPE_26,
    JOINT_SETS,
    MEDIAPIPE_33,
    MPII_16,
    OPENPOSE_18,
    PANOPTIC_19,
    JointSet,
    joint_set,
    remap_index,
)


@pytest.mark.parametrize("joints", JOINT_SETS.values(), ids=lambda joints: joints.name)
def test_names_are_distinct_and_left_goes_with_right(joints: JointSet):
    assert len(set(joints.names)) == len(joints)
    assert [joints.flip[i] for i in joints.flip] == list(range(len(joints)))
    assert sum(name.startswith("left_") for name in joints.names) == sum(n.startswith("right_") for n in joints.names)
    assert joint_set(joints.name) is joints


@pytest.mark.parametrize(
    ("joints", "size", "places"),
    [
        # OpenPose docs "Output": its COCO model's 18, BODY_25's mid hip, eyes and ears right first.
        (OPENPOSE_18, 18, {"neck": 1, "right_wrist": 4, "left_wrist": 7, "left_ankle": 13, "left_ear": 17}),
        (BODY_25, 25, {"neck": 1, "hip": 8, "right_ankle": 11, "left_ankle": 14, "right_eye": 15, "right_heel": 24}),
        # AlphaPose docs/output.md, "Result for MPII".
        (MPII_16, 16, {"right_ankle": 0, "right_hip": 2, "hip": 6, "head_top": 9, "right_wrist": 10, "left_wrist": 15}),
        # Halpe-FullBody: 0..16 as COCO, then head, neck, hip, feet.
        (HALPE_26, 26, {"nose": 0, "right_ankle": 16, "head_top": 17, "neck": 18, "hip": 19, "right_heel": 25}),
        # CMU Panoptic: neck, nose, body centre, then left shoulder.
        (PANOPTIC_19, 19, {"neck": 0, "nose": 1, "hip": 2, "left_shoulder": 3, "right_hip": 12, "right_ear": 18}),
        # MediaPipe "Pose landmark detection".
        (MEDIAPIPE_33, 33, {"left_ear": 7, "left_shoulder": 11, "left_hip": 23, "right_ankle": 28, "right_heel": 30}),
    ],
    ids=lambda value: value.name if isinstance(value, JointSet) else None,
)
def test_places_of_documented_joints(joints: JointSet, size: int, places: dict[str, int]):
    assert len(joints) == size
    assert {name: joints.index(name) for name in places} == places


def test_openpose_18_has_the_joints_of_coco_17():
    assert remap_index(OPENPOSE_18, COCO_17) == [0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10]


def test_a_missing_joint_names_both_sets():
    with pytest.raises(
        MismatchError, match=r"joint set MPII-16 has no nose, .*needed by COCO-17; MPII-16: right_ankle,"
    ):
        remap_index(MPII_16, COCO_17)
    with pytest.raises(MismatchError, match=r"unknown joint set 'BODY_26'; known: MuPoTS-17, "):
        joint_set("BODY_26")
