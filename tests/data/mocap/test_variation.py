"""Varied motion keeps what makes it a person's motion."""

from __future__ import annotations

import numpy as np
import pytest

from data.mocap import variation
from data.synthetic.bodies import random_body
from data.synthetic.motions import procedural_motion
from pose.joint_sets import MUPOTS_17

FPS = 25.0
AT = {name: index for index, name in enumerate(MUPOTS_17.names)}
LIMBS = [("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle")]


def motion(seed: int, n_frames: int = 120) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return procedural_motion("mixed", n_frames, FPS, random_body(rng), rng)


def lengths(poses: np.ndarray, a: str, b: str) -> np.ndarray:
    return np.linalg.norm(poses[:, AT[a]] - poses[:, AT[b]], axis=1)


def limb_lengths(poses: np.ndarray) -> np.ndarray:
    return np.stack([lengths(poses, f"{s}_{a}", f"{s}_{b}") for s in ("left", "right") for a, b in LIMBS])


def test_mirroring_twice_changes_nothing() -> None:
    poses = motion(0)
    np.testing.assert_array_equal(variation.mirrored(variation.mirrored(poses)), poses)
    assert not np.array_equal(variation.mirrored(poses), poses)


def test_a_retimed_motion_passes_through_the_frames_and_turns_back_at_the_end() -> None:
    poses = motion(1, 10)
    np.testing.assert_allclose(variation.retimed(poses, 2, 1, 5), poses[2:7])
    np.testing.assert_allclose(variation.retimed(poses, 0, 0.5, 3)[1], (poses[0] + poses[1]) / 2)
    np.testing.assert_allclose(variation.retimed(poses, 7, 1, 5), poses[[7, 8, 9, 8, 7]])
    np.testing.assert_allclose(variation.retimed(poses[:1], 0, 1, 3), poses[[0, 0, 0]])


def test_limbs_wander_without_changing_length_or_trunk() -> None:
    poses = motion(2)
    moved = variation.wandering_limbs(poses, FPS, 0.5, np.random.default_rng(0))
    np.testing.assert_allclose(limb_lengths(moved), limb_lengths(poses), atol=1e-6)
    trunk = [AT[name] for name in ("hip", "spine", "neck", "left_shoulder", "right_hip")]
    np.testing.assert_array_equal(moved[:, trunk], poses[:, trunk])
    assert np.linalg.norm(moved - poses, axis=-1)[:, AT["left_wrist"]].mean() > 50


def test_leaning_is_rigid_and_smooth() -> None:
    poses = motion(3)
    leant = variation.leaning(poses, FPS, 0.4, np.random.default_rng(1))
    np.testing.assert_allclose(
        np.linalg.norm(leant[:, :, None] - leant[:, None], axis=-1),
        np.linalg.norm(poses[:, :, None] - poses[:, None], axis=-1),
        atol=1e-6,
    )
    assert np.abs(np.diff(leant - poses, axis=0)).max() * FPS < 3000  # mm/s, at the head


def test_an_upper_body_is_taken_over_as_seen_from_its_pelvis() -> None:
    poses, other = motion(4), motion(5)
    mixed = variation.with_upper_body(poses, other)
    legs = [AT[f"{side}_{joint}"] for side in ("left", "right") for joint in ("hip", "knee", "ankle")]
    np.testing.assert_array_equal(mixed[:, legs], poses[:, legs])
    ratio = lengths(mixed, "left_shoulder", "left_elbow") / lengths(other, "left_shoulder", "left_elbow")
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-9)
    np.testing.assert_allclose(variation.with_upper_body(poses, poses), poses, atol=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_another_body_has_constant_bones_in_the_same_directions_and_equal_sides(seed: int) -> None:
    poses = motion(6)
    new = variation.another_body(poses, np.random.default_rng(seed))
    for a, b in [("hip", "neck"), *[(f"left_{a}", f"left_{b}") for a, b in LIMBS]]:
        bone = lengths(new, a, b)
        assert bone.std() < 0.02 * bone.mean()
        old_direction = (poses[:, AT[b]] - poses[:, AT[a]]) / lengths(poses, a, b)[:, None]
        np.testing.assert_allclose((new[:, AT[b]] - new[:, AT[a]]) / bone[:, None], old_direction, atol=1e-6)
    for a, b in LIMBS:
        np.testing.assert_allclose(lengths(new, f"left_{a}", f"left_{b}"), lengths(new, f"right_{a}", f"right_{b}"))


def test_bodies_differ_and_some_are_children() -> None:
    poses = motion(7)
    bodies = [variation.another_body(poses, np.random.default_rng(seed)) for seed in range(40)]
    legs = [np.median(lengths(b, "left_hip", "left_knee") + lengths(b, "left_knee", "left_ankle")) for b in bodies]
    adults = [leg for leg in legs if leg > 665]
    assert 0 < len(legs) - len(adults) < 8 and min(legs) > 470
    assert 665 < min(adults) < 790 < max(adults) < 935
    torsos = [np.median(lengths(b, "hip", "neck")) / leg for b, leg in zip(bodies, legs, strict=True)]
    assert max(torsos) - min(torsos) > 0.1


def test_variation_follows_the_generator() -> None:
    poses, others = motion(8), [motion(9)]
    first, again, another = (variation.varied(poses, FPS, np.random.default_rng(s), others) for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, another)
    assert np.isfinite(first).all() and first.shape == poses.shape
