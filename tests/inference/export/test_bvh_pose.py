"""Rotations from positions: exact directions, and a twist that neither jumps nor drifts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from inference.export.bvh_pose import SEGMENTS, X, Y, Z, bone_pose
from pose.errors import ShapeError
from pose.joint_sets import MUPOTS_17

FPS = 30.0


def t_pose(n_frames: int = 1) -> np.ndarray:
    """(T, 17, 3): the rest pose with bones of 200 mm at the origin."""
    places = {"hip": np.zeros(3)}
    for segment in SEGMENTS:
        places[segment.tail] = places[segment.head] + 200 * segment.rest
    return np.repeat(np.stack([places[name] for name in MUPOTS_17.names])[None], n_frames, axis=0)


def put(poses: np.ndarray, joint: str, places: np.ndarray) -> None:
    poses[:, MUPOTS_17.index(joint)] = places


def at(poses: np.ndarray, joint: str) -> np.ndarray:
    return poses[:, MUPOTS_17.index(joint)]


def steps_deg(rotations: np.ndarray) -> np.ndarray:
    """(T, 3, 3) -> (T - 1,) angle from each to the next."""
    return np.degrees(Rotation.from_matrix(np.swapaxes(rotations[:-1], 1, 2) @ rotations[1:]).magnitude())


def arc(degrees: np.ndarray, start: np.ndarray, toward: np.ndarray) -> np.ndarray:
    """Unit vectors (T, 3) that leave `start` toward `toward`."""
    angle = np.radians(degrees)[:, None]
    return np.cos(angle) * start + np.sin(angle) * toward


def test_rest_pose_has_no_rotation() -> None:
    pose = bone_pose(t_pose(), FPS)
    for name, rotations in pose.rotations.items():
        np.testing.assert_allclose(rotations[0], np.eye(3), atol=1e-9, err_msg=name)


def test_whole_body_turn_is_the_root_alone() -> None:
    turn = Rotation.from_euler("YXZ", [130, 40, -70], degrees=True).as_matrix()
    pose = bone_pose(t_pose() @ turn.T + [10, 20, 30], FPS)
    np.testing.assert_allclose(pose.local("hip")[0], turn, atol=1e-9)
    for segment in SEGMENTS:
        np.testing.assert_allclose(pose.local(segment.name)[0], np.eye(3), atol=1e-9, err_msg=segment.name)


@pytest.mark.parametrize(("side", "lateral", "axis"), [("left", X, -Y), ("right", -X, Y)])
def test_elbow_bends_about_its_hinge(side: str, lateral: np.ndarray, axis: np.ndarray) -> None:
    """Forearm swung forward to 180 degrees, right back onto the upper arm, and further."""
    angles = np.arange(0, 211, 3.0)
    poses = t_pose(len(angles))
    put(poses, f"{side}_wrist", at(poses, f"{side}_elbow") + 200 * arc(angles, lateral, Z))
    pose = bone_pose(poses, FPS)
    np.testing.assert_allclose(pose.positions(), poses, atol=1e-6)
    bent = (angles > 5) & (angles < 175)
    expected = Rotation.from_rotvec(np.radians(angles)[:, None] * axis).as_matrix()
    np.testing.assert_allclose(pose.local(f"{side}_elbow")[bent], expected[bent], atol=0.02)
    np.testing.assert_allclose(
        pose.local(f"{side}_shoulder")[bent], np.broadcast_to(np.eye(3), (bent.sum(), 3, 3)), atol=0.02
    )


def test_straight_arm_keeps_the_hinge_that_it_had() -> None:
    """An elbow that bends in a turned plane, is straight with noise for a while, and bends again."""
    bend = 80 * np.abs(np.cos(np.linspace(0, np.pi, 121)))
    bend[40:81] = 0
    poses = t_pose(len(bend))
    plane = (Z + Y) / 2**0.5
    put(poses, "left_wrist", at(poses, "left_elbow") + 200 * arc(bend, X, plane))
    poses[:, MUPOTS_17.index("left_wrist")] += np.random.default_rng(0).normal(0, 1.0, (121, 3))
    pose = bone_pose(poses, FPS)
    hinge = pose.rotations["left_shoulder"] @ -Y
    assert steps_deg(pose.rotations["left_shoulder"]).max() < 10
    assert (hinge @ np.cross(X, plane)).min() > 0.9


def test_knee_that_is_a_little_overstretched_does_not_flip() -> None:
    bend = np.concatenate([np.linspace(60, -10, 36), np.full(20, -10.0), np.linspace(-10, 60, 36)])
    poses = t_pose(len(bend))
    put(poses, "left_ankle", at(poses, "left_knee") + 200 * arc(bend, -Y, -Z))
    pose = bone_pose(poses, FPS)
    np.testing.assert_allclose(pose.positions(), poses, atol=1e-6)
    assert (pose.rotations["left_hip"] @ X @ X).min() > 0.99


def test_leg_through_the_opposite_of_its_rest() -> None:
    """A straight leg that swings up in front until it points up, where the smallest rotation from rest is undefined."""
    angles = np.arange(0, 181, 3.0)
    poses = t_pose(len(angles))
    knee = at(poses, "left_hip") + 200 * arc(angles, -Y, Z)
    put(poses, "left_knee", knee)
    put(poses, "left_ankle", knee + 200 * arc(angles, -Y, Z))
    pose = bone_pose(poses, FPS)
    np.testing.assert_allclose(pose.positions(), poses, atol=1e-6)
    np.testing.assert_allclose(steps_deg(pose.rotations["left_hip"]), 3.0, atol=0.01)


def test_head_upside_down() -> None:
    poses = t_pose(2)
    put(poses, "head_top", at(poses, "head") - 200 * Y)
    pose = bone_pose(poses, FPS)
    np.testing.assert_allclose(pose.positions(), poses, atol=1e-6)
    np.testing.assert_allclose(np.linalg.det(pose.rotations["head"]), 1)


def test_bone_without_length_keeps_its_direction() -> None:
    angles = np.full(9, 40.0)
    poses = t_pose(9)
    wrist = at(poses, "left_elbow") + 200 * arc(angles, X, Z)
    gone = np.isin(np.arange(9), (0, 4, 5))
    put(poses, "left_wrist", np.where(gone[:, None], at(poses, "left_elbow"), wrist))
    pose = bone_pose(poses, FPS)
    assert pose.lengths["left_elbow"] == pytest.approx(200)
    np.testing.assert_allclose(at(pose.positions(), "left_wrist"), wrist, atol=1e-6)


@pytest.mark.parametrize("collapsed", ["all", "hips", "line"])
def test_collapsed_bodies(collapsed: str) -> None:
    """All joints in one place, both hips in one place, all joints on one line: rotations all the same."""
    poses = t_pose(3)
    if collapsed == "all":
        poses[:] = [1.0, 2.0, 3.0]
    elif collapsed == "hips":
        put(poses, "left_hip", at(poses, "hip"))
        put(poses, "right_hip", at(poses, "hip"))
    else:
        poses[..., [0, 2]] = 0
    pose = bone_pose(poses, FPS)
    assert np.isfinite(pose.positions()).all()
    for name, rotations in pose.rotations.items():
        product = rotations @ np.swapaxes(rotations, 1, 2)
        np.testing.assert_allclose(product, np.broadcast_to(np.eye(3), (3, 3, 3)), atol=1e-9, err_msg=name)
        np.testing.assert_allclose(np.linalg.det(rotations), 1, err_msg=name)


def test_wrong_shape() -> None:
    with pytest.raises(ShapeError, match="poses"):
        bone_pose(np.zeros((3, 16, 3)), FPS)


def test_real_motion(golden: Path) -> None:
    """Clips with climbing, bending and walks: no limb's twist jumps unless one of its bones does."""
    archive = np.load(golden / "mocap" / "cmu_30fps.npz")
    jumps = frames = 0
    for clip in archive.files:
        poses = archive[clip].astype(np.float64)
        pose = bone_pose(poses, FPS)
        for upper, lower in (("right_hip", "right_knee"), ("left_shoulder", "left_elbow")):
            turned = np.zeros(len(poses) - 1)
            for segment in SEGMENTS:
                if segment.name in (upper, lower, "lower_spine", "spine"):
                    bone = pose.rotations[segment.name] @ segment.rest
                    turned = np.maximum(turned, np.degrees(np.arccos(np.clip((bone[1:] * bone[:-1]).sum(1), -1, 1))))
            jumps += int(((steps_deg(pose.rotations[upper]) > 40) & (turned < 20)).sum())
            frames += len(turned)
    assert frames > 4_000
    assert jumps == 0
