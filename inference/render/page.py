"""The page: one HTML file in which a scene can be played, turned, zoomed and compared, without any network.

page.html, page.css, page_scene.js (the numbers and the viewpoint), page_views.js (what draws), page_controls.js (mouse
and colours) and page_player.js (what plays) are put together into one file with the scene's numbers inside: coordinates
as 16-bit integers in base64, about 0.4 kB per person and frame. Everything that comes from outside (names, notes) is
escaped here and inserted as text there; the page's own policy forbids it to load anything.
"""

from __future__ import annotations

import base64
import html
import json
import math
import re
from collections.abc import Iterable, Iterator
from importlib import resources
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fileio.atomic import atomic_path
from fileio.video import VideoFrame
from inference.quality import stature_m
from inference.render.drawing import BALL_BONES, COCO_BONES, HEAD, HEAD_TOP, HIP, LINE_BONES, colour_of
from inference.render.view import extent
from inference.scene import Scene, array_of
from pose.cameras import Camera
from pose.coordinates import Coordinates
from pose.errors import check_number
from pose.features import MIN_SCORE
from pose.joint_sets import MUPOTS_17
from pose.level import World
from pose.sequence import PoseSequence

MAX_BYTES = 36e6  # of numbers; a longer scene is shown with fewer frames
BYTES_PER_FRAME = 405  # of one person, in base64
MISSING = -32768
PICTURES_PER_S, MAX_PICTURES, PICTURE_PX = 4, 300, 400  # of the video; px of the longer side
PARTS = {
    "style": "page.css",
    "samples": "page_samples.html",
    "model": "page_scene.js",
    "views": "page_views.js",
    "controls": "page_controls.js",
    "player": "page_player.js",
}


class PagePictures:
    """Small pictures of the video for the page: some a second, MAX_PICTURES at most, 10 to 20 kB each.

    `of` hands frames on as they are and keeps these, so that a video is read once for all that is drawn.
    """

    def __init__(self, scene: Scene) -> None:
        self.every = max(1, round(scene.fps / PICTURES_PER_S), math.ceil(scene.n_frames / MAX_PICTURES))
        self.n_frames = scene.n_frames
        self.jpegs: list[bytes] = []

    def of(self, frames: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
        """The frames, from the video's first on."""
        for number, frame in enumerate(frames):
            if number % self.every == 0 and number < self.n_frames:
                picture = Image.fromarray(frame.image)
                picture.thumbnail((PICTURE_PX, PICTURE_PX), reducing_gap=1.5)
                file = BytesIO()
                picture.save(file, format="JPEG", quality=60)
                self.jpegs.append(file.getvalue())
            yield frame


def write_page(scene: Scene, path: Path | str, pictures: PagePictures | None = None) -> None:
    """Write the scene as one self-contained HTML file that any current browser opens from the disk.

    pictures: of the video, to lie behind the skeletons in the camera's picture. A scene too long for about 40 MB is
    decimated, and the page says so. Raises ConfigError for a scene without a frame rate, DataError where the file
    cannot be written.
    """
    check_number("fps", scene.fps, high=1e4, above=0, hint="frames per second")
    person_frames = sum(len(person) for person in scene.people)
    stride = max(1, math.ceil(person_frames * BYTES_PER_FRAME / MAX_BYTES))
    files = resources.files("inference.render")
    parts = {key: files.joinpath(name).read_text("utf-8") for key, name in PARTS.items()}
    parts["title"] = html.escape(Path(scene.source).name or "scene")
    # Inside a script element only "<" can end it.
    parts["data"] = json.dumps(_content(scene, stride, pictures), allow_nan=False, separators=(",", ":")).replace(
        "<", "\\u003c"
    )
    page = files.joinpath("page.html").read_text("utf-8")
    page = re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], page)
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _content(scene: Scene, stride: int, pictures: PagePictures | None) -> dict[str, Any]:
    jpegs = [base64.b64encode(jpeg).decode() for jpeg in pictures.jpegs] if pictures else []
    poses = [array_of(person, "poses_3d") for person in scene.people if len(person)]
    all_poses = np.concatenate(poses) if poses else np.zeros((0, len(MUPOTS_17), 3))
    notes = list(scene.notes)
    if stride > 1:
        notes.append(f"This page shows one frame in {stride}, to keep the file small; other outputs have all.")
    return {
        "source": scene.source,
        "fps": scene.fps,
        "frames": scene.n_frames,
        "stride": stride,
        "coordinates": scene.coordinates,
        "notes": notes,
        **surroundings(scene.camera, scene.world, all_poses),
        "pictures": {"every": pictures.every, "jpegs": jpegs} if pictures and jpegs else None,
        "people": [_person(person, stride, scene.coordinates) for person in scene.people if len(person)],
    }


def surroundings(camera: Camera, world: World, poses: np.ndarray) -> dict[str, Any]:
    """What the viewer needs beside people: camera, up and floor, how far people (N, 17, 3) mm reach, and joints."""
    return {
        "camera": [camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height],
        "axes": world.axes.tolist(),
        "floor": world.floor_mm,
        "extent": extent(world(poses)).tolist(),
        "bones": {"ball": BALL_BONES, "line": LINE_BONES, "detected": COCO_BONES},
        "joints": {"head": HEAD, "head_top": HEAD_TOP, "hip": HIP, "count": len(MUPOTS_17)},
        "left": [index for index, name in enumerate(MUPOTS_17.names) if name.startswith("left_")],
        "min_confidence": MIN_SCORE,
    }


def _person(person: PoseSequence, stride: int, coordinates: Coordinates) -> dict[str, Any]:
    """What the page needs of one person: rows whose frame is a multiple of `stride`, `start` counted in such frames."""
    rows = np.flatnonzero(array_of(person, "frame") % stride == 0)
    refined, lifted = array_of(person, "poses_3d"), array_of(person, "lifted_3d")
    same = np.array_equal(refined, lifted, equal_nan=True)
    return {
        "number": person.person,
        "colour": colour_of(person.person),
        "start": math.ceil(int(person.frame[0]) / stride),
        "length": len(rows),
        "stature_m": stature_m(person, coordinates),
        "refined": _packed(refined[rows], finest=1.0),
        "lifted": None if same else _packed(lifted[rows], finest=1.0),
        "keypoints_2d": _packed(array_of(person, "keypoints_2d")[rows], finest=0.25),
        "confidence": _bytes(np.clip(np.nan_to_num(array_of(person, "confidence")[rows]) * 255, 0, 255)),
        "observed": _bytes(np.packbits(array_of(person, "observed")[rows], axis=-1, bitorder="little")),
    }


def _packed(values: np.ndarray, finest: float) -> dict[str, Any]:
    """Numbers as little-endian 16-bit multiples of `scale`: `finest` where they fit. NaN and infinity are MISSING."""
    known = np.isfinite(values)
    scale = max(finest, float(np.abs(values[known]).max(initial=0.0)) / 32767)
    steps = np.where(known, np.round(np.where(known, values, 0.0) / scale), MISSING)
    return {"scale": scale, "data": base64.b64encode(steps.astype("<i2").tobytes()).decode()}


def _bytes(values: np.ndarray) -> str:
    return base64.b64encode(np.asarray(values).astype(np.uint8).tobytes()).decode()
