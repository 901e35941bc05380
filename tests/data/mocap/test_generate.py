"""Prepared sets: read back by the readers of the real data sets, the same for the same seed."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from data.mocap.clips import read_clips
from data.mocap.generate import mocap_steps
from data.mocap.scenes import NEAREST, Cast, Take, film
from data.mocap.sets import mocap_folder, mocap_settings, mocap_test, mocap_training
from data.prepare.steps import run_steps
from data.synthetic.bodies import random_body
from data.synthetic.detections import HRNET
from data.synthetic.motions import procedural_motion
from data.synthetic.scenes import look_at
from data.training.datamodules import MocapDataModule
from pose.cameras import Camera
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
    training = mocap_training(mocap_folder(prepared)).sequences("normal")
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


def test_other_people_can_be_tested_on(mocap: Path, tmp_path: Path) -> None:
    clips = dict(np.load(next(mocap.glob("*.npz"))))
    other, root = tmp_path / "other", tmp_path / "data"
    other.mkdir()
    np.savez(other / "others_30fps.npz", **{f"9{key}": poses for key, poses in clips.items() if key != "fps"})
    run_steps(root, mocap_steps(root, mocap, other, **SMALL))
    settings = mocap_settings(mocap_folder(root))
    assert not set(settings["names"]) & set(settings["test_names"]) and settings["test_names"][0].startswith("9")
    assert mocap_test(root / "Mocap").sequences("universal")[0].coordinates == "universal"
    with pytest.raises(ConfigError, match=r"paths\.mocap_test=.*: 01, 02 also in paths\.mocap; test on other people"):
        mocap_steps(root, mocap, mocap)


def test_nobody_gets_behind_the_camera(mocap: Path) -> None:
    clips = read_clips(mocap)
    walk = np.zeros((60, 17, 3)) + np.linspace(0, 9000, 60)[:, None, None] * np.array([0.0, 0.0, -1.0])
    camera = Camera(800.0, 800.0, 640.0, 360.0, 1280, 720)
    view = look_at(camera, np.array([0.0, 1000.0, 0.0]), np.array([0.0, 900.0, 3000.0]))
    cast = Cast([Take(0, 0.0, 1.0)], [], view, False, HRNET, (2000.0, 2100.0))
    runner = dataclasses.replace(clips[0], poses_3d=clips[0].poses_3d[:1] + walk.astype(np.float32))
    (seen,) = film(cast, [runner], 60, 25.0, np.random.default_rng(0))
    assert seen.annotation_3d[..., 2].min() >= NEAREST - 1


def test_training_scenes_know_gravity_well_badly_or_not(prepared: Path) -> None:
    cameras = [person.camera for person in mocap_training(mocap_folder(prepared)).sequences("normal")]
    known = [camera.gravity for camera in cameras if camera is not None and camera.gravity is not None]
    assert 0 < len(known) < len(cameras)
    assert all(y > 0.3 for _, y, _ in known)  # no camera here lies on its side


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
    for key, value in {"videos": 0, "frames": 1, "procedural": 1.5, "fps": 0.0, "seed": -1}.items():
        with pytest.raises(ConfigError, match=f"prepare.{key}="):
            mocap_steps(tmp_path, mocap, **{key: value})
    with pytest.raises(DataError, match=r"holds no prepared motion capture.*experiment=prepare prepare=mocap"):
        mocap_training(tmp_path)
    (tmp_path / "mocap.json").write_text(json.dumps({"videos": 0, "subjects": 1, "fps": 25}))
    with pytest.raises(DataError, match="videos, subjects and fps must be positive"):
        mocap_training(tmp_path)


def test_universal_people_are_all_of_one_height(prepared: Path) -> None:
    for sequence in mocap_training(mocap_folder(prepared)).sequences("universal"):
        assert sequence.poses_3d is not None
        assert float(universal_scale(sequence.poses_3d.double())) == pytest.approx(1, abs=1e-4)
