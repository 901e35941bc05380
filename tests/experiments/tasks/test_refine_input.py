"""`experiment=refine input=FILE`: another program's 3D poses through to all files that `predict` leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data.predictions import read_predictions
from tests.data.poses import bodies
from tests.data.poses.writers import ALL, FOCAL, sam3d


def test_everything_that_predict_leaves(run_here, tmp_path: Path) -> None:
    pytest.importorskip("av")
    source = sam3d(tmp_path / "Übung (1).pkl")
    done = run_here(
        "experiment=refine", f"input={source}", "fps=30", "camera.image_size=[1920,1080]", "exporter=[npz,json,bvh]"
    )
    assert done.returncode == 0, done.output
    summary = json.loads((done.folder / "summary.json").read_text())
    assert {"predictions.npz", "predictions.json", "person_1.bvh", "page.html", "animation.mp4"} <= set(
        summary["files"]
    )
    assert (len(summary["people"]), summary["camera"]["how"], summary["camera"]["fx"]) == (2, "file", FOCAL)
    assert summary["notes"][0].startswith(("Warning", "Input: 3D poses of SAM 3D Body, MHR-70; nothing was lifted."))
    people = read_predictions(done.folder / "predictions.npz")
    assert all(person.std_mm is not None and person.observed is not None for person in people)


@pytest.mark.parametrize("name", ["trc", "mmpose"])
def test_without_a_camera(run_here, tmp_path: Path, name: str) -> None:
    write, file, _ = ALL[name]
    given = f"input={write(tmp_path / file)}"
    done = run_here("experiment=refine", given, "refinement=none", "pictures=false", "exporter=csv")
    assert done.returncode == 0, done.output
    assert "the pictures' is made up" in done.output


def test_body_parameters(run_here, tmp_path: Path) -> None:
    source, model = bodies.wham(tmp_path / "wham_output.pkl"), bodies.body_model(tmp_path / "SMPL_NEUTRAL.pkl", "smpl")
    camera = ["camera.image_size=[1920,1080]", f"camera.fx={bodies.FOCAL}", "fps=30"]
    given = ["experiment=refine", f"input={source}", "pictures=[page]", "exporter=[npz,glb]"]
    done = run_here(*given, f"body_model={model}", *camera)
    assert done.returncode == 0, done.output
    assert len(read_predictions(done.folder / "predictions.npz")) == 2
    assert (done.folder / "scene.glb").is_file() and (done.folder / "page.html").is_file()
    done = run_here(*given, *camera)
    assert done.returncode == 2 and "WHAM writes the parameters of a body, not joints; give body_model=" in done.output


def test_one_of_both(run_here) -> None:
    for words in ([], ["input=a.trc", "predictions=b.npz"]):
        done = run_here("experiment=refine", *words)
        assert done.returncode == 2
        (line,) = [line for line in done.output.splitlines() if "[ERROR]" in line]
        assert "give one, predictions=FILE.npz" in line and "or input=FILE" in line


def test_without_an_exporter_nothing_would_be_left(run_here, tmp_path: Path) -> None:
    (tmp_path / "poses.npy").write_bytes(b"")
    done = run_here("experiment=refine", f"input={tmp_path / 'poses.npy'}", "exporter=[]")
    assert done.returncode == 2 and "exporter=[]: give at least one of" in done.output, done.output
