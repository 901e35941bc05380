"""`python run.py --help` answers at once: it imports nothing heavy and does not copy Hydra's store over and over."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

HEAVY = (
    "torch",
    "pytorch_lightning",
    "lightning",
    "wandb",
    "matplotlib",
    "scipy",
    "numba",
    "numpy",
    "experiments.runner",
)
HELP = f"""
import atexit, json, runpy, sys
atexit.register(lambda: print(json.dumps([name for name in {HEAVY!r} if name in sys.modules])))
sys.argv = ["run.py", "--help"]
runpy.run_path("run.py", run_name="__main__")
"""


def cpu_seconds(repo: Path, code: str) -> tuple[float, str]:
    """Of a process of its own, without what other work on the machine costs it; and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], cwd=repo, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def test_help_is_light(repo: Path) -> None:
    cpu_seconds(repo, HELP)  # files read from disk, byte code written
    rounds = [(cpu_seconds(repo, HELP), cpu_seconds(repo, "import hydra")[0]) for _ in range(2)]
    printed = rounds[0][0][1]
    assert "experiment: evaluate, " in printed and "Use --hydra-help" in printed
    assert json.loads(printed.splitlines()[-1]) == []
    assert min(seconds for (seconds, _), _ in rounds) < 8 * min(floor for _, floor in rounds)
