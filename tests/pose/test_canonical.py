"""Canonical features: exact and invertible, and blind to what they are meant to leave out."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from data.synthetic.bodies import random_body
from data.synthetic.detections import coco_points
from data.synthetic.motions import procedural_motion
from pose.cameras import Camera
from pose.canonical import CanonicalFeatures
from pose.errors import DataError
from pose.features import mirrored, with_derived_joints
from pose.joint_sets import COCO_17
from pose.sequence import PoseSequence

FEATURES = CanonicalFeatures()
CAMERA = Camera(1500.0, 1500.0, 960.0, 540.0, 1920, 1080)
PLACES = [4 * joint + axis for joint in range(5, 17) for axis in (0, 1)]  # the face has depth


def motion(seed: int = 0, frames: int = 60) -> torch.Tensor:
    """(T, 17, 3) mm about the hip of the first frame, x right, y down."""
    rng = np.random.default_rng(seed)
    poses = procedural_motion("mixed", frames, 25.0, random_body(rng), rng) * [1.0, -1.0, -1.0]
    return torch.from_numpy(poses - poses[:1, 14:15])


def seen(poses_3d: torch.Tensor, camera: Camera) -> PoseSequence:
    """A person at these places, mm in camera coordinates, exactly detected."""
    pixels = camera.project(torch.from_numpy(coco_points(poses_3d.numpy())))
    keypoints_2d, confidence = with_derived_joints(pixels, torch.full(pixels.shape[:2], 0.9, dtype=torch.float64))
    return PoseSequence(
        "clip", 0, camera, 25.0, keypoints_2d, confidence, poses_3d=poses_3d.float(), coordinates="normal"
    )


def turn(axis: int, degrees: float) -> torch.Tensor:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    matrix = torch.eye(3, dtype=torch.float64)
    matrix[i, i] = matrix[j, j] = c
    matrix[i, j], matrix[j, i] = -s, s
    return matrix


@pytest.mark.parametrize("gravity", [None, (0.2, 0.9, 0.3)])
@pytest.mark.parametrize("causal", [False, True])
def test_targets_come_back_as_poses(gravity, causal: bool) -> None:
    person = seen(motion() + torch.tensor([900.0, -300.0, 4000.0]), dataclasses.replace(CAMERA, gravity=gravity))
    features, view = FEATURES.encode(person, causal)
    assert features.shape == (60, FEATURES.n_features) and bool(features.isfinite().all())
    targets = FEATURES.targets(person.require("poses_3d"), view)
    assert targets.shape == (60, FEATURES.n_targets)
    torch.testing.assert_close(FEATURES.poses(targets, view), person.poses_3d, rtol=0, atol=2e-3)


def test_neither_distance_nor_focal_length_changes_what_is_seen() -> None:
    """A body of no depth that stays where it is, so that perspective does not change either."""
    flat = motion()
    flat = (flat - flat[:, 14:15]) * torch.tensor([1.0, 1.0, 0.0])
    near, _ = FEATURES.encode(seen(flat + torch.tensor([0.0, 0.0, 2000.0]), CAMERA), False)
    far, view = FEATURES.encode(seen(flat + torch.tensor([0.0, 0.0, 18000.0]), CAMERA), False)
    other = dataclasses.replace(CAMERA, fx=2500.0, fy=2500.0)
    zoomed, _ = FEATURES.encode(seen(flat + torch.tensor([0.0, 0.0, 18000.0]), other), False)
    torch.testing.assert_close(far[:, PLACES], near[:, PLACES], rtol=0, atol=0.05)
    torch.testing.assert_close(zoomed, far, rtol=0, atol=1e-4)
    assert 18000 * float(view.size.median()) == pytest.approx(1, abs=0.2)  # its size tells the distance


def test_the_camera_may_turn_about_its_place_if_gravity_is_known() -> None:
    poses = motion() + torch.tensor([100.0, 200.0, 4000.0])
    straight = seen(poses, dataclasses.replace(CAMERA, gravity=(0.0, 1.0, 0.0)))
    rotation = turn(2, 25) @ turn(0, 12) @ turn(1, -9)
    x, y, z = (rotation @ torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)).tolist()
    turned = seen(poses @ rotation.T, dataclasses.replace(CAMERA, gravity=(x, y, z)))
    a, view_a = FEATURES.encode(straight, False)
    b, view_b = FEATURES.encode(turned, False)
    # The middle of two rays is taken before they have one length, so the view turns a little with the camera.
    torch.testing.assert_close(a, b, rtol=0, atol=5e-3)
    targets = FEATURES.targets(straight.require("poses_3d"), view_a)
    torch.testing.assert_close(FEATURES.targets(turned.require("poses_3d"), view_b), targets, rtol=0, atol=3.0)


def test_the_mirrored_person_has_mirrored_features() -> None:
    person = seen(motion() + torch.tensor([700.0, 100.0, 3000.0]), dataclasses.replace(CAMERA, gravity=(0.1, 1.0, 0.2)))
    features, _ = FEATURES.encode(person, False)
    other, _ = FEATURES.encode(mirrored(person), False)
    joints, swapped = features[:, :68].unflatten(1, (17, 4)), other[:, :68].unflatten(1, (17, 4))
    sign = torch.tensor([-1.0, 1.0, 1.0, 1.0])
    torch.testing.assert_close(swapped, joints[:, list(COCO_17.flip)] * sign, rtol=0, atol=1e-4)
    torch.testing.assert_close(other[:, 69:], features[:, 69:], rtol=0, atol=1e-4)
    torch.testing.assert_close(other[:, 68], -features[:, 68], rtol=0, atol=1e-4)


def test_causal_features_do_not_know_the_future() -> None:
    person = seen(motion() + torch.tensor([0.0, 0.0, 4000.0]), CAMERA)
    later = dataclasses.replace(person, keypoints_2d=person.keypoints_2d.clone())
    later.keypoints_2d[40:] += 90
    same, _ = FEATURES.encode(person, True)
    changed, _ = FEATURES.encode(later, True)
    assert torch.equal(same[:40], changed[:40]) and not torch.equal(same[40:], changed[40:])


def test_what_is_missing_is_a_mask_wherever_it_is_said_to_be() -> None:
    person = seen(motion() + torch.tensor([500.0, 0.0, 4000.0]), CAMERA)
    confidence, zeros, bridged = person.confidence.clone(), person.keypoints_2d.clone(), person.keypoints_2d.clone()
    for joint, frames in ((9, slice(0, 60)), (12, slice(10, 30)), (14, slice(5, 6))):
        confidence[frames, joint] = 0
        zeros[frames, joint] = 0
        bridged[frames, joint] += 37.0
    a, _ = FEATURES.encode(dataclasses.replace(person, keypoints_2d=zeros, confidence=confidence), False)
    b, _ = FEATURES.encode(dataclasses.replace(person, keypoints_2d=bridged, confidence=confidence), False)
    assert torch.equal(a, b) and bool((a[:, 4 * 9 : 4 * 9 + 4] == 0).all())
    whole, view = FEATURES.encode(person, False)
    _, without = FEATURES.encode(dataclasses.replace(person, keypoints_2d=zeros, confidence=confidence), False)
    # A hip missing for 20 frames hardly moves the view.
    turned = (view.rotation[:, 2] * without.rotation[:, 2]).sum(1).clamp(-1, 1).arccos()
    assert float(turned.max()) < math.radians(2.5)
    assert float((view.size / without.size).log().abs().max()) < 0.1 and whole.shape == a.shape


def test_undetected_frames_take_the_nearest_view_and_nobody_at_all_is_still_finite() -> None:
    person = seen(motion() + torch.tensor([500.0, 0.0, 4000.0]), CAMERA)
    detected = torch.ones(60, dtype=torch.bool)
    detected[20:] = False
    features, view = FEATURES.encode(dataclasses.replace(person, detected=detected), False)
    assert bool((features[20:, :68] == 0).all()) and bool(features.isfinite().all())
    torch.testing.assert_close(view.rotation[59], view.rotation[40], rtol=0, atol=0.02)
    nobody, _ = FEATURES.encode(dataclasses.replace(person, detected=torch.zeros(60, dtype=torch.bool)), False)
    assert bool(nobody.isfinite().all())


def test_gravity_straight_along_the_line_of_sight_is_no_accident() -> None:
    person = seen(motion() + torch.tensor([0.0, 0.0, 4000.0]), dataclasses.replace(CAMERA, gravity=(0.0, 0.0, 1.0)))
    features, view = FEATURES.encode(person, False)
    assert bool(features.isfinite().all())
    eye = torch.eye(3, dtype=torch.float64).expand(60, 3, 3)
    torch.testing.assert_close(view.rotation @ view.rotation.transpose(1, 2), eye)


def test_without_a_camera_there_is_no_view() -> None:
    person = dataclasses.replace(seen(motion() + 4000.0, CAMERA), camera=None)
    with pytest.raises(DataError, match="clip/0: has no camera"):
        FEATURES.encode(person, False)
