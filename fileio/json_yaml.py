"""JSON files that may come from anywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pose.errors import DataError


def load_json(path: str | Path, remedy: str = "copy the file again") -> Any:
    """Content of a JSON file in UTF-8. DataError naming the file, with `remedy`, if it is missing or damaged."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # RecursionError: nested beyond what Python can follow
        detail = " ".join(str(error).split())[:150]
        raise DataError(f"{path}: not readable JSON ({type(error).__name__}: {detail}); {remedy}") from error


def load_object(path: str | Path, remedy: str = "copy the file again") -> dict[str, Any]:
    """As `load_json`, for a file that holds an object."""
    content = load_json(path, remedy)
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a JSON object, found {type(content).__name__}; {remedy}")
    return content
