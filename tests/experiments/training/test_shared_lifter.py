"""One training of a lifter that several runs want."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from experiments.training import lifters
from experiments.training.devices import Plan
from pose.errors import DataError


@pytest.fixture
def trainings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Trainings without their work: what trained is noted here."""
    noted: list[str] = []

    def fit(_cfg, _split, _module, folder: Path, *_) -> None:
        noted.append(threading.current_thread().name)
        time.sleep(0.2)
        (folder / "done.json").write_text(json.dumps({"trained_by": threading.current_thread().name}))

    monkeypatch.setattr(lifters, "run_folder", lambda: tmp_path / threading.current_thread().name)
    monkeypatch.setattr(lifters, "_hash_spec", lambda *_: (None, {"all": "settings"}, "abc"))
    monkeypatch.setattr(lifters, "plan", lambda *_: Plan("cpu", 1, 1))
    monkeypatch.setattr(lifters, "_fit", fit)
    return noted


def at_once(cfg, count: int) -> list[dict]:
    results: list[dict] = []
    threads = [threading.Thread(target=lambda: results.append(lifters.train(cfg)[1])) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(results) == count
    return results


def configuration(tmp_path: Path, fresh: bool):
    from omegaconf import OmegaConf

    paths = {"lifters": str(tmp_path / "lifters")}
    return OmegaConf.create({"fresh": fresh, "paths": paths, "trainer": {}, "data": {"batch_size": 1}})


@pytest.mark.parametrize("fresh", [False, True])
def test_runs_that_want_one_lifter_train_it_once(trainings: list[str], tmp_path: Path, fresh: bool) -> None:
    results = at_once(configuration(tmp_path, fresh), 4)
    assert len(trainings) == 1
    assert all(result == {"trained_by": trainings[0]} for result in results)
    spec = json.loads((tmp_path / "lifters" / "abc" / "spec.json").read_text())
    assert spec["all"] == "settings" and set(spec["made_by"]) == {"version", "commit"}


def begin_command(monkeypatch: pytest.MonkeyPatch) -> None:
    time.sleep(0.02)  # the clock of files may be coarser than ours
    monkeypatch.setattr("experiments.runs.sweep._started", time.time())
    time.sleep(0.02)


def test_fresh_trains_again_once_what_was_there_before_the_command(
    trainings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "lifters" / "abc"
    at_once(configuration(tmp_path, fresh=False), 1)
    (folder / "last.ckpt").write_text("half")
    at_once(configuration(tmp_path, fresh=False), 1)
    assert len(trainings) == 1
    assert (folder / "last.ckpt").exists()
    begin_command(monkeypatch)
    at_once(configuration(tmp_path, fresh=True), 3)
    assert len(trainings) == 2
    assert not (folder / "last.ckpt").exists()
    at_once(configuration(tmp_path, fresh=True), 1)
    assert len(trainings) == 2, "a later row of the same sweep"
    (folder / "done.json").unlink()
    (folder / "last.ckpt").write_text("half")
    at_once(configuration(tmp_path, fresh=True), 1)
    assert (folder / "last.ckpt").exists(), "a row that a batch system starts again goes on"
    (folder / "done.json").unlink()
    begin_command(monkeypatch)
    at_once(configuration(tmp_path, fresh=True), 1)
    assert not (folder / "last.ckpt").exists(), "a half-trained one of an earlier command is not continued"


def test_a_failed_training_leaves_the_lock_to_the_next(
    trainings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_) -> None:
        raise DataError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(lifters, "_fit", fail)
        with pytest.raises(DataError):
            lifters.train(configuration(tmp_path, fresh=False))
    assert at_once(configuration(tmp_path, fresh=False), 1)


def test_a_lifter_of_other_code_is_named_and_not_reused(
    trainings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    at_once(configuration(tmp_path, fresh=False), 1)
    monkeypatch.setattr(lifters, "_hash_spec", lambda *_: (None, {"all": "settings", "code": "other"}, "def"))
    at_once(configuration(tmp_path, fresh=False), 1)
    assert len(trainings) == 2
    assert f"checkpoint={tmp_path / 'lifters' / 'abc'} uses it" in caplog.text
