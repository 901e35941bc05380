"""MuCo-Temp part by part: the choice of clips, pasting, and what is hidden in a composed frame."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter1d

from data.prepare.muco_clips import Clip, choose_clips, recordings_of
from data.prepare.muco_composition import paste, read_mask
from data.prepare.muco_detections import HIDDEN_SCORE, with_hidden
from pose.errors import DataError
from pose.joint_sets import COCO_17


def test_people_keep_apart_and_cross():
    """8 people wander about one spot: clips drawn blindly are often within half a metre of each other."""
    rng = np.random.default_rng(5)
    hips = {}
    for subject in range(1, 9):
        floor = gaussian_filter1d(rng.normal(size=(4000, 2)), 40, axis=0)
        floor *= 600 / floor.std(0)
        hips[subject, 1] = np.stack([floor[:, 0], 0 * floor[:, 0], 3500 + floor[:, 1]], axis=-1)

    def tracks(clips: list[Clip]) -> list[np.ndarray]:
        return [hips[clip.recording][clip.first_frame : clip.first_frame + 500] for clip in clips]

    def share_close(people: list[np.ndarray]) -> float:
        pairs = [(a, b) for i, a in enumerate(people) for b in people[:i]]
        return float(np.any([np.linalg.norm(a - b, axis=-1) < 500 for a, b in pairs], axis=0).mean())

    chosen, blind, crossing = [], [], []
    for seed in range(10):
        clips = choose_clips(hips, 500, (2, 4), np.random.default_rng(seed))
        people = tracks(clips)
        chosen.append(share_close(people))
        blind.append(share_close(tracks([Clip(clip.subject, 1, int(rng.integers(3500))) for clip in clips])))
        order = [np.sign(a[:, 0] / a[:, 2] - b[:, 0] / b[:, 2]) for i, a in enumerate(people) for b in people[:i]]
        crossing.append(any((o[1:] != o[:-1]).any() for o in order))
    assert np.mean(blind) > 0.3
    assert np.mean(chosen) < 0.05
    assert all(crossing)


def test_people_who_cannot_be_kept_apart_are_reported(caplog):
    hips = {(subject, 1): np.full((50, 3), 3000.0) for subject in (1, 2)}
    with caplog.at_level(logging.WARNING):
        choose_clips(hips, 20, (2, 2), np.random.default_rng(0))
    assert "within 500 mm of each other in 100 % of frames" in caplog.text


def test_recordings_that_are_too_short():
    hips = {(s, 1): np.full((n, 3), 3000.0) for s, n in ((1, 20), (2, 19), (3, 39), (5, 38))}
    clips = choose_clips(hips, 20, (2, 2), np.random.default_rng(0))
    assert sorted(clips, key=lambda clip: clip.subject) == [Clip(1, 1, 0), Clip(3, 1, 0)]
    with pytest.raises(DataError, match="2 subjects have a recording of 20 frames at 25 fps, 3 are needed"):
        choose_clips(hips, 20, (2, 3), np.random.default_rng(0))


def test_raw_frames():
    assert list(Clip(1, 1, 7).raw_frames(2, 5)) == [9, 10, 11]
    assert list(Clip(1, 2, 7).raw_frames(2, 5)) == [11, 13, 15]


def test_unusable_recording_is_left_out():
    assert (3, 2) not in recordings_of((1, 3), camera=2) and (3, 2) in recordings_of((1, 3), camera=1)


def test_with_hidden_keeps_places_and_derives_joints():
    keypoints = np.full((1, 2, 17, 3), 0.8)
    keypoints[..., 0] = np.arange(17)
    hidden = np.zeros((1, 2, 17), dtype=bool)
    hidden[0, 0, COCO_17.index("left_hip")] = True
    hidden[0, 1, 5:14] = True  # 9 of the 12
    poses, detected = with_hidden(keypoints, np.ones((1, 2), dtype=bool), hidden)
    assert detected.tolist() == [[True, False]]
    assert poses.dtype == np.float32 and (poses[0, 1] == 0).all()
    assert poses[0, 0, :17, 0].tolist() == list(range(17))
    assert poses[0, 0, 11, 2] == np.float32(HIDDEN_SCORE) and poses[0, 0, 12, 2] == np.float32(0.8)
    assert poses[0, 0, 17, 2] == pytest.approx(2 / (1 / 0.05 + 1 / 0.8), rel=1e-4)  # hip: harmonic mean
    nothing, detected = with_hidden(keypoints, np.zeros((1, 2), dtype=bool), hidden)
    assert not detected.any() and (nothing == 0).all()


def test_paste():
    canvas = np.zeros((40, 40, 3), dtype=np.uint8)
    mask = np.zeros((40, 40), dtype=np.uint8)
    mask[:, 20:] = 255
    paste(canvas, np.full_like(canvas, 200), mask, blur_sigma=2)
    row = canvas[20, :, 0].astype(int)
    assert (row[:12] == 0).all() and (row[28:] == 200).all() and (np.diff(row) >= 0).all()
    # half a pixel from the edge the integral of a Gaussian of sigma 2 is 0.401 and 0.599
    assert abs(row[19] - 80) <= 2 and abs(row[20] - 120) <= 2
    hard = np.zeros_like(canvas)
    paste(hard, np.full_like(canvas, 200), mask, blur_sigma=0)
    assert (hard[:, :20] == 0).all() and (hard[:, 20:] == 200).all()
    paste(hard, np.full_like(canvas, 90), np.full_like(mask, 10), blur_sigma=2)  # nothing but noise
    assert (hard[:, 20:] == 200).all()


def test_masks_are_read_smaller_where_that_will_do(tmp_path):
    pixels = np.zeros((512, 512, 3))
    pixels[:, 256:, 0] = 255
    Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "mask.jpg", quality=95)
    whole, small = read_mask(tmp_path / "mask.jpg", 512), read_mask(tmp_path / "mask.jpg", 512, least=128)
    assert whole.shape == (512, 512) and small.shape == (128, 128)
    assert (small[:, :62] < 20).all() and (small[:, 66:] > 235).all()
