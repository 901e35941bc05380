"""predictions.npz: what was written is read, by this project's own tasks too."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import numpy as np
import pytest

from data.predictions import read_facts, read_predictions
from inference.export.npz import NpzExporter
from inference.scene import Scene
from tests.cases import assert_same_people


def test_round_trip(scene: Scene, tmp_path: Path, caplog) -> None:
    (path,) = NpzExporter().write(scene, tmp_path)
    with caplog.at_level(logging.WARNING):
        found = read_predictions(path)
    assert not caplog.records  # all keys are known
    assert_same_people(found, scene.people)
    assert read_facts(path) == {"notes": ["The camera was guessed."], "n_frames": 60}


def test_std_and_notes_are_optional(scene: Scene, tmp_path: Path) -> None:
    people = [dataclasses.replace(person, std_mm=None) for person in scene.people]
    (path,) = NpzExporter().write(dataclasses.replace(scene, people=people, notes=[]), tmp_path)
    assert_same_people(read_predictions(path), people)
    assert read_facts(path)["notes"] == []


def test_refine_writes_back_what_it_was_given(scene: Scene, tmp_path: Path, run_here) -> None:
    given = {
        "sequence": np.array(["A"] * 60), "frame": np.arange(60), "person": np.zeros(60, int),
        "coordinates": "universal",
        "poses_3d": scene.people[0].require("poses_3d").numpy(),
        "confidence": np.ones((60, 17)), "image_size": [640, 480],
        "observed": np.arange(60 * 17).reshape(60, 17) % 3 > 0, "std_mm": np.full((60, 17), 31.0), "n_frames": 90,
    }  # fmt: skip
    np.savez(tmp_path / "given.npz", **given)
    done = run_here(
        "experiment=refine", f"predictions={tmp_path}/given.npz", "refinement=none", "coordinates=universal", "fps=12.5"
    )
    assert done.returncode == 0, done.output
    written = np.load(done.folder / "predictions.npz")
    assert written["fps"] == 12.5
    for key, value in given.items():
        np.testing.assert_array_equal(written[key], value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"poses_3d": 1e-3}, "poses_3d are in metres, mm are expected; multiply them by 1000"),
        ({"confidence": 0}, "has no confidence, or nothing but zeros"),
    ],
)
def test_what_refine_could_not_refine_is_said(scene: Scene, tmp_path: Path, run_here, change: dict, said: str) -> None:
    (path,) = NpzExporter().write(scene, tmp_path)
    content = dict(np.load(path))
    for key, factor in change.items():
        content[key] = content[key] * factor
    np.savez(tmp_path / "changed.npz", **content)
    done = run_here("experiment=refine", f"predictions={tmp_path}/changed.npz", "refinement=gaussian")
    assert done.returncode == 2 and said in done.output and "Traceback" not in done.output


def test_refine_reads_it(scene: Scene, tmp_path: Path, run_here) -> None:
    (path,) = NpzExporter().write(scene, tmp_path)
    done = run_here("experiment=refine", f"predictions={path}", "refinement=gaussian")
    assert done.returncode == 0, done.output
    assert [track["frames"] for track in done.metrics["tracks"]] == [60, 30]
    assert read_facts(done.folder / "predictions.npz") == read_facts(path)
