"""Two tracks with one skeleton: the one that jumped there is not seen; the other one, and everybody else, is kept."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from pose.sequence import PoseSequence
from refinement.occlusion.model import OcclusionRefinement
from refinement.occlusion.shared_detections import KeypointTrack, foreign_frames
from tests.refinement.occlusion.test_ground import walker

SPAN = slice(40, 115)


def track(x: np.ndarray, first: int = 0, seed: int = 0) -> KeypointTrack:
    """A skeleton of 12 joints, an extent of about 1, whose middle is at x (T,)."""
    shape = np.random.default_rng(9).uniform(-1, 1, (12, 2))
    rng = np.random.default_rng(seed)
    points = x[:, None, None] * [1.0, 0.0] + shape + rng.normal(0, 0.01, (len(x), 12, 2))
    return KeypointTrack(first + np.arange(len(x)), points, np.full((len(x), 12), 0.9), 30.0)


def test_the_track_that_jumps_there_and_back_is_marked() -> None:
    seconds = np.arange(150) / 30
    front, hidden = 0.2 * seconds, 1.5 + 0.1 * seconds
    hidden[SPAN] = front[SPAN]
    marked = foreign_frames([track(hidden, seed=1), track(front)])
    expected = np.zeros(150, dtype=bool)
    expected[SPAN] = True
    assert np.array_equal(marked[0], expected)
    assert not marked[1].any()
    late = track(front[30:], first=30, seed=2)  # frames are compared by their numbers
    assert np.array_equal(foreign_frames([late, track(hidden, seed=1)])[1], expected)


@pytest.mark.parametrize("case", ["apart", "one track twice", "meet and part"])
def test_who_does_not_jump_is_kept(case: str) -> None:
    seconds = np.arange(150) / 30
    front = 0.2 * seconds
    other = {"apart": front + 1.0, "one track twice": front, "meet and part": 1.0 - 0.2 * seconds}[case]
    assert not any(marked.any() for marked in foreign_frames([track(front), track(other, seed=1)]))


def hidden_pair() -> tuple[list[PoseSequence], np.ndarray]:
    """Two people, the farther one's detections the nearer one's in SPAN, and the farther one's truth."""
    near, _ = walker(1, -500, 3600)
    far, truth = walker(2, 500, 5200)
    changed = {}
    for key in ("keypoints_2d", "confidence", "poses_3d"):
        values = getattr(far, key).clone()
        values[SPAN] = getattr(near, key)[SPAN]
        changed[key] = values
    return [near, dataclasses.replace(far, **changed)], truth


def test_a_long_confident_span_on_somebody_else_ends_as_inferred() -> None:
    people, truth = hidden_pair()
    found = OcclusionRefinement()(people).sequences[1]
    observed = found.require("observed")
    assert not observed[SPAN].any() and observed[:40].all() and observed[115:].all()
    off = np.linalg.norm(found.root.double().numpy() - truth[:, 14], axis=-1)[SPAN].mean()
    wrong = np.linalg.norm(people[1].root.double().numpy() - truth[:, 14], axis=-1)[SPAN].mean()
    assert off < min(500, 0.4 * wrong)
    assert OcclusionRefinement()(people).sequences[0].require("observed").all()


def test_streams_and_a_switch_of_zero_seconds_reject_nothing() -> None:
    people, _ = hidden_pair()
    kept = OcclusionRefinement(identity_switch_s=0.0)(people).sequences[1]
    assert kept.require("observed")[SPAN].all()
    elsewhere = [people[0], dataclasses.replace(people[1], sequence="another scene")]
    alone = OcclusionRefinement(ground="off")(elsewhere).sequences[1]
    assert torch.equal(
        alone.require("poses_3d"), OcclusionRefinement(ground="off")([people[1]]).sequences[0].require("poses_3d")
    )
