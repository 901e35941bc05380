"""What a training may start from, how it is optimised, and what its lifter is found by: whole runs, in miniature."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch

from lightning_modules.checkpoint import load_lifter
from lightning_modules.lifter import Lifter

TINY = ["experiment=train", "data=synthetic", "size=tiny"]
ONE_CYCLE = ["scheduler=one_cycle", "model.loss._target_=lightning_modules.losses.mpjpe", "features=canonical"]


@pytest.fixture
def train(run_here, tmp_path: Path):
    """Runs a training in a folder of lifters of its own."""

    def run(*words: str, folder: str):
        return run_here(*TINY, f"paths.lifters={tmp_path / 'lifters'}", *words, folder=folder)

    return run


def lifter_of(done) -> Lifter:
    assert done.returncode == 0, done.output
    return load_lifter(done.folder)


def test_fine_tuning_starts_from_the_weights_and_keeps_network_features_and_statistics(train) -> None:
    first = train(*ONE_CYCLE, folder="first")
    start = lifter_of(first)
    slow = ["model.optimizer.lr=1e-9", "scheduler=exponential", "seed=3"]
    tuned = lifter_of(train(f"checkpoint={first.folder}", *slow, folder="tuned"))
    assert tuned.settings["features"] == start.settings["features"]
    assert torch.equal(tuned.feature_mean, start.feature_mean) and torch.equal(tuned.target_std, start.target_std)
    for name, value in start.network.named_parameters():
        torch.testing.assert_close(dict(tuned.network.named_parameters())[name], value, rtol=0, atol=1e-6)
    plain = train(*slow, folder="plain")
    assert lifter_of(plain).network.shrink.bias.shape == start.network.shrink.bias.shape
    hashes = {
        (done / "lifter.json").read_text() for done in (first.folder, plain.folder, first.folder.parent / "tuned")
    }
    assert len(hashes) == 3

    refused = train(f"checkpoint={first.folder}", "features=published", folder="refused")
    assert (
        refused.returncode == 2
        and "features=published: network and features are those of checkpoint=" in refused.output
    )


def test_a_loss_that_is_no_number_ends_the_run_and_is_not_gone_on_from(train, tmp_path: Path) -> None:
    broken = train("model.optimizer.lr=1e30", "model.optimizer._target_=torch.optim.SGD", "~model.optimizer.amsgrad",
                   "trainer.max_epochs=3", folder="broken")  # fmt: skip
    assert broken.returncode == 2 and "the training diverged; train with a smaller model.optimizer.lr" in broken.output
    assert "Traceback" not in broken.output
    (folder,) = (tmp_path / "lifters").iterdir()
    assert not (folder / "done.json").exists()
    if (folder / "last.ckpt").exists():
        state = torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]
        assert all(bool(value.isfinite().all()) for value in state.values())


def test_a_lifter_of_other_code_is_trained_anew(train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [train(folder="first")]
    monkeypatch.setattr("experiments.training.lifters.code_digest", lambda: "an edited loss")
    made += [train(folder="second"), train(folder="third")]
    assert ["training on synthetic" in done.output for done in made] == [True, True, False]
    assert "other code trained it" in made[1].output
    notes = [json.loads(path.read_text()) for path in (tmp_path / "lifters").glob("*/done.json")]
    assert [set(note["made_by"]) for note in notes] == [{"version", "commit"}] * 2


def test_schedules_by_step_on_a_plateau_or_none(train) -> None:
    for number, words in enumerate((
        ["model.scheduler=null"],
        ["scheduler=plateau"],
        ONE_CYCLE,
    )):  # fmt: skip
        done = train(*words, folder=f"run_{number}")
        assert done.returncode == 0, done.output


def test_callbacks_that_change_weights_are_part_of_the_lifter(train) -> None:
    plain = train(folder="plain")
    stopping = "+callbacks.stop={_target_: pytorch_lightning.callbacks.EarlyStopping, monitor: val/mpjpe_mm}"
    stopped = train(stopping, folder="stopped")
    assert stopped.returncode == 0 and "training on" in stopped.output, stopped.output
    watched = train("+callbacks.rate={_target_: pytorch_lightning.callbacks.LearningRateMonitor}", folder="watched")
    assert watched.returncode == 0 and "reusing the lifter" in watched.output
    assert (plain.folder / "lifter.json").read_text() != (stopped.folder / "lifter.json").read_text()


def test_an_average_of_weights_is_the_lifter_also_where_nothing_was_left_to_train(train, tmp_path: Path) -> None:
    if not hasattr(pl.callbacks, "EMAWeightAveraging"):
        pytest.skip("this pytorch-lightning averages no weights")
    words = ["callbacks=ema", "callbacks.ema.decay=0.5", "trainer.max_epochs=2"]
    averaged = lifter_of(train(*words, folder="averaged")).state_dict()
    (folder,) = (tmp_path / "lifters").iterdir()
    current = torch.load(folder / "last.ckpt", weights_only=True)["current_model_state"]
    assert not torch.equal(current["lifter.network.shrink.weight"], averaged["network.shrink.weight"])
    for name in ("done.json", "lifter.ckpt"):
        (folder / name).unlink()  # as if killed between the last epoch and the end
    again = lifter_of(train(*words, folder="again")).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in averaged.items())
