"""JSON and YAML that may come from anywhere, and their writing; text files are written here too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from fileio import terminal
from fileio.atomic import atomic_path
from fileio.limits import reading
from pose.errors import DataError

_MOST_YAML = 2**20


def load_json(path: str | Path, remedy: str = "copy the file again") -> Any:
    """Content of a JSON file. DataError naming the file, with `remedy`, if it is missing or damaged."""
    with reading(path, "a JSON file", remedy):
        return json.loads(Path(path).read_bytes())


def load_object(path: str | Path, remedy: str = "copy the file again") -> dict[str, Any]:
    """As `load_json`, for a file that holds an object."""
    content = load_json(path, remedy)
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a JSON object, found {type(content).__name__}; {remedy}")
    return content


def read_yaml(path: str | Path) -> Any:
    """The plain values of a small YAML file; DataError if it is damaged or repeats parts of itself.

    Repetitions (&, *) are never written by this project, and a few lines of them grow to gigabytes.
    """
    with reading(path, "a YAML file", "remove it"):
        text = Path(path).read_text(encoding="utf-8")
        if len(text) > _MOST_YAML or any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
            raise ValueError("too large or with repetitions")
        return yaml.safe_load(text)


def write_json(path: str | Path, value: Any, indent: int | None = 2) -> None:
    """Write JSON; a NaN is refused, since other programs could not read it."""
    write_text(path, json.dumps(value, indent=indent, allow_nan=False) + "\n")


def write_text(path: str | Path, text: str, show: bool = False) -> None:
    """Write UTF-8, and print it; half characters, which JSON files and names of files may hold, are spelt out."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8")
    if show:
        terminal.show(text)
