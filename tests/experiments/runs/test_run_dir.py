"""Full disks, folders that may not be written, data that go away, two runs in one folder: one line, nothing lost."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from omegaconf import OmegaConf

from data.synthetic.bodies import random_body
from data.synthetic.generate import ensure_synthetic
from data.synthetic.motions import procedural_motion
from data.synthetic.settings import SyntheticSettings
from experiments.runs import runner, sweep
from experiments.runs.run_dir import check_apart, owned, remove_older_results, write_config
from fileio.locks import try_lock
from fileio.torch_reader import write_tensors
from pose.errors import ConfigError, DataError
from tests.soak.files import check_whole, final_files, results

TINY = SyntheticSettings(seed=5, mpi_frames=24, muco_frames=24, test_frames=24, mupots_frames=24, muco_videos=1)


class Disk:
    """A file system of its own, of 48 MiB."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self, options: str) -> None:
        subprocess.run(["mount", "-o", options, "-t", "tmpfs", "none", str(self.folder)], check=True)

    def read_only(self) -> None:
        self.mount("remount,ro")

    @contextmanager
    def filled(self, room: int) -> Iterator[None]:
        """Nothing left but `room` bytes inside the block."""
        state = os.statvfs(self.folder)
        filler = self.folder / "filler"
        filler.write_bytes(bytes(state.f_bavail * state.f_frsize - room))
        yield
        filler.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    small = Disk(folder)
    try:
        small.mount("size=48m")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs the right to mount a file system of its own")
    yield small
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure_synthetic(tmp_path_factory.mktemp("made"), TINY)


@pytest.fixture
def datasets(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "datasets"))


@pytest.fixture
def predict(tmp_path: Path) -> list[str]:
    """The words of a prediction without pictures."""
    points = np.random.default_rng(0).uniform(100, 400, (160, 1, 17, 2))
    keypoints = np.concatenate([points, np.ones((160, 1, 17, 1))], axis=3)
    np.savez(tmp_path / "keypoints.npz", keypoints=keypoints, joint_set="COCO-17")
    return [
        "experiment=predict", f"input={tmp_path / 'keypoints.npz'}", "fps=30", "camera.image_size=[640,480]",
        "pictures=false", "refinement=none", "exporter=[npz,json,csv,trc,c3d,bvh]",
    ]  # fmt: skip


def said(output: str, *words: str) -> None:
    """One line of the output, and no traceback, holds all of `words`."""
    assert "Traceback" not in output and "Logging error" not in output, output
    assert len([line for line in output.splitlines() if all(word in line for word in words)]) == 1, output


def test_a_full_disk_keeps_the_older_prediction(run_here, disk: Disk, predict: list[str]) -> None:
    first = run_here(*predict, folder="disk/run")
    assert first.returncode == 0, first.output
    older = results(first.folder)
    for room in (0, 72 * 1024, 200 * 1024):  # not even for the start, for a small file, for all but the largest
        with disk.filled(room):
            done = run_here(*predict, folder="disk/run")
            assert done.returncode == 2, (room, done.output)
            said(done.output, "cannot be written (No space left on device); check permissions and free space")
            assert results(done.folder) == older
            for path in final_files(done.folder):
                check_whole(path)
    assert run_here(*predict, folder="disk/run").returncode == 0


def test_training_on_a_full_disk_goes_on_where_there_is_room_again(run_here, disk: Disk) -> None:
    words = ["experiment=train", "data=synthetic", "size=tiny", "trainer.max_epochs=2", "logger=csv"]
    with disk.filled(128 * 1024):
        done = run_here(*words, f"paths.lifters={disk.folder}", folder="run")
        assert done.returncode == 2, done.output
        said(done.output, "last.ckpt: cannot be written (No space left on device)")
    again = run_here(*words, f"paths.lifters={disk.folder}", folder="run")
    assert again.returncode == 0, again.output
    assert list(disk.folder.glob("*/done.json"))


def test_a_full_disk_ends_a_sweep_which_goes_on_later(run_here, disk: Disk) -> None:
    words = ["-m", "experiment=mupots_mm", "size=tiny", "logger=csv", "refinement=interpolation"]
    words.append(f"hydra.sweep.dir={disk.folder}/sweep")
    for room, code in ((0, 2), (88 * 1024, 1)):  # not even for the start; not for the row
        with disk.filled(room):
            done = run_here(*words)
            assert done.returncode == code, done.output
            assert "No space left on device" in done.output and "Traceback" not in done.output
            assert not list(disk.folder.glob("sweep/*/metrics.json"))
            for path in final_files(disk.folder / "sweep"):
                check_whole(path)
    again = run_here(*words)
    assert again.returncode == 0, again.output
    assert "FAILED" not in (disk.folder / "sweep" / "table.md").read_text()


