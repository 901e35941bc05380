"""`manifest.json`: what the preparations in a folder have finished, with sizes and hashes.

Several programs may prepare into one folder at once, so no one owns the file: to add entries a program takes a lock,
reads the file again, adds them and puts the whole in its place in one move. A program that is killed leaves the last
whole version (the lock goes with its process), and what it had not yet recorded is done again.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fileio.json_yaml import load_object, write_json
from fileio.limits import reading
from fileio.locks import waiting_for
from pose.errors import DataError

NAME = "manifest.json"
VERSION = 1

#: Steps of more files than this are recorded by one hash over all of them: a video has thousands of frames.
MOST_LISTED = 64

_SECONDS_BETWEEN_WRITES = 1.0
_REMEDY = "delete it: what is there is then made again"


class Manifest:
    """Entries of finished steps by name, in `root`/manifest.json; `put` and `drop` reach the file with `save`."""

    def __init__(self, root: Path) -> None:
        self.root, self.path = root, root / NAME
        self._entries = self._read()
        self._news: dict[str, dict[str, Any] | None] = {}
        self._written = -_SECONDS_BETWEEN_WRITES

    def get(self, name: str) -> dict[str, Any] | None:
        return self._entries.get(name)

    def put(self, name: str, entry: dict[str, Any]) -> None:
        self._entries[name] = self._news[name] = entry

    def drop(self, name: str) -> None:
        """Forget a step at once: its files are about to change, and a kill must not leave the old entry beside them."""
        self._entries.pop(name, None)
        self._news[name] = None
        self.save()

    def save_if_due(self) -> None:
        if time.monotonic() - self._written >= _SECONDS_BETWEEN_WRITES:
            self.save()

    def save(self) -> None:
        """Bring the news into the file, keeping what others have written meanwhile. DataError if it cannot be."""
        if not self._news:
            return
        with waiting_for(self.root / f".{NAME}.lock", NAME):
            entries: dict[str, Any] = {**self._read(), **self._news}
            self._entries = {name: entries[name] for name in sorted(entries) if entries[name] is not None}
            write_json(self.path, {"version": VERSION, "steps": self._entries}, indent=1)
        self._news.clear()
        self._written = time.monotonic()

    def _read(self) -> dict[str, Any]:
        if not self.path.exists():
            return {}
        content = load_object(self.path, _REMEDY)
        with reading(self.path, "a manifest of prepared data sets", _REMEDY):
            if content["version"] != VERSION:
                raise DataError(
                    f"{self.path}: version {str(content['version'])[:40]}, {VERSION} is expected; {_REMEDY}"
                )
            for name, entry in content["steps"].items():
                if not isinstance(entry, dict) or not isinstance(entry.get("outputs", {}), dict):
                    raise ValueError(f"step {name!r} is no entry")
            return dict(content["steps"])


def settings_hash(settings: Mapping[str, Any]) -> str:
    """16 hexadecimal digits of plain settings (numbers, text, lists, dicts)."""
    return hashlib.sha256(json.dumps(dict(settings), sort_keys=True).encode()).hexdigest()[:16]


def file_hash(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def input_state(root: Path, paths: Iterable[Path]) -> dict[str, Any] | str:
    """Size and time of change of files that a step reads. FileNotFoundError names the first that is missing."""
    states = {}
    for path in paths:
        state = path.stat()
        states[_key(root, path)] = [state.st_size, state.st_mtime_ns]
    return states if len(states) <= MOST_LISTED else _digest(states)


def output_state(root: Path, paths: Iterable[Path], hashed: bool) -> dict[str, Any]:
    """Sizes, and if `hashed` SHA-256s, of files that a step wrote. FileNotFoundError names the first missing one."""
    sizes = {_key(root, path): path.stat().st_size for path in paths}
    hashes = {key: file_hash(root / key) for key in sizes} if hashed else {}
    if len(sizes) <= MOST_LISTED:
        return {"sizes": sizes, "sha256": hashes}
    found = {"files": len(sizes), "bytes": sum(sizes.values()), "sizes": _digest(sizes)}
    return {**found, "sha256": _digest(hashes) if hashed else ""}


def same_outputs(recorded: Mapping[str, Any], found: Mapping[str, Any], hashed: bool) -> bool:
    """Whether two results of `output_state` agree, in the hashes too if `hashed`."""
    keys = (set(recorded) | set(found)) - (set() if hashed else {"sha256"})
    return all(recorded.get(key) == found.get(key) for key in keys)


def _key(root: Path, path: Path) -> str:
    """Files below `root` by their place in it, so that the folder can be moved."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
