"""Which format a file of 2D keypoints is in, by its content, and the one function that reads them all."""

from __future__ import annotations

import gc
import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data.keypoints.coco19 import People, to_detections
from data.keypoints.detections import VideoDetections
from data.keypoints.formats import coco, mediapipe_json, mmpose, openpose
from data.keypoints.formats.arrays import read_arrays
from data.keypoints.parsing import Hints, check_size, natural, read_json
from pose.errors import ConfigError, DataError

log = logging.getLogger(__name__)

#: Larger files are refused: JSON takes several times its size in memory.
MAX_BYTES = 256 * 2**20

FORMATS = (
    "keypoints.json, COCO results or annotations, a folder of OpenPose JSON, MMPose (RTMPose) JSON, AlphaPose JSON, "
    "MediaPipe landmarks, npz; docs/inputs.md shows them"
)


_PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
_ZIP = b"PK\x03\x04"


def is_keypoints_input(path: Path | str) -> bool:
    """Whether `path` is to be read by `read_detections`: a JSON or npz file, or a folder of JSON.

    A folder with images counts as images, unless it holds OpenPose's `*_keypoints.json` too.
    """
    path = Path(path)
    if path.is_dir():
        names = [entry.name.lower() for entry in path.iterdir()]
        pictures = any(name.endswith(_PICTURES) for name in names)
        return any(name.endswith("_keypoints.json" if pictures else ".json") for name in names)
    if path.suffix.lower() in (".json", ".npz"):
        return True
    start = _first_bytes(path)
    return start.startswith(_ZIP) or start.lstrip()[:1] in (b"{", b"[")


def read_detections(
    path: Path | str,
    fps: float | None = None,
    image_size: tuple[int, int] | None = None,
    n_frames: int | None = None,
    joint_set: str | None = None,
    score_scale: float = 1.0,
    first_frame: int | None = None,
    max_bytes: int = MAX_BYTES,
) -> VideoDetections:
    """2D keypoints of a video from a file or folder of any known format, in COCO-19.

    fps, image_size (width, height in px), n_frames: of the video; they go before what the file says. joint_set: its
    name, where the file does not tell. score_scale: joint scores are divided by it. first_frame: the number in the file
    of the video's first frame, where it is not clear (docs/inputs.md). max_bytes: larger files are refused.

    Raises ConfigError for an argument, DataError for a file that cannot be read, MismatchError (with both joint lists)
    for a joint set that lacks more than joints of the face.

    >>> import json
    >>> from tempfile import TemporaryDirectory
    >>> person = {"keypoints": [500.0, 300.0, 0.9] * 17, "score": 0.9}  # x px, y px, score of each COCO-17 joint
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "keypoints.json"
    ...     _ = path.write_text(json.dumps({"img_000000.jpg": [person], "img_000001.jpg": [person]}))
    ...     found = read_detections(path, fps=30, image_size=(1920, 1080))
    >>> found.keypoints_2d.shape, found.n_frames
    ((2, 19, 2), 2)
    """
    _check_arguments(fps, image_size, n_frames, score_scale)
    path = Path(path)
    image_size = None if image_size is None else (int(image_size[0]), int(image_size[1]))
    with _no_garbage_collection():
        people = _read(path, Hints(joint_set, image_size), max_bytes)
    found = to_detections(people, str(path), fps, image_size, n_frames, first_frame, score_scale)
    log.info("%s: %d detections in %d frames, from %s", path, len(found), found.n_frames, people.joints.name)
    return found


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """JSON of millions of lists has no cycles, and looking for them takes more than half of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _read(path: Path, hints: Hints, max_bytes: int) -> People:
    if path.is_dir():
        return _read_folder(path, hints, max_bytes)
    if path.is_file() and _first_bytes(path).startswith(_ZIP):
        return read_arrays(path, hints, max_bytes)
    content = read_json(path, max_bytes)
    name = _format_of_object(content) if isinstance(content, dict) else _format_of_list(content)
    if name is None:
        raise DataError(f"{path}: the format is not known; known: {FORMATS}")
    log.info("%s: read as %s", path, name)
    return _READERS[name](content, path, hints)


def _first_bytes(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(64)
    except OSError:
        return b""


_READERS: dict[str, Callable[[Any, Path, Hints], People]] = {
    "one frame of OpenPose": openpose.read_frame,
    "AlphaPose by image": openpose.read_alphapose,
    "MMPose": mmpose.read_video,
    "one image of MMPose": mmpose.read_image,
    "COCO annotations": coco.read_annotations,
    "COCO or AlphaPose results": coco.read_results,
    "keypoints.json": coco.read_keyed,
    "MediaPipe landmarks": mediapipe_json.read_frames,
}


def _format_of_object(content: dict[str, Any]) -> str | None:
    first = next(iter(content.values()), None)
    for name, found in {
        "one frame of OpenPose": openpose.is_frame(content),
        "MMPose": "instance_info" in content,
        "COCO annotations": "annotations" in content,
        "MediaPipe landmarks": "frames" in content,
        "AlphaPose by image": openpose.is_frame(first),
        "keypoints.json": isinstance(first, list),
    }.items():
        if found:
            return name
    return None


def _format_of_list(content: Any) -> str | None:
    """By the first frame or person that says something; an empty list is one of results, which list people only."""
    if not isinstance(content, list):
        return None
    first = next((entry for entry in content if entry), None)
    if not content or (isinstance(first, dict) and "image_id" in first):
        return "COCO or AlphaPose results"
    if mmpose.is_instances(content):
        return "one image of MMPose"
    if mmpose.is_instances(first) or (isinstance(first, dict) and "instances" in first):
        return "MMPose"
    if first is None or any(mediapipe_json.is_frame(entry) for entry in content):
        return "MediaPipe landmarks"
    return None


def _read_folder(path: Path, hints: Hints, max_bytes: int) -> People:
    """A folder with one JSON file for each frame, of OpenPose, AlphaPose ("open", "cmu") or MMPose."""
    files = sorted((file for file in path.glob("*.json") if file.is_file()), key=lambda file: natural(file.name))
    if not files:
        raise DataError(f"{path}: no .json files in this folder; known: {FORMATS}")
    check_size(path, sum(file.stat().st_size for file in files), max_bytes)
    frames = {file.stem: read_json(file, max_bytes) for file in files}
    if any(mmpose.is_instances(frame) for frame in frames.values()):
        return mmpose.read_images(frames, path, hints)
    if not any(openpose.is_frame(frame) for frame in frames.values()):
        raise DataError(f"{path}: the .json files are not one frame each of OpenPose or MMPose; known: {FORMATS}")
    return openpose.read_frames(frames, path, hints)


def _check_arguments(
    fps: float | None, image_size: tuple[int, int] | None, n_frames: int | None, score_scale: float
) -> None:
    if fps is not None and not (0 < fps < math.inf):
        raise ConfigError(f"fps={fps}: must be a number above 0, the frames per second of the video")
    if image_size is not None and (len(image_size) != 2 or not all(side > 0 for side in image_size)):
        raise ConfigError(f"image_size={list(image_size)}: must be [width, height] in px, both above 0")
    if n_frames is not None and n_frames < 1:
        raise ConfigError(f"n_frames={n_frames}: must be at least 1; leave it out to take it from the file")
    if not (0 < score_scale < math.inf):
        raise ConfigError(f"score_scale={score_scale}: must be above 0; 1 leaves the scores as they are")
