"""What decides a result beside its settings, as digests: the files it reads, the code of this project and of plug-ins.

A finished row of a sweep is reused only where all of them are as they were; a lifter's hash covers the code that trains
it. Imported at the start of every run: nothing heavy.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

_ROOT = Path(__file__).resolve().parents[2]
#: The packages whose source decides numbers, and those of them that decide a lifter's weights.
_PACKAGES = ("data", "experiments", "fileio", "inference", "lightning_modules", "pose", "refinement")
_TRAINING = ("data", "experiments/training", "fileio", "lightning_modules", "pose")
#: Not plug-ins: what they do follows from their version, which run.json names.
_LIBRARIES = {*sys.stdlib_module_names, "hydra", "numpy", "pytorch_lightning", "scipy", "torch"}
#: Keys that name a file or folder that is read.
_READ = ("predictions", "checkpoint", "test.folder", "data.folder", "input", "video")
_PICTURES = {".jpg", ".jpeg", ".png", ".avi", ".mp4"}
_END_BYTES = 65536


def inputs_of(cfg: DictConfig, data_files: Iterable[Path] = ()) -> dict[str, str]:
    """Digests by name of all that this configuration reads; a file or folder that is not there has none.

    data_files: of the data sets. Files count by name, size, first and last 64 kB, without dates; in folders pictures do
    not count. The synthetic data's folder is left out: its content follows from the settings.
    """
    found = {"version": version(), "code": code_digest(_PACKAGES)}
    for key in _READ:
        named = OmegaConf.select(cfg, key)
        for name in named if isinstance(named, ListConfig) else [named]:
            if isinstance(name, str) and name != cfg.paths.synthetic and (path := Path(name)).exists():
                inside = [path] if path.is_file() else [f for f in path.rglob("*") if f.suffix.lower() not in _PICTURES]
                found[key if name == named else f"{key} {name}"] = _content(inside, path)
    if files := [path for path in data_files if path.is_file()]:
        found["data sets"] = _content(files, Path(os.path.commonpath([path.parent for path in files])))
    return found | plugin_digests(OmegaConf.to_container(cfg, resolve=True), cfg.plugins)


def changes(before: dict[str, Any] | None, now: dict[str, str]) -> list[str]:
    """The names of what differs; of a row that noted nothing, that.

    >>> changes({"version": "1", "code": "a"}, {"version": "1", "code": "b"}), changes(None, {})
    (['code'], ['made before inputs were noted'])
    """
    if before is None:
        return ["made before inputs were noted"]
    return [key for key in sorted({*before, *now}) if before.get(key) != now.get(key)]


def version() -> str:
    try:
        return importlib.metadata.version("temporal-smoothing")
    except importlib.metadata.PackageNotFoundError:  # run from a checkout
        return "not installed"


@cache
def commit() -> str | None:
    """The checked-out commit, "+" appended where files differ from it; None outside a checkout."""
    if not (_ROOT / "run.py").exists():  # installed, perhaps below somebody else's checkout
        return None

    def git(*words: str) -> str:
        result = subprocess.run(["git", "-C", str(_ROOT), *words], capture_output=True, text=True, check=True)
        return result.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


@cache
def code_digest(folders: tuple[str, ...] = _TRAINING) -> str:
    """Of this project's source below these folders, by default of all that decides a lifter's weights."""
    return _digest_of([file for folder in folders for file in (_ROOT / folder).rglob("*.py")], _ROOT)


def plugin_digests(settings: Any, plugins: Iterable[str] = ()) -> dict[str, str]:
    """`code of NAME` -> digest of each package or module outside this project that settings or `plugins` name.

    A package counts whole, and so does what lies beside it and is imported by it, at any depth.
    """
    names = {name.split(".")[0] for name in [*_named(settings), *plugins]}
    names -= {*_PACKAGES, *_LIBRARIES}
    found = {name: files for name in sorted(names) if (files := _sources(name))}
    return {f"code of {name}": _digest_of(files, min(files).parent) for name, files in found.items()}


def _named(settings: Any) -> list[str]:
    """The classes and functions that settings name, at any depth."""
    if isinstance(settings, list):
        return [name for value in settings for name in _named(value)]
    if not isinstance(settings, dict):
        return []
    own = [str(settings[key]) for key in ("_target_", "function") if settings.get(key)]
    return own + [name for value in settings.values() for name in _named(value)]


def _sources(name: str) -> set[Path]:
    """The source files of a top-level package or module of the user's, and of its neighbours that it imports."""
    found, waiting, place = set(), [name], None
    while waiting:
        files, beside = _files(waiting.pop())
        place = place or beside
        if beside != place or files <= found:
            continue
        found |= files
        if place.name not in ("site-packages", "dist-packages"):
            waiting += [module for file in files for module in _imported(file)]
    return found


def _files(name: str) -> tuple[set[Path], Path]:
    """The files of a top-level module, and the folder that it lies in."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return set(), Path()
    if spec.submodule_search_locations:
        folders = [Path(folder) for folder in spec.submodule_search_locations]
        return {file for folder in folders for file in folder.rglob("*.py")}, folders[0].parent
    origin = Path(spec.origin or "")
    return ({origin} if origin.is_file() else set()), origin.parent


def _imported(file: Path) -> set[str]:
    """The top-level names that a file imports; none of one that is no Python."""
    try:
        nodes = list(ast.walk(ast.parse(file.read_bytes())))
    except SyntaxError:
        return set()
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 0]
    return {name.split(".")[0] for name in names} - {"", *_PACKAGES, *_LIBRARIES}


def _digest_of(files: Iterable[Path], root: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(f"\n{os.path.relpath(file, root)}\n".encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def _content(files: Iterable[Path], root: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(file for file in files if file.is_file()):
        size = file.stat().st_size
        digest.update(f"\n{os.path.relpath(file, root)} {size} ".encode())
        with file.open("rb") as opened:
            digest.update(opened.read(_END_BYTES))
            opened.seek(max(size - _END_BYTES, 0), os.SEEK_SET)
            digest.update(opened.read())
    return digest.hexdigest()[:12]
