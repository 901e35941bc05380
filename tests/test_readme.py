"""The commands that README gives do what it says."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from data.predictions import read_predictions

REPO = Path(__file__).resolve().parents[1]
README = (REPO / "README.md").read_text().replace("\\\n", "")
BLOCKS = re.findall(r"```(bash|python)\n(.*?)```", README, re.S)
COMMANDS = [
    line for kind, block in BLOCKS if kind == "bash" for line in block.splitlines() if line.startswith("python ")
]


def test_readme_names_every_experiment_and_no_other() -> None:
    listed = set(re.findall(r"^\| `(\w+)` \|", README, re.M))
    assert listed == {path.stem for path in (REPO / "conf/experiment").glob("*.yaml")}


@pytest.mark.parametrize("target", ["quickstart", "test"])
def test_make_targets_of_readme_exist(target: str) -> None:
    planned = subprocess.run(["make", "-n", target], cwd=REPO, capture_output=True, text=True)
    assert planned.returncode == 0, planned.stderr
    expected = {"quickstart": [*shlex.split(COMMANDS[0]), "outputs/quickstart"], "test": ["pytest"]}[target]
    assert set(expected) - {"python"} <= set(planned.stdout.replace("=outputs", " outputs").split())


@pytest.mark.parametrize("command", COMMANDS)
def test_command(command: str, run, run_here, workdir: Path) -> None:
    program, script, *words = shlex.split(command)
    assert (program, script) == ("python", "run.py")
    snippet = next(block for kind, block in BLOCKS if kind == "python")
    if not (workdir / "my_predictions.npz").exists():
        exec(compile(snippet.replace("my_predictions.npz", str(workdir / "my_predictions.npz")), "README", "exec"), {})
    if "experiment=predict" in words:
        done = run_here(*words, "pictures=false", "exporter=npz", cwd=REPO)
        assert [len(person) for person in read_predictions(done.folder / "predictions.npz")] == [100, 100]
        return
    # One as typed; the others in this process, which spares importing torch.
    start = run_here if words else run
    done = start(*words, *([] if "experiment=refine" in words else ["size=tiny"]))
    assert done.returncode == 0, done.output
    assert (done.folder / "metrics.json").exists()
    assert (done.folder / "table.md").exists()
    if "logger=wandb" in words:
        assert list(done.folder.glob("wandb/offline-run-*/run-*.wandb"))


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(((?!http)[^)]+)\)", README))))
def test_linked_file_exists(link: str) -> None:
    assert (REPO / link.partition("#")[0]).exists(), link
