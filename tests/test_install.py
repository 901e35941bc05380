"""The wheel holds what the library needs, and works beside a user's own `data.py`. `make smoke` does it for real."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest


def call(*command: str | Path, **options) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of what it is made of: the checkout stays as it is."""
    source = tmp_path_factory.mktemp("source")
    packages = tomllib.loads((repo / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    for name in {package.split(".")[0] for package in packages}:
        shutil.copytree(repo / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(repo / name, source)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    call(*pip, "--wheel-dir", source / "dist", source)
    (built,) = (source / "dist").glob("*.whl")
    return built


def test_the_wheel_holds_weights_and_pages_and_nothing_of_the_checkout(wheel: Path) -> None:
    names = ZipFile(wheel).namelist()
    for kind in ("normal", "normal_causal"):
        assert f"lightning_modules/weights/mocap_{kind}.safetensors" in names
        assert f"lightning_modules/weights/mocap_{kind}.md" in names
    assert {"inference/render/page.html", "inference/render/page.css", "inference/render/page_player.js"} <= set(names)
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "conf/", "docs/", "run.py"))]


def test_it_works_beside_a_data_py(wheel: Path, repo: Path, tmp_path: Path) -> None:
    for file in (repo / "tests/install").glob("*.py"):
        shutil.copy(file, tmp_path)
    installed = tmp_path / "installed"
    call(
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-compile",
        "--no-deps",
        "--no-index",
        "--target",
        installed,
        wheel,
    )
    environment = {**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    printed = call(sys.executable, tmp_path / "use_library.py", cwd=tmp_path, env=environment)
    assert printed.strip() == str(installed)
