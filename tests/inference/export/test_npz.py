"""predictions.npz: what was written is read, by this project's own tasks too."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import numpy as np
import pytest

from data.predictions import Predictions, read_predictions
from inference.export.npz import NpzExporter, scene_predictions
from inference.scene import PredictedScene
from pose.errors import DataError
from pose.joint_sets import COCO_19, MUPOTS_17


def test_round_trip(scene: PredictedScene, tmp_path: Path, caplog) -> None:
    (path,) = NpzExporter().write(scene, tmp_path)
    with caplog.at_level(logging.WARNING):
        found = read_predictions(path)
    assert not caplog.records  # all keys are known
    assert len(found) == 90
    person = scene.people[1]
    rows = found.person == 1
    np.testing.assert_array_equal(found.frame[rows], person.frame)
    for key in ("poses_3d", "poses_3d_plain", "std_mm", "confidence"):
        np.testing.assert_allclose(getattr(found, key)[rows], getattr(person, key), atol=1e-3)
    np.testing.assert_array_equal(found.observed_joints[rows], person.observed)
    np.testing.assert_array_equal(found.observed[rows], person.confidence > 0)
    np.testing.assert_array_equal(found.score[rows], person.scores)
    np.testing.assert_array_equal(found.keypoints_coco19[rows], person.keypoints_2d)
    np.testing.assert_array_equal(
        found.keypoints_2d[rows][:, MUPOTS_17.index("left_knee")],
        person.keypoints_2d[:, COCO_19.index("left_knee")],
    )
    np.testing.assert_array_equal(found.K, scene.camera.K.numpy())
    assert set(found.sequence) == {"café.mp4"}
    assert (found.fps, found.n_frames, found.coordinates) == (29.97, 60, "normal")
    assert found.image_size.tolist() == [1920, 1080] and found.notes.tolist() == ["The camera was guessed."]


def test_std_and_notes_are_optional(scene: PredictedScene, tmp_path: Path) -> None:
    people = [scene.people[0], dataclasses.replace(scene.people[1], std_mm=None)]
    (path,) = NpzExporter().write(dataclasses.replace(scene, people=people, notes=[]), tmp_path)
    found = read_predictions(path)
    assert found.std_mm is None and found.notes.tolist() == []


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("observed_joints", np.ones((90, 16)), "observed_joints: expected shape"),
        ("observed_joints", np.full((90, 17), 2), "0 or 1 is expected"),
        ("std_mm", np.full((90, 17), np.nan), "std_mm: 90 rows hold NaN"),
        ("keypoints_coco19", np.ones((90, 17, 2)), "keypoints_coco19: expected shape"),
        ("confidence", np.ones(89), "confidence: expected shape"),
        ("n_frames", 2.5, "n_frames: 1 positive whole"),
        ("n_frames", np.array([1, 2]), "n_frames: expected shape"),
        ("image_size", np.array([1920, 0]), "image_size: 2 positive whole"),
        ("coordinates", "metric", "coordinates: normal or universal is expected, found 'metric'"),
        ("coordinates", np.array(["normal"]), "coordinates: normal or universal"),
        ("notes", np.array([1, 2]), "notes: text of shape"),
        ("notes", np.array("one"), "notes: text of shape"),
    ],
)
def test_new_keys_are_checked(scene: PredictedScene, key: str, value, message: str) -> None:
    fields = {f.name: getattr(scene_predictions(scene), f.name) for f in dataclasses.fields(Predictions)}
    with pytest.raises(DataError, match=message):
        Predictions(**(fields | {key: value}))


def test_refine_reads_it(scene: PredictedScene, tmp_path: Path, run_here) -> None:
    (path,) = NpzExporter().write(scene, tmp_path)
    done = run_here("experiment=refine", f"predictions={path}", "refinement=gaussian")
    assert done.returncode == 0, done.output
    assert [track["frames"] for track in done.metrics["tracks"]] == [60, 30]
