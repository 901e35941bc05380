"""predictions.npz: what was written is read, by this project's own tasks too."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

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


def test_refine_reads_it(scene: Scene, tmp_path: Path, run_here) -> None:
    (path,) = NpzExporter().write(scene, tmp_path)
    done = run_here("experiment=refine", f"predictions={path}", "refinement=gaussian")
    assert done.returncode == 0, done.output
    assert [track["frames"] for track in done.metrics["tracks"]] == [60, 30]
    assert read_facts(done.folder / "predictions.npz") == read_facts(path)
