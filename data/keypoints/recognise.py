"""Which format a file of 2D keypoints is in, by its content, and the one function that reads them all."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data.keypoints.coco19 import RawDetections, to_detections
from data.keypoints.detections import VideoDetections
from data.keypoints.formats import arrays, coco, loose_json, openpose, tables, yolo
from data.keypoints.parsing import Hints, check_one_video, check_size, described, read_json
from fileio.limits import check_stored
from fileio.text_lines import natural_order
from pose.errors import ConfigError, DataError, check_number

log = logging.getLogger(__name__)

#: Larger files are refused: JSON takes several times its size in memory.
MAX_BYTES = 256 * 2**20


#: Each gives the reader of a JSON content, or None; the first that gives one reads it.
FORMATS = (openpose.reader_of, coco.reader_of, arrays.reader_of, loose_json.reader_of)
KNOWN = (
    "JSON of OpenPose, COCO, AlphaPose, MMPose, Sapiens, MediaPipe, Ultralytics, DWPose, OpenPifPaf, easy_ViTPose, "
    "tfjs and kinetics-skeleton; CSV and h5 of DeepLabCut and lightning-pose, CSV of MediaPipe; YOLO's labels; npy and "
    "npz (docs/inputs.md shows them)"
)
_ZIP, _NPY, _HDF5, _GZIP = b"PK\x03\x04", b"\x93NUMPY", b"\x89HDF", b"\x1f\x8b"
_PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
_VIDEOS = {
    ".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".3g2", ".ts", ".mts",
    ".m2ts", ".ogv", ".gif", ".mxf", ".vob", ".asf", ".mjpeg", ".y4m", ".ivf", ".apng", ".h264", ".hevc", ".rm", ".dv",
    *_PICTURES,
}  # fmt: skip
#: How videos begin, wherever their file's name doesn't tell: MP4, Matroska, AVI, Ogg, FLV, MPEG, ASF, GIF.
_VIDEO_STARTS = (
    b"\x1aE\xdf\xa3",
    b"RIFF",
    b"OggS",
    b"FLV",
    b"\x00\x00\x01",
    b"0&\xb2u",
    b"GIF8",
    b"\x89PNG",
    b"\xff\xd8",
)


def is_keypoints_input(path: Path | str) -> bool:
    """Whether `path` is to be read by `read_detections`: whatever is no video, picture or folder of pictures.

    A folder with images counts as images, unless it holds OpenPose's `*_keypoints.json` too.
    """
    path = Path(path)
    if path.is_dir():
        names = [entry.name.lower() for entry in path.iterdir() if not entry.name.startswith(".")]
        pictures = any(name.endswith(_PICTURES) for name in names)
        return any(name.endswith("_keypoints.json") for name in names) if pictures else bool(names)
    start = _first_bytes(path)
    if _is_text(start):
        return True
    is_video = start[4:8] == b"ftyp" or start.startswith(_VIDEO_STARTS)
    return not is_video and path.suffix.lower() not in _VIDEOS


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
    of the video's first frame, where it is not clear (docs/inputs.md). max_bytes: larger files are refused. On the
    command line these are `input_options.joint_set=` and so on.

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
    if fps is not None:
        check_number("fps", fps, above=0, hint="frames per second of the video")
    if n_frames is not None:
        check_number(
            "input_options.n_frames", n_frames, low=1, whole=True, hint="leave it out to take it from the file"
        )
    check_number("input_options.score_scale", score_scale, above=0, hint="1 leaves the scores as they are")
    if first_frame is not None:
        check_number(
            "input_options.first_frame", first_frame, low=0, whole=True, hint="leave it out to take it from the file"
        )
    check_number("input_options.max_bytes", max_bytes, low=1, whole=True)
    if image_size is not None:
        if len(image_size) != 2 or not all(side > 0 for side in image_size):
            raise ConfigError(f"camera.image_size={list(image_size)}: must be [width, height] in px, both above 0")
        image_size = (int(image_size[0]), int(image_size[1]))
    path = Path(path)
    with _no_garbage_collection():
        people = _read(path, Hints(joint_set), max_bytes)
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


def _read(path: Path, hints: Hints, max_bytes: int) -> RawDetections:
    if path.is_dir():
        return _read_folder(path, hints, max_bytes)
    start, ending = _first_bytes(path), path.suffix.lower()
    if start.startswith((_ZIP, _NPY)):
        return (arrays.read_arrays if start.startswith(_ZIP) else arrays.read_npy)(path, hints, max_bytes)
    if start.startswith(_HDF5) or ending in (".csv", ".tsv"):
        check_size(path, path.stat().st_size, max_bytes)
        return (tables.read_h5 if start.startswith(_HDF5) else tables.read_csv)(path, hints)
    if start.startswith(_GZIP):
        raise DataError(f"{path}: compressed; unpack it, gunzip {path.name}")
    if path.is_file() and not _is_json(path, start):
        raise DataError(f"{path}: neither a video nor keypoints; it begins with {start[:24]!r}; known: {KNOWN}")
    content = read_json(path, max_bytes)
    readers = (reader_of(content) for reader_of in FORMATS) if isinstance(content, (dict, list)) else ()
    for read in filter(None, readers):
        log.info("%s: read by %s.%s", path, read.__module__, read.__name__)
        return read(content, path, hints)
    raise DataError(f"{path}: the format is not known, {described(content)} was found; known: {KNOWN}")


def _frame(content: Any) -> Any:
    """A file's only frame, which ComfyUI puts into a list."""
    return content[0] if isinstance(content, list) and len(content) == 1 and openpose.is_frame(content[0]) else content


