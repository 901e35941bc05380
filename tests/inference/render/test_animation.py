"""The animation: two views side by side, upright people on a floor, inferred ones hollow."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from fileio.video import probe, read_video
from inference.render.animation import FOOTER, HEADER, PANEL_HEIGHT, SIDE_WIDTH, Animation, write_animation
from inference.scene import Scene
from pose.cameras import Camera
from pose.errors import DataError
from tests.inference.render.people import of_colour

pytest.importorskip("av", reason="needs PyAV: pip install av")


def panels(animation: Animation, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """The camera's view and the view from the side."""
    picture = animation.frame(frame).pixels[HEADER : HEADER + PANEL_HEIGHT, :, :3].copy()
    return picture[:, : animation.camera_width], picture[:, animation.camera_width :]


def test_the_video_has_the_scenes_length_and_rate(tmp_path: Path, made_scene: Callable[..., Scene]) -> None:
    scene = made_scene(12)
    write_animation(scene, tmp_path / "a.mp4")
    info = probe(tmp_path / "a.mp4")
    width = Animation(scene).camera_width + SIDE_WIDTH
    assert (info.n_frames, info.fps) == (12, 30)
    assert (info.width, info.height) == (width, HEADER + PANEL_HEIGHT + FOOTER)
    assert abs(next(read_video(tmp_path / "a.mp4")).image.astype(int).mean() - 245) < 12, "a white page"


def test_the_left_view_is_the_cameras(scene: Scene) -> None:
    animation = Animation(scene)
    left, _ = panels(animation, 4)
    scale = min(animation.camera_width / scene.camera.width, PANEL_HEIGHT / scene.camera.height)
    for person in scene.people:
        pixels = of_colour(left, person.person)
        if person.frame[0] > 4:
            assert len(pixels) == 0, "not there yet"
            continue
        body = scene.camera.project(person.require("poses_3d")[4]).numpy() * scale
        inside = (body > 0).all(-1) & (body < [animation.camera_width, PANEL_HEIGHT]).all(-1)
        assert len(pixels) > 200
        assert np.abs(pixels.mean(0) - body[inside].mean(0)).max() < 40


def test_all_people_stay_in_the_side_view_and_it_swings(scene: Scene) -> None:
    animation = Animation(scene)
    for frame in (4, 20, 45):
        _, side = panels(animation, frame)
        for person in scene.people:
            if person.frame[0] <= frame <= person.frame[-1]:
                pixels = of_colour(side, person.person)
                assert len(pixels) > 60
                assert pixels.min() > 2 and (pixels.max(0) < np.array(side.shape[1::-1]) - 3).all()
    still = dataclasses.replace(
        scene,
        people=[
            dataclasses.replace(p, poses_3d=p.require("poses_3d")[:1].repeat(len(p), 1, 1)) for p in scene.people[:1]
        ],
    )
    animation = Animation(still)
    (left, first), (later_left, later) = panels(animation, 0), panels(animation, 55)
    assert (first != later).any(-1).sum() > 500, "turned"
    assert (of_colour(left, 0).mean(0) - of_colour(later_left, 0).mean(0) < 5).all(), "the camera stands still"


def test_inferred_people_are_hollow(scene: Scene) -> None:
    seen, inferred = (
        Animation(
            dataclasses.replace(
                scene,
                people=[
                    dataclasses.replace(p, observed=torch.full_like(p.require("observed"), known)) for p in scene.people
                ],
            )
        )
        for known in (True, False)
    )
    for one, other in zip(panels(seen, 4), panels(inferred, 4), strict=True):
        assert len(of_colour(other, 0)) < 0.8 * len(of_colour(one, 0))


def test_wild_and_missing_places_do_not_break_it(scene: Scene) -> None:
    poses = scene.people[0].require("poses_3d").clone()
    poses[3], poses[4] = torch.nan, 1e7
    poses[5] *= torch.tensor([1, 1, -1])  # at the camera's back
    broken = dataclasses.replace(scene.people[0], poses_3d=poses)
    animation = Animation(dataclasses.replace(scene, people=[broken, *scene.people[1:]]))
    for frame in range(3, 7):
        animation.frame(frame)
    _, side = panels(animation, 20)
    assert len(of_colour(side, 2)) > 60, "the others keep their size"


@pytest.mark.parametrize("size", [(1080, 1920), (2048, 2048), (4000, 300)])
def test_any_picture_size(scene: Scene, size: tuple[int, int]) -> None:
    camera = Camera(1500.0, 1500.0, size[0] / 2, size[1] / 2, *size)
    picture = Animation(dataclasses.replace(scene, camera=camera)).frame(10)
    assert picture.size[0] % 2 == 0 and picture.size[1] % 2 == 0


def test_a_scene_without_people(tmp_path: Path, scene: Scene) -> None:
    write_animation(dataclasses.replace(scene, people=[], n_frames=2), tmp_path / "a.mp4")
    assert probe(tmp_path / "a.mp4").n_frames == 2
    with pytest.raises(DataError, match=r"b\.mp4: no frame"):
        write_animation(dataclasses.replace(scene, n_frames=0), tmp_path / "b.mp4")
