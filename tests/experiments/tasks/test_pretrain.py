"""`experiment=pretrain_mocap` from captured motion to weights, and what uses prepared motion, in miniature."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from data.synthetic.bodies import random_body
from data.synthetic.motions import procedural_motion
from lightning_modules.checkpoint import load_lifter
from pose.canonical import CanonicalFeatures

SMALL = ["size=tiny", "prepare.videos=1", "prepare.frames=40", "prepare.test_frames=24", "data.windows_per_epoch=640"]


@pytest.fixture(scope="module")
def mocap(tmp_path_factory) -> tuple[Path, Path]:
    """Motion to train on and motion of somebody else."""
    folders = []
    for subject in (1, 2):
        folder, rng = tmp_path_factory.mktemp("capture"), np.random.default_rng(subject)
        clip = procedural_motion("mixed", 120, 30, random_body(rng), rng)
        np.savez(folder / "walks_30fps.npz", **{f"{subject:02d}_01": clip})
        folders.append(folder)
    return folders[0], folders[1]


def test_from_motion_to_tested_weights(run_here, mocap: tuple[Path, Path], tmp_path: Path) -> None:
    words = ["experiment=pretrain_mocap", f"paths.mocap={mocap[0]}", f"paths.mocap_test={mocap[1]}", *SMALL]
    places = [f"paths.datasets={tmp_path / 'data'}", f"paths.lifters={tmp_path / 'lifters'}"]
    places.append(f"pretrain.weights={tmp_path / 'weights'}")
    done = run_here(*words, *places)
    assert done.returncode == 0, done.output
    metrics = done.metrics
    assert metrics["test_subjects"] == ["02"] and set(metrics["metrics"]) == {"lifted", "refined"}
    table = (done.folder / "table.md").read_text()
    assert "SIMULATED" in table and f"{metrics['metrics']['refined']['mrpe_mm']:.1f}" in table
    assert "tested on 1 people who were not trained on: 02" in table
    weights = tmp_path / "weights" / "mocap_normal.safetensors"
    assert metrics["weights"]["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    lifter = load_lifter(weights)
    assert lifter.coordinates == "normal" and lifter.fps == 25 and isinstance(lifter.features, CanonicalFeatures)

    again = run_here(*words, *places, folder="again")
    assert again.returncode == 0 and "reusing the lifter" in again.output and "training on" not in again.output
    assert again.metrics["weights"] == metrics["weights"]

    tested = run_here(
        "experiment=mupots_mm", "test=mocap", f"checkpoint={weights}", "size=tiny",
        f"paths.datasets={tmp_path / 'data'}", folder="tested",
    )  # fmt: skip
    assert tested.returncode == 0, tested.output
    assert tested.metrics["data"] == "mocap" and len(tested.metrics["per_sequence"]) == 20


def test_what_is_missing_is_said(run_here, tmp_path: Path) -> None:
    done = run_here("experiment=pretrain_mocap", "size=tiny", f"paths.datasets={tmp_path}")
    assert done.returncode == 2 and "paths.mocap=null: give the folder" in done.output
    done = run_here("experiment=train", "data=mocap", "size=tiny", f"paths.datasets={tmp_path}", folder="train")
    assert done.returncode == 2 and "experiment=prepare prepare=mocap" in done.output
    done = run_here("experiment=pretrain_mocap", "data=synthetic", "size=tiny", folder="wrong")
    assert done.returncode == 2 and "use mocap" in done.output