def test_preparing_on_a_full_disk(run_here, disk: Disk, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "capture").mkdir()
    motion = procedural_motion("mixed", 60, 30, random_body(rng), rng)
    np.savez(tmp_path / "capture" / "walk_30fps.npz", **{"01_01": motion})
    words = ["experiment=prepare", "prepare=mocap", f"paths.mocap={tmp_path / 'capture'}", "prepare.videos=1"]
    words += ["prepare.frames=20", "prepare.test_frames=20", f"paths.datasets={disk.folder}/datasets"]
    with disk.filled(400 * 1024):
        done = run_here(*words)
        assert done.returncode == 2, done.output
        said(done.output, "the disk is full", "make space and run the same command again")
        for path in final_files(disk.folder / "datasets"):
            check_whole(path)
    again = run_here(*words)
    assert again.returncode == 0, again.output
    assert ", 0 found done" not in again.output, "what was finished is kept"


@pytest.mark.parametrize("words", [["experiment=evaluate"], ["-m", "experiment=table_refinement_terms", "size=tiny"]])
def test_a_read_only_folder(run_here, disk: Disk, words: list[str]) -> None:
    disk.read_only()
    done = run_here(*words, f"hydra.sweep.dir={disk.folder}/sweep", folder="disk/run")
    assert done.returncode == 2, done.output
    said(done.output, "cannot be written (Read-only file system); check permissions and free space")


def test_a_folder_without_permission(repo: Path, tmp_path: Path, workdir: Path) -> None:
    command = [sys.executable, str(repo / "run.py"), "experiment=evaluate", f"hydra.run.dir={tmp_path}/closed/run"]
    if os.geteuid() == 0:  # without the right to pass over permissions
        if shutil.which("setpriv") is None:
            pytest.skip("needs setpriv to give up root's rights")
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    (tmp_path / "closed").mkdir(mode=0o555)
    done = subprocess.run(command, cwd=workdir, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2, done.stdout + done.stderr
    said(done.stdout + done.stderr, f"{tmp_path}/closed/run: cannot be written (Permission denied)")


@pytest.mark.parametrize(
    ("words", "after"),
    [
        (["experiment=mupots_mm", "checkpoint={golden}"], 3),
        (["experiment=train", "size=tiny", "data=mpi_inf_3dhp"], 40),
    ],
)
def test_a_data_folder_that_goes_away_while_it_is_read(
    run_here, datasets: Path, golden: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], after: int
) -> None:
    import data.sets.reader

    genuine, calls = data.sets.reader.read_pickle, []

    def read(path: Path):
        calls.append(path)
        if len(calls) == after:
            shutil.rmtree(datasets)
        return genuine(path)

    monkeypatch.setattr(data.sets.reader, "read_pickle", read)
    words = [word.format(golden=golden / "checkpoint") for word in words]
    done = run_here(*words, f"paths.datasets={datasets}", f"paths.lifters={datasets.parent / 'lifters'}")
    assert len(calls) >= after
    assert done.returncode == 2, done.output
    said(done.output, "[ERROR]", "No such file or directory")
    assert not (done.folder / "metrics.json").exists()


def test_two_runs_in_one_folder(run_here, predict: list[str], tmp_path: Path) -> None:
    first = run_here(*predict)
    before = {path: path.read_bytes() for path in first.folder.rglob("*") if path.is_file()}
    lock = try_lock(first.folder / ".lock")
    assert lock is not None, "the run has ended, so its folder is free"
    second = run_here(*predict, "seed=3")
    assert second.returncode == 2, second.output
    said(second.output, f"hydra.run.dir={first.folder}: another process is running in this folder")
    assert {path: path.read_bytes() for path in before} == before, "not even Hydra has written there"
    lock.release()
    assert run_here(*predict).returncode == 0


def test_a_run_leaves_no_results_of_an_older_one(run_here, predict: list[str], tmp_path: Path) -> None:
    first = run_here(*predict)
    assert first.returncode == 0, first.output
    (first.folder / "of_my_exporter.txt").write_text("old")
    summary = json.loads((first.folder / "summary.json").read_text())
    summary["files"].append("of_my_exporter.txt")
    (first.folder / "summary.json").write_text(json.dumps(summary))
    (first.folder / "my_notes.txt").write_text("mine")
    refused = run_here(*predict[:-1], "exporter=[csv]", "camera.image_size=[640,0]")
    assert refused.returncode == 2
    assert (first.folder / "person_0.bvh").exists(), "its settings were never written, so the older results stand"
    assert run_here(*predict[:-1], "exporter=[csv]").returncode == 0
    left = {
        path.name for path in first.folder.iterdir() if path.is_file() and not path.name.endswith((".log", ".lock"))
    }
    assert left == {"config.yaml", "predictions.csv", "summary.json", "summary.md", "run.json", "my_notes.txt"}
    (first.folder / "person_7.trc").write_text("of an input with more people, under the same settings")
    os.utime(first.folder / "person_7.trc", (0, 0))
    assert run_here(*predict[:-1], "exporter=[csv]").returncode == 0
    assert not (first.folder / "person_7.trc").exists()


