"""The overlay: people where the camera sees them, inferred ones told apart, over any kind of frames, and fast."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from fileio.video import VideoFrame, probe, read_video
from inference.render.canvas import Canvas
from inference.render.overlay import draw_overlay, write_overlay
from inference.scene import Scene, array_of
from pose.errors import ConfigError, DataError, MismatchError
from pose.sequence import PoseSequence
from tests.inference.render.people import of_colour

pytest.importorskip("av", reason="needs PyAV: pip install av")


@pytest.fixture(scope="module")
def scene(made_scene: Callable[..., Scene]) -> Scene:
    """Three people in half a second; the second comes later."""
    return made_scene(15, seed=1)


def overlay(scene: Scene, frame: int, background: str = "#808080") -> np.ndarray:
    canvas = Canvas((scene.camera.width, scene.camera.height), background)
    draw_overlay(scene, frame, canvas)
    return canvas.pixels[..., :3]


def project(scene: Scene, person: PoseSequence, row: int) -> np.ndarray:
    return scene.camera.project(person.require("poses_3d")[row]).numpy()


def without_detections(scene: Scene, is_observed: bool | None = None) -> Scene:
    def changed(person):
        observed = person.observed if is_observed is None else torch.full_like(person.require("observed"), is_observed)
        return dataclasses.replace(person, confidence=torch.zeros_like(person.confidence), observed=observed)

    return dataclasses.replace(scene, people=[changed(person) for person in scene.people])


def test_people_are_drawn_where_the_camera_sees_them(scene: Scene) -> None:
    picture = overlay(scene, 0)
    for person in scene.people:
        pixels = of_colour(picture, person.person)
        if person.frame[0] > 0:
            assert len(pixels) == 0, "not there yet"
            continue
        joints = project(scene, person, 0)
        assert len(pixels) > 300
        assert (pixels.min(0) > joints.min(0) - 60).all() and (pixels.max(0) < joints.max(0) + 60).all()


def test_inferred_bones_have_gaps(scene: Scene) -> None:
    solid, dashed = (overlay(without_detections(scene, known), 2) for known in (True, False))
    below_the_labels = round(project(scene, scene.people[0], 2)[:, 1].min()) + 20
    dashed, solid = dashed[below_the_labels:], solid[below_the_labels:]
    assert len(of_colour(dashed, 0)) < 0.85 * len(of_colour(solid, 0))


def test_detections_are_drawn_in_white(scene: Scene) -> None:
    person = scene.people[0]
    with_them, without = overlay(scene, 0), overlay(without_detections(scene), 0)
    changed = np.argwhere((with_them != without).any(-1))[:, ::-1]
    points = array_of(person, "keypoints_2d")[0][person.confidence[0] > 0.5]
    distance = np.linalg.norm(points[:, None] - changed[None], axis=-1).min(1)
    assert distance.max() < 2


def test_a_person_behind_the_camera_is_left_out(scene: Scene) -> None:
    behind = dataclasses.replace(
        scene.people[0], poses_3d=scene.people[0].require("poses_3d") * torch.tensor([1, 1, -1])
    )
    alone = without_detections(dataclasses.replace(scene, people=[behind]))
    assert len(of_colour(overlay(alone, 0), 0)) == 0


def test_over_a_plain_background(tmp_path: Path, scene: Scene) -> None:
    write_overlay(scene, None, tmp_path / "a.mp4", max_width=640)
    info = probe(tmp_path / "a.mp4")
    assert (info.width, info.height, info.n_frames, info.fps) == (640, 360, 15, 30)
    pictures = [frame.image.astype(int) for frame in read_video(tmp_path / "a.mp4")]
    assert np.abs(pictures[0] - pictures[12]).max() > 60


@pytest.mark.parametrize("as_video_frames", [True, False])
def test_over_frames(tmp_path: Path, scene: Scene, as_video_frames: bool) -> None:
    def frames() -> Iterator:
        for number in range(15):
            image = np.full((540, 960, 3), 200, np.uint8)  # half the camera's size
            yield VideoFrame(number, None, image) if as_video_frames else image

    write_overlay(scene, frames(), tmp_path / "a.mp4")
    info = probe(tmp_path / "a.mp4")
    assert (info.width, info.height, info.n_frames) == (960, 540, 15)
    first = next(read_video(tmp_path / "a.mp4")).image
    assert abs(int(np.median(first)) - 200) < 4, "the frame itself"
    person = scene.people[0]
    x, y = (project(scene, person, 0).mean(0) / 2).round().astype(int)
    around = first[y - 40 : y + 40, x - 30 : x + 30].astype(int)
    assert np.abs(around - 200).max() > 80, "the person, at half size"


def test_frames_and_scene_of_different_lengths(tmp_path: Path, scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    image = np.zeros((108, 192, 3), np.uint8)
    with caplog.at_level(logging.WARNING):
        write_overlay(scene, [image] * 10, tmp_path / "a.mp4")
        assert "ended after 10 of 15 frames" in caplog.text
        write_overlay(scene, [image] * 20, tmp_path / "b.mp4")
        assert "goes on after the scene's 15 frames" in caplog.text
    assert (probe(tmp_path / "a.mp4").n_frames, probe(tmp_path / "b.mp4").n_frames) == (10, 15)
    with pytest.raises(DataError, match=r"c\.mp4: no frame"):
        write_overlay(scene, [], tmp_path / "c.mp4")


def test_the_wrong_video(tmp_path: Path, scene: Scene) -> None:
    with pytest.raises(MismatchError, match=r"frames of 100x100, but camera.image_size is 1920x1080"):
        write_overlay(scene, [np.zeros((100, 100, 3), np.uint8)], tmp_path / "a.mp4")
    with pytest.raises(ConfigError, match="max_width=2"):
        write_overlay(scene, None, tmp_path / "a.mp4", max_width=2)
    assert list(tmp_path.iterdir()) == []


def test_a_scene_without_people_is_a_video_too(tmp_path: Path, scene: Scene) -> None:
    write_overlay(dataclasses.replace(scene, people=[], n_frames=3), None, tmp_path / "a.mp4", max_width=320)
    assert probe(tmp_path / "a.mp4").n_frames == 3
