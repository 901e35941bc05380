"""Fixtures that every test may use."""

from __future__ import annotations

import copy
import json
import logging
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings
from omegaconf import OmegaConf

os.environ.setdefault("WANDB_MODE", "offline")

# Property tests try the same few cases each time; `--hypothesis-profile=thorough` tries many, others each time.
settings.register_profile("quick", max_examples=16, derandomize=True, deadline=None, database=None)
settings.register_profile("thorough", max_examples=1000, deadline=None, print_blob=True)
settings.load_profile("quick")

collect_ignore = ["install"]  # scripts of an imagined user, for tests/test_install.py

REPO = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session", autouse=True)
def configuration_files_are_parsed_once() -> Iterator[None]:
    """Hydra parses forty files again for each composition, half of its time, and the tests compose a thousand times."""
    parse, parsed = OmegaConf.load, {}

    def load(file):
        if isinstance(file, str | Path):
            return parse(file)
        state = os.fstat(file.fileno())
        key = (file.name, state.st_mtime_ns, state.st_size)
        if key not in parsed:
            parsed[key] = parse(file)
        return copy.deepcopy(parsed[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OmegaConf, "load", load)
        yield


@pytest.fixture(scope="session")
def repo() -> Path:
    """The project's root folder."""
    return REPO


@pytest.fixture(scope="session")
def golden() -> Path:
    """Real data and expected numbers that travel with the project (tests/golden/README.md)."""
    return REPO / "tests" / "golden"


@pytest.fixture(scope="session")
def multiview() -> Path:
    """A real clip from four cameras with 3D truth (examples/multiview/README.md)."""
    return REPO / "examples" / "multiview"


@pytest.fixture(scope="session")
def conformance(golden: Path) -> Path:
    """Data sets in the genuine formats with the numbers of an independent implementation."""
    return golden / "conformance"


@dataclass
class Run:
    """A finished `python run.py ...`."""

    returncode: int
    output: str
    folder: Path

    @property
    def metrics(self) -> dict:
        return json.loads((self.folder / "metrics.json").read_text())


@pytest.fixture(scope="session")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that runs start in, all of them: what one trains the next reuses."""
    return tmp_path_factory.mktemp("work")


@pytest.fixture
def run(workdir: Path, tmp_path: Path) -> Callable[..., Run]:
    """Runs `python run.py WORDS` in a process of its own, in `workdir`, with its run folder in `tmp_path`."""

    def start(*words: str, folder: str = "run", cwd: Path = workdir) -> Run:
        out = tmp_path / folder
        place = [] if "-m" in words else [f"hydra.run.dir={out}"]
        command = [sys.executable, str(REPO / "run.py"), *words, *place]
        environment = {**os.environ, "WANDB_MODE": "offline", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
        return Run(done.returncode, done.stdout + done.stderr, out)

    return start


@pytest.fixture
def run_here(workdir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd) -> Callable[..., Run]:
    """As `run`, but in this process: the same entry point without the seconds of importing torch."""

    def start(*words: str, folder: str = "run", cwd: Path = workdir) -> Run:
        out = tmp_path / folder
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["run.py", *words, f"hydra.run.dir={out}"])
        handlers, on_sigterm = logging.getLogger().handlers[:], signal.getsignal(signal.SIGTERM)
        capfd.readouterr()
        code = 0
        try:
            runpy.run_path(str(REPO / "run.py"), run_name="__main__")
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        finally:
            logging.getLogger().handlers[:] = handlers
            signal.signal(signal.SIGTERM, on_sigterm)
        captured = capfd.readouterr()
        return Run(code, captured.out + captured.err, out)

    return start
