"""Clips: every kind of file through one door, names and rates, and the ASF mapping against known clips."""

from __future__ import annotations

import logging
import shutil

import numpy as np
import pytest

from data.mocap.clips import Clip, motion_files, read_clips
from pose.errors import DataError


def poses(frames: int = 4) -> np.ndarray:
    return np.random.default_rng(frames).normal(size=(frames, 17, 3)).astype(np.float32)


def test_asf_amc_agrees_with_the_known_clips(golden):
    known = {clip.name: clip for clip in read_clips(golden / "mocap")}
    assert len(known) == 7 and known["02_01"].fps == 30 and known["02_01"].subject == "02"
    trials = read_clips(golden / "mocap" / "asf_amc")
    assert [(clip.name, clip.subject, clip.fps, len(clip)) for clip in trials] == [
        ("02_01", "02", 120, 343),
        ("02_02", "02", 120, 298),
    ]
    for trial in trials:
        # the known clips have the database's own trunk joints, and the end of its radius for the wrist
        found, old = trial.poses_3d[::4].astype(float), known[trial.name].poses_3d.astype(float)
        hip, neck = (old[:, 8] + old[:, 11]) / 2, old[:, 1] + 0.31 * (old[:, 16] - old[:, 1])
        expected = old.copy()
        expected[:, 14], expected[:, 1] = hip, neck
        expected[:, 15] = hip + 0.48 * (neck - hip)
        expected[:, 16] = old[:, 1] + 0.83 * (old[:, 16] - old[:, 1])
        expected[:, 0] = old[:, 0] + 0.6 * (old[:, 0] - old[:, 16])
        for elbow, wrist in ((3, 4), (6, 7)):
            expected[:, wrist] = old[:, elbow] + 1.5 * (old[:, wrist] - old[:, elbow])
        np.testing.assert_allclose(found, expected, atol=0.02)
        np.testing.assert_allclose(found[:, 14], (found[:, 8] + found[:, 11]) / 2, atol=1e-3)
        for shoulder, elbow, wrist in ((2, 3, 4), (5, 6, 7)):
            longer = np.linalg.norm(found[:, wrist] - old[:, wrist], axis=-1)
            assert longer.min() > 62 and longer.max() < 98
            forearm, arm = (
                np.linalg.norm(found[:, a] - found[:, b], axis=-1).mean()
                for a, b in ((wrist, elbow), (elbow, shoulder))
            )
            assert 0.7 < forearm / arm < 1.05


def test_npz_says_its_rate_in_one_of_three_ways(tmp_path):
    folder = tmp_path / "in"
    (folder / "alice").mkdir(parents=True)
    np.savez(folder / "alice" / "a.npz", walk=poses(), fps=np.array(25))
    np.savez(folder / "b_59.94fps.npz", **{"07_01": poses(), "jump_subject3": poses()})
    np.savez(folder / "c.npz", run=poses())
    with pytest.raises(DataError, match=r"c\.npz: its frame rate is not known; .*clips_30fps"):
        read_clips(folder)
    clips = read_clips(folder, fps=40)
    assert [(clip.name, clip.subject, clip.fps) for clip in clips] == [
        ("07_01", "07", 59.94),
        ("jump_subject3", "subject3", 59.94),
        ("run", "c", 40),
        ("walk", "alice", 25),
    ]
    np.testing.assert_array_equal(clips[0].poses_3d, poses())
    assert clips[0].poses_3d.dtype == np.float32


def test_a_table_beside_the_clips_is_ignored_and_a_key_fps_is_the_rate(tmp_path):
    np.savez(tmp_path / "train.npz", **{"subject201_Crawl_2": poses(), "06_08": poses()}, fps=np.float32(30))
    (tmp_path / "catalog.csv").write_text("file,key\ntrain,06_08\n")
    clips = read_clips(tmp_path)
    assert [(clip.name, clip.subject, clip.fps) for clip in clips] == [
        ("06_08", "06", 30),
        ("subject201_Crawl_2", "subject201", 30),
    ]


def test_one_clip_of_a_name_is_kept_and_the_others_are_logged(tmp_path, golden, write_bvh, person, standing, caplog):
    source = golden / "mocap" / "asf_amc"
    for name in ("02.asf", "02_01.amc", "02_02.amc"):
        shutil.copy(source / name, tmp_path / name)
    np.savez(tmp_path / "few_30fps.npz", **{"02_01": poses()})
    for name in ("02_01.bvh", "alice/walk.bvh", "bob/walk.bvh", "sit.bvh"):
        write_bvh(person, standing, name)
    (tmp_path / "._sit.bvh").write_text("not a motion")
    (tmp_path / "notes.txt").write_text("nor this")
    clips = read_clips(tmp_path)
    assert [(clip.name, clip.subject, clip.fps) for clip in clips] == [
        ("02_01", "02", 30),
        ("02_02", "02", 120),
        ("alice_walk", "alice", 120),
        ("bob_walk", "bob", 120),
        ("sit", "sit", 120),
    ]
    assert [record.levelno for record in caplog.records].count(logging.WARNING) == 2
    assert "02_01.amc: clip 02_01 is skipped" in caplog.text and "02_01.bvh: clip 02_01 is skipped" in caplog.text
    files = motion_files(tmp_path)
    assert files == sorted(files) and len(files) == 8 and tmp_path / "02.asf" in files


def test_a_trial_needs_its_skeleton(tmp_path, golden):
    shutil.copy(golden / "mocap" / "asf_amc" / "02_01.amc", tmp_path / "02_01.amc")
    with pytest.raises(DataError, match=r"02_01\.amc: its skeleton is not there; put 02\.asf"):
        read_clips(tmp_path)
    shutil.copy(golden / "mocap" / "asf_amc" / "02.asf", tmp_path / "only.asf")
    assert [clip.fps for clip in read_clips(tmp_path, fps=60)] == [60]


def test_what_cannot_be_used_is_named(tmp_path):
    with pytest.raises(DataError, match="not a folder"):
        read_clips(tmp_path / "none")
    with pytest.raises(DataError, match=r"no motion capture file .* \.npz: .* \.amc: .* \.bvh: "):
        read_clips(tmp_path)
    np.savez(tmp_path / "a_30fps.npz", walk=np.zeros((4, 16, 3)))
    with pytest.raises(DataError, match=r"a_30fps\.npz: walk: expected shape \(T, 17, 3\), found \(4, 16, 3\)"):
        read_clips(tmp_path)
    holed = poses()
    holed[2, 5, 1] = np.nan
    np.savez(tmp_path / "a_30fps.npz", walk=holed)
    with pytest.raises(DataError, match="walk: 1 frames hold NaN or infinity, the first is 2"):
        read_clips(tmp_path)
    with pytest.raises(DataError, match="fps=0"):
        Clip("walk", "a", 0, poses())
    (tmp_path / "a_30fps.npz").write_bytes(b"PK nothing")
    with pytest.raises(DataError, match="not an npz file"):
        read_clips(tmp_path)
