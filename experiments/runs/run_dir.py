"""The run's folder and how files get into it: under their final names only when complete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fileio.atomic import atomic_path
from pose.errors import DataError

_MOST_YAML = 2**20


def run_folder() -> Path:
    """The folder of this run (`hydra.run.dir`, or the job's folder in a multirun)."""
    return Path(HydraConfig.get().runtime.output_dir)


def read_yaml(path: Path) -> Any:
    """The content of a small YAML file as OmegaConf's; DataError if it is damaged or repeats parts of itself.

    Repetitions (&, *) are never written by this project, and a few lines of them grow to gigabytes.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if len(text) > _MOST_YAML or any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
            raise ValueError("too large or with repetitions")
        return OmegaConf.create(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError, OmegaConfBaseException, AssertionError) as error:
        detail = " ".join(str(error).split())[:150]
        raise DataError(f"{path}: not readable YAML ({type(error).__name__}: {detail}); remove it") from error


def write_text(path: Path, text: str, show: bool = False) -> None:
    """Write UTF-8, and print it; half characters, which JSON files and names of files may hold, are spelt out."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8")
    if show:
        print(text)


def write_json(path: Path, value: Any) -> None:
    """Write JSON; a NaN is refused, since other programs could not read it."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")
