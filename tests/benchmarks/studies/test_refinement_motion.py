"""The figures of benchmarks/studies/refinement_motion on made-up people; and the stroke, which the default keeps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.studies import error_sources as sources
from benchmarks.studies import refinement_motion as study
from benchmarks.studies.refinement import option
from data.synthetic.bodies import random_body
from data.synthetic.motions import procedural_motion


@pytest.fixture(scope="module")
def standing() -> np.ndarray:
    rng = np.random.default_rng(0)
    return procedural_motion("mixed", 60, 30.0, random_body(rng), rng)


def test_the_stroke_keeps_its_height(standing: np.ndarray) -> None:
    person, frames = study.stroke(standing)
    wrist = study._ARM[2]
    assert person.annotation_2d is not None and person.camera is not None

    camera, target = person.camera, person.annotation_2d[frames, wrist]

    def beside(poses: torch.Tensor) -> float:
        points = poses[frames, wrist]
        return float(((camera.project(points) - target).norm(dim=-1) * points[:, 2] / camera.fx).max())

    truth_speed = np.linalg.norm(np.diff(target.numpy(), axis=0), axis=-1).max()
    assert truth_speed * 4000 / 1500 * 30 > 3500  # mm/s beside the camera's axis
    assert beside(person.require("poses_3d")) > 150
    (refined,) = option("occlusion")([person]).sequences
    assert beside(refined.require("poses_3d")) < 60


def test_figures_of_a_perfect_prediction_and_of_one_too_slow() -> None:
    truth = sources.make_scenes(sources.procedural_motions, 1, 3, 90)
    up = sources.scene_view(np.random.default_rng((3, 0))).rotation @ [0.0, 1.0, 0.0]
    perfect = study.scene_figures(study.Material(truth, truth, up[None]), option("none"))
    assert perfect["mrpe vis"] == perfect["mpjpe vis"] == perfect["acc"] == 0
    assert perfect["p95 speed"] == 1
    assert perfect["slide"] < study.CONTACT_MM_S / sources.FPS
    halved = [[one.with_poses(0.5 * one.require("poses_3d"), "normal") for one in scene] for scene in truth]
    assert study.scene_figures(study.Material(truth, halved, up[None]), option("none"))["p95 speed"] == pytest.approx(
        0.5
    )


def test_stretches_and_contact() -> None:
    seen = np.array([1, 0, 0, 1, 0, 0, 0, 1], dtype=bool)
    assert study.occluded_over(seen, 2).tolist() == [False] * 4 + [True] * 3 + [False]
    points = np.zeros((40, 2, 3))
    points[20:, 0, 0] = 100 * np.arange(20)  # one foot moves away
    touch = study.contact(points, points[..., 1])
    assert touch[:, 1].all()
    assert touch[:18, 0].all() and not touch[22:, 0].any()


def test_scores_alone_are_refined_better_than_by_the_published_energies() -> None:
    """One of the sets; the study has 20. No camera, no keypoints, noise of another seed than the reference's."""
    (pairs,) = study.noisy_sets(1)
    assert all(noisy.camera is None for _, noisy in pairs)
    own, plain = study.set_errors(pairs, option("occlusion")), study.set_errors(pairs, option("none"))
    published = [study.set_errors(pairs, option("energy_fast", **keys)) for keys in study.PUBLISHED[:3]]
    assert (own < np.min(published, axis=0)).all()
    assert (own < plain).all()


def test_other_bodies_keep_their_stature_and_their_angles(standing: np.ndarray) -> None:
    other = study._stretched(standing, np.random.default_rng(0))
    parents = list(study.MUPOTS_17.parents)
    before, after = standing - standing[:, parents], other - other[:, parents]
    lengths = np.linalg.norm(after, axis=-1) / np.maximum(np.linalg.norm(before, axis=-1), 1e-9)
    np.testing.assert_allclose(after, before * lengths[..., None], atol=1e-6)
    factor = dict(zip(study.MUPOTS_17.names, lengths[0], strict=True))
    stature = 0.51 * factor["left_knee"] + 0.32 * factor["neck"] + 0.17 * factor["head_top"]
    assert stature == pytest.approx(1)
    assert lengths[0].std() > 0.02
    np.testing.assert_allclose(other[:, study.ANKLES], standing[:, study.ANKLES] * factor["left_knee"], atol=1e-6)


def test_spans_on_somebody_else_are_counted() -> None:
    truth = sources.make_scenes(sources.procedural_motions, 3, 5, 240)
    plain = study.wrong_mm(truth, option("none"), 1, 10)
    assert study.wrong_mm(truth, option("occlusion"), 1, 10) < 0.6 * plain
