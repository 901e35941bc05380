"""The LightningModule that trains the network (docs/method.md §6); its checkpoint holds all that is needed to use it.

Hyperparameters are plain values: the network's settings, coordinates, frame rate, joint sets and the training
configuration. Mean and std of features and targets are buffers beside the weights. What the optimiser is made of is not
part of a checkpoint; it is passed in again when training goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ExponentialLR, LRScheduler

from lightning_modules.metrics import mean_sequence_scores
from lightning_modules.networks.tcn import TemporalConvNet
from lightning_modules.prediction import lift
from pose.coordinates import Coordinates, check_coordinates
from pose.errors import ConfigError
from pose.features import N_FEATURES, N_TARGETS, Standardiser
from pose.joint_sets import COCO_19, MUPOTS_17, joint_set, same_joint_set
from pose.sequence import PoseSequence

#: Part of the hash by which a trained lifter is found again: raise it when the same settings would give other weights.
TRAINING_CODE_VERSION = 1

default_optimizer = partial(torch.optim.Adam, lr=1e-3, amsgrad=True)
default_scheduler = partial(ExponentialLR, gamma=0.95)


class Lifter(pl.LightningModule):
    """2D detections of one person over time -> 3D poses.

    network: keyword arguments of TemporalConvNet.
    coordinates: "normal" or "universal", what it is trained on and predicts.
    fps: rate of the training material in frames per second, None if unknown.
    joints_2d, joints_3d: names of the joint sets of input and output.
    training: the configuration it was trained with, plain values, for the record.
    seed: start of the random streams of training; dropout depends on it and on the epoch only.
    features, targets: standardisation of the training set; needed to train or predict, a checkpoint brings its own.
    optimizer: parameters -> Optimizer; scheduler: Optimizer -> LRScheduler, stepped after each epoch.

    Raises ConfigError for values outside these, MismatchError for joint sets that the features do not know.

    >>> Lifter({"channels": 64, "filter_widths": [3, 3, 3]}, "normal", fps=25.0).network.receptive_field
    27
    """

    feature_mean: Tensor
    feature_std: Tensor
    target_mean: Tensor
    target_std: Tensor

    def __init__(
        self,
        network: dict[str, Any],
        coordinates: Coordinates,
        fps: float | None = None,
        joints_2d: str = COCO_19.name,
        joints_3d: str = MUPOTS_17.name,
        training: dict[str, Any] | None = None,
        seed: int = 0,
        features: Standardiser | None = None,
        targets: Standardiser | None = None,
        optimizer: Callable[[Iterable[torch.nn.Parameter]], Optimizer] = default_optimizer,
        scheduler: Callable[[Optimizer], LRScheduler] = default_scheduler,
    ):
        super().__init__()
        same_joint_set("joints_2d", joint_set(joints_2d), COCO_19)
        same_joint_set("joints_3d", joint_set(joints_3d), MUPOTS_17)
        if fps is not None and not (isinstance(fps, int | float) and fps > 0):
            raise ConfigError(f"fps={fps}: must be a positive number of frames per second, or null if unknown")
        if seed < 0:
            raise ConfigError(f"seed={seed}: must be 0 or more")
        self.network = TemporalConvNet(**network)
        self.coordinates: Coordinates = check_coordinates(coordinates)
        self.fps, self.seed = fps, seed
        self.joints_2d, self.joints_3d = joints_2d, joints_3d
        self._optimizer, self._scheduler = optimizer, scheduler
        network, training = self.network.config, dict(training or {})
        self.save_hyperparameters(ignore=["features", "targets", "optimizer", "scheduler"])
        for name, size, fitted in (("feature", N_FEATURES, features), ("target", N_TARGETS, targets)):
            unset = torch.full((size,), torch.nan)
            self.register_buffer(f"{name}_mean", unset.clone() if fitted is None else fitted.mean.clone())
            self.register_buffer(f"{name}_std", unset.clone() if fitted is None else fitted.std.clone())

    @property
    def feature_standardiser(self) -> Standardiser:
        return Standardiser(self.feature_mean, self.feature_std)

    @property
    def target_standardiser(self) -> Standardiser:
        return Standardiser(self.target_mean, self.target_std)

    def forward(self, features: Tensor) -> Tensor:
        """Standardised features (B, T, 42) -> standardised targets (B, T - receptive_field + 1, 51)."""
        return self.network(features)

    def on_fit_start(self) -> None:
        if self.network.norm != "batch":
            raise ConfigError(
                f"norm={self.network.norm}: such a network can be loaded, not trained, because training windows have "
                "a single output frame; use norm=batch"
            )
        if not bool(self.feature_std.isfinite().all() and self.target_std.isfinite().all()):
            raise ConfigError("lifter: features and targets standardisation is missing; pass the data module's")

    def on_train_epoch_start(self) -> None:
        """Dropout drawn from (seed, epoch, rank), so that a resumed run equals an unbroken one."""
        key = (self.seed, self.current_epoch, 1 + self.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        predicted = self.network.forward_strided(batch["features"])[:, 0]
        loss = functional.l1_loss(predicted, batch["targets"])
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(predicted))
        return loss

    def validation_step(self, batch: list[PoseSequence], batch_idx: int) -> None:
        """Whole sequences, scored in the MPI-INF-3DHP protocol; logged as val/mpjpe_mm and so on."""
        scores = mean_sequence_scores(lift(self, batch), batch)
        for key, value in scores.items():
            self.log(f"val/{key}", value, prog_bar=key == "mpjpe_mm", batch_size=1)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Sequences stay where they are; `lift` brings what it needs to the network's device."""
        if isinstance(batch, list):
            return batch
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    def configure_optimizers(self) -> Any:
        optimizer = self._optimizer(self.parameters())
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": self._scheduler(optimizer), "interval": "epoch"}}
