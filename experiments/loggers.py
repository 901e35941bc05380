"""Experiment loggers that need more than a constructor call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from pose.errors import ConfigError


def wandb_logger(mode: str, project: str, group: str, save_dir: str):
    """A Lightning logger of one wandb run; `mode` is offline (the default, sent later with `wandb sync`) or online."""
    if mode not in ("offline", "online"):
        raise ConfigError(f"logger.mode={mode}: must be offline or online")
    import wandb
    from pytorch_lightning.loggers import WandbLogger

    return WandbLogger(
        project=project,
        group=group,
        save_dir=save_dir,
        offline=mode == "offline",
        settings=wandb.Settings(silent=True, console="off"),
    )


@contextmanager
def logging_to(cfg: DictConfig) -> Iterator[Any]:
    """The experiment logger of this run, told its configuration, and closed whatever happens."""
    logger = instantiate(cfg.logger)
    try:
        logger.log_hyperparams(OmegaConf.to_container(cfg, resolve=True))
        yield logger
    finally:
        logger.finalize("success")
        if cfg.logger._target_.endswith("wandb_logger"):
            import wandb

            wandb.finish()
