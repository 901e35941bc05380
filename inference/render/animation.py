"""The 3D animation: the scene as its camera sees it and, beside it, from a view that slowly swings round it.

The first shows whether people are where the picture has them, the second what it cannot show: their depth. Plain
predictions are thin and pale, refined ones thick, and hollow where they were inferred.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from fileio.video import VideoWriter
from inference.render.clip_renderer import FLOOR, GRID, HEAD_M, SHADOW, TEXT, TEXT_PALE, View, World
from inference.render.drawing import BALL_BONES, HEAD, LINE_BONES, Sketch, colour_of, extent, font, people_at, project
from inference.scene import PredictedScene
from pose.joint_sets import MUPOTS_17

PANEL_HEIGHT, HEADER, FOOTER = 440, 34, 30
WIDEST, NARROWEST = 784, 280  # of the camera's panel; the other is SIDE_WIDTH wide
SIDE_WIDTH = 576
SWING_DEGREES, SWING_SECONDS, ELEVATION = (20, 75), 14.0, 17.0
BONE_M, MIN_BONE_PX, MAX_BONE_PX, PLAIN_PX = 0.05, 4.0, 30.0, 1.6
ALL_SURE = np.ones(len(MUPOTS_17), bool)
MAX_LINES = 40  # of the floor's grid, per direction

Points = np.ndarray


def write_animation(scene: PredictedScene, path: Path | str) -> None:
    """Draw every frame of the scene as an mp4 video of two views at the scene's rate.

    Raises DataError where the file cannot be written or the scene has no frame.
    """
    animation = Animation(scene)
    with VideoWriter(path, scene.fps) as writer:
        for frame in range(scene.n_frames):
            writer.write(animation.frame(frame))


@dataclass(frozen=True)
class _Panel:
    """A view: world points (..., 3) in m -> px (..., 2), and px per metre (...,) there."""

    left: int
    width: int
    pixels: Callable[[Points], np.ndarray]
    per_metre: Callable[[Points], np.ndarray]


class Animation:
    """Draws frames of a scene. World coordinates as in clip_renderer: metres, right, forward, up from the floor."""

    def __init__(self, scene: PredictedScene):
        self.scene = scene
        everyone = [person.poses_3d for person in scene.people if len(person)]
        poses = np.concatenate(everyone) if everyone else np.zeros((0, 17, 3))
        self.world = World.fit(poses)
        self.refined = [self.world(person.poses_3d) for person in scene.people]
        self.lifted = [self.world(person.poses_3d_plain) for person in scene.people]
        self.low, self.high = extent(self.world(poses).reshape(-1, 3))
        (x0, y0, _), (x1, y1, top) = self.low, self.high
        self.box = np.array([(x, y, z) for x in (x0, x1) for y in (y0, y1) for z in (0.0, top)])
        self.grid = self._grid()
        aspect = scene.camera.width / scene.camera.height
        self.camera_width = 2 * round(min(max(PANEL_HEIGHT * aspect, NARROWEST), WIDEST) / 2)
        self.camera_panel = self._camera_panel()
        self.camera_floor = self._floor(self.camera_panel)
        self.size = (self.camera_width + SIDE_WIDTH, HEADER + PANEL_HEIGHT + FOOTER)
        self.side_view = self._side_view()
        self.background = self._background()

    def frame(self, number: int) -> Image.Image:
        """Frame `number` of the video, RGB."""
        picture = self.background.copy()
        side = self._side_panel(number / self.scene.fps)
        for panel, part in ((self.camera_panel, self.camera_floor.copy()), (side, self._floor(side))):
            self._people(part, panel, number)
            picture.paste(part, (panel.left, HEADER))
        pen = ImageDraw.Draw(picture)
        pen.line((self.camera_width, HEADER, self.camera_width, HEADER + PANEL_HEIGHT), fill=GRID)
        time = f"{number / self.scene.fps:.2f} s   frame {number}"
        pen.text((14, self.size[1] - FOOTER / 2), time, fill=TEXT, font=font(15), anchor="lm")
        return picture

    def _people(self, picture: Image.Image, panel: _Panel, number: int) -> None:
        here = [
            (person, self.lifted[i][row], self.refined[i][row], row) for i, person, row in people_at(self.scene, number)
        ]
        for _, _, refined, _ in here:
            self._figure(panel, refined * [1.0, 1.0, 0.0], ALL_SURE).paint(picture, SHADOW)
        for person, lifted, refined, row in sorted(here, key=lambda one: float(panel.per_metre(one[2][HEAD]))):
            colour, thin = colour_of(person.person), Sketch()
            thin.skeleton(panel.pixels(lifted), LINE_BONES, PLAIN_PX, ALL_SURE)
            thin.paint(picture, _pale(colour))
            self._figure(panel, refined, person.observed[row]).paint(picture, colour, "white", 1.2)

    def _figure(self, panel: _Panel, pose: Points, sure: np.ndarray) -> Sketch:
        """A thick figure with a ball for the head; nothing of somebody at the viewer's back."""
        sketch, per_metre = Sketch(), panel.per_metre(pose)
        bone = min(max(BONE_M * float(np.median(per_metre)), MIN_BONE_PX), MAX_BONE_PX)
        if np.isfinite(per_metre).all():
            sketch.skeleton(
                panel.pixels(pose), BALL_BONES, bone, sure, min(HEAD_M * float(per_metre[HEAD]), 4 * MAX_BONE_PX)
            )
        return sketch

    def _floor(self, panel: _Panel) -> Image.Image:
        picture = Image.new("RGB", (panel.width, PANEL_HEIGHT), "white")
        outline = panel.pixels(np.array([(x, y, 0.0) for x, y in self._corners()]))
        if np.isfinite(outline).all():
            ImageDraw.Draw(picture).polygon([(float(x), float(y)) for x, y in outline], fill=FLOOR)
        lines = Sketch()
        for line in panel.pixels(self.grid).tolist():
            for a, b in pairwise(line):
                lines.line(a, b, 1.0)
        lines.paint(picture, GRID)
        return picture

    def _corners(self) -> list[tuple[float, float]]:
        (x0, y0, _), (x1, y1, _) = self.low, self.high
        return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]

    def _grid(self) -> Points:
        """Lines (N, 5, 3) of the floor, in four pieces each, of which some may lie at the camera's back."""
        lines = []
        step = max(0.5, math.ceil(2 * float((self.high - self.low)[:2].max()) / MAX_LINES) / 2)
        for axis in (0, 1):
            for place in np.arange(math.ceil(self.low[axis] / step), self.high[axis] / step) * step:
                ends = np.array([self.low, self.high]) * [1.0, 1.0, 0.0]
                ends[:, axis] = place
                lines.append(np.linspace(ends[0], ends[1], 5))
        return np.array(lines)

    def _camera_panel(self) -> _Panel:
        camera = self.scene.camera
        scale = min(self.camera_width / camera.width, PANEL_HEIGHT / camera.height)
        offset = (np.array([self.camera_width, PANEL_HEIGHT]) - scale * np.array([camera.width, camera.height])) / 2

        def to_camera(points: Points) -> np.ndarray:
            return (points * 1000.0 + [0.0, 0.0, self.world.floor_mm]) @ self.world.axes

        def pixels(points: Points) -> np.ndarray:
            return project(self.scene, to_camera(points)) * scale + offset

        def per_metre(points: Points) -> np.ndarray:
            return scale * camera.fy * 1000.0 / np.maximum(to_camera(points)[..., 2], 1.0)

        return _Panel(0, self.camera_width, pixels, per_metre)

    def _side_view(self) -> View:
        """The view whose direction will change; its scale and place show the whole box from every direction."""
        whole = [self._turned(azimuth).pixels(self.box) for azimuth in np.linspace(*SWING_DEGREES, 8)]
        low, high = np.min(whole, axis=(0, 1)), np.max(whole, axis=(0, 1))
        size = np.array([SIDE_WIDTH, PANEL_HEIGHT])
        scale = 0.96 * float((size / (high - low)).min())
        x, y = (size - scale * (low + high)) / 2
        return replace(self._turned(0.0), scale=scale, offset=(float(x), float(y)), size=(SIDE_WIDTH, PANEL_HEIGHT))

    def _turned(self, azimuth: float) -> View:
        view = View.fit(self.box, SIDE_WIDTH, PANEL_HEIGHT, azimuth, ELEVATION)
        return replace(view, scale=1.0, offset=(0.0, 0.0))

    def _side_panel(self, seconds: float) -> _Panel:
        start, end = SWING_DEGREES
        azimuth = start + (end - start) * (0.5 - 0.5 * math.cos(2 * math.pi * seconds / SWING_SECONDS))
        view = replace(self.side_view, axes=self._turned(azimuth).axes)

        def per_metre(points: Points) -> np.ndarray:
            return view.scale / np.maximum(view.depth(points) + view.distance, 0.1)

        return _Panel(self.camera_width, SIDE_WIDTH, view.pixels, per_metre)

    def _background(self) -> Image.Image:
        picture = Image.new("RGB", self.size, "white")
        pen = ImageDraw.Draw(picture)
        pen.text((14, HEADER / 2), "camera view", fill=TEXT, font=font(17), anchor="lm")
        pen.text((self.camera_width + 14, HEADER / 2), "from the side", fill=TEXT, font=font(17), anchor="lm")
        name = Path(self.scene.source).name[-48:]
        pen.text((self.size[0] - 14, HEADER / 2), name, fill=TEXT_PALE, font=font(13), anchor="rm")
        x, y = self.size[0] - 14.0, self.size[1] - FOOTER / 2
        for person in reversed(self.scene.people[:8]):
            text = f"person {person.person}"
            pen.text((x, y), text, fill=TEXT, font=font(13), anchor="rm")
            x -= pen.textlength(text, font=font(13)) + 12
            pen.ellipse((x - 5, y - 5, x + 5, y + 5), fill=colour_of(person.person))
            x -= 18
        pen.text(
            (x - 8, y), "thick: refined   thin: lifted   hollow: inferred", fill=TEXT_PALE, font=font(13), anchor="rm"
        )
        return picture


def _pale(colour: str) -> str:
    red, green, blue = (round(0.5 * value + 0.5 * 255) for value in ImageColor.getrgb(colour)[:3])
    return f"#{red:02x}{green:02x}{blue:02x}"
