"""docs/extending.md: its data set, metric and refinement, in a folder outside the repository, at the smallest size."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from data.synthetic.bodies import random_body
from data.synthetic.motions import procedural_motion
from data.synthetic.scenes import compose_scene, look_at, render_scene
from pose.cameras import Camera
from tests.test_extending import FILES

TINY = ["size=tiny", "logger=csv"]


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the page, where no module of it was imported before."""
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setenv("PYTHONPATH", "")
    for module in ("walks", "knees", "hold"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    return tmp_path / "mine"


@pytest.fixture
def walks(tmp_path: Path) -> Path:
    """A few clips as the page's reader takes them."""
    camera = Camera(1500.0, 1500.0, 960.0, 540.0, 1920, 1080)
    view = look_at(camera, np.array([0.0, 1200.0, 0.0]), np.array([0.0, 1000.0, 4000.0]))
    for part, count in (("train", 3), ("test", 2)):
        folder = tmp_path / "datasets" / "Walks" / part
        folder.mkdir(parents=True)
        for number in range(count):
            rng = np.random.default_rng((number, count))
            motion = procedural_motion("mixed", 60, 25.0, random_body(rng), rng)
            (seen,) = render_scene(compose_scene([motion], view, rng), view, 25.0, rng)
            np.savez(
                folder / f"clip_{number}.npz", keypoints_2d=seen.detection[..., :2], confidence=seen.detection[..., 2],
                poses_3d=seen.annotation_3d.astype(np.float32), fx=1500.0, cx=960.0, cy=540.0,
            )  # fmt: skip
    return tmp_path / "datasets"


def test_a_data_set_is_trained_and_tested_on_under_its_name(run_here, mine: Path, walks: Path, tmp_path: Path) -> None:
    words = ["--config-dir", str(mine), f"paths.datasets={walks}", f"paths.lifters={tmp_path / 'lifters'}", *TINY]
    trained = run_here(*words, "experiment=train", "data=walks", "data.batch_size=32")
    assert trained.returncode == 0, trained.output
    table = (trained.folder / "table.md").read_text()
    assert "test data: walks" in table and "SYNTHETIC" not in table and "mpi_inf_3dhp" not in table
    tested = run_here(*words, "experiment=mupots_mm", "data=walks", "test=walks", "data.batch_size=32", folder="tested")
    assert tested.returncode == 0 and len(tested.metrics["per_sequence"]) == 2, tested.output
    (walks / "Walks" / "test").rename(walks / "Walks" / "elsewhere")
    missing = run_here(*words, "experiment=train", "data=walks", folder="missing")
    assert missing.returncode == 2 and "first.npz" in missing.output and "the lab's archive" in missing.output


def test_a_metric_is_a_column_and_a_refinement_an_option(run_here, mine: Path, tmp_path: Path) -> None:
    words = [
        "--config-dir",
        str(mine),
        "data=synthetic",
        "test=synthetic",
        f"paths.lifters={tmp_path / 'lifters'}",
        *TINY,
    ]
    metric = '+metrics.knee_deg={function: knees.angle_error_deg, heading: "knee angle, degrees ↓"}'
    columns = "table.columns=[mpjpe_mm,knee_deg]"
    done = run_here(*words, "experiment=mupots_mm", "refinement=hold", metric, columns)
    assert done.returncode == 0, done.output
    for kind in ("lifted", "refined"):
        assert 0 < done.metrics["metrics"][kind]["knee_deg"] < 180
    table = (done.folder / "table.md").read_text()
    assert "knee angle, degrees ↓" in table and f"{done.metrics['metrics']['refined']['knee_deg']:.1f}" in table
    assert done.metrics["refinement"] == "hold"
    wrong = run_here(*words, "experiment=mupots_mm", metric.replace(" ↓", ""), folder="wrong")
    assert wrong.returncode == 2 and "metrics.knee_deg.heading" in wrong.output
