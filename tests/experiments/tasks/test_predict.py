"""`experiment=predict` from the command line: files, pictures, summary, and mistakes as one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from data.predictions import read_predictions


@pytest.fixture
def keypoints(tmp_path: Path) -> Path:
    """Twelve frames of two people, one of them missed twice."""
    rng = np.random.default_rng(0)
    people = rng.uniform([[[100, 100]], [[400, 120]]], [[[200, 400]], [[500, 420]]], (2, 17, 2))
    frames = {}
    for frame in range(12):
        rows = []
        for number, points in enumerate(people):
            if number == 0 or frame not in (5, 6):
                rows.append({"keypoints": np.column_stack([points + frame, np.ones(17)]).ravel().tolist(), "score": 1})
        frames[f"{frame:03d}.jpg"] = rows
    path = tmp_path / "clip.json"
    path.write_text(json.dumps(frames))
    return path


@pytest.fixture
def words(repo: Path, keypoints: Path) -> list[str]:
    checkpoint = repo / "tests" / "golden" / "checkpoint"
    return ["experiment=predict", f"input={keypoints}", f"checkpoint={checkpoint}", "camera.image_size=[640,480]"]


def the_error(output: str) -> str:
    assert "Traceback" not in output, output
    (line,) = [line for line in output.splitlines() if "[ERROR]" in line]
    return line


def test_files_pictures_and_summary(run_here, words: list[str]) -> None:
    pytest.importorskip("av")
    pytest.importorskip("ezc3d")
    done = run_here(*words, "fps=30", "heights=[1750,null]")
    assert done.returncode == 0, done.output
    summary = json.loads((done.folder / "summary.json").read_text())
    assert set(summary["files"]) >= {
        "predictions.npz", "predictions.json", "predictions.csv", "person_0.trc", "person_1.trc", "scene.c3d",
        "person_0.bvh", "person_1.bvh", "page.html", "overlay.mp4", "animation.mp4",
    }  # fmt: skip
    assert all((done.folder / name).stat().st_size > 0 for name in summary["files"])
    assert [(one["person"], one["detected"], one["last_frame"]) for one in summary["people"]] == [
        (0, 12, 11),
        (1, 10, 11),
    ]
    assert (summary["fps"], summary["n_frames"], summary["coordinates"]) == (30, 12, "normal")
    assert (summary["camera"]["how"], summary["refinement"]) == ("guessed", "occlusion")
    assert any(note.startswith("Scale:") for note in summary["notes"])
    assert {"tracking", "lifting", "refinement"} <= set(summary["stage_seconds"])
    for shown in ("people 2", "is a guess", "Scale:", "overlay.mp4"):
        assert shown in done.output
    people = read_predictions(done.folder / "predictions.npz")
    assert [len(person) for person in people] == [12, 12]
    assert all(person.require("poses_3d").isfinite().all() for person in people)


def test_chosen_exporters_and_no_pictures(run_here, words: list[str]) -> None:
    done = run_here(*words, "fps=30", "exporter=[csv,json]", "pictures=false", "refinement=none", "people=1")
    assert done.returncode == 0, done.output
    files = json.loads((done.folder / "summary.json").read_text())["files"]
    assert files == ["predictions.csv", "predictions.json"]
    assert not list(done.folder.glob("*.mp4"))


def test_pictures_are_left_out_where_av_is_missing(run_here, words: list[str], monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    done = run_here(*words, "fps=30", "exporter=npz")
    assert done.returncode == 0, done.output
    summary = json.loads((done.folder / "summary.json").read_text())
    assert summary["files"] == ["predictions.npz", "page.html"]
    assert any(note.startswith("Left out:") and "PyAV" in note for note in summary["notes"])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (["input=null"], "input=null: give input=PATH"),
        (["input=absent.mp4"], "absent.mp4"),
        (["fps=0"], "fps=0"),
        (["people=0"], "people=0"),
        (["heights=1750"], "heights=1750: must be statures in mm by person number"),
        (["heights={0:1.75}"], "heights[0]=1.75: must be a number >= 400 and <= 2600; mm"),
        (["camera.fov_deg=300"], "camera.fov_deg=300: must be a number >= 1 and <= 170; degrees"),
        (["camera.image_size=null"], "give camera.image_size=[WIDTH,HEIGHT]"),
        (["coordinates=universal"], "universal"),
    ],
)
def test_mistakes_are_one_line(run_here, words: list[str], changed: list[str], said: str) -> None:
    keys = {word.split("=")[0] for word in changed}
    done = run_here(*[word for word in words if word.split("=")[0] not in keys], *changed, "pictures=false")
    assert done.returncode == 2, done.output
    assert said in the_error(done.output)
