"""Scenes: upright people on the right side, crossings that hide, covers of hand-made situations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.synthetic.bodies import random_body, rotation
from data.synthetic.motions import procedural_motion
from data.synthetic.occlusion import scene_cover
from data.synthetic.scenes import Placement, SeenPerson, View, compose_scene, look_at, render_scene
from pose.cameras import Camera
from pose.errors import ConfigError, ShapeError
from pose.joint_sets import MUPOTS_17

CAMERA = Camera(1500.0, 1500.0, 960.0, 540.0, 1920, 1080)
VIEW = look_at(CAMERA, np.array([0, 1300.0, 0]), np.array([0, 1000.0, 4000]))
LEFT = [i for i, name in enumerate(MUPOTS_17.names) if name.startswith("left_")]
RIGHT = [i for i, name in enumerate(MUPOTS_17.names) if name.startswith("right_")]
HIP = MUPOTS_17.index("hip")


def standing(seed: int, x: float, z: float, yaw: float, n_frames: int = 20) -> np.ndarray:
    """A person standing at (x, z); yaw 0 looks along +z."""
    rng = np.random.default_rng(seed)
    motion = procedural_motion("turn", n_frames, 25, random_body(rng), rng)
    side = motion[0, LEFT[0]] - motion[0, RIGHT[0]]
    motion = motion @ rotation(1, yaw - np.arctan2(-side[2], side[0])).T
    return motion + [x - motion[0, HIP, 0], 0, z - motion[0, HIP, 2]]


def scene(
    seed: int, n_people: int = 3, n_frames: int = 120, fps: float = 30
) -> tuple[list[np.ndarray], list[SeenPerson]]:
    rng = np.random.default_rng(seed)
    kinds = ["wave", "cross", "walk", "cross"][:n_people]
    motions = [procedural_motion(kind, n_frames, fps, random_body(rng), rng) for kind in kinds]
    placed = compose_scene(motions, VIEW, rng)
    return placed, render_scene(placed, VIEW, fps, rng)


def test_a_view_keeps_hands_and_heads_where_they_belong() -> None:
    for position in ([0, 1300, 0], [3000, 2500, -1000], [-2000, 500, 7000]):
        view = look_at(CAMERA, np.array(position, dtype=float), np.array([0, 1000.0, 4000]), roll=0.02)
        np.testing.assert_allclose(view.rotation @ view.rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(view.rotation) == pytest.approx(1)
        away = np.array([0, 4000]) - np.array(position)[[0, 2]]
        toward_camera = np.arctan2(-away[0], -away[1])
        facing = view.to_camera(standing(1, 0, 4000, toward_camera))
        assert (facing[:, LEFT, 0] > facing[:, RIGHT, 0])[:1].all(), "facing the camera the left side has the larger x"
        from_behind = view.to_camera(standing(1, 0, 4000, toward_camera + np.pi))
        assert (from_behind[:, LEFT, 0] < from_behind[:, RIGHT, 0])[:1].all()
        assert (facing[:, 0, 1] < facing[:, HIP, 1]).all(), "y points down"
        assert (facing[..., 2] > 2000).all()


def test_annotations_project_and_detections_are_near_them() -> None:
    _, people = scene(0)
    for person in people:
        rays = person.annotation_3d[..., :2] / person.annotation_3d[..., 2:]
        np.testing.assert_allclose(person.annotation_2d, rays * 1500 + [960, 540], atol=1e-6)
        assert person.detection.shape == (120, 19, 3)
        assert person.detection.dtype == np.float32


def test_composed_people_cross_without_colliding() -> None:
    longest = []
    for seed in range(16):
        placed, people = scene(seed)
        hips = np.stack([motion[:, HIP] for motion in placed])
        gaps = np.linalg.norm(hips[:, None] - hips[None], axis=-1)[np.triu_indices(3, 1)]
        assert gaps.min() > 300
        assert np.mean([person.in_image for person in people]) > 0.85
        hidden = [(~person.visible).mean(1) > 0.6 for person in people]
        longest.append(max(h.sum() for h in hidden) / 30)
    assert np.median(longest) > 0.3, "seconds during which a person is mostly hidden"
    assert min(longest) > 0


def test_placements_only_turn_about_the_vertical_and_move_on_the_floor() -> None:
    motion = standing(0, 0, 0, 0)
    placed = Placement(0.7, np.array([100.0, 200.0]))(motion)
    np.testing.assert_allclose(placed[..., 1], motion[..., 1])
    np.testing.assert_allclose(placed[0, HIP, [0, 2]], [100, 200], atol=1e-9)
    np.testing.assert_allclose(
        np.linalg.norm(placed - placed[:, :1], axis=-1), np.linalg.norm(motion - motion[:, :1], axis=-1)
    )


def test_a_hand_held_view_moves_a_little() -> None:
    view = VIEW.hand_held(200, 60, np.random.default_rng(0))
    np.testing.assert_allclose(np.linalg.det(view.rotation), 1)
    assert 1 < np.abs(view.position - VIEW.position).max() < 60
    still, held = (v.to_camera(standing(0, 0, 4000, np.pi, 200)) for v in (VIEW, view))
    assert 1 < np.linalg.norm(still - held, axis=-1).max() < 150
    assert np.linalg.norm(np.diff(held[:, HIP], axis=0), axis=-1).max() < 20


def cover_of(*people: np.ndarray):
    poses = np.stack([VIEW.to_camera(person) for person in people])
    return scene_cover(poses[..., :2] / poses[..., 2:] * 1500 + [960, 540], poses, np.full(len(people), 1500.0))


def test_who_stands_behind_is_hidden_and_who_stands_in_front_or_beside_is_not() -> None:
    front, behind, beside = standing(1, 0, 3500, np.pi), standing(2, 0, 4700, np.pi), standing(3, 1500, 4700, np.pi)
    covers = cover_of(front, behind, beside)
    assert covers[0].by_others.max() == 0
    assert covers[2].by_others.max() == 0
    assert (covers[1].by_others > 0.5).mean() > 0.6
    hidden = covers[1].by_others > 0
    assert (covers[1].occluder[hidden] == 0).all()
    assert not covers[1].visible[covers[1].by_others > 0.5].any()


def test_the_own_body_hides_the_far_arm_in_profile_but_nothing_from_the_front() -> None:
    (facing,) = cover_of(standing(4, 0, 4000, np.pi, 1))
    assert facing.visible[:, [i for i in LEFT + RIGHT if "knee" not in MUPOTS_17.names[i]]].all()
    (profile,) = cover_of(standing(4, 0, 4000, np.pi / 2, 1))  # the right side is toward the camera
    elbow = [MUPOTS_17.index(f"{side}_elbow") for side in ("left", "right")]
    assert profile.visible[:, elbow].tolist() in ([[False, True]], [[True, False]])
    nearer = np.argmin(VIEW.to_camera(standing(4, 0, 4000, np.pi / 2, 1))[0, elbow, 2])
    assert profile.visible[0, elbow[nearer]]


def test_long_scenes_are_covered_like_short_ones() -> None:
    people = [np.tile(standing(1, 0, 3500, np.pi, 7), (100, 1, 1)), np.tile(standing(2, 100, 4700, 2, 7), (100, 1, 1))]
    for long, short in zip(cover_of(*people), cover_of(*(p[:7] for p in people)), strict=True):
        np.testing.assert_allclose(long.by_others, np.tile(short.by_others, (100, 1)), atol=1e-4)
        np.testing.assert_allclose(long.by_self, np.tile(short.by_self, (100, 1)), atol=1e-4)


def test_people_may_have_been_filmed_by_cameras_of_their_own() -> None:
    wide = Camera(1400.0, 1400.0, 1000.0, 500.0, 1920, 1080)
    motions = [standing(1, 0, 4000, np.pi), standing(2, 800, 4000, np.pi)]
    views = [VIEW, View(wide, VIEW.rotation, VIEW.position)]
    people = render_scene(motions, views, 25, np.random.default_rng(0))
    rays = people[1].annotation_3d[..., :2] / people[1].annotation_3d[..., 2:]
    np.testing.assert_allclose(people[1].annotation_2d, rays * 1400 + [1000, 500], atol=1e-6)
    with pytest.raises(ConfigError, match="2 motions and 1 views"):
        render_scene(motions, [VIEW], 25, np.random.default_rng(0))


def test_motions_must_be_of_one_length() -> None:
    motions = [standing(1, 0, 4000, 0, 10), standing(2, 0, 5000, 0, 11)]
    with pytest.raises(ShapeError, match=r"motions\[1\]"):
        compose_scene(motions, VIEW, np.random.default_rng(0))
    with pytest.raises(ConfigError, match="motions: none given"):
        render_scene([], VIEW, 25, np.random.default_rng(0))


def test_real_motion_capture_goes_through_the_same_functions(golden: Path) -> None:
    with np.load(golden / "mocap" / "cmu_30fps.npz") as clips:
        motions = [clips[name][:75].astype(float) for name in ("02_04", "02_02", "02_01")]
    rng = np.random.default_rng(0)
    people = render_scene(compose_scene(motions, VIEW, rng), VIEW, 30, rng)
    assert np.mean([person.in_image for person in people]) > 0.7
    assert max((~person.visible).mean(1).max() for person in people) > 0.6, "walkers cross the third person"
    assert all((person.annotation_3d[..., 0, 1] < person.annotation_3d[..., HIP, 1]).all() for person in people)
