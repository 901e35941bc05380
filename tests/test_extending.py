"""docs/extending.md: its files, written into a folder of their own, and its commands."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import REPO, Run

PAGE = (REPO / "docs" / "extending.md").read_text()
#: Files of the page: a name in backticks that ends or begins a paragraph, then a block.
FILES = dict(re.findall(r"^`(mine/[\w/.]+)`[^\n]*(?:\n[^\n`]+)*\n\n```\w+\n(.*?)^```", PAGE, re.M | re.S))
_, REST = PAGE.split("\n## The folder")
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", REST, re.S) for line in block.splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside the project that holds `mine`."""
    place = tmp_path_factory.mktemp("elsewhere")
    for name, content in FILES.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(content)
    return place


@pytest.fixture(scope="module")
def run(folder: Path) -> Callable[[str], Run]:
    """Runs a command of the page in that folder, at a tiny size; the run folder is named after its number."""
    count = iter(range(1000))

    def start(command: str, *words: str) -> Run:
        program, script, *given = shlex.split(command)
        assert (program, script) == ("python", "run.py")
        out = folder / f"run_{next(count)}"
        place = f"hydra.sweep.dir={out}" if "table_" in command else f"hydra.run.dir={out}"
        small = ["size=tiny", "logger=csv", place]
        if "experiment=train" not in command and "experiment=export" not in command:
            small.append("refinement=none")
        # What exports a lifter has no --config-dir; its modules are found as installed ones are.
        path = {} if "--config-dir" in command else {"PYTHONPATH": "mine"}
        environment = {**os.environ, "WANDB_MODE": "offline", "OMP_NUM_THREADS": "1", **path}
        done = subprocess.run(
            [sys.executable, str(REPO / "run.py"), *given, *small, *words],
            cwd=folder, env=environment, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        return Run(done.returncode, done.stdout + done.stderr, out)

    return start


@pytest.fixture(scope="module")
def trained(run) -> Run:
    done = run(command_of("experiment=train model=one_filter"))
    assert done.returncode == 0, done.output
    return done


def command_of(words: str) -> str:
    """The page's command that holds these words."""
    return next(command for command in COMMANDS if words in command)


def lifter_of(done: Run) -> Path:
    return Path(json.loads((done.folder / "lifter.json").read_text())["folder"])


def test_the_page_has_what_is_tested_here() -> None:
    assert len(FILES) >= 5 and all(name.endswith((".py", ".yaml")) for name in FILES)
    assert all(command.startswith("python run.py ") for command in COMMANDS)
    listed = PAGE.split("```text\n")[1].split("```")[0]
    names = {Path(name).name for name in FILES} - {"test_my_networks.py"}
    assert names == set(re.findall(r"[\w]+\.(?:py|yaml)", listed))


def test_the_example_of_the_tutorial_is_what_the_page_shows() -> None:
    example = REPO / "examples" / "mine"
    files = [path for path in example.rglob("*.*") if path.is_file() and "__pycache__" not in path.parts]
    assert {f"mine/{path.relative_to(example)}": path.read_text() for path in files}.items() <= FILES.items()
    assert len(files) == 2


def test_the_test_of_the_page_passes(folder: Path) -> None:
    tests = [str(folder / name) for name in FILES if "/test_" in name]
    environment = {**os.environ, "PYTHONPATH": str(folder / "mine")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), *tests],
        cwd=folder, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_a_network_is_trained_found_again_and_resumed(run, trained: Run) -> None:
    command = command_of("experiment=train model=one_filter")
    weights = (lifter_of(trained) / "lifter.ckpt").read_bytes()
    again = run(command)
    assert "reusing the lifter" in again.output and lifter_of(again) == lifter_of(trained)
    (lifter_of(trained) / "done.json").unlink()  # as a training that was killed before its end leaves it
    resumed = run(command)
    assert resumed.returncode == 0 and ", continued, in" in resumed.output, resumed.output
    assert (lifter_of(trained) / "lifter.ckpt").read_bytes() == weights


def test_the_content_of_its_file_is_part_of_the_hash(run, trained: Run, folder: Path) -> None:
    source = folder / "mine" / "my_networks.py"
    before = source.read_text()
    source.write_text(before.replace("GELU", "ReLU"))
    try:
        other = run(command_of("experiment=train model=one_filter"))
    finally:
        source.write_text(before)
    assert other.returncode == 0 and lifter_of(other) != lifter_of(trained)
    spec = json.loads((lifter_of(trained) / "spec.json").read_text())
    assert list(spec["code"]) == ["training", "code of my_networks"]


def test_it_is_evaluated_and_swept(run, trained: Run, folder: Path) -> None:
    done = run(command_of("experiment=mupots_mm model=one_filter"))
    assert done.returncode == 0 and lifter_of(done) == lifter_of(trained), done.output
    command = command_of("experiment=table_lifter")
    swept = run(command)
    assert swept.returncode == 0, swept.output
    table = (swept.folder / "table.md").read_text()
    assert all(f"| {name} " in table for name in ("tcn", "mixer", "one_filter")), table
    # A row whose network's file has changed is computed again, the others are not.
    source = folder / "mine" / "my_networks.py"
    before = source.read_text()
    source.write_text(before + "\n# changed\n")
    try:
        again = run(command, f"hydra.sweep.dir={swept.folder}")
    finally:
        source.write_text(before)
    assert "3 rows: 2 finished before, 1 computed, 0 failed" in again.output, again.output


def test_a_lifter_with_it_is_loaded_where_it_is_named(run, trained: Run) -> None:
    export, evaluate = command_of("experiment=export"), command_of("experiment=mupots_mm checkpoint=LIFTER")
    for command in (export, evaluate):
        done = run(command.replace("LIFTER", str(trained.folder)))
        assert done.returncode == 0, done.output
    refused = run(export.replace("LIFTER", str(trained.folder)).replace(" 'plugins=[my_networks]'", ""))
    assert refused.returncode == 2
    assert "its network is my_networks.OneFilter, which is not part of this project" in refused.output
    assert "add plugins=[my_networks]" in refused.output


def test_features_of_ones_own(run) -> None:
    done = run(command_of("features=with_speed"))
    assert done.returncode == 0, done.output
    spec = json.loads((lifter_of(done) / "spec.json").read_text())
    assert spec["model"]["features"] == {"_target_": "my_features.WithSpeed"}
    assert list(spec["code"]) == ["training", "code of my_features"]
