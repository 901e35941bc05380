"""Other programs' poses become scenes: people told apart, placed where they were, refined, with what was made said."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from data.poses import read_poses
from data.poses.rows import Options
from inference.cameras.camera import CameraSettings
from inference.imported import predict_from
from inference.pipeline import Prediction
from inference.tracking import OfflineTracker
from pose.joint_sets import MUPOTS_17
from refinement import NoRefinement, OcclusionRefinement
from tests.data.poses.writers import ALL, FOCAL, SIZE, T, walks

HIP, HIPS = MUPOTS_17.index("hip"), [MUPOTS_17.index(f"{side}_hip") for side in ("left", "right")]


def made(name: str, folder: Path, refinement=None, **camera) -> Prediction:
    write, file, _ = ALL[name]
    settings = CameraSettings(image_size=SIZE, **camera)
    rows = read_poses(write(folder / file), Options(image_size=SIZE))
    return predict_from(rows, file, settings, OfflineTracker(), refinement or NoRefinement(), fps=30)


@pytest.mark.parametrize("name", ALL)
def test_people_are_told_apart_and_nobody_is_missing(name: str, tmp_path: Path) -> None:
    if name == "c3d":
        pytest.importorskip("ezc3d")
    scene = made(name, tmp_path, fx=FOCAL).scene
    if name != "mmpose":  # whose people all stand on one spot
        assert len(scene.people) == ALL[name][2]
    assert scene.n_frames == T
    for person in scene.people:
        assert len(person) > 50 and person.require("poses_3d").isfinite().all()
        steps = person.root.diff(dim=0).norm(dim=-1)
        assert steps.max() < 150, "no jump from one person to another"


@pytest.mark.parametrize("name", ["motionbert", "rtmlib", "mediapipe", "sam3d", "phalp", "metrabs"])
def test_places_are_those_of_the_camera(name: str, tmp_path: Path) -> None:
    scene = made(name, tmp_path, fx=FOCAL).scene
    near = 500 if name in ("motionbert", "rtmlib") else 10  # which know no size
    for person in scene.people:
        hips = person.require("poses_3d")[:, HIPS].mean(1).numpy()
        roots = [float(np.abs(hips - truth[person.frame.numpy()][:, HIPS].mean(1)).max()) for truth in walks()]
        assert min(roots) < near


def test_what_is_made_up_is_inferred_and_said(tmp_path: Path) -> None:
    scene = made("sam3d", tmp_path).scene
    assert any(note.startswith("Joints: put by") and note.endswith(": head_top, spine, head.") for note in scene.notes)
    observed = scene.people[0].observed
    assert observed is not None and not observed[:, MUPOTS_17.index("head_top")].any()
    assert observed[:, MUPOTS_17.index("left_wrist")].all()
    world = made("freemocap", tmp_path).scene
    assert any("is made up" in note for note in world.notes)
    assert abs(world.world.angles_deg[0]) < 0.1 and world.world.how == "given"
    relative = made("mmpose", tmp_path)
    assert any("stands on one spot" in note for note in relative.scene.notes)
    convention = made("phalp", tmp_path)
    assert convention.camera.how == "guessed" and "is a convention" in convention.camera.note
    assert 3000 < float(convention.scene.people[0].root[:, 2].median()) < 9000


def test_missing_frames_are_refined_as_gaps(tmp_path: Path) -> None:
    scene = made("metrabs", tmp_path, OcclusionRefinement(), fx=FOCAL).scene
    person = next(one for one in scene.people if not one.detected[5])
    assert person.observed is not None and not person.observed[5].any()
    sure = read_poses(tmp_path / "metrabs.npz", Options(image_size=SIZE))
    sure = dataclasses.replace(sure, std_mm=np.full(sure.poses_3d.shape[:2], 10.0))
    settings = CameraSettings(fx=FOCAL, image_size=SIZE)
    surer = predict_from(sure, "metrabs.npz", settings, OfflineTracker(), OcclusionRefinement(), fps=30).scene
    assert person.std_mm is not None and surer.people[0].std_mm is not None
    assert surer.people[0].std_mm.mean() < person.std_mm.mean()
    truth = min(walks(), key=lambda walk: float(np.abs(walk[:, HIP] - person.root.numpy()).max()))
    assert float((person.root[5] - torch.from_numpy(truth[5, HIP])).norm()) < 100


def test_sizes_of_a_room_stay(tmp_path: Path) -> None:
    """There was no camera along whose rays people could grow until they stand on one floor."""
    scene = made("freemocap", tmp_path, OcclusionRefinement()).scene
    assert scene.ground is None
    hip, knee = MUPOTS_17.index("left_hip"), MUPOTS_17.index("left_knee")
    thigh = scene.people[0].require("poses_3d")[:, hip] - scene.people[0].require("poses_3d")[:, knee]
    true = np.linalg.norm(walks()[0][:, hip] - walks()[0][:, knee], axis=-1).mean()
    assert float(thigh.norm(dim=-1).mean()) == pytest.approx(true, rel=0.04)
