"""`experiment=pretrain_mocap` from captured motion to weights, and what uses prepared motion, in miniature."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from data.synthetic.bodies import random_body
from data.synthetic.motions import procedural_motion
from lightning_modules.checkpoint import load_lifter

SMALL = ["size=tiny", "prepare.videos=1", "prepare.frames=40", "prepare.test_frames=24", "data.windows_per_epoch=640"]


@pytest.fixture(scope="module")
def mocap(tmp_path_factory) -> Path:
    folder, clips = tmp_path_factory.mktemp("capture"), {}
    for subject in (1, 2):
        rng = np.random.default_rng(subject)
        clips[f"{subject:02d}_01"] = procedural_motion("mixed", 120, 30, random_body(rng), rng)
    np.savez(folder / "walks_30fps.npz", **clips)
    return folder


def test_every_subject_is_left_out_and_all_make_the_weights(run_here, mocap: Path, tmp_path: Path) -> None:
    words = ["experiment=pretrain_mocap", f"paths.mocap={mocap}", f"paths.datasets={tmp_path / 'data'}", *SMALL]
    places = [f"paths.lifters={tmp_path / 'lifters'}", f"pretrain.weights={tmp_path / 'weights'}"]
    done = run_here(*words, *places)
    assert done.returncode == 0, done.output
    metrics = done.metrics
    assert set(metrics["folds"]) == {"01", "02"}
    for kind in ("lifted", "refined"):
        both = [fold["metrics"][kind]["mpjpe_mm"] for fold in metrics["folds"].values()]
        assert metrics["mean"][kind]["mpjpe_mm"] == pytest.approx(np.mean(both)) and both[0] != both[1]
    table = (done.folder / "table.md").read_text()
    assert "SIMULATED" in table and f"{metrics['mean']['refined']['mrpe_mm']:.1f}" in table
    weights = tmp_path / "weights" / "mocap_normal.safetensors"
    assert metrics["final"]["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert load_lifter(weights).coordinates == "normal" and load_lifter(weights).fps == 25

    again = run_here(*words, *places, folder="again")
    assert again.returncode == 0 and "reusing the lifter" in again.output and "training on" not in again.output
    for kind, scores in metrics["mean"].items():
        assert again.metrics["mean"][kind] == pytest.approx(scores, rel=1e-6)
    assert again.metrics["final"] == metrics["final"]

    tested = run_here(
        "experiment=mupots_mm", "test=mocap", "test.held_out=01", f"checkpoint={weights}", "size=tiny",
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
