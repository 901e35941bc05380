"""`experiment=export`: a trained lifter as other programs read it, in the run's folder."""

from __future__ import annotations

import logging

from omegaconf import DictConfig

from experiments.runs.run_dir import run_folder
from experiments.runs.runner import settle
from pose.errors import ConfigError

log = logging.getLogger(__name__)

#: format= -> what is written.
FORMATS = {"onnx": "lifter.onnx", "published": "published", "safetensors": "lifter.safetensors"}


def export(cfg: DictConfig) -> None:
    """Write `checkpoint` in `format`: an ONNX file, a folder in the published format or a safetensors file."""
    if cfg.format not in FORMATS:
        raise ConfigError(f"format={cfg.format}: must be one of {', '.join(FORMATS)}")
    if cfg.checkpoint is None:
        raise ConfigError("checkpoint=null: give the lifter to export, such as checkpoint=builtin:mocap_normal")
    from lightning_modules.checkpoint import export_published, export_safetensors, load_lifter
    from lightning_modules.onnx_export import export_onnx

    settle(cfg)
    lifter = load_lifter(cfg.checkpoint)
    path = run_folder() / FORMATS[cfg.format]
    if cfg.format == "onnx":
        export_onnx(path, lifter)
    elif cfg.format == "published":
        export_published(lifter, path)
    else:
        export_safetensors(path, lifter)
    log.info("%s lifter of %s features: %s", lifter.coordinates, type(lifter.features).__name__, path)
