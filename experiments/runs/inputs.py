"""What a sweep's row reads beside its settings, as digests: its files, the code of this project and of plug-ins.

A finished row is reused only where all of them are as they were. Imported at the start of every run: nothing heavy.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

#: The packages whose source decides numbers.
_PACKAGES = ("data", "experiments", "fileio", "lightning_modules", "pose", "refinement")
#: Keys that name a file or folder that is read.
_READ = ("predictions", "checkpoint", "test.folder", "data.folder")
_PICTURES = {".jpg", ".jpeg", ".png", ".avi", ".mp4"}
_END_BYTES = 65536


def inputs_of(cfg: DictConfig) -> dict[str, str]:
    """Digests by name of all that this configuration reads; a file or folder that is not there has none.

    Files count by name, size, first and last 64 kB, without dates and without pictures. The synthetic data's folder is
    left out: its content follows from the settings.
    """
    found = {"version": _version(), "code": _code()}
    for key in _READ:
        named = OmegaConf.select(cfg, key)
        if isinstance(named, str) and named != cfg.paths.synthetic and Path(named).exists():
            found[key] = _content(Path(named))
    for name in sorted({*cfg.plugins, *_modules(OmegaConf.to_container(cfg, resolve=False).get("refinement"))}):
        if (file := _file(name)) is not None:
            found[f"code of {name}"] = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    return found


def changes(before: dict[str, Any] | None, now: dict[str, str]) -> list[str]:
    """The names of what differs; of a row that noted nothing, that.

    >>> changes({"version": "1", "code": "a"}, {"version": "1", "code": "b"}), changes(None, {})
    (['code'], ['made before inputs were noted'])
    """
    if before is None:
        return ["made before inputs were noted"]
    return [key for key in sorted({*before, *now}) if before.get(key) != now.get(key)]


def _version() -> str:
    try:
        return importlib.metadata.version("temporal-smoothing")
    except importlib.metadata.PackageNotFoundError:  # run from a checkout
        return "not installed"


@cache
def _code() -> str:
    root, digest = Path(__file__).resolve().parents[2], hashlib.sha256()
    for file in sorted(file for package in _PACKAGES for file in (root / package).rglob("*.py")):
        digest.update(f"\n{file.relative_to(root).as_posix()}\n".encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def _content(path: Path) -> str:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    digest = hashlib.sha256()
    for file in sorted(file for file in files if file.suffix.lower() not in _PICTURES):
        size = file.stat().st_size
        digest.update(f"\n{file.relative_to(path).as_posix()} {size} ".encode())
        with file.open("rb") as opened:
            digest.update(opened.read(_END_BYTES))
            opened.seek(max(size - _END_BYTES, 0), os.SEEK_SET)
            digest.update(opened.read())
    return digest.hexdigest()[:12]


def _modules(settings: Any) -> list[str]:
    """The modules of the classes that settings name, at any depth."""
    if not isinstance(settings, dict):
        return []
    own = [str(settings["_target_"]).rpartition(".")[0]] if settings.get("_target_") else []
    return own + [name for value in settings.values() for name in _modules(value)]


def _file(module: str) -> Path | None:
    """The source of a module that is not of `_PACKAGES`; a class's dotted name counts as its module."""
    if not module or module.split(".")[0] in _PACKAGES:
        return None
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return _file(module.rpartition(".")[0])
    return Path(spec.origin) if spec and spec.origin and Path(spec.origin).is_file() else None
