"""Missing joints on real detections: what is filled in is near what was left out, and what was found stays."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from data.keypoints import read_detections
from inference.missing_joints import with_all_joints
from inference.tracking import OfflineTracker, sequences
from pose.joint_sets import COCO_17, COCO_19
from pose.sequence import PoseSequence


@pytest.fixture(scope="module")
def person(golden: Path) -> PoseSequence:
    """The first person of MuPoTS-3D TS1, of real HR-Net detections."""
    found = read_detections(golden / "detections" / "ts1_keypoints.json", fps=30, image_size=(2048, 2048))
    return sequences(found, OfflineTracker()(found), None, 30.0, 3)[0]


def without(person: PoseSequence, lost: np.ndarray) -> PoseSequence:
    """The person without the COCO-17 joints `lost` (T, 17), nor hip and neck where they are made of one."""
    lost = np.c_[lost, np.zeros((len(lost), 2), dtype=bool)]
    for name, part in (("hip", "hip"), ("neck", "shoulder")):
        lost[:, COCO_19.index(name)] = lost[:, [COCO_19.index(f"{side}_{part}") for side in ("left", "right")]].any(1)
    mask = torch.from_numpy(lost)
    return dataclasses.replace(
        person,
        keypoints_2d=person.keypoints_2d.masked_fill(mask[..., None], 0.0),
        confidence=person.confidence.masked_fill(mask, 0.0),
    )


def errors(person: PoseSequence, filled: PoseSequence, lost: np.ndarray) -> np.ndarray:
    """Distances of the filled body joints from what was left out, in heights of the person."""
    lost = lost & (person.confidence[:, :17] > 0).numpy()
    lost[:, :5] = False
    box = person.keypoints_2d[person.detected][:, 5:17]
    height = float((box.amax(1) - box.amin(1)).amax(1).median())
    return (person.keypoints_2d - filled.keypoints_2d).norm(dim=-1).numpy()[:, :17][lost] / height


def test_single_joints_are_bridged_within_one_percent_of_the_height(person: PoseSequence) -> None:
    lost = np.random.default_rng(0).random((len(person), 17)) < 0.05
    given = without(person, lost)
    filled = with_all_joints(given)
    assert np.median(errors(person, filled, lost)) < 0.01
    assert (filled.confidence[:, 5:][person.detected] > 0).all()
    found = given.confidence > 0
    assert torch.equal(filled.keypoints_2d[found], given.keypoints_2d[found])
    assert torch.equal(filled.confidence[found], given.confidence[found])


@pytest.mark.parametrize("name", ["right_hip", "left_knee", "right_wrist", "left_shoulder"])
def test_a_joint_that_is_lost_for_two_seconds_is_carried_by_the_others(person: PoseSequence, name: str) -> None:
    lost = np.zeros((len(person), 17), dtype=bool)
    lost[60:120, COCO_17.index(name)] = True
    assert np.median(errors(person, with_all_joints(without(person, lost)), lost)) < 0.06


def test_a_hip_that_is_never_found_comes_from_the_other_one_and_the_shoulders(person: PoseSequence) -> None:
    lost = np.zeros((len(person), 17), dtype=bool)
    lost[:, COCO_17.index("right_hip")] = True
    filled = with_all_joints(without(person, lost))
    assert np.median(errors(person, filled, lost)) < 0.04
    sides = [COCO_19.index("left_hip"), COCO_19.index("right_hip")]
    middle = filled.keypoints_2d[:, sides].mean(1)
    torch.testing.assert_close(filled.keypoints_2d[:, COCO_19.index("hip")], middle, atol=1e-3, rtol=0)


def test_hips_that_are_never_found_follow_the_knees_of_who_bends(multiview: Path) -> None:
    for camera, limit in ((1, 0.03), (2, 0.15), (3, 0.16), (4, 0.25)):
        found = read_detections(multiview / f"cam{camera}_keypoints.json", fps=60, image_size=(1088, 1920))
        person = sequences(found, OfflineTracker()(found), None, 60.0, 1)[0]
        lost = np.zeros((len(person), 17), dtype=bool)
        lost[:, 11:13] = True
        off = np.median(errors(person, with_all_joints(without(person, lost)), lost))
        assert off < limit


def test_legs_that_are_never_found_hang_down(person: PoseSequence) -> None:
    lost = np.zeros((len(person), 17), dtype=bool)
    lost[:, 11:] = True
    filled = with_all_joints(without(person, lost)).keypoints_2d[person.detected]
    neck, hip, knee = (filled[:, COCO_19.index(name), 1] for name in ("neck", "hip", "left_knee"))
    assert (hip > neck).all() and (knee > hip).all()


def test_undetected_frames_and_whole_people_stay_as_they_are(person: PoseSequence) -> None:
    detected = person.detected.clone()
    detected[20:30] = False
    gone = dataclasses.replace(
        person,
        detected=detected,
        keypoints_2d=person.keypoints_2d.masked_fill(~detected[:, None, None], 0.0),
        confidence=person.confidence.masked_fill(~detected[:, None], 0.0),
    )
    assert not with_all_joints(gone).keypoints_2d[20:30].any()
    whole = dataclasses.replace(person, confidence=torch.ones_like(person.confidence))
    assert with_all_joints(whole) is whole
