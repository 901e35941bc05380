"""Training: it learns, it validates in the protocol, a resumed run equals an unbroken one bit for bit."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint

from lightning_modules.checkpoint import load_lifter
from lightning_modules.lifter import Lifter
from lightning_modules.prediction import lift
from lightning_modules.training import LifterTraining
from pose.errors import ConfigError, DataError
from pose.metrics.mpi_inf_3dhp import mean_sequence_scores


def trainer(epochs: int, *callbacks: Callback) -> pl.Trainer:
    return pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        callbacks=list(callbacks),
        enable_checkpointing=any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


class Record(Callback):
    """Metrics and learning rate of each epoch."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []
        self.rate = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.rate = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        metrics = {key: float(value) for key, value in trainer.callback_metrics.items()}
        self.epochs.append({**metrics, "lr": self.rate})


class Killed(Exception):
    pass


class KillInEpoch(Callback):
    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, trainer: pl.Trainer, *_) -> None:
        if trainer.current_epoch == self.epoch:
            raise Killed


def test_training_lowers_the_loss_and_logs_the_protocol(make_lifter, loaders) -> None:
    lifter, record = make_lifter(network={"channels": 32, "filter_widths": [3, 3], "dropout": 0.0}), Record()
    training, validation = loaders()
    trainer(40, record).fit(LifterTraining(lifter), training, validation)
    losses = [epoch["train/loss"] for epoch in record.epochs]
    assert losses[-1] < 0.8 * losses[0]
    assert [epoch["lr"] for epoch in record.epochs[:3]] == pytest.approx([1e-3, 0.95e-3, 0.95**2 * 1e-3])
    (sequences,) = validation
    expected, _ = mean_sequence_scores(lift(lifter, sequences), sequences)
    assert {key for key in record.epochs[-1] if key.startswith("val/")} == {f"val/{key}" for key in expected}
    assert record.epochs[-1]["val/mpjpe_mm"] == pytest.approx(expected["mpjpe_mm"], rel=1e-5)


@pytest.mark.parametrize("killed_in", [None, 1])
def test_a_resumed_run_equals_an_unbroken_one(make_lifter, loaders, tmp_path: Path, killed_in: int | None) -> None:
    unbroken, record = make_lifter(seed=7), Record()
    trainer(3, record).fit(LifterTraining(unbroken), *loaders())

    torch.manual_seed(123)
    first = make_lifter(seed=7)
    keep = ModelCheckpoint(tmp_path, save_last=True, save_on_train_epoch_end=True)
    if killed_in is None:
        trainer(1, keep).fit(LifterTraining(first), *loaders())
    else:
        with pytest.raises(Killed):
            trainer(3, keep, KillInEpoch(killed_in)).fit(LifterTraining(first), *loaders())

    torch.manual_seed(456)
    resumed, record_resumed = make_lifter(seed=99), Record()
    resumed.seed = 7
    trainer(3, record_resumed).fit(LifterTraining(resumed), *loaders(), ckpt_path=str(tmp_path / "last.ckpt"))
    for name, value in unbroken.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert record_resumed.epochs == record.epochs[1:]


