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
