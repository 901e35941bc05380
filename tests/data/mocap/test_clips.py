"""Clips: every kind of file through one door, names and rates, resampling, and the ASF mapping against known clips."""

from __future__ import annotations

import logging
import shutil

import numpy as np
import pytest

from data.mocap.clips import Clip, motion_files, read_clips, resample
from pose.errors import ConfigError, DataError


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
        expected = known[trial.name].poses_3d
        np.testing.assert_allclose(trial.poses_3d[::4], expected, atol=0.01)
        smooth = resample(trial, 30)
        assert smooth.fps == 30 and len(smooth) == len(expected)
        assert np.linalg.norm(smooth.poses_3d - expected, axis=-1).mean() < 1


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


def test_joint_map_unit_and_axis_reach_the_bvh_reader(write_bvh, person, standing, tmp_path):
    write_bvh([(f"x{name}" if channels else name, *rest, channels) for name, *rest, channels in person], standing)
    with pytest.raises(DataError, match="joints of no known naming"):
        read_clips(tmp_path)
    own = {"hip": "xHips", "spine": "xSpine2", "neck": "xNeck", "head": "xHead", "head_top": "xHead end"}
    limbs = {"shoulder": "Arm", "elbow": "ForeArm", "wrist": "Hand", "hip": "UpLeg", "knee": "Leg", "ankle": "Foot"}
    for side in ("Left", "Right"):
        own |= {f"{side.lower()}_{joint}": f"x{side}{name}" for joint, name in limbs.items()}
    clip = read_clips(tmp_path, joint_map=own, mm_per_unit=20, up="z")[0]
    np.testing.assert_allclose(clip.poses_3d[0, 14], [0, 0, -1800], atol=1e-3)


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


def wave(hz: float, fps: float, seconds: float = 4) -> Clip:
    times = np.arange(round(seconds * fps) + 1) / fps
    return Clip(
        "wave", "a", fps, np.broadcast_to(np.sin(2 * np.pi * hz * times)[:, None, None], (len(times), 17, 3)) * 100
    )


def test_resampling_keeps_motion_and_drops_what_would_alias():
    clip = wave(1, 120)
    assert resample(clip, 120) is clip
    for fps in (30, 25, 50, 100, 240):
        low = resample(clip, fps)
        assert low.fps == fps and len(low) == 4 * fps + 1
        assert np.abs(low.poses_3d - wave(1, fps).poses_3d).max() < 0.2, fps
    buzz = np.abs(resample(wave(28, 120), 30).poses_3d[8:-8]).max()
    assert buzz < 2, "28 Hz would appear as a motion of 2 Hz"
    rising = Clip("rise", "a", 120, np.arange(241.0)[:, None, None] * np.ones((17, 3)))
    np.testing.assert_allclose(resample(rising, 30).poses_3d[:, 0, 0], np.arange(0, 241, 4), atol=1e-3)


def test_resampling_short_clips():
    assert len(resample(Clip("a", "a", 120, poses(1)), 30)) == 1
    assert len(resample(Clip("a", "a", 120, poses(2)), 30)) == 1
    assert len(resample(Clip("a", "a", 120, poses(2)), 240)) == 3
    with pytest.raises(ConfigError, match="fps=0"):
        resample(Clip("a", "a", 120, poses(2)), 0)
