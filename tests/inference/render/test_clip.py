"""The clip of made-up people: true speed, small files, clear refusals."""

from __future__ import annotations

import dataclasses
import math
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from inference.render.clip import Clip, scene_clip
from pose.errors import ConfigError, DataError, MismatchError
from tests.inference.render.people import REFINED, n_pixels, person, predictions, walker, walking_scene


@pytest.mark.parametrize(("fps", "n_frames", "expected"), [(30.0, 60, 30), (60.0, 60, 15), (12.5, 20, 20)])
def test_clip_runs_at_true_speed(tmp_path: Path, fps: float, n_frames: int, expected: int):
    people = walking_scene(n_frames, fps)
    path = tmp_path / "clip.gif"
    scene_clip(path, people, predictions(people, 60), predictions(people, 10))
    with Image.open(path) as clip:
        assert clip.format == "GIF" and clip.n_frames == expected and clip.info["loop"] == 0
        assert clip.width == 960 and 200 < clip.height <= 420
        length = 0
        for i in range(clip.n_frames):
            clip.seek(i)
            length += clip.info["duration"]
    assert length == pytest.approx(1000 * n_frames / fps, abs=10)
    assert [file.name for file in tmp_path.iterdir()] == ["clip.gif"]


def test_clip_of_100_frames_is_small_and_quick(tmp_path: Path):
    people = walking_scene(500, 60.0)
    began = time.process_time()
    scene_clip(tmp_path / "clip.gif", people, predictions(people, 60), predictions(people, 10), max_frames=100)
    assert time.process_time() - began < 10
    assert (tmp_path / "clip.gif").stat().st_size < 3e6
    with Image.open(tmp_path / "clip.gif") as clip:
        assert clip.n_frames == 100


def test_clip_of_people_who_come_and_go(people, tmp_path: Path):
    late = dataclasses.replace(people[2], frame=people[2].frame + 30)
    lost = people[0].with_poses(torch.full((60, 17, 3), math.nan), "normal")
    scene_clip(tmp_path / "clip.gif", [people[0], late], [lost, late], [lost, late])
    with Image.open(tmp_path / "clip.gif") as clip:
        assert clip.n_frames == 45


def test_clip_of_wild_predictions_keeps_its_view(people, tmp_path: Path):
    wild = [sequence.with_poses(sequence.poses_3d * 1e9, "normal") for sequence in people]
    behind = [sequence.with_poses(sequence.poses_3d * -5.0, "normal") for sequence in people]
    scene_clip(tmp_path / "wild.gif", people, wild, behind, max_frames=2)
    with Image.open(tmp_path / "wild.gif") as clip:
        assert clip.width == 960 and clip.height <= 420


def test_clip_without_annotation_stands_on_the_predicted_floor(people, tmp_path: Path):
    nowhere = [dataclasses.replace(s, annotated=torch.zeros(60, dtype=torch.bool)) for s in people]
    scene_clip(tmp_path / "a.gif", nowhere, people, people, max_frames=2)
    scene_clip(tmp_path / "b.gif", people, people, people, max_frames=2)
    assert n_pixels(tmp_path / "a.gif", REFINED) == pytest.approx(n_pixels(tmp_path / "b.gif", REFINED), rel=0.02)


def test_clip_refusals(people, tmp_path: Path):
    path, lifted = tmp_path / "clip.gif", predictions(people, 60)
    with pytest.raises(DataError, match="0 people without a frame"):
        scene_clip(path, [], [], [])
    with pytest.raises(MismatchError, match="2 lifted people, 3 annotated"):
        scene_clip(path, people, lifted[:2], lifted[:2])
    with pytest.raises(MismatchError, match="TS1/1: refined has 59 frames, the annotation 60"):
        shorter = person(1, walker(59, 30.0, (0, 3000), (100, 0)), 30.0)
        scene_clip(path, people, lifted, [lifted[0], shorter, lifted[2]])
    with pytest.raises(MismatchError, match="one scene"):
        stranger = person(1, walker(60, 30.0, (0, 3000), (100, 0)), 30.0, sequence="TS2")
        scene_clip(path, [people[0], stranger], lifted[:2], lifted[:2])
    with pytest.raises(ConfigError, match="fps_out=0"):
        scene_clip(path, people, lifted, lifted, fps_out=0)
    with pytest.raises(ConfigError, match="max_frames=0"):
        scene_clip(path, people, lifted, lifted, max_frames=0)
    assert not list(tmp_path.iterdir())


def test_a_hidden_person_is_hollow(people):
    poses = np.stack([people[0].poses_3d.numpy()])[:, :1]
    blue = []
    for hidden in (False, True):
        clip = Clip(poses, {"lifted": poses}, np.array([[hidden]]), 30.0, "")
        pixels = np.asarray(clip.frame(0, "0 s").convert("RGB"))
        blue.append(int((pixels == REFINED).all(axis=-1).sum()))
    assert 0 < blue[1] < 0.5 * blue[0]
