"""The run's folder and how files get into it: under their final names only when complete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

from pose.atomic import atomic_path


def run_folder() -> Path:
    """The folder of this run (`hydra.run.dir`, or the job's folder in a multirun)."""
    return Path(HydraConfig.get().runtime.output_dir)


def write_text(path: Path, text: str) -> None:
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON; a NaN is refused, since other programs could not read it."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")
