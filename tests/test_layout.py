"""The shape of the project that other parts rely on."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from grimp import build_graph

PACKAGES = [
    "pose",
    "fileio",
    "data",
    "lightning_modules",
    "refinement",
    "inference",
    "experiments",
    "temporal_smoothing",
]


@pytest.mark.parametrize("name", PACKAGES)
def test_the_packages_are_ours(name: str, repo: Path) -> None:
    module = __import__(name)
    assert module.__file__ is not None
    assert Path(module.__file__).resolve() == repo / name / "__init__.py"


def test_every_package_is_listed_for_installation(repo: Path) -> None:
    listed = tomllib.loads((repo / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = [
        ".".join(path.parent.relative_to(repo).parts)
        for name in PACKAGES
        for path in (repo / name).rglob("__init__.py")
    ]
    assert sorted(listed) == sorted([*found, "experiments.conf"])


def test_run_py_stays_tiny(repo: Path) -> None:
    assert len((repo / "run.py").read_text().splitlines()) <= 25


def test_golden_files_stay_small(golden: Path) -> None:
    assert sum(path.stat().st_size for path in golden.rglob("*") if path.is_file()) < 8_000_000


@pytest.mark.parametrize("name", PACKAGES)
def test_no_module_imports_itself_through_others(name: str, repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repo)
    monkeypatch.syspath_prepend(str(repo))
    graph = build_graph(name, exclude_type_checking_imports=True, cache_dir=None)
    left = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    while free := [module for module, imported in left.items() if not imported & left.keys()]:
        for module in free:
            del left[module]
    assert not left, f"cycles among or below {sorted(left)}"
