"""Strokes, the world and its views."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from inference.render import drawing
from inference.render.canvas import Canvas
from inference.render.drawing import Sketch
from inference.render.view import View
from pose.cameras import Camera
from pose.joint_sets import MUPOTS_17
from pose.level import World
from tests.inference.render.people import walking_scene


def painted(sketch: Sketch, **style: Any) -> np.ndarray:
    canvas = Canvas((100, 60))
    sketch.paint(canvas, "black", **style)
    return canvas.pixels[..., 0].copy()


def line(*ends: tuple[float, float]) -> np.ndarray:
    return np.array([ends])


def test_shapes() -> None:
    sketch = Sketch()
    sketch.lines(line((10, 30), (90, 30)), 10)
    filled = painted(sketch)
    assert (filled[28:33, 20:80] == 0).all() and (filled[:24] == 255).all() and (filled[36:] == 255).all()

    sketch = Sketch()
    sketch.lines(line((10, 30), (90, 30)), 10, hollow=True)
    hollow = painted(sketch)
    assert (hollow[30, 20:80] == 255).all() and (hollow[26, 20:80] < 60).all() and (hollow[34, 20:80] < 60).all()

    sketch = Sketch()
    sketch.dashes(line((10, 30), (90, 30)), 5)
    row = painted(sketch)[30] < 128
    assert row[12] and row[88] and 5 <= (np.diff(row.astype(int)) == 1).sum() <= 6

    sketch = Sketch()
    sketch.lines(line((float("nan"), 0), (10, 10)), 3)
    sketch.lines(line((1e9, 0), (10, 10)), 3)
    sketch.discs(np.array([[float("nan"), 0]]), np.array([5.0]))
    assert (painted(sketch) == 255).all()
    sketch.discs(np.array([[-50.0, -50.0]]), np.array([5.0]))  # wholly outside
    assert (painted(sketch) == 255).all()


def test_edges_are_smooth_and_a_crossing_is_one_shape() -> None:
    sketch = Sketch()
    sketch.lines(np.array([[[10, 10], [90, 50]], [[10, 50], [90, 10]]]), 6)
    sketch.discs(np.array([[50.0, 30.0]]), np.array([12.0]))
    picture = painted(sketch, edge="#808080", edge_px=3)
    assert picture[30, 50] == 0 and picture[30, 40] == 0 and picture[30, 36] == 128
    assert len(np.unique(picture)) > 20, "levels of grey along the edges"
    assert (np.abs(picture.astype(int) - np.fliplr(picture)) <= 8).all(), "and nothing leans"


def test_text_keeps_inside_the_picture() -> None:
    canvas = Canvas((100, 60))
    width = drawing.write_plate(canvas, (50, 30), "12.5 s", "#0072B2", 12, (0.5, 0.5))
    row = canvas.pixels[30, :, :3].astype(int)
    assert 40 < width < 70 and (row[: 50 - width // 2 - 1] == 255).all() and (row[50 + width // 2 + 1 :] == 255).all()
    assert (np.abs(row - (0, 0x72, 0xB2)).max(-1) < 8).sum() > 10 and (canvas.pixels[..., 3] == 255).all()
    for at in ((0, 0), (100, 60), (-500, 30), (50, 900)):
        drawing.write_plate(canvas, at, "12.5 s", "#0072B2", 12, (0.5, 0.5))
    drawing.write_line(canvas, (95, 58), "frame", "black", 12)


@pytest.mark.parametrize("pitch", [0.0, 15.0])
def test_world_puts_the_floor_at_zero_whatever_the_tilt(pitch: float):
    poses = np.stack(
        [sequence.poses_3d.double().numpy() for sequence in walking_scene(90) if sequence.poses_3d is not None]
    )
    angle = math.radians(pitch)
    tilt = np.array([[1, 0, 0], [0, math.cos(angle), -math.sin(angle)], [0, math.sin(angle), math.cos(angle)]])
    world = World.fit(poses @ tilt.T)(poses @ tilt.T)
    lowest = world[..., 2].min(axis=-1)
    assert np.abs(lowest).max() < 0.05
    head, hip = (world[:, :, MUPOTS_17.index(name), 2].mean() for name in ("head", "hip"))
    assert hip == pytest.approx(0.88, abs=0.05) and head - hip == pytest.approx(0.62, abs=0.02)
    assert np.linalg.det(World.fit(poses @ tilt.T).axes) == pytest.approx(1.0)


def test_view_shows_up_as_up_right_as_right_and_all_inside():
    box = np.array([[-2, 3, 0], [2, 6, 1.8]])
    points = np.random.default_rng(0).uniform(*box, (200, 3))
    view = View.fit(box, 480, 360)
    pixels = view.pixels(points)
    assert pixels.min() >= 0 and (pixels <= view.size).all()
    assert view.size[0] == 480 and 100 < view.size[1] <= 360
    origin, up, right, away = view.pixels(np.array([[0, 4, 0], [0, 4, 1], [1, 4, 0], [0, 5, 0]]))
    assert up[1] < origin[1] and right[0] > origin[0]
    assert away[1] < origin[1] and view.depth(np.array([0, 5, 0])) > view.depth(np.array([0, 4, 0]))


def test_the_view_of_the_camera_is_its_own_picture_made_smaller():
    camera = Camera(1500.0, 1400.0, 900.0, 500.0, 1920, 1080)
    world = World.fit(np.array([walking_scene(2)[0].poses_3d.double().numpy()]))
    points = torch.tensor([[100.0, -300.0, 4000.0], [-800.0, 900.0, 2500.0]], dtype=torch.float64)
    view = View.of_camera(camera, world, (960, 600))  # half the size, with 30 px above and below
    np.testing.assert_allclose(view.pixels(world(points.numpy())), camera.project(points) / 2 + torch.tensor([0, 30]))
    np.testing.assert_allclose(view.depth(world(points.numpy())), points[:, 2] / 1000)
    behind = world(-points.numpy())
    assert np.isnan(view.pixels(behind)).all()
