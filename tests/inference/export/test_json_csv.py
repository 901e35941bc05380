"""predictions.json and predictions.csv through the standard library's readers."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from inference.export.json_csv import CSV_COLUMNS, CsvExporter, JsonExporter
from inference.scene import Scene
from pose.joint_sets import COCO_19, MUPOTS_17


def strict_json(path: Path) -> dict:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def test_json(scene: Scene, tmp_path: Path) -> None:
    found = strict_json(JsonExporter().write(scene, tmp_path)[0])
    assert found["source"] == "café.mp4" and found["coordinates"] == "normal" and found["units"] == "mm"
    assert (found["fps"], found["n_frames"], found["image_size"]) == (29.97, 60, [1920, 1080])
    assert found["camera"] == {"fx": 1500, "fy": 1500, "cx": 960, "cy": 540}
    assert tuple(found["joints"]) == MUPOTS_17.names and tuple(found["keypoints"]) == COCO_19.names
    assert [len(person["frames"]) for person in found["people"]] == [60, 30]
    record, person = found["people"][1]["frames"][6], scene.people[1]
    assert (record["frame"], record["detected"], record["confidence"]) == (18, False, [0.0] * 19)
    assert record["time_s"] == pytest.approx(18 / 29.97, abs=1e-6)
    assert record["observed"] == [False] * 17
    for key in ("poses_3d", "lifted_3d", "std_mm", "keypoints_2d"):
        np.testing.assert_allclose(record[key], getattr(person, key)[6], atol=0.0051)


def test_json_has_null_for_what_is_not_known(scene_with_nan: Scene, tmp_path: Path) -> None:
    people = [replace(person, std_mm=None) for person in scene_with_nan.people]
    people[0] = replace(people[0], confidence=torch.full((60, 19), torch.nan))
    found = strict_json(JsonExporter().write(replace(scene_with_nan, people=people), tmp_path)[0])
    record = found["people"][1]["frames"][2]
    assert record["poses_3d"][MUPOTS_17.index("head")] == [None, None, None]
    assert None not in record["poses_3d"][0] and record["std_mm"] is None
    assert found["people"][0]["frames"][0]["confidence"] == [None] * 19


def test_csv(scene_with_nan: Scene, tmp_path: Path) -> None:
    (path,) = CsvExporter().write(scene_with_nan, tmp_path)
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == CSV_COLUMNS and len(rows) == 90 * 17
    cells = {(int(row["person"]), int(row["frame"]), row["joint"]): row for row in rows}
    person = scene_with_nan.people[1]
    knee = MUPOTS_17.index("right_knee")
    pixels = scene_with_nan.camera.project(person.require("poses_3d")).numpy()
    for i, frame in enumerate(person.frame.tolist()):
        row = cells[1, frame, "right_knee"]
        place = [float(row[key]) for key in ("x_mm", "y_mm", "z_mm")]
        np.testing.assert_allclose(place, person.poses_3d[i, knee], atol=0.0051)
        np.testing.assert_allclose([float(row["u"]), float(row["v"])], pixels[i, knee], atol=0.0051)
        assert row["observed"] == str(int(person.observed[i, knee]))
        assert float(row["std_mm"]) == person.std_mm[i, knee]
        assert float(row["time_s"]) == pytest.approx(frame / 29.97, abs=1e-6)
    missing = cells[1, 14, "head"]
    assert [missing[key] for key in ("x_mm", "y_mm", "z_mm", "u", "v")] == [""] * 5


def test_csv_has_no_pixel_for_a_joint_behind_the_camera(scene: Scene, tmp_path: Path) -> None:
    people = [replace(person, poses_3d=-person.require("poses_3d")) for person in scene.people]
    (path,) = CsvExporter().write(replace(scene, people=people), tmp_path)
    with open(path, encoding="utf-8", newline="") as file:
        row = next(csv.DictReader(file))
    assert (row["u"], row["v"]) == ("", "") and float(row["z_mm"]) < 0
