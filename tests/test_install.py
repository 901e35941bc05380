"""The wheel, built from the sdist, holds what the library needs and works beside a user's own `data.py`.

`make smoke` does it for real.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
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
    """The wheel, built from the sdist of a copy of what it is made of: the checkout stays as it is."""
    source = tmp_path_factory.mktemp("source")
    packages = tomllib.loads((repo / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    for name in {package.split(".")[0] for package in packages}:
        shutil.copytree(repo / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(repo / "conf", source / "conf")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(repo / name, source)
    call(sys.executable, "-c", "from setuptools import build_meta; build_meta.build_sdist('dist')", cwd=source)
    (sdist,) = (source / "dist").glob("*.tar.gz")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    call(*pip, "--wheel-dir", source / "dist", sdist)
    (built,) = (source / "dist").glob("*.whl")
    return built


def test_one_version(wheel: Path, repo: Path) -> None:
    """Of the distribution, the citation and the newest release of the changelog."""
    version = wheel.name.split("-")[1]
    assert f"\nversion: {version}\n" in (repo / "CITATION.cff").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", (repo / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert headings[0] == "Unreleased" and headings[1].split()[0] == version


def test_the_wheel_holds_weights_and_pages_and_nothing_of_the_checkout(wheel: Path, repo: Path) -> None:
    names = ZipFile(wheel).namelist()
    for kind in ("normal", "normal_causal"):
        assert f"lightning_modules/weights/mocap_{kind}.safetensors" in names
        assert f"lightning_modules/weights/mocap_{kind}.md" in names
    assert {"inference/render/page.html", "inference/render/page.css", "inference/render/page_player.js"} <= set(names)
    assert {"inference/live/live.html", "inference/live/live.js"} <= set(names)
    configuration = {f"experiments/{path.relative_to(repo)}" for path in (repo / "conf").rglob("*.yaml")}
    assert configuration <= set(names) and len(configuration) > 100
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


def test_the_one_command_from_any_folder(wheel: Path, multiview: Path, tmp_path: Path) -> None:
    """In an environment without a checkout (its packages are lent), below a folder with spaces and umlauts."""
    environment, here = tmp_path / "Über mich (1)" / "venv", tmp_path / "Mein Ordner"
    call(sys.executable, "-m", "venv", "--without-pip", environment)
    program = environment / ("Scripts" if os.name == "nt" else "bin")
    (python,) = program.glob("python.exe" if os.name == "nt" else "python")
    packages = Path(call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (packages / "lent.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
    call(*pip, "--no-compile", "--ignore-installed", wheel)
    here.mkdir()
    (here / "data.py").write_text("raise ImportError('the user's own')")
    shutil.copy(multiview / "cam2_keypoints.json", here / "Mein Übungs-Video.json")
    words = ["input=Mein Übungs-Video.json", "fps=60", "camera.image_size=[1088,1920]", "name=me"]
    words += ["pictures=false", "refinement=none"]
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
    printed = call(program / "temporal-smoothing", "experiment=predict", *words, cwd=here, env=clean)
    assert "people 2, frames 100, fps 60" in printed
    (folder,) = (here / "outputs/me").iterdir()
    assert {"person_0.bvh", "summary.json"} <= {path.name for path in folder.iterdir()}
    assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["commit"] is None
