"""Prepared sets: read back by the readers of the real data sets, the same for the same seed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from data.mocap.generate import mocap_steps
from data.mocap.sets import mocap_folder, mocap_settings, mocap_test, mocap_training
from data.prepare.steps import run_steps
from data.synthetic.bodies import random_body
from data.synthetic.motions import procedural_motion
from data.training.datamodules import MocapDataModule
from pose.coordinates import universal_scale
from pose.errors import ConfigError, DataError

SMALL = {"videos": 2, "frames": 30, "test_frames": 12, "procedural": 0.3}


@pytest.fixture(scope="module")
def mocap(tmp_path_factory) -> Path:
    """Two subjects, two clips each."""
    folder, clips = tmp_path_factory.mktemp("capture"), {}
    for subject in (1, 2):
        for trial in (1, 2):
            rng = np.random.default_rng((subject, trial))
            clips[f"{subject:02d}_{trial:02d}"] = procedural_motion("mixed", 90, 30, random_body(rng), rng)
    np.savez(folder / "walks_30fps.npz", **clips)
    return folder


@pytest.fixture(scope="module")
def prepared(mocap: Path, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("datasets")
    run_steps(root, mocap_steps(root, mocap, **SMALL))
    return root


def test_the_readers_of_the_real_sets_read_it(prepared: Path) -> None:
    training = mocap_training(mocap_folder(prepared, None)).sequences("normal")
    scenes = {sequence.sequence for sequence in training}
    assert len(scenes) == 22 and all(len(sequence) == 30 for sequence in training)
    assert {sequence.fps for sequence in training} == {25.0}
    test = mocap_test(prepared / "Mocap").sequences("normal")
    assert len({sequence.sequence for sequence in test}) == 20
    errors = []
    for sequence in [*training, *test]:
        assert sequence.poses_3d is not None and sequence.camera is not None
        seen = sequence.detected & (sequence.confidence[:, 14] > 0.5)  # right knee
        knees = sequence.camera.project(sequence.poses_3d[seen].double())[:, 9] - sequence.keypoints_2d[seen, 14]
        errors.append(knees.norm(dim=-1) * sequence.poses_3d[seen, 14, 2] / sequence.camera.fy / 1700)
    assert 0.002 < torch.cat(errors).median() < 0.03


def test_the_data_module_trains_on_it_and_is_known_by_its_content(prepared: Path, mocap: Path, tmp_path: Path) -> None:
    module = MocapDataModule(prepared, receptive_field=9, batch_size=16, undetected=True, windows_per_epoch=64)
    module.setup("fit")
    batches = list(module.train_dataloader())
    assert len(batches) == 4 and batches[0]["features"].shape == (16, 9, 42)
    assert len(module.validation_sequences) == 6 and module.fps == 25
    run_steps(tmp_path, mocap_steps(tmp_path, mocap, **SMALL))
    assert MocapDataModule(tmp_path).fingerprint() == module.fingerprint()
    other = tmp_path / "other"
    run_steps(other, mocap_steps(other, mocap, **SMALL, seed=1))
    assert MocapDataModule(other).fingerprint() != module.fingerprint()


def test_a_subject_left_out_is_the_one_tested_on(mocap: Path, tmp_path: Path) -> None:
    steps = mocap_steps(tmp_path, mocap, **{**SMALL, "procedural": 0.0}, held_out="02")
    run_steps(tmp_path, steps)
    folder = mocap_folder(tmp_path, "02")
    assert mocap_settings(folder)["names"] == ["01", "02"]
    from fileio.pickle_reader import read_pickle

    origins = read_pickle(folder / "MucoTemp" / "sequence_meta.pkl")
    assert {subject for videos in origins for people in videos for subject, _, _ in people} == {1}
    assert mocap_test(tmp_path / "Mocap", held_out="02").sequences("universal")[0].coordinates == "universal"


def test_a_second_run_finds_all_done_and_another_setting_makes_it_again(prepared: Path, mocap: Path) -> None:
    steps = mocap_steps(prepared, mocap, **SMALL)
    report = run_steps(prepared, steps)
    assert (report.done, report.skipped) == (0, len(steps))
    victim = steps[3].outputs[0]
    content = victim.read_bytes()
    victim.write_bytes(content[:-10])
    assert run_steps(prepared, steps).done == 1
    assert victim.read_bytes() == content


def test_what_cannot_be_is_refused(mocap: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"paths\.mocap=null: give the folder"):
        mocap_steps(tmp_path, None)
    with pytest.raises(ConfigError, match=r"prepare\.held_out=07: must be one of several subjects, .* has 01, 02"):
        mocap_steps(tmp_path, mocap, held_out="07")
    for key, value in {"videos": 0, "frames": 1, "procedural": 1.5, "fps": 0.0, "seed": -1}.items():
        with pytest.raises(ConfigError, match=f"prepare.{key}="):
            mocap_steps(tmp_path, mocap, **{key: value})
    with pytest.raises(DataError, match=r"holds no prepared motion capture.*experiment=prepare prepare=mocap"):
        mocap_training(tmp_path)
    (tmp_path / "mocap.json").write_text(json.dumps({"videos": 0, "subjects": 1, "fps": 25}))
    with pytest.raises(DataError, match="videos, subjects and fps must be positive"):
        mocap_training(tmp_path)


def test_universal_people_are_all_of_one_height(prepared: Path) -> None:
    for sequence in mocap_training(mocap_folder(prepared, None)).sequences("universal"):
        assert sequence.poses_3d is not None
        assert float(universal_scale(sequence.poses_3d.double())) == pytest.approx(1, abs=1e-4)
