"""The 3D animation: the scene as its camera sees it and, beside it, from a view that slowly swings round it.

The first shows whether people are where the picture has them, the second what it cannot show: their depth. Lifted
poses are thin and pale, refined ones thick, and hollow where they were inferred.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from fileio.video import VideoWriter
from inference.render import drawing
from inference.render.canvas import Canvas
from inference.render.drawing import colour_of, font
from inference.render.view import DrawnPerson, Floor, View, corners, extent, looking
from inference.scene import Scene, array_of

PANEL_HEIGHT, HEADER, FOOTER = 440, 34, 30
WIDEST, NARROWEST = 784, 280  # of the camera's panel; the other is SIDE_WIDTH wide
SIDE_WIDTH, TIME_WIDTH = 576, 280
SWING_DEGREES, SWING_SECONDS, ELEVATION = (20, 75), 14.0, 17.0


def write_animation(scene: Scene, path: Path | str) -> None:
    """Draw every frame of the scene as an mp4 video of two views at the scene's rate.

    Raises DataError where the file cannot be written or the scene has no frame.
    """
    animation = Animation(scene)
    with VideoWriter(path, scene.fps, total=scene.n_frames) as writer:
        for frame in range(scene.n_frames):
            writer.write(animation.frame(frame).pixels)


class Animation:
    """Draws frames of a scene."""

    def __init__(self, scene: Scene):
        self.scene = scene
        all_poses = [array_of(person, "poses_3d") for person in scene.people if len(person)]
        poses = np.concatenate(all_poses) if all_poses else np.zeros((0, 17, 3))
        world = scene.world
        self.refined = [world(array_of(person, "poses_3d")) for person in scene.people]
        self.lifted = [world(array_of(person, "lifted_3d")) for person in scene.people]
        self.observed = [array_of(person, "observed") for person in scene.people]
        colours = [colour_of(person.person) for person in scene.people]
        self.colours = [(colour, drawing.paler(colour)) for colour in colours]
        self.box = extent(world(poses))
        aspect = scene.camera.width / scene.camera.height
        self.camera_width = 2 * round(min(max(PANEL_HEIGHT * aspect, NARROWEST), WIDEST) / 2)
        self.camera_view = View.of_camera(scene.camera, world, (self.camera_width, PANEL_HEIGHT))
        self.side_view, self.floor = self._side_view(), Floor.of(self.box)
        self.size = (self.camera_width + SIDE_WIDTH, HEADER + PANEL_HEIGHT + FOOTER)
        self.background = np.asarray(self._background().convert("RGBA"))
        self.picture = Canvas(self.size)
        self.picture.pixels[:] = self.background
        self.camera_panel, self.side_panel = Canvas(self.camera_view.size), Canvas(self.side_view.size)
        self.camera_view.draw_floor(self.camera_panel, self.floor)
        self.camera_floor = self.camera_panel.pixels.copy()

    def frame(self, number: int) -> Canvas:
        """Frame `number` of the video, until the next is asked for."""
        picture, seconds = self.picture, number / self.scene.fps
        start, end = SWING_DEGREES
        azimuth = start + (end - start) * (0.5 - 0.5 * math.cos(2 * math.pi * seconds / SWING_SECONDS))
        side = replace(self.side_view, axes=looking(azimuth, ELEVATION))
        self.camera_panel.pixels[:] = self.camera_floor
        side.draw_floor(self.side_panel, self.floor)
        people = [
            DrawnPerson(self.refined[i][row], self.observed[i][row], *self.colours[i], self.lifted[i][row])
            for i, _, row in drawing.people_at(self.scene, number)
        ]
        self.camera_view.draw(self.camera_panel, people)
        side.draw(self.side_panel, people)
        panels = picture.pixels[HEADER : HEADER + PANEL_HEIGHT]
        panels[:, : self.camera_width - 1] = self.camera_panel.pixels[:, :-1]  # a line is between them
        panels[:, self.camera_width :] = self.side_panel.pixels
        foot = slice(HEADER + PANEL_HEIGHT, None), slice(None, TIME_WIDTH)
        picture.pixels[foot] = self.background[foot]
        time = f"{seconds:.2f} s   frame {number}"
        drawing.write_line(picture, (14, self.size[1] - FOOTER / 2), time, drawing.TEXT, 15)
        return picture

    def _side_view(self) -> View:
        """The view whose direction will change; its scale and place show the whole box from every direction."""
        whole = [self._turned(azimuth).pixels(corners(self.box)) for azimuth in np.linspace(*SWING_DEGREES, 8)]
        low, high = np.min(whole, axis=(0, 1)), np.max(whole, axis=(0, 1))
        size = np.array([SIDE_WIDTH, PANEL_HEIGHT])
        scale = 0.96 * float((size / (high - low)).min())
        x, y = (size - scale * (low + high)) / 2
        return replace(self._turned(0.0), scale=scale, offset=(float(x), float(y)), size=(SIDE_WIDTH, PANEL_HEIGHT))

    def _turned(self, azimuth: float) -> View:
        view = View.fit(self.box, SIDE_WIDTH, PANEL_HEIGHT, azimuth, ELEVATION)
        return replace(view, scale=1.0, offset=(0.0, 0.0))

    def _background(self) -> Image.Image:
        picture = Image.new("RGB", self.size, "white")
        pen = ImageDraw.Draw(picture)
        pen.text((14, HEADER / 2), "camera view", fill=drawing.TEXT, font=font(17), anchor="lm")
        pen.text((self.camera_width + 14, HEADER / 2), "from the side", fill=drawing.TEXT, font=font(17), anchor="lm")
        pen.line((self.camera_width - 1, HEADER, self.camera_width - 1, HEADER + PANEL_HEIGHT), fill=drawing.GRID)
        name = Path(self.scene.source).name[-48:]
        pen.text((self.size[0] - 14, HEADER / 2), name, fill=drawing.TEXT_PALE, font=font(13), anchor="rm")
        x, y = self.size[0] - 14.0, self.size[1] - FOOTER / 2
        for person in reversed(self.scene.people[:8]):
            text = f"person {person.person}"
            pen.text((x, y), text, fill=drawing.TEXT, font=font(13), anchor="rm")
            x -= pen.textlength(text, font=font(13)) + 12
            pen.ellipse((x - 5, y - 5, x + 5, y + 5), fill=colour_of(person.person))
            x -= 18
        legend = "thick: refined   thin: lifted   hollow: inferred"
        pen.text((x - 8, y), legend, fill=drawing.TEXT_PALE, font=font(13), anchor="rm")
        return picture
