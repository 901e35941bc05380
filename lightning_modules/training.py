"""The LightningModule that trains a `Lifter` (docs/method.md §6): loss, optimiser, schedule, validation, dropout.

Its checkpoints hold the lifter's own names and settings, so that `load_lifter` reads them as it reads any other. What
the optimiser is made of is not in them; it is passed in again when training goes on.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ExponentialLR, LRScheduler, ReduceLROnPlateau

from lightning_modules.lifter import Lifter
from lightning_modules.losses import l1
from lightning_modules.prediction import lift
from pose.errors import ConfigError, DataError
from pose.features import Standardiser
from pose.metrics.mpi_inf_3dhp import mean_sequence_scores
from pose.sequence import PoseSequence

default_optimizer = partial(torch.optim.Adam, lr=1e-3, amsgrad=True)
default_scheduler = partial(ExponentialLR, gamma=0.95)


_REMEDY = "train with a smaller model.optimizer.lr or with trainer.gradient_clip_val=1, which starts anew"


class LifterTraining(pl.LightningModule):
    """Trains `lifter`, which brings the standardisation of its training set.

    optimizer: parameters -> Optimizer. scheduler: Optimizer -> LRScheduler, or None for a constant rate; it is given
    the training's `total_steps` if it takes them (torch's OneCycleLR does). interval: "epoch" or "step", after which
    it is stepped; monitor: the logged metric that ReduceLROnPlateau watches. loss: as in `lightning_modules.losses`.
    Dropout depends on the lifter's seed and on the epoch only.

    Raises ConfigError for a lifter that cannot be trained, and DataError as soon as the loss is not finite, or a weight
    that would be validated or saved.
    """

    def __init__(
        self,
        lifter: Lifter,
        optimizer: Callable[[Iterable[torch.nn.Parameter]], Optimizer] = default_optimizer,
        scheduler: Callable[..., LRScheduler] | None = default_scheduler,
        loss: Callable[[Tensor, Tensor, Standardiser], Tensor] = l1,
        interval: str = "epoch",
        monitor: str = "val/mpjpe_mm",
    ):
        super().__init__()
        if lifter.normalises_over_time:
            raise ConfigError(
                "norm=instance: such a network can be loaded, not trained, because training windows have "
                "a single output frame; use norm=batch"
            )
        if not bool(lifter.feature_std.isfinite().all() and lifter.target_std.isfinite().all()):
            raise ConfigError("lifter: features and targets standardisation is missing; pass the data module's")
        if interval not in ("epoch", "step"):
            raise ConfigError(f"model.interval={interval}: must be epoch or step")
        self.lifter, self._optimizer, self._scheduler = lifter, optimizer, scheduler
        self._loss, self._interval, self._monitor = loss, interval, monitor

    def on_train_epoch_start(self) -> None:
        """Dropout drawn from (seed, epoch, rank), so that a resumed run equals an unbroken one."""
        key = (self.lifter.seed, self.current_epoch, 1 + self.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        predicted = self.lifter.windows(batch["features"])[:, 0]
        loss = self._loss(predicted, batch["targets"], self.lifter.target_standardiser)
        if not bool(loss.isfinite()):
            raise DataError(
                f"train/loss is {float(loss.detach())} in step {self.global_step} of epoch {self.current_epoch}: "
                f"the training diverged; {_REMEDY}"
            )
        rate = float(self.trainer.optimizers[0].param_groups[0]["lr"])
        self.log("train/learning_rate", rate, on_step=False, on_epoch=True, batch_size=len(predicted))
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(predicted))
        return loss

    def on_validation_start(self) -> None:
        self._check_weights(self.lifter.state_dict())

    def validation_step(self, batch: list[PoseSequence], batch_idx: int) -> None:
        """Whole sequences, scored in the MPI-INF-3DHP protocol; logged as val/mpjpe_mm and so on."""
        with torch.autocast(self.device.type, enabled=False):
            means, _ = mean_sequence_scores(lift(self.lifter, batch), batch)
        for key, value in means.items():
            self.log(f"val/{key}", value, prog_bar=key == "mpjpe_mm", batch_size=1)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Sequences stay where they are; `lift` brings what it needs to the network's device."""
        if isinstance(batch, list):
            return batch
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    def configure_optimizers(self) -> Any:
        """ConfigError, before the first step, for settings that the optimiser or the scheduler does not take."""
        part, options = "optimizer", {}
        try:
            optimizer = self._optimizer(self.parameters())
            if self._scheduler is None:
                return optimizer
            part = "scheduler"
            if "total_steps" in inspect.signature(self._scheduler).parameters:
                options["total_steps"] = int(self.trainer.estimated_stepping_batches)
            scheduler = self._scheduler(optimizer, **options)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"model.{part}: {error}; change or leave out that setting") from error
        settings = {"scheduler": scheduler, "interval": self._interval}
        if isinstance(scheduler, ReduceLROnPlateau):
            settings["monitor"] = self._monitor
        return {"optimizer": optimizer, "lr_scheduler": settings}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Under the lifter's own names, with the epochs seen. Averages that a callback makes have taken their place."""
        own = {name.removeprefix("lifter."): value for name, value in checkpoint["state_dict"].items()
               if name.startswith("lifter.")}  # fmt: skip
        for state in (own, self.lifter.state_dict()):
            self._check_weights(state)
        progress: Any = self.trainer.fit_loop.epoch_progress.current
        settings = self.lifter.settings
        settings = {**settings, "training": {**settings["training"], "epochs": progress.processed}}
        checkpoint.update(state_dict=own, hyper_parameters=settings)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["state_dict"] = {f"lifter.{name}": value for name, value in checkpoint["state_dict"].items()}

    def _check_weights(self, state: dict[str, Tensor]) -> None:
        """DataError for weights that are not finite: they are neither scored nor gone on from."""
        for name, value in state.items():
            if not bool(value.isfinite().all()):
                raise DataError(
                    f"the weights {name} are NaN or infinite after step {self.global_step} of epoch "
                    f"{self.current_epoch}: the training diverged; {_REMEDY}"
                )
