"""Left and right on real detections: real exchanges are found, ten made ones undone, and nothing else is touched."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.studies.side_swaps import ARMS, FACE, LEGS, exchanged, figures
from data.keypoints import read_detections
from inference.tracking import OfflineTracker, sequences
from inference.tracking.side_swaps import without_side_swaps
from pose.sequence import PoseSequence


def people(path: Path, fps: float, size: tuple[int, int], count: int | None = None) -> list[PoseSequence]:
    found = read_detections(path, fps=fps, image_size=size)
    return sequences(found, OfflineTracker()(found), None, fps, count)


@pytest.fixture(scope="module")
def ts1(golden: Path) -> list[PoseSequence]:
    return people(golden / "detections" / "ts1_keypoints.json", 30.0, (2048, 2048), 3)


def test_detections_without_an_exchange_keep_their_sides(ts1: list[PoseSequence]) -> None:
    for person in ts1:
        found, swaps = without_side_swaps(person)
        assert swaps.exchanged == 0
        assert swaps.unsure <= 0.03 * len(person)
        kept = found.confidence > 0
        assert torch.equal(found.keypoints_2d[kept], person.keypoints_2d[kept])


@pytest.mark.parametrize("seed", range(10))
def test_seeded_exchanges_are_undone(ts1: list[PoseSequence], seed: int) -> None:
    rng = np.random.default_rng(seed)
    person = ts1[rng.integers(3)]
    joints = [ARMS, LEGS, ARMS + LEGS][rng.integers(3)]
    length = int(rng.integers(3, 60))
    first = int(rng.integers(0, len(person) - length))
    found, swaps = without_side_swaps(exchanged(person, first, first + length - 1, joints))
    assert swaps.unsure <= 0.1 * len(person)
    seen = found.confidence[:, 5:17] > 0
    off = (found.keypoints_2d - person.keypoints_2d)[:, 5:17].norm(dim=-1)[seen]
    assert float((off > 1).float().mean()) < 0.01


@pytest.mark.parametrize("joints", [ARMS, LEGS, ARMS + LEGS])
def test_ears_tell_sides_that_are_exchanged_in_most_of_a_track(
    ts1: list[PoseSequence], joints: tuple[int, ...]
) -> None:
    before, after, unsure, lost = figures(ts1, joints, (0.6, 0.95), range(300, 306))
    assert before > 30
    assert max(after, unsure) < 5
    assert lost == 0


def test_people_do_not_walk_backward(multiview: Path) -> None:
    """Walking toward a camera and away from another, with body and face exchanged in most of the track."""
    for camera in (3, 4):
        (person,) = people(multiview / f"cam{camera}_keypoints.json", 60.0, (1088, 1920), 1)
        found, _ = without_side_swaps(exchanged(person, 15, 94, FACE + ARMS + LEGS))
        seen = found.confidence[:, 5:17] > 0
        off = (found.keypoints_2d - person.keypoints_2d)[:, 5:17].norm(dim=-1)[seen]
        assert float((off > 1).float().mean()) < 0.05


def test_a_real_exchange_is_found_where_the_truth_says(golden: Path) -> None:
    """MediaPipe on camera 2 of the multiview clip: against the triangulated truth, exchanged from frame 41 on."""
    (person,) = people(golden / "cases" / "cam2_mediapipe.json", 60.0, (1088, 1920))
    found, swaps = without_side_swaps(person)
    moved = ((found.keypoints_2d - person.keypoints_2d)[:, 5:17].norm(dim=-1) > 1).any(1).numpy()
    frames = person.frame.numpy()[moved]
    assert set(range(41, 60)) <= set(frames.tolist())
    assert frames.min() >= 40 and frames.max() <= 75
    assert swaps.exchanged == len(frames)


def test_one_man_stays_one_man(golden: Path) -> None:
    """MediaPipe finds at most one person a frame; exchanged sides made the tracker see two."""
    (person,) = people(golden / "cases" / "one_man_swaps.json", 30.0, (640, 360))
    assert int(person.detected.sum()) == 46
    assert without_side_swaps(person)[1].exchanged >= 10


def test_an_exchange_of_half_a_track_is_found_though_either_half_may_be_right(multiview: Path) -> None:
    (person,) = people(multiview / "cam3_keypoints.json", 60.0, (1088, 1920), 1)
    plain, _ = without_side_swaps(person)
    found, swaps = without_side_swaps(exchanged(person, 34, 93, FACE + ARMS + LEGS))
    assert swaps.unsure <= 0.1 * len(person)
    seen = (found.confidence[:, 5:17] > 0) & (plain.confidence[:, 5:17] > 0)
    assert float(seen.float().mean()) > 0.8


def test_joints_that_are_missing_at_random_tell_no_exchange(ts1: list[PoseSequence]) -> None:
    changed = unsure = 0.0
    for seed, person in enumerate(ts1):
        lost = torch.rand(len(person), 19, generator=torch.Generator().manual_seed(seed)) < 0.2
        keypoints, confidence = person.keypoints_2d.clone(), person.confidence.clone()
        keypoints[lost], confidence[lost] = 0.0, 0.0
        found, swaps = without_side_swaps(dataclasses.replace(person, keypoints_2d=keypoints, confidence=confidence))
        moved = ((found.keypoints_2d - keypoints).norm(dim=-1) > 1) & (found.confidence > 0)
        changed += float(moved[:, 5:17].any(1).float().mean()) / len(ts1)
        unsure += swaps.unsure / len(person) / len(ts1)
    assert changed < 0.01
    assert unsure < 0.1
