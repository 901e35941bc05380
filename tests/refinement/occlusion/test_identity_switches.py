"""Spans in which detections are another person's."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from pose.cameras import Camera
from pose.joint_sets import COCO_19, MUPOTS_17
from pose.sequence import PoseSequence
from refinement.occlusion.identity_switches import identity_switch_frames
from refinement.occlusion.model import OcclusionRefinement

CAMERA = Camera(1500.0, 1500.0, 960.0, 540.0, 1920, 1080)


def walk(noise: float = 0.0) -> PoseSequence:
    """A stiff person who walks sideways for five seconds, detected where the joints are."""
    rng = np.random.default_rng(0)
    shape = np.random.default_rng(99).normal(0, 250, (17, 3))
    shape[14] = 0
    seconds = np.arange(150)[:, None, None] / 30
    truth = torch.from_numpy([-800.0, 0.0, 4000.0] + seconds * [400.0, 0.0, 200.0] + shape).float()
    points = torch.zeros(150, 19, 2)
    for joint, name in enumerate(MUPOTS_17.names):
        if name in COCO_19.names:
            points[:, COCO_19.index(name)] = CAMERA.project(truth[:, joint])
    points[:, :5] = CAMERA.project(truth[:, [MUPOTS_17.index("head")] * 5])
    poses = truth + torch.from_numpy(rng.normal(0, 1, truth.shape)).float() * noise
    confidence, detected = torch.full((150, 19), 0.9), torch.ones(150, dtype=torch.bool)
    return PoseSequence("S", 0, CAMERA, 30.0, points, confidence, detected, poses, coordinates="normal")


def error(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).norm(dim=-1).mean())


def track(frames: int, fps: float = 30.0) -> np.ndarray:
    """Ten points of a person who walks at 1 m/s, (frames, 10, 2) mm."""
    start = np.random.default_rng(0).normal(0, 300, (1, 10, 2))
    return start + np.arange(frames)[:, None, None] / fps * [1000.0, 0.0]


@pytest.mark.parametrize("fps", [25.0, 60.0])
def test_a_visit_to_another_person_is_rejected(fps: float) -> None:
    points, scores = track(int(6 * fps), fps), np.full((int(6 * fps), 10), 0.9)
    away = slice(int(2 * fps), int(3 * fps))
    points[away] += [700.0, 0.0]
    expected = np.zeros(len(points), dtype=bool)
    expected[away] = True
    np.testing.assert_array_equal(identity_switch_frames(points, scores, fps, 5.0), expected)
    assert not identity_switch_frames(points, scores, fps, 0.0).any()


def test_walking_running_and_a_cut_are_kept() -> None:
    scores = np.full((180, 10), 0.9)
    assert not identity_switch_frames(track(180), scores, 30.0, 5.0).any()
    assert not identity_switch_frames(6 * track(180), scores, 30.0, 5.0).any()
    cut = track(400)
    cut[200:] += [3000.0, 0.0]
    assert not identity_switch_frames(cut, np.full((400, 10), 0.9), 30.0, 5.0).any()


def test_unseen_frames_say_nothing_and_a_jump_across_them_may_be_a_walk() -> None:
    points, scores = track(180), np.full((180, 10), 0.9)
    points[60:75] = 0.0
    scores[60:75] = 0.0
    points[75:] += [400.0, 0.0]  # in half a second
    assert not identity_switch_frames(points, scores, 30.0, 5.0).any()
    assert not identity_switch_frames(points[:1], scores[:1], 30.0, 5.0).any()
    assert not identity_switch_frames(points, 0 * scores, 30.0, 5.0).any()


def test_the_refinement_bridges_an_identity_switch() -> None:
    truth, given = walk().poses_3d, walk(noise=5)
    poses, points = given.poses_3d.clone(), given.keypoints_2d.clone()  # type: ignore[union-attr]
    poses[60:80] += torch.tensor([900.0, 0.0, -1000.0])
    points[60:80] += torch.tensor([500.0, 0.0])
    confused = dataclasses.replace(given, poses_3d=poses, keypoints_2d=points)
    for fraction, span in ((0.12, 5.0), (10.0, 0.0)):
        result = OcclusionRefinement(identity_switch_s=span)([confused])
        found = error(result.sequences[0].poses_3d[60:80], truth[60:80])  # type: ignore[index]
        (refined,) = result.sequences
        assert refined.observed is not None
        assert bool(refined.observed[60:80].any()) == (span == 0)
        if span:
            assert found < fraction * error(poses[60:80], truth[60:80])  # type: ignore[index]
        else:
            assert found > 0.5 * error(poses[60:80], truth[60:80])  # type: ignore[index]
