"""Videos and folders of images as one kind of stream, and the writing of mp4 files.

Frames are decoded one at a time, turned as the file's rotation says and given at a constant rate, because everything
after this counts in frames. A video whose frames come at uneven times (phones, screen recordings) is resampled to its
average rate (frame_times.py), and a note says so. Needs PyAV.
"""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from fileio.atomic import atomic_path
from fileio.frame_times import at_even_times, frame_rate, without_pauses
from fileio.limits import reading
from fileio.text_lines import natural_order
from pose.errors import ConfigError, DataError, MismatchError, check_number, check_rate
from pose.progress import Progress

logger = logging.getLogger(__name__)

IMAGE_ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
EXIF_ORIENTATION, EXIF_SIDEWAYS = 274, (5, 6, 7, 8)
MAX_SIDE_PX = 16384
MAX_PIXELS = 2**26  # 8192 x 8192: decoders hold a dozen frames at once
#: Containers of one file. FFmpeg also reads play lists, which would open other files and addresses.
CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,h264,hevc,av1,ivf,m4v,flv,live_flv,asf,ogg,gif,"
    "mxf,nut,dv,mjpeg,yuv4mpegpipe,rm,vob,wtv,apng,image2,obu"
)
AHEAD = 4  # frames that wait for the encoder
MAX_MISSING = 2  # frames: streams cut out of longer ones begin or end with some that refer to what is not there
DAMAGED = "the file is damaged or was cut short; convert or export it again"


class VideoFrame(NamedTuple):
    """index: 0-based. seconds: since the first frame, None without a frame rate. image (H, W, 3) uint8, RGB."""

    index: int
    seconds: float | None
    image: np.ndarray


@dataclass(frozen=True)
class VideoInfo:
    """What `read_video` will give: width, height after rotation, px; fps constant, None for a folder without one.

    n_frames: frames that will come. rotation: degrees counterclockwise by which frames are turned. variable_rate: the
    file's come at uneven times and are resampled to fps. notes: what a user must know, one sentence each. pause_s:
    longer intervals between frames count as one frame.
    """

    source: str
    width: int
    height: int
    fps: float | None
    n_frames: int
    rotation: int = 0
    variable_rate: bool = False
    notes: list[str] = field(default_factory=list)
    pause_s: float = float("inf")


def probe(path: Path | str, fps: float | None = None) -> VideoInfo:
    """What is in a video file or a folder of images; all packets of the file are visited, one frame is decoded.

    fps: replaces the file's own rate, frame for frame; a folder has none of its own. Raises ConfigError for an fps
    that is not positive and DataError, naming the file, for what cannot be read, has no frames or no frame rate.
    """
    if fps is not None:
        check_rate(fps)
    path = Path(path)
    return _probe_folder(path, fps) if path.is_dir() else _probe_file(path, fps)


def read_video(path: Path | str, fps: float | None = None) -> Iterator[VideoFrame]:
    """The frames of a video file or of a folder of images (in natural order: img_2 before img_10), one at a time.

    fps: as for `probe`, which this calls at once. While frames are taken, DataError names the file and the frame that
    cannot be decoded, that has another size than the first, or that is missing at the end.
    """
    path = Path(path)
    info = probe(path, fps)
    images = _folder_images(path, info) if path.is_dir() else _file_images(path, info)
    return (VideoFrame(i, None if info.fps is None else i / info.fps, image) for i, image in enumerate(images))


