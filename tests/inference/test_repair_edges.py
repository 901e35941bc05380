"""What repairing must not do: short clips, one-sided people, slow cameras, corners, equal scores."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from data.keypoints import read_detections
from inference.missing_joints import with_all_joints
from inference.score_calibration import fit_scores
from inference.tracking import OfflineTracker, sequences
from inference.tracking.side_swaps import SideSwaps, without_side_swaps
from pose.joint_sets import COCO_17, COCO_19
from pose.sequence import PoseSequence


@pytest.fixture(scope="module")
def ts1(golden: Path) -> list[PoseSequence]:
    found = read_detections(golden / "detections" / "ts1_keypoints.json", fps=30, image_size=(2048, 2048))
    return sequences(found, OfflineTracker()(found), None, 30.0, 3)


def without(person: PoseSequence, names: list[str], frames: slice = slice(None)) -> PoseSequence:
    keypoints, confidence = person.keypoints_2d.clone(), person.confidence.clone()
    for name in names:
        keypoints[frames, COCO_19.index(name)], confidence[frames, COCO_19.index(name)] = 0.0, 0.0
    return dataclasses.replace(person, keypoints_2d=keypoints, confidence=confidence)


@pytest.mark.parametrize("length", [3, 8, 10, 20])
def test_a_short_clip_is_not_unsure_of_its_sides(ts1: list[PoseSequence], length: int) -> None:
    for person in ts1:
        short = person.selected(torch.arange(len(person)) < length)
        assert without_side_swaps(short)[1] == SideSwaps(0, 0)


@pytest.mark.parametrize("frames", [slice(None), slice(60, 120)], ids=["always", "for a while"])
def test_a_side_that_is_not_found_is_no_exchange(ts1: list[PoseSequence], frames: slice) -> None:
    side = [f"right_{name}" for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")]
    for person in ts1:
        _, swaps = without_side_swaps(without(person, [*side, "hip", "neck"], frames))
        assert swaps.exchanged == 0
        assert swaps.unsure <= 0.06 * len(person)


@pytest.mark.parametrize("step", [3, 6])
def test_a_low_frame_rate_is_no_exchange(ts1: list[PoseSequence], step: int) -> None:
    for person in ts1:
        _, swaps = without_side_swaps(person.decimated(step))
        assert swaps.exchanged + swaps.unsure <= 0.06 * len(person) / step + 1


def test_a_joint_in_the_corner_was_not_found_whatever_its_score(golden: Path, tmp_path: Path) -> None:
    """Ultralytics puts joints that it is not sure of to 0, 0 and keeps their scores."""
    content = json.loads((golden / "detections" / "ts1_keypoints.json").read_text())
    for people in content.values():
        for person in people:
            person["keypoints"][15:18] = [0, 0, 0.4]
    (tmp_path / "k.json").write_text(json.dumps(content))
    found = read_detections(tmp_path / "k.json", fps=30, image_size=(2048, 2048))
    assert not found.confidence[:, COCO_17.index("left_shoulder")].any()


def test_equal_scores_are_calibrated_alike_in_either_direction_of_time(ts1: list[PoseSequence]) -> None:
    rng = np.random.default_rng(0)
    person = ts1[0]
    noise = torch.from_numpy(rng.normal(0, 12, (100, 19, 2))).float()
    noisy = person.keypoints_2d.clone()
    noisy[:100] += noise
    ones = dataclasses.replace(person, keypoints_2d=noisy, confidence=(person.confidence > 0).float())
    back = ones.selected(torch.ones(len(ones), dtype=torch.bool))
    back = dataclasses.replace(back, keypoints_2d=noisy.flip(0), confidence=ones.confidence.flip(0))
    forward, backward = fit_scores([ones]), fit_scores([back])
    assert forward is not None and backward is not None
    np.testing.assert_allclose(forward.values, backward.values, atol=1e-9)


def test_legs_without_shoulders_are_as_long_as_the_limbs_say(ts1: list[PoseSequence]) -> None:
    seen = {"left_hip", "right_hip", "left_knee", "right_knee", "hip"}
    person = without(ts1[0], [name for name in COCO_19.names if name not in seen])
    filled = with_all_joints(person).keypoints_2d[person.detected]
    knee, ankle, hip = (filled[:, COCO_19.index(name)] for name in ("left_knee", "left_ankle", "left_hip"))
    ratio = (ankle - knee).norm(dim=-1).median() / (knee - hip).norm(dim=-1).median()
    assert 0.5 < float(ratio) < 2
