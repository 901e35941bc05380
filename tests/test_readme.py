"""The commands that README and docs/experiments.md give do what they say."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from data.predictions import read_predictions

REPO = Path(__file__).resolve().parents[1]
README, EXPERIMENTS, EVALUATE = (
    (REPO / name).read_text(encoding="utf-8").replace("\\\n", "")
    for name in ("README.md", "docs/experiments.md", "docs/evaluate_your_own.md")
)
COMMANDS = [
    line
    for block in re.findall(r"```bash\n(.*?)```", README + EXPERIMENTS, re.S)
    for line in block.splitlines()
    if line.startswith("python run.py") and "NAME" not in line
]


def test_readme_fits_two_screens() -> None:
    assert len(README.splitlines()) < 120


@pytest.mark.parametrize("target", ["quickstart", "test"])
def test_make_targets_of_readme_exist(target: str) -> None:
    planned = subprocess.run(["make", "-n", target], cwd=REPO, capture_output=True, text=True)
    assert planned.returncode == 0, planned.stderr
    person, small = shlex.split(COMMANDS[0])[1:], ["hydra.run.dir=outputs/quickstart"]
    assert {"quickstart": {*person, *small}, "test": {"pytest"}}[target] <= set(planned.stdout.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_command(command: str, run, run_here, workdir: Path) -> None:
    program, script, *words = shlex.split(command)
    assert (program, script) == ("python", "run.py")
    if "experiment=predict" in words:
        done = run_here(*words, "pictures=false", "exporter=npz", cwd=REPO)
        assert [len(person) for person in read_predictions(done.folder / "predictions.npz")] == [100, 100]
        return
    # One as typed; the others in this process, which spares importing torch.
    done = (run_here if words else run)(*words, "size=tiny")
    assert done.returncode == 0, done.output
    assert (done.folder / "metrics.json").exists()
    assert (done.folder / "table.md").exists()
    if "logger=wandb" in words:
        assert list(done.folder.glob("wandb/offline-run-*/run-*.wandb"))


@pytest.mark.parametrize("words", ["evaluate coordinates=universal protocol.people=matched", "refine"])
def test_a_file_of_your_own(words: str, run_here, workdir: Path) -> None:
    (snippet,) = re.findall(r"```python\n(import numpy as np\n\nnp.savez.*?)```", EVALUATE, re.S)
    file = workdir / "my_predictions.npz"
    exec(compile(snippet.replace(file.name, str(file)), "docs/evaluate_your_own.md", "exec"), {})
    experiment, *words = words.split()
    done = run_here(f"experiment={experiment}", f"predictions={file}", *words)
    assert done.returncode == 0, done.output
    assert (done.folder / "metrics.json").exists() and (done.folder / "table.md").exists()


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(((?!http)[^)]+)\)", README))))
def test_linked_file_exists(link: str) -> None:
    assert (REPO / link.partition("#")[0]).exists(), link
