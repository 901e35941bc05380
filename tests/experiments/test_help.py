"""`python run.py --help` answers at once: it imports nothing heavy and does not copy Hydra's store over and over.

And what trains nothing does without the packages that training needs.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np

HEAVY = (
    "torch",
    "pytorch_lightning",
    "lightning",
    "wandb",
    "matplotlib",
    "scipy",
    "numba",
    "numpy",
    "experiments.runs.runner",
)


def watched(*words: str) -> str:
    """The code of `run.py WORDS` that in its end prints which of the heavy packages it has imported."""
    return f"""
import atexit, json, runpy, sys
atexit.register(lambda: print(json.dumps([name for name in {HEAVY!r} if name in sys.modules])))
sys.argv = ["run.py", *{words!r}]
runpy.run_path("run.py", run_name="__main__")
"""


def cpu_seconds(repo: Path, code: str) -> tuple[float, str]:
    """Of a process of its own, without what other work on the machine costs it; and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], cwd=repo, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def test_help_is_light(repo: Path) -> None:
    code = watched("--help")
    cpu_seconds(repo, code)  # files read from disk, byte code written
    rounds = [(cpu_seconds(repo, code), cpu_seconds(repo, "import hydra")[0]) for _ in range(2)]
    printed = rounds[0][0][1]
    assert "experiment: evaluate, " in printed and "Use --hydra-help" in printed
    assert json.loads(printed.splitlines()[-1]) == []
    assert min(seconds for (seconds, _), _ in rounds) < 8 * min(floor for _, floor in rounds)


def test_an_evaluation_and_a_refinement_import_no_lightning(repo: Path, workdir: Path, tmp_path: Path) -> None:
    poses = np.random.default_rng(0).normal(0, 100, (30, 17, 3)) + [0, 0, 4000]
    rows = {"sequence": np.repeat("TS1", 30), "frame": np.arange(30), "person": np.zeros(30, int)}
    np.savez(tmp_path / "given.npz", **rows, poses_3d=poses, score=np.ones(30))
    for verb, place in (("evaluate", f"paths.outputs={workdir / 'outputs'}"), ("refine", "fps=30")):
        words = ["size=tiny", "logger=csv", f"predictions={tmp_path / 'given.npz'}", f"hydra.run.dir={tmp_path / verb}"]
        _, printed = cpu_seconds(repo, watched(f"experiment={verb}", *words, place))
        assert (tmp_path / verb / "metrics.json").is_file()
        found = json.loads(printed.splitlines()[-1])
        assert "torch" in found
        assert not {"pytorch_lightning", "lightning", "wandb", "matplotlib"} & set(found), verb