class VideoWriter:
    """Writes frames as an mp4 file: H.264 where the build of FFmpeg has it, else MPEG-4 part 2; yuv420p.

    Use as a context manager; the file appears under its name when the block ends without an error. The first frame
    sets the size; an odd side is made even by repeating its last row or column. quality: H.264's rate factor, smaller
    is better and larger. total: frames that will come, for the log to say how long it takes. Frames are encoded in a
    thread of their own. Raises ConfigError for an fps that is not positive, MismatchError for frames of different sizes
    and DataError where the file cannot be written or got no frame.
    """

    def __init__(self, path: Path | str, fps: float, quality: int = 23, total: int | None = None):
        check_number("fps", fps, above=0, high=1e4, hint="frames per second")
        # MPEG-4 part 2 counts time in at most 65535 parts of a second; 1001 keeps 30000/1001 exact.
        self.rate = Fraction(fps).limit_denominator(max(1, min(1001, int(65535 // max(fps, 1)))))
        self.path, self.quality, self.n_frames, self.size = Path(path), quality, 0, (0, 0)
        self._stack, self._waiting = ExitStack(), deque()
        self._stream: Any = None
        self._progress = Progress(self.path.name, total or 0)

    def __enter__(self) -> VideoWriter:
        self._av = _import_av()
        with ExitStack() as stack:
            partial = stack.enter_context(atomic_path(self.path))
            options = {"movflags": "+faststart"}
            self._container = stack.enter_context(self._av.open(str(partial), "w", format="mp4", options=options))
            self._encoder = stack.enter_context(ThreadPoolExecutor(1))
            self._stack = stack.pop_all()
        return self

    def write(self, image: np.ndarray | Image.Image) -> None:
        """Append a frame (H, W, 3), uint8, RGB, or (H, W, 4) with a fourth channel that is not looked at."""
        pixels = np.asarray(image)
        if pixels.ndim != 3 or pixels.shape[2] not in (3, 4) or pixels.dtype != np.uint8:
            found = f"{pixels.dtype} {pixels.shape}"
            raise MismatchError(f"{self.path}: a frame (H, W, 3) of uint8 is expected, {found} given")
        height, width = pixels.shape[:2]
        if self._stream is None:
            self.size = (width, height)
            self._stream = self._open_stream(width + width % 2, height + height % 2)
        if (width, height) != self.size:
            sizes = f"{width}x{height}, the first is {'x'.join(map(str, self.size))}"
            raise MismatchError(f"{self.path}: frame {self.n_frames} is {sizes}; one size is needed")
        if len(self._waiting) > AHEAD:  # its frame is free again: new memory costs more than the copy
            frame = self._waiting.popleft().result()
        else:
            wide, high, kind = width + width % 2, height + height % 2, "rgb24" if pixels.shape[2] == 3 else "rgba"
            frame = self._av.VideoFrame(wide, high, kind)
        (plane,) = frame.planes
        rows = np.frombuffer(plane, np.uint8).reshape(frame.height, plane.line_size)[:, : frame.width * pixels.shape[2]]
        rows = rows.reshape(frame.height, frame.width, pixels.shape[2])
        rows[:height, :width], rows[height:, :width] = pixels, pixels[-1:]
        rows[:, width:] = rows[:, width - 1 : width]
        frame.pts, frame.time_base = self.n_frames, 1 / self.rate
        self._waiting.append(self._encoder.submit(self._encode, frame))
        self.n_frames += 1
        self._progress.add()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        with self._stack:
            # Raised inside, so that the unfinished file goes.
            if error is not None:
                raise error.with_traceback(trace)
            if self._stream is None:
                raise DataError(f"{self.path}: no frame to write; at least one is needed")
            for encoded in self._waiting:
                encoded.result()
            self._container.mux(self._stream.encode(None))

    def _encode(self, frame: Any) -> Any:
        """The frame, which may be written over."""
        self._container.mux(self._stream.encode(frame))
        return frame

    def _open_stream(self, width: int, height: int) -> Any:
        if "libx264" in self._av.codecs_available:
            codec, options = "libx264", {"crf": str(self.quality), "preset": "ultrafast"}
        else:
            codec, options = "mpeg4", {"qscale": "4"}
        stream = self._container.add_stream(codec, rate=self.rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        return stream


def _import_av() -> ModuleType:
    try:
        import av
    except ImportError as error:
        raise ConfigError("video files need PyAV, which is not installed; pip install av") from error
    return av


# --- files -----------------------------------------------------------------------------------------------------------


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """The container and its first video stream; whatever FFmpeg finds wrong inside the block is a DataError."""
    av = _import_av()
    # Streams are looked into when the file is opened already.
    limits = {"protocol_whitelist": "file", "format_whitelist": CONTAINERS, "max_pixels": str(MAX_PIXELS)}
    # FFmpeg takes "concat:..." for more than a name; "file:" says that it is one.
    with (
        reading(path, "a video that can be decoded", DAMAGED),
        av.open(f"file:{path}", options=limits) as container,
    ):
        if not container.streams.video:
            kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "none"
            raise DataError(f"{path}: has no video stream (streams: {kinds}); give a file with pictures")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        _check_size(path, stream.codec_context.width, stream.codec_context.height)
        yield container, stream


def _check_size(path: Path, width: int, height: int) -> None:
    if max(width, height) > MAX_SIDE_PX or width * height > MAX_PIXELS:
        raise DataError(
            f"{path}: frames of {width}x{height} px, at most {MAX_SIDE_PX} px a side and "
            f"{MAX_PIXELS / 1e6:.0f} million in all are read; scale it down"
        )


def _probe_file(path: Path, fps: float | None) -> VideoInfo:
    with _opened(path) as (container, stream):
        times, n_packets = _packet_times(container, stream)
        promised = stream.frames if "mp4" in container.format.name else 0  # AVI counts empty chunks too
        rates = [float(rate) for rate in (stream.average_rate, stream.guessed_rate) if rate]
        aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    if n_packets < promised:
        raise DataError(f"{path}: {promised} frames are listed, {n_packets} are in the file; {DAMAGED}")
    with _opened(path) as (container, stream):
        first = next(container.decode(stream), None)
        if first is None:
            raise DataError(f"{path}: no frame could be decoded; {DAMAGED}")
        rotation = round(first.rotation / 90) % 4 * 90
        width, height = (first.height, first.width) if rotation in (90, 270) else (first.width, first.height)
    _check_size(path, width, height)
    notes, pause_s = [], np.inf
    rate, variable = fps, False
    if fps is None:
        times, pause_s, said = without_pauses(times)
        notes += [f"{path.name}: {said}"] if said else []
        rate, variable = frame_rate(path, times, rates)
    if variable:
        notes.append(
            f"{path.name}: frames come at uneven times; resampled to the average of {rate:.2f} frames per second."
        )
    if aspect and aspect != 1:
        notes.append(f"{path.name}: pixels are not square ({aspect}); bodies are stretched, scale the video first.")
    return VideoInfo(str(path), width, height, rate, len(times), rotation, variable, notes, pause_s)


def _packet_times(container: Any, stream: Any) -> tuple[np.ndarray, int]:
    """Seconds (N,) at which frames are shown, ascending, NaN where the file says nothing; and the packets of all."""
    packets = [(p.pts, p.dts, p.is_discard) for p in container.demux(stream) if p.size]
    shown = [pts for pts, _, discard in packets if not discard]
    if None in shown:  # AVI: decoding order only, and frames at even times
        shown = [dts for _, dts, discard in packets if not discard]
    if None in shown:
        return np.full(len(shown), np.nan), len(packets)
    return np.sort(np.array(shown, dtype=float)) * float(stream.time_base or 1), len(packets)


def _file_images(path: Path, info: VideoInfo) -> Iterator[np.ndarray]:
    """As many images as `probe` promised; where a few cannot be decoded the last one is repeated."""
    frames = _decoded(path, info)
    if info.variable_rate and info.fps is not None:
        pictures = at_even_times(frames, info.fps, info.n_frames, info.pause_s)
    else:
        pictures = (image for _, image in frames)
    given, image = 0, None
    for image in itertools.islice(pictures, info.n_frames):
        given += 1
        yield image
    missing = info.n_frames - given
    if image is None or missing > max(MAX_MISSING, info.n_frames // 100):
        raise DataError(f"{path}: ends after {given} of {info.n_frames} frames; {DAMAGED}")
    if missing:
        logger.warning("%s: %d of %d frames cannot be decoded; the last is repeated", path, missing, info.n_frames)
        yield from itertools.repeat(image, missing)


def _decoded(path: Path, info: VideoInfo) -> Iterator[tuple[float | None, np.ndarray]]:
    """(seconds as stored, image) of every frame in the order of showing."""
    with _opened(path) as (container, stream):
        for number, frame in enumerate(container.decode(stream)):
            image = np.rot90(frame.to_ndarray(format="rgb24"), info.rotation // 90)
            if image.shape[:2] != (info.height, info.width):
                found = f"{image.shape[1]}x{image.shape[0]}"
                raise DataError(
                    f"{path}: frame {number} is {found}, the first is {info.width}x{info.height}; one size is expected"
                )
            yield frame.time, np.ascontiguousarray(image)


# --- videos of known size, while data sets are prepared --------------------------------------------------------------


def video_frames(path: Path, label: str, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """The frames of a video, (H, W, 3) uint8 RGB each.

    label: what messages call the video. size: the width and height that it must have.
    Raises DataError for a file that is no video, is cut off inside a frame or has another size.
    """
    av = _import_av()
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise DataError(f"{label}: has no video stream; fetch the file again")
            container.streams.video[0].thread_type = "NONE"  # the steps run side by side already
            for number, frame in enumerate(container.decode(video=0)):
                if frame.is_corrupt:  # FFmpeg fills up a frame that is cut off
                    raise DataError(f"{label}: frame {number} is damaged or cut off; fetch the file again")
                if (frame.width, frame.height) != size:
                    raise DataError(
                        f"{label}: frames of {size[0]}x{size[1]} px are expected, found {frame.width}x{frame.height}; "
                        "fetch the original video"
                    )
                yield frame.to_ndarray(format="rgb24")
    except av.error.FFmpegError as error:
        raise DataError(f"{label}: not a video or damaged ({type(error).__name__}); fetch the file again") from error


def exactly(frames: Iterator[np.ndarray], count: int, label: str, reference: str) -> Iterator[np.ndarray]:
    """The first `count` of `frames`. DataError if there are fewer; more are the recording's tail without annotation."""
    number = -1
    for number, frame in enumerate(frames):
        if number == count:
            return
        yield frame
    if number + 1 < count:
        raise DataError(
            f"{label}: ends after {number + 1} frames, {count} are expected as in {reference}; fetch it again"
        )


# --- folders ---------------------------------------------------------------------------------------------------------


def _image_files(folder: Path) -> list[Path]:
    files = [
        file for file in folder.iterdir() if file.suffix.lower() in IMAGE_ENDINGS and not file.name.startswith(".")
    ]
    if not files:
        raise DataError(f"{folder}: no images in this folder; {' '.join(sorted(IMAGE_ENDINGS))} are read")
    return sorted(files, key=lambda file: natural_order(file.name))


def _probe_folder(folder: Path, fps: float | None) -> VideoInfo:
    files = _image_files(folder)
    sizes = (_image_size(file) for file in files)
    width, height = next(sizes)
    for file, size in zip(files[1:], sizes, strict=True):
        if size != (width, height):
            raise DataError(
                f"{file}: {size[0]}x{size[1]}, but {files[0].name} is {width}x{height}; "
                "the images of a folder must have one size"
            )
    return VideoInfo(str(folder), width, height, fps, len(files))


def _image_size(file: Path) -> tuple[int, int]:
    """(width, height) as shown, from the header alone."""
    with reading(file, "an image"), Image.open(file) as image:
        sideways = image.getexif().get(EXIF_ORIENTATION) in EXIF_SIDEWAYS
        width, height = image.size
    _check_size(file, width, height)
    return (height, width) if sideways else (width, height)


def _folder_images(folder: Path, info: VideoInfo) -> Iterator[np.ndarray]:
    for file in _image_files(folder):
        with reading(file, "an image"), Image.open(file) as image:
            pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        if pixels.shape[:2] != (info.height, info.width):
            raise DataError(f"{file}: changed while it was read; run again")
        yield pixels
