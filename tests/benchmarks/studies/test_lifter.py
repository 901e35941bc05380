"""The figures of benchmarks/studies/lifter on a made-up person whose prediction is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.studies import lifter as study
from data.synthetic.bodies import random_body
from data.synthetic.motions import procedural_motion
from pose.joint_sets import COCO_19
from pose.sequence import PoseSequence


@pytest.fixture(scope="module")
def standing() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"walk": procedural_motion("walk", 40, 30.0, random_body(rng), rng)}


def seen(standing: dict[str, np.ndarray], distance_m: float, down_deg: float) -> PoseSequence:
    people = study.people(standing, 30.0, distance_m, down_deg, 0)
    assert len(people) == study.TURNS
    return people[0]


def test_people_stand_where_they_are_put(standing: dict[str, np.ndarray]) -> None:
    person = seen(standing, 6.0, 30.0)
    assert person.root.mean(0).norm() == pytest.approx(6000, rel=0.01)
    poses = person.require("poses_3d")
    up = (poses[:, 1] - poses[:, study.ROOT]).mean(0)  # from hip to neck
    assert np.degrees(np.arctan2(-up[2], -up[1])) == pytest.approx(30, abs=8)


def test_errors_and_bias_are_those_of_the_prediction(standing: dict[str, np.ndarray]) -> None:
    person = seen(standing, 6.0, 0.0)
    moved = person.require("poses_3d") * 1.1
    errors = study.joint_errors([person], [person.with_poses(moved, "normal")])
    poses = person.require("poses_3d")
    expected = 0.1 * (poses - poses[:, [study.ROOT]]).norm(dim=-1).mean(0)
    np.testing.assert_allclose(errors, expected, rtol=1e-4)
    assert study.depth_bias([person], [person.with_poses(moved, "normal")]) == pytest.approx(10, abs=0.01)


def test_what_is_lost_is_lost_and_what_follows_from_it(standing: dict[str, np.ndarray]) -> None:
    person = seen(standing, 4.0, 0.0)
    lost = study.losses(np.random.default_rng(0))
    assert 0.05 < lost["10 % of joints"](500).mean() < 0.15
    blind = study.without(person, lost["the right hip throughout"](len(person)))
    gone = [COCO_19.index("right_hip"), COCO_19.index("hip")]
    assert not blind.confidence[:, gone].any()
    kept = [joint for joint in range(len(COCO_19)) if joint not in gone]
    assert torch.equal(blind.confidence[:, kept] > 0, person.confidence[:, kept] > 0)
