"""Feet of a stream: kept where they rest, given back where they are free, legs of constant lengths."""

from __future__ import annotations

import numpy as np
import pytest

from pose.joint_sets import MUPOTS_17
from refinement.occlusion.contact import LEGS
from refinement.occlusion.foothold import Foothold, with_feet
from refinement.occlusion.model import OcclusionRefinement
from tests.refinement.occlusion.test_ground import feet_of, walker

ANKLES = LEGS[2]
PARENTS = list(MUPOTS_17.parents)


def lengths(pose: np.ndarray) -> np.ndarray:
    return np.linalg.norm(pose - pose[PARENTS], axis=-1)


def test_legs_reach_for_their_feet_with_constant_bones() -> None:
    _, truth = walker(1)
    pose = truth[60]
    near = pose[ANKLES] + [[20.0, -30.0, 10.0], [-15.0, -40.0, 25.0]]
    placed = with_feet(pose, near)
    np.testing.assert_allclose(placed[ANKLES], near, atol=1e-3)
    np.testing.assert_allclose(lengths(placed), lengths(pose), atol=1e-3)
    assert np.array_equal(with_feet(pose, pose[ANKLES] + [0.0, 5000.0, 0.0])[14], pose[14])
    far = with_feet(pose, pose[ANKLES] + [0.0, 5000.0, 0.0])  # out of reach: straight legs, as long as they are
    np.testing.assert_allclose(lengths(far), lengths(pose), atol=1e-2)
    np.testing.assert_allclose(with_feet(pose, pose[ANKLES]), pose, atol=1e-3)


def test_resting_feet_stay_and_free_ones_are_given_back() -> None:
    pose = walker(1)[1][60]
    hold, both, none = Foothold(30.0), np.ones(2, dtype=bool), np.zeros(2, dtype=bool)
    drift = np.array([0.0, 0.0, 3.0])
    found = [hold(pose + frame * drift, both) for frame in range(31)]
    np.testing.assert_allclose(found[0], pose, atol=1e-3)
    slides = np.linalg.norm(np.diff([one[ANKLES] for one in found], axis=0), axis=-1)
    assert slides.max() < 2.0 and slides[:5].max() < 0.5  # the offset fades, 90 mm in a second at most
    later = [hold(pose + 31 * drift, none) for _ in range(30)]
    np.testing.assert_allclose(later[-1], pose + 31 * drift, atol=1.0)
    held = [np.linalg.norm(one[ANKLES] - pose[ANKLES] - 31 * drift, axis=-1).max() for one in later]
    assert max(np.diff(held)) <= 1e-6


@pytest.mark.parametrize("lag", [15, 0])
def test_feet_of_a_stream_slide_less(lag: int) -> None:
    person, truth = walker(1, -700, 3800, length_s=2.5)
    still = np.linalg.norm(np.diff(truth[:, ANKLES], axis=0), axis=-1) < 0.5
    slide = {}
    for ground in ("auto", "off"):
        (found,) = OcclusionRefinement(lag=lag, ground=ground)([person]).sequences  # type: ignore[arg-type]
        slide[ground] = np.linalg.norm(np.diff(feet_of(found), axis=0), axis=-1)[still].mean()
    assert slide["auto"] < slide["off"] * (0.7 if lag else 1.0)
