"""`python run.py --help` imports nothing heavy, and what trains nothing does without what training needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

HEAVY = (
    "torch",
    "pytorch_lightning",
    "lightning_fabric",
    "torchmetrics",
    "wandb",
    "matplotlib",
    "scipy",
    "numpy",
    "experiments.runs.runner",
)


def run_watched(repo: Path, *words: str) -> tuple[str, set[str]]:
    """What `run.py WORDS` prints in a process of its own, and which of the heavy packages it has imported."""
    code = f"""
import atexit, json, runpy, sys
atexit.register(lambda: print(json.dumps([name for name in {HEAVY!r} if name in sys.modules])))
sys.argv = ["run.py", *{words!r}]
runpy.run_path("run.py", run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=repo, capture_output=True, text=True)
    *printed, last = done.stdout.splitlines()
    return "\n".join(printed) + done.stderr, set(json.loads(last))


def test_help_is_light(repo: Path) -> None:
    printed, imported = run_watched(repo, "--help")
    assert "experiment: compare, evaluate, " in printed and "Use --hydra-help" in printed
    assert not imported


def test_what_trains_nothing_imports_no_lightning(repo: Path, workdir: Path, tmp_path: Path) -> None:
    poses = np.random.default_rng(0).normal(0, 100, (30, 17, 3)) + [0, 0, 4000]
    rows = {"sequence": np.repeat("TS1", 30), "frame": np.arange(30), "person": np.zeros(30, int)}
    np.savez(tmp_path / "given.npz", **rows, poses_3d=poses, confidence=np.ones(30))
    found = {"keypoints": np.column_stack([poses[0, :, :2] / 4 + 320, np.ones(17)]).ravel().tolist(), "score": 1}
    (tmp_path / "people.json").write_text(json.dumps({f"{frame:03d}.jpg": [found] for frame in range(30)}))
    keypoints = f"input={tmp_path / 'people.json'}", "pictures=[page]"  # videos are drawn by Matplotlib's renderer
    given, outputs = f"predictions={tmp_path / 'given.npz'}", f"paths.outputs={workdir / 'outputs'}"
    for verb, left, words in (
        ("predict", "summary.json", [*keypoints, "camera.image_size=[640,480]", "fps=25"]),
        ("refine", "metrics.json", [given, "fps=30"]),
        ("evaluate", "metrics.json", [given, outputs]),
        ("mupots_mm", "metrics.json", ["checkpoint=builtin:mocap_normal", outputs]),
    ):
        common = ["size=tiny", "logger=csv", f"hydra.run.dir={tmp_path / verb}"]
        printed, imported = run_watched(repo, f"experiment={verb}", *words, *common)
        assert (tmp_path / verb / left).is_file(), printed
        assert "torch" in imported
        assert not {"pytorch_lightning", "lightning_fabric", "torchmetrics", "wandb", "matplotlib"} & imported, verb
