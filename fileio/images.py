"""Pictures to and from JPEG."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

from fileio.atomic import cannot_write
from pose.errors import DataError

#: Of frames and masks taken out of videos. Composed pictures have their own (docs/method.md §3).
JPEG_QUALITY = 95


def write_jpeg(path: Path, image: np.ndarray, quality: int = JPEG_QUALITY) -> None:
    """An image (H, W, 3) uint8 RGB as `path`, complete or not at all."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    write_picture(path, file.getvalue())


def write_picture(path: Path, content: bytes) -> None:
    """One of many small files, complete or not at all; without the wait for the disk that single files are worth."""
    partial = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as error:
        raise cannot_write(path, error) from error


def check_jpeg(content: bytes, label: str, size: tuple[int, int]) -> None:
    """DataError unless `content` is a JPEG of that width and height with an end; pixels are not decoded."""
    try:
        found = Image.open(io.BytesIO(content), formats=["JPEG"]).size
    except Exception as error:  # Pillow raises nearly every type on damaged input
        raise DataError(f"{label}: not a JPEG picture or damaged ({type(error).__name__}); fetch it again") from error
    if found != size:
        raise DataError(f"{label}: {size[0]}x{size[1]} px are expected, found {found[0]}x{found[1]}; fetch it again")
    if b"\xff\xd9" not in content[-4096:]:
        raise DataError(f"{label}: the picture is cut off; fetch it again")


def decode_jpeg(content: bytes, label: str) -> np.ndarray:
    """A picture as (H, W, 3) uint8 RGB; DataError if it cannot be decoded."""
    try:
        return np.asarray(Image.open(io.BytesIO(content), formats=["JPEG"]).convert("RGB"))
    except Exception as error:
        raise DataError(f"{label}: not a JPEG picture or damaged ({type(error).__name__}); fetch it again") from error
