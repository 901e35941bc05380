"""Frames out of videos, and pictures to and from JPEG.

`av` (PyAV) is imported when a video is first opened: nothing else in the project needs it to train or evaluate.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fileio.atomic import cannot_write
from pose.errors import ConfigError, DataError

#: Of frames and masks taken out of videos. Composed pictures have their own (docs/method.md §3).
JPEG_QUALITY = 95


def video_frames(path: Path, label: str, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """The frames of a video, (H, W, 3) uint8 RGB each.

    label: what messages call the video. size: the width and height that it must have.
    Raises DataError for a file that is no video, breaks off inside a frame or has another size.
    """
    try:
        import av
        from av.error import FFmpegError
    except ImportError:
        raise ConfigError("reading videos needs PyAV; pip install av") from None
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise DataError(f"{label}: has no video stream; fetch the file again")
            container.streams.video[0].thread_type = "NONE"  # the steps run side by side already
            for number, frame in enumerate(container.decode(video=0)):
                if frame.is_corrupt:  # FFmpeg fills a frame up that breaks off
                    raise DataError(f"{label}: frame {number} is damaged or breaks off; fetch the file again")
                if (frame.width, frame.height) != size:
                    raise DataError(
                        f"{label}: frames of {size[0]}x{size[1]} px are expected, found {frame.width}x{frame.height}; "
                        "fetch the original video"
                    )
                yield frame.to_ndarray(format="rgb24")
    except FFmpegError as error:
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
            f"{label}: breaks off after {number + 1} frames, {count} are expected as in {reference}; fetch it again"
        )


def write_jpeg(path: Path, image: np.ndarray, quality: int = JPEG_QUALITY) -> None:
    """An image (H, W, 3) uint8 RGB as `path`, complete or not at all."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    write_bytes(path, file.getvalue())


def write_bytes(path: Path, content: bytes) -> None:
    """A small file, complete or not at all; without the wait for the disk that single important files are worth."""
    partial = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as error:
        raise cannot_write(path, error) from error


def check_jpeg(content: bytes, label: str, size: tuple[int, int]) -> None:
    """DataError unless `content` is a JPEG of that width and height with an end; pixels are not decoded."""
    from PIL import Image

    try:
        found = Image.open(io.BytesIO(content), formats=["JPEG"]).size
    except Exception as error:  # Pillow raises nearly every type on damaged input
        raise DataError(f"{label}: not a JPEG picture or damaged ({type(error).__name__}); fetch it again") from error
    if found != size:
        raise DataError(f"{label}: {size[0]}x{size[1]} px are expected, found {found[0]}x{found[1]}; fetch it again")
    if b"\xff\xd9" not in content[-4096:]:
        raise DataError(f"{label}: the picture breaks off; fetch it again")


def decode_jpeg(content: bytes, label: str) -> np.ndarray:
    """A picture as (H, W, 3) uint8 RGB; DataError if it cannot be decoded."""
    from PIL import Image

    try:
        return np.asarray(Image.open(io.BytesIO(content), formats=["JPEG"]).convert("RGB"))
    except Exception as error:
        raise DataError(f"{label}: not a JPEG picture or damaged ({type(error).__name__}); fetch it again") from error
