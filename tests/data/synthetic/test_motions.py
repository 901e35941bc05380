"""Bodies and procedural motions: rigid bones, feet on the floor, people who move as people do."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from data.synthetic.bodies import Body, random_body
from data.synthetic.motions import KINDS, procedural_motion
from pose.coordinates import universal_scale
from pose.errors import ConfigError
from pose.joint_sets import MUPOTS_17

FPS = 50


def joint(motion: np.ndarray, name: str) -> np.ndarray:
    return motion[:, MUPOTS_17.index(name)]


def forward_of(motion: np.ndarray) -> np.ndarray:
    """Horizontal unit vectors (T, 3) out of the chest: left x up."""
    forward = np.cross(joint(motion, "left_shoulder") - joint(motion, "right_shoulder"), [0, 1, 0])
    return forward / np.linalg.norm(forward, axis=1, keepdims=True)


def moving(kind: str, seed: int = 0, n_frames: int = 500, fps: float = FPS) -> tuple[Body, np.ndarray]:
    rng = np.random.default_rng(seed)
    body = random_body(rng)
    return body, procedural_motion(kind, n_frames, fps, body, rng)


@pytest.mark.parametrize("kind", KINDS)
def test_bones_keep_their_lengths_and_feet_are_on_the_floor(kind: str) -> None:
    for seed in range(4):
        body, motion = moving(kind, seed)
        assert motion.shape == (500, 17, 3)
        lengths = np.stack([np.linalg.norm(motion[:, a] - motion[:, b], axis=-1) for a, b in MUPOTS_17.bones], axis=1)
        np.testing.assert_allclose(lengths, np.broadcast_to(lengths[0], lengths.shape), atol=1e-6)
        assert lengths[0, 0] == pytest.approx(body.head_top)
        ankles = np.stack([joint(motion, "left_ankle"), joint(motion, "right_ankle")], axis=1)
        assert ankles[..., 1].min() > body.ankle - 5
        assert ankles[..., 1].min(axis=1).max() < body.ankle + 60, "both feet in the air"
        # One foot stands most of the time.
        slower = (np.linalg.norm(np.diff(ankles, axis=0), axis=-1) * FPS).min(axis=1)
        assert np.median(slower) < 40
        assert np.abs(joint(motion, "hip")[:, [0, 2]]).max() < 2500
        accelerations = np.linalg.norm(np.diff(motion, 2, axis=0), axis=-1) * FPS**2 / 1000
        assert np.percentile(accelerations, 99) < 40, "m/s^2"
        assert accelerations.max() < 160


@pytest.mark.parametrize("kind", ["walk", "cross"])
def test_walkers_go_where_they_face_and_swing_arms_against_legs(kind: str) -> None:
    for seed in range(4):
        _, motion = moving(kind, seed)
        forward = forward_of(motion)[1:]
        speed = (np.diff(joint(motion, "hip"), axis=0) * forward).sum(1) * FPS
        assert speed.mean() > 300
        assert (speed > 0).mean() > 0.95

        def ahead(name: str, motion: np.ndarray = motion, forward: np.ndarray = forward) -> np.ndarray:
            return ((joint(motion, f"left_{name}") - joint(motion, f"right_{name}"))[1:] * forward).sum(1)

        assert np.corrcoef(ahead("ankle"), ahead("wrist"))[0, 1] < -0.6
        assert ahead("ankle").max() > 200
        assert ahead("ankle").min() < -200
        # Knees bend forward only.
        for side in ("left", "right"):
            hip, knee, ankle = (joint(motion, f"{side}_{name}")[1:] for name in ("hip", "knee", "ankle"))
            assert (((knee - (hip + ankle) / 2) * forward).sum(1) > -5).mean() > 0.97


def test_sitting_down_and_reaching_up_look_like_it() -> None:
    heights = np.concatenate([joint(moving("sit", s)[1], "hip")[:, 1] / moving("sit", s)[0].leg for s in range(3)])
    assert heights.min() < 0.75
    assert heights.max() > 1.0
    wrists = [
        np.maximum(*(joint(moving("reach", s)[1], f"{side}_wrist")[:, 1] for side in ("left", "right")))
        for s in range(8)
    ]
    assert max(w.max() for w in wrists) > 1700
    assert np.median(wrists[0]) < 1700


def test_turning_on_the_spot() -> None:
    _, motion = moving("turn", 1)
    heading = np.unwrap(np.arctan2(forward_of(motion)[:, 0], forward_of(motion)[:, 2]))
    assert np.ptp(heading) > 0.8
    assert np.ptp(joint(motion, "hip")[:, [0, 2]], axis=0).max() < 150


def test_crossing_is_in_full_stride_along_x_in_the_middle() -> None:
    for seed in range(4):
        _, motion = moving("cross", seed, n_frames=60)
        step = np.diff(joint(motion, "hip"), axis=0)[25:35].mean(0) * FPS
        assert abs(step[0]) > 350
        assert abs(step[2]) < 0.3 * abs(step[0])


@pytest.mark.parametrize("kind", ["mixed", "cross", "wave"])
def test_the_same_person_moves_alike_at_any_rate(kind: str) -> None:
    slow, fast = moving(kind, 3, 200, 25)[1], moving(kind, 3, 400, 50)[1]
    assert np.linalg.norm(slow - fast[::2], axis=-1).max() < 12


def test_bodies_differ_within_reason() -> None:
    scales, heights = [], []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        motion = procedural_motion("stand", 10, 25, random_body(rng), rng)
        scales.append(float(universal_scale(torch.from_numpy(motion))))
        heights.append(joint(motion, "head_top")[0, 1])
    assert 1400 < min(heights) < 1600 < 1750 < max(heights) < 2000
    assert 0.75 < min(scales) < 0.9 < 1.0 < max(scales) < 1.15


def test_same_seed_same_motion() -> None:
    assert np.array_equal(moving("mixed", 7)[1], moving("mixed", 7)[1])
    assert not np.array_equal(moving("mixed", 7)[1], moving("mixed", 8)[1])


def test_what_cannot_be_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ConfigError, match="kind=fly: must be one of walk"):
        procedural_motion("fly", 10, 25, random_body(rng), rng)
    with pytest.raises(ConfigError, match="n_frames=0"):
        procedural_motion("walk", 0, 25, random_body(rng), rng)
    with pytest.raises(ConfigError, match=r"fps=0"):
        procedural_motion("walk", 10, 0, random_body(rng), rng)