def _first_bytes(path: Path) -> bytes:
    check_stored(path)
    try:
        with open(path, "rb") as file:
            return file.read(64)
    except OSError:
        return b""


def _is_text(start: bytes) -> bool:
    pictures = start.startswith(b"YUV4MPEG2")  # a video whose head is text
    return (
        bool(start) and not pictures and b"\x00" not in start and all(byte >= 32 or byte in b"\t\n\r" for byte in start)
    )


def _is_json(path: Path, start: bytes) -> bool:
    return path.suffix.lower() in (".json", ".jsonl") or start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")


def _read_folder(path: Path, hints: Hints, max_bytes: int) -> RawDetections:
    """A folder with one JSON file for each frame, with YOLO's labels (or a folder of them), or Ultralytics' CSV."""
    files = [file for file in path.glob("*.json") if file.is_file() and not file.name.startswith(".")]
    files = sorted(files, key=lambda file: natural_order(file.name))
    if not files and any(path.glob("*.csv")):
        return tables.read_csv_folder(path, hints)
    if not files and (any(path.glob("*.txt")) or (path / "labels").is_dir()):
        return yolo.read_labels(path if any(path.glob("*.txt")) else path / "labels", hints)
    if not files:
        found = ", ".join(sorted(file.name for file in path.iterdir())[:6]) or "nothing"
        raise DataError(f"{path}: no .json files in this folder, found {found}; known: {KNOWN}")
    check_one_video([file.stem for file in files], path)
    check_size(path, sum(file.stat().st_size for file in files), max_bytes)
    frames = {file.stem: _frame(read_json(file, max_bytes)) for file in files}
    if any(openpose.is_frame(frame) for frame in frames.values()) or not any(frames.values()):
        return openpose.read_frames(frames, path, hints)
    if loose_json.reader_of(frames):
        return loose_json.read(frames, path, hints)
    first = next(iter(frames.values()))
    if isinstance(first, (dict, list)) and any(reader_of(first) for reader_of in FORMATS):
        raise DataError(
            f"{path}: each of its {len(files)} files is a whole video's; give one of them, such as {files[0]}"
        )
    raise DataError(
        f"{path}: the .json files are not one frame each of a known format, the first is {described(first)}; "
        f"known: {KNOWN}"
    )