def test_a_resumed_average_of_weights_equals_an_unbroken_one(make_lifter, loaders, tmp_path: Path) -> None:
    averaging = getattr(pl.callbacks, "EMAWeightAveraging", None)
    if averaging is None:
        pytest.skip("this pytorch-lightning averages no weights")
    plain, unbroken = make_lifter(seed=7), make_lifter(seed=7)
    plain.load_state_dict(start := {name: value.clone() for name, value in unbroken.state_dict().items()})
    trainer(3).fit(LifterTraining(plain), *loaders())
    trainer(3, averaging(decay=0.9)).fit(LifterTraining(unbroken), *loaders())
    assert not torch.equal(plain.network.shrink.weight, unbroken.network.shrink.weight)

    first, resumed = make_lifter(seed=7), make_lifter(seed=7)
    first.load_state_dict(start)
    keep = ModelCheckpoint(tmp_path, save_last=True, save_on_train_epoch_end=True)
    trainer(1, averaging(decay=0.9), keep).fit(LifterTraining(first), *loaders())
    saved = load_lifter(tmp_path / "last.ckpt")
    assert torch.equal(saved.network.shrink.weight, first.network.shrink.weight), "the average is what is saved"
    last = str(tmp_path / "last.ckpt")
    trainer(3, averaging(decay=0.9)).fit(LifterTraining(resumed), *loaders(), ckpt_path=last)
    for name, value in unbroken.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_weights_that_are_no_numbers_are_neither_scored_nor_saved(make_lifter, loaders, tmp_path: Path) -> None:
    lifter = make_lifter()
    keep = ModelCheckpoint(tmp_path, save_last=True, save_on_train_epoch_end=True)
    training, validation = loaders()
    # The loss of the only step is finite; the step itself goes to infinity.
    model = LifterTraining(lifter, partial(torch.optim.SGD, lr=float("inf")))
    for more in ([validation], []):
        one_step = pl.Trainer(
            max_epochs=1, limit_train_batches=1, num_sanity_val_steps=0, accelerator="cpu", logger=False,
            enable_progress_bar=False, enable_model_summary=False, callbacks=[keep], default_root_dir=str(tmp_path),
        )  # fmt: skip
        with pytest.raises(
            DataError, match=r"the weights network\..* are NaN or infinite after step .*which starts anew"
        ):
            one_step.fit(model if more else LifterTraining(make_lifter(), model._optimizer), training, *more)
    assert not list(tmp_path.glob("*.ckpt"))


def test_dropout_depends_on_the_seed(make_lifter, loaders) -> None:
    weights = []
    for seed in (1, 1, 2):
        lifter = make_lifter()
        lifter.seed = seed
        trainer(1).fit(LifterTraining(lifter), *loaders())
        weights.append(lifter.network.shrink.weight)
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_optimizer_and_schedule_come_from_outside(make_lifter) -> None:
    scheduler = partial(torch.optim.lr_scheduler.StepLR, step_size=1)
    made = LifterTraining(make_lifter(), partial(torch.optim.SGD, lr=0.5), scheduler).configure_optimizers()
    assert isinstance(made["optimizer"], torch.optim.SGD) and made["lr_scheduler"]["interval"] == "epoch"
    assert isinstance(made["lr_scheduler"]["scheduler"], torch.optim.lr_scheduler.StepLR)


def test_the_published_optimizer_is_the_default(make_lifter) -> None:
    optimizer = LifterTraining(make_lifter()).configure_optimizers()["optimizer"]
    assert isinstance(optimizer, torch.optim.Adam)
    assert optimizer.defaults["lr"] == 1e-3 and optimizer.defaults["amsgrad"]


def test_what_cannot_be_trained_is_refused(make_lifter) -> None:
    with pytest.raises(ConfigError, match="norm=instance: such a network can be loaded, not trained"):
        LifterTraining(make_lifter(network={"channels": 8, "filter_widths": [3, 3], "norm": "instance"}))
    with pytest.raises(ConfigError, match="standardisation is missing"):
        LifterTraining(Lifter({"channels": 8, "filter_widths": [3, 3]}, "normal"))


def test_its_checkpoint_is_one_of_the_lifter(make_lifter, loaders, tmp_path: Path) -> None:
    lifter, training = make_lifter(training={"data": "synthetic"}), trainer(1)
    training.fit(LifterTraining(lifter), *loaders())
    training.save_checkpoint(tmp_path / "last.ckpt")
    content = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert set(content["state_dict"]) == set(lifter.state_dict())
    loaded = load_lifter(tmp_path / "last.ckpt")
    assert loaded.settings == {**lifter.settings, "training": {"data": "synthetic", "epochs": 1}}
    for name, value in lifter.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name]), name


def test_the_same_bits_each_time_on_one_number_of_threads(make_lifter, loaders) -> None:
    """On another number, sums are added up in another order."""
    trained, before = [], torch.get_num_threads()
    for count in (1, 1, 2, 2):
        lifter = make_lifter(seed=3)
        torch.set_num_threads(count)
        trainer(2).fit(LifterTraining(lifter), *loaders())
        torch.set_num_threads(before)
        trained.append(lifter.state_dict())
    for name, value in trained[0].items():
        assert torch.equal(value, trained[1][name]), name
        assert torch.equal(trained[2][name], trained[3][name]), name
        torch.testing.assert_close(value, trained[2][name], rtol=1e-3, atol=1e-3, msg=name)