def test_pictures_of_a_training_stay_until_the_configuration_is_another(tmp_path: Path) -> None:
    write_config(tmp_path, "seed: 1")
    picture, table = tmp_path / "pictures" / "epoch_1.png", tmp_path / "table.md"
    for path in (picture, table):
        path.parent.mkdir(exist_ok=True)
        path.write_text("older")
        os.utime(path, (0, 0))
    remove_older_results(tmp_path)
    assert picture.is_file() and not table.exists(), "a training goes on with its pictures"
    write_config(tmp_path, "seed: 2")
    assert not picture.exists()


def test_a_run_does_not_write_over_what_it_reads(run_here, predict: list[str]) -> None:
    first = run_here(*predict)
    assert first.returncode == 0, first.output
    before = {path: path.read_bytes() for path in first.folder.rglob("*") if path.is_file()}
    predictions, points = first.folder / "predictions.npz", first.folder / "predictions.json"
    for words, key in (
        (["experiment=refine", f"predictions={predictions}"], f"predictions={predictions}"),
        ([word if "input=" not in word else f"input={points}" for word in predict], f"input={points}"),
        ([word if "input=" not in word else f"input={first.folder}" for word in predict], f"input={first.folder}"),
    ):
        done = run_here(*words)
        assert done.returncode == 2, done.output
        said(done.output, f"this run reads {key}, which it would write over; give another folder")
        assert {path: path.read_bytes() for path in first.folder.rglob("*") if path.is_file()} == before


def test_a_row_of_a_sweep_does_not_write_over_what_it_reads(tmp_path: Path) -> None:
    (tmp_path / "predictions.npz").touch()
    cfg = OmegaConf.create({"predictions": ["absent.npz", str(tmp_path / "predictions.npz")]})
    with pytest.raises(ConfigError, match="which it would write over"):
        check_apart(cfg, tmp_path)
    check_apart(cfg, tmp_path / "row")


@pytest.mark.parametrize(
    "name", [".probe", ".lock", "run.log", ".hydra", "config.yaml", "table.csv", "predictions.json"]
)
@pytest.mark.parametrize("link", [True, False])
def test_files_of_the_user_stay(run_here, predict: list[str], tmp_path: Path, name: str, link: bool) -> None:
    """Refused or written beside: what somebody has put there, or a link from there to his own, is as it was."""
    (tmp_path / "run").mkdir()
    mine = tmp_path / "mine" if link else tmp_path / "run" / name
    mine.write_text("mine")
    if link:
        (tmp_path / "run" / name).symlink_to(mine)
    done = run_here(*predict[:-1], "exporter=[csv]")
    assert mine.read_text() == "mine"
    assert (tmp_path / "run" / name).is_symlink() == link
    if name == ".probe":
        assert done.returncode == 0, done.output
    else:
        said(done.output, f"{name} is", "give another folder")
        assert done.returncode == 2


def test_jobs_of_two_sweeps_wait_for_each_other(tmp_path: Path, caplog) -> None:
    with ThreadPoolExecutor() as pool:
        lock = pool.submit(try_lock, tmp_path / "row" / ".lock").result()
    assert lock is not None
    threading.Timer(0.8, lock.release).start()
    with caplog.at_level("INFO"), owned(tmp_path / "row", waits=True):
        assert try_lock(tmp_path / "row" / ".lock") is None
    assert "waiting for the row row, which another process" in caplog.text


def test_a_failure_is_noted_while_the_row_is_held_and_goes_when_another_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A waiting sweep computes the row at once: a note written after that would outlive the result."""
    held = []

    def fail(cfg) -> None:
        raise DataError("the disk is full")

    def note(message: str) -> None:
        held.append(try_lock(tmp_path / ".lock") is None)
        (tmp_path / "failed.json").write_text("{}")

    for module in (runner, sweep):
        monkeypatch.setattr(module, "run_folder", lambda: tmp_path)
        monkeypatch.setattr(module, "in_sweep", lambda: True)
    monkeypatch.setattr(runner, "_run", fail)
    monkeypatch.setattr(runner, "note_failure", note)
    assert math.isnan(runner.run(OmegaConf.create({"debug": False})))
    assert held == [True]
    assert try_lock(tmp_path / ".lock") is not None
    sweep.skip_if_finished(OmegaConf.create({"fresh": False, "plugins": []}))
    assert not (tmp_path / "failed.json").exists()


def test_where_there_are_no_locks_runs_start_all_the_same(
    run_here, predict: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(FileLock, "_acquire", refuse)
    done = run_here(*predict)
    assert done.returncode == 0, done.output
    assert "knows no locks" in done.output


def test_a_checkpoint_on_a_full_disk(disk: Disk) -> None:
    """PyTorch makes a RuntimeError about positions of it."""
    with (
        disk.filled(8 * 1024),
        pytest.raises(DataError, match=r"a\.ckpt: cannot be written \(No space left on device\)"),
    ):
        write_tensors(disk.folder / "a.ckpt", torch.zeros(10_000))
    assert os.listdir(disk.folder) == []
