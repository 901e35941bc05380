"""Several processes learn what one does, and none outlives its run."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf

from experiments.training import ranks as distributed
from experiments.training.devices import Plan
from experiments.training.ranks import rank_environment
from pose.errors import ConfigError, DataError

SYNTHETIC = ["experiment=train", "data=synthetic", "size=tiny"]
TWO_PROCESSES = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
TWO_PARTS = ["trainer=cpu", "trainer.accumulate_grad_batches=2"]


@pytest.fixture
def trained(run_here, tmp_path: Path):
    """Trains by these words; the lifter's folder and the run's."""

    def train(name: str, *words: str) -> tuple[Path, Path]:
        done = run_here(*SYNTHETIC, *words, f"paths.lifters={tmp_path / name}", folder=f"run {name}")
        assert done.returncode == 0, done.output
        (folder,) = (tmp_path / name).iterdir()
        return folder, done.folder

    return train


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state = torch.load(folder / "lifter.ckpt", weights_only=True)["state_dict"]
    return {name: value for name, value in state.items() if name.startswith("network.") and "running" not in name}


def test_first_gradients_equal_those_of_two_accumulated_halves(trained) -> None:
    """One step of plain gradient descent at rate 1 leaves the gradient as the difference of the weights."""
    words = [
        "data.windows_per_epoch=64", "model.network.dropout=0.0", "model.optimizer._target_=torch.optim.SGD",
        "~model.optimizer.amsgrad", "model.optimizer.lr=1.0",
    ]  # fmt: skip
    start = weights(trained("start", *words[:-1], "model.optimizer.lr=0.0")[0])
    one, two = (weights(trained(how[0][8:], *words, *how)[0]) for how in (TWO_PARTS, TWO_PROCESSES))
    whole = weights(trained("whole", *words, "trainer=cpu")[0])
    gradients = {name: start[name] - one[name] for name in start if start[name].is_floating_point()}
    assert max(float(gradient.abs().max()) for gradient in gradients.values()) > 1e-2
    for name in gradients:
        torch.testing.assert_close(two[name], one[name], rtol=0.0, atol=1e-5, msg=name)
    assert any(not torch.allclose(whole[name], one[name], rtol=0.0, atol=1e-5) for name in gradients), (
        "halves differ from the whole by their batch normalisation, so that the test can tell"
    )
    synced = weights(trained("synced", *words, *TWO_PROCESSES, "trainer.sync_batchnorm=true")[0])
    for name in gradients:
        torch.testing.assert_close(synced[name], whole[name], rtol=0.0, atol=1e-5, msg=f"synced {name}")


def test_three_epochs_end_where_accumulated_halves_end(trained) -> None:
    """Not to the last digit: batch normalisation keeps the running statistics of rank 0, or of both halves in turn."""
    words = ["data.windows_per_epoch=2000", "data.batch_size=128", "trainer.max_epochs=3", "model.network.dropout=0.0"]
    (one, run), (two, ddp_run) = trained("one", *words, *TWO_PARTS), trained("two", *words, *TWO_PROCESSES)
    assert one.name == two.name, "how a batch is shared is not part of the hash"
    found = [json.loads((folder / "done.json").read_text()) for folder in (one, two)]
    assert found[0]["split"] == {"processes": 1, "accumulate": 2, "batch_size": 64}
    assert found[1]["split"] == {"processes": 2, "accumulate": 1, "batch_size": 64}
    single, double = (result["validation"]["metrics"] for result in found)
    for key in ("mpjpe_mm", "a_mpjpe_mm", "mrpe_mm", "n_mpjpe_mm"):
        assert double[key] == pytest.approx(single[key], rel=0.03), key
    assert {path.name for path in two.iterdir()} == {path.name for path in one.iterdir()}, "one set of outputs"
    checkpoint = torch.load(two / "last.ckpt", weights_only=True)
    assert (checkpoint["epoch"], checkpoint["global_step"]) == (2, 45)
    curves = [list(csv.DictReader((folder / "curves" / "metrics.csv").open())) for folder in (run, ddp_run)]
    for points in curves:
        losses = [float(point["train/loss"]) for point in points if point["train/loss"]]
        assert len(losses) == 3, "an epoch is a point, logged by one rank"
        assert losses[2] < losses[0]
        assert len([point for point in points if point["val/mpjpe_mm"]]) == 3
    assert not (ddp_run / "training" / "rank_1" / "curves.jsonl").exists()


def test_accumulated_parts_drop_the_incomplete_last_batch_in_mixed_precision(trained) -> None:
    """200 windows hold three batches of 64; their seventh quarter would make Lightning step a fourth time."""
    words = ["data.windows_per_epoch=200", "trainer=cpu", "trainer.accumulate_grad_batches=4"]
    folder, _ = trained("parts", *words, "trainer.precision=bf16-mixed")
    assert torch.load(folder / "last.ckpt", weights_only=True)["global_step"] == 3


def test_an_error_of_a_rank_is_the_runs(run_here) -> None:
    done = run_here(*SYNTHETIC, *TWO_PROCESSES, "data.windows_per_epoch=60")
    assert done.returncode == 2
    assert "data.batch_size=64: an epoch has only 60 frames" in done.output
    assert "Traceback" not in done.output


# --- the processes, without what they do -----------------------------------------------------------------------------


@pytest.fixture
def ranks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs ranks that execute this code, with `rank` and `place` (their folder) set."""

    def start(code: str, processes: int = 2, logger=None) -> Path:
        head = "import json, os, sys, time\nrank = int(os.environ['RANK'])\nplace = sys.argv[1]\n"
        monkeypatch.setattr(
            distributed,
            "rank_command",
            lambda place, rank: [sys.executable, "-c", head + code, str(place / f"rank_{rank}")],
        )
        distributed._run_ranks(tmp_path, processes, {"CUDA_VISIBLE_DEVICES": "x"}, logger)
        return tmp_path

    return start


