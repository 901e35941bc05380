"""Lifters in one safetensors file, and those that come with the package: `checkpoint=builtin:NAME`.

Convolution weights are stored in half precision (a relative error below 0.0005), everything else as it is; the settings
are JSON in the file's metadata. Each `weights/NAME.safetensors` has a model card beside it, `weights/NAME.md`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from pose.errors import ConfigError, DataError

WEIGHTS = Path(__file__).with_name("weights")
PREFIX = "builtin:"
_SETTINGS = "lifter"


#: Lifters of universal coordinates that are those of normal ones, each person scaled by one factor.
_SCALED = {"mocap_universal": "mocap_normal"}


def builtin_names() -> list[str]:
    """Names that `checkpoint=builtin:NAME` takes, sorted.

    >>> builtin_names()
    ['mocap_normal', 'mocap_normal_causal', 'mocap_universal']
    """
    files = {path.stem for path in WEIGHTS.glob("*.safetensors")}
    return sorted(files | {name for name, normal in _SCALED.items() if normal in files})


def load_builtin(name: str) -> tuple[Path, dict[str, Tensor], dict[str, Any]]:
    """File, weights and settings of the lifter of that name; ConfigError listing the names if there is none."""
    path = _path(name)
    state, settings = unpack(path)
    if name in _SCALED:
        settings = {**settings, "coordinates": "universal", "scaled": True}
    return path, state, settings


def _path(name: str) -> Path:
    if name not in builtin_names():
        there = ", ".join(builtin_names()) or "none"
        raise ConfigError(f"checkpoint={PREFIX}{name}: no such lifter; there are {there}")
    return WEIGHTS / f"{_SCALED.get(name, name)}.safetensors"


def pack(state: dict[str, Tensor], settings: dict[str, Any]) -> bytes:
    """A lifter's weights and settings as the content of a safetensors file."""
    packed = {
        name: value.half() if value.dim() == 3 else value for name, value in state.items() if value.is_floating_point()
    }
    return save({name: value.contiguous() for name, value in packed.items()}, {_SETTINGS: json.dumps(settings)})


def unpack(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights in float32 and settings of such a file; DataError if it is none."""
    try:
        with safe_open(path, framework="pt") as file:
            settings = json.loads((file.metadata() or {})[_SETTINGS])
            state = {name: file.get_tensor(name).to(torch.float32) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        detail = " ".join(str(error).split())[:150]
        raise DataError(
            f"{path}: not a lifter in a safetensors file ({type(error).__name__}: {detail}); copy the file again"
        ) from error
    return state, settings