def test_a_rank_knows_its_own_place_only(ranks, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = {"LOCAL_RANK": "7", "SLURM_PROCID": "3", "GROUP_RANK": "2", "PL_GLOBAL_SEED": "5", "MASTER_ADDR": "away"}
    for key, value in foreign.items():
        monkeypatch.setenv(key, value)
    place = ranks("json.dump(dict(os.environ), open(place + '/env.json', 'w'))", processes=3)
    found = [json.loads((place / f"rank_{rank}" / "env.json").read_text()) for rank in range(3)]
    for rank, environment in enumerate(found):
        assert (environment["RANK"], environment["LOCAL_RANK"], environment["WORLD_SIZE"]) == (
            str(rank),
            str(rank),
            "3",
        )
        assert (environment["MASTER_ADDR"], environment["CUDA_VISIBLE_DEVICES"]) == ("127.0.0.1", "x")
        assert not {"SLURM_PROCID", "GROUP_RANK", "PL_GLOBAL_SEED"} & set(environment)
    assert len({environment["MASTER_PORT"] for environment in found}) == 1
    assert os.environ["LOCAL_RANK"] == "7", "the run's own environment is left alone"
    assert rank_environment(1, 2, 5, {})["MASTER_PORT"] == "5"


@pytest.mark.parametrize("failing", [0, 1])
def test_one_failed_rank_ends_the_others(ranks, failing: int) -> None:
    begun = time.monotonic()
    with pytest.raises(RuntimeError, match=f"training process {failing} of 2 ended with code 3; its log: "):
        ranks(f"sys.exit(3) if rank == {failing} else os.read(0, 1)")
    assert time.monotonic() - begun < 60


def test_an_error_of_the_machine_in_a_rank_is_one_line(ranks) -> None:
    with pytest.raises(DataError, match=r"training process 1 of 2 ended with code 2; its log: .*rank_1"):
        ranks("sys.exit(2) if rank else time.sleep(0.2)")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_rank_is_one_line(ranks, number: signal.Signals) -> None:
    with pytest.raises(DataError, match=f"process 1 of 2 was ended by {number.name}.*; the same command goes on"):
        ranks(f"os.kill(os.getpid(), {int(number)}) if rank else os.read(0, 1)")


def test_the_message_of_a_rank_is_the_error(ranks) -> None:
    with pytest.raises(ConfigError, match=r"^size=huge: no such size$"):
        ranks(
            "open(place + '/error.txt', 'w').write('size=huge: no such size') if rank else time.sleep(0.2); sys.exit(2)"
        )


def test_curves_are_relayed_in_order(ranks) -> None:
    class Noted:
        lines: list = []

        def log_metrics(self, metrics, step) -> None:
            self.lines.append((step, metrics))

        def save(self) -> None:
            self.saved = len(self.lines)

    code = """
if rank == 0:
    for step in range(4):
        line = json.dumps({"step": step, "metrics": {"loss": 1.5}}) + "\\n"
        for part in (line[:5], line[5:]):
            with open(place + "/curves.jsonl", "a") as file:
                file.write(part)
            time.sleep(0.15)
"""
    noted = Noted()
    ranks(code, logger=noted)
    assert noted.lines == [(step, {"loss": 1.5}) for step in range(4)]
    assert noted.saved == 4


def test_pictures_are_relayed_to_a_logger_that_shows_them(tmp_path: Path) -> None:
    shown = []
    line = distributed.LineLogger(tmp_path / "curves.jsonl")
    line.log_metrics({"loss": 1.5}, step=3)
    line.log_image("val/occlusion", ["epoch_1.png"], step=3)
    only_metrics = {"log_metrics": lambda *_, **__: None, "save": lambda: None}
    showing = {**only_metrics, "log_image": lambda *what, **at: shown.append((*what, at))}
    for logger in (SimpleNamespace(**only_metrics), SimpleNamespace(**showing)):
        distributed._Curves(tmp_path / "curves.jsonl", logger).relay()
    assert shown == [("val/occlusion", ["epoch_1.png"], {"step": 3})]


def test_ranks_end_with_their_run(ranks, tmp_path: Path) -> None:
    code = "open(place + '/pid', 'w').write(str(os.getpid())); os.read(0, 1); os._exit(1)"
    run = multiprocessing.get_context("fork").Process(target=ranks, args=(code,))
    run.start()
    files, deadline = [tmp_path / f"rank_{rank}" / "pid" for rank in range(2)], time.monotonic() + 60
    while not all(file.is_file() and file.read_text() for file in files):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert run.pid is not None
    os.kill(run.pid, signal.SIGKILL)
    run.join()
    while any(_alive(int(file.read_text())) for file in files):
        assert time.monotonic() < deadline, "a rank outlived its run"
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    """Whether this process runs; one that has ended but was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_ranks_configuration_takes_dollars_literally(tmp_path: Path) -> None:
    cfg = OmegaConf.create({"trainer": {"devices": 1}, "paths": {"datasets": "a\\${b}"}})
    distributed._write_config(cfg, Plan("cpu", 2, 1), tmp_path, "abc", tmp_path / "config.yaml")
    assert OmegaConf.load(tmp_path / "config.yaml").paths.datasets == "a${b}"
