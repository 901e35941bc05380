"""Composed frames of MuCo-Temp: single-person frames of MPI-INF-3DHP pasted onto each other, back to front.

The rules are those of docs/method.md §3 ("Frame image"). Images come one at a time, so memory holds a few of them
whatever the length of a video.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from data.prepare.muco_clips import Clip
from fileio.limits import reading
from pose.errors import DataError
from pose.joint_sets import MUPOTS_17

FRAMES, PERSON_MASKS, CHAIR_MASKS = "imageSequence", "FGmasks", "ChairMasks"

#: Mask values that JPEG leaves around the mask's own content, of 255.
_JPEG_NOISE = 16
_HIP = MUPOTS_17.index("hip")


def source_path(mpi_root: Path, kind: str, clip: Clip, camera: int, raw_frame: int) -> Path:
    """A frame of a clip (`FRAMES`) or its mask (`PERSON_MASKS`, `CHAIR_MASKS`); raw_frame is 0-based."""
    folder = mpi_root / "frames" / f"S{clip.subject}" / f"Seq{clip.sequence}" / kind
    return folder / f"img_{camera}_{raw_frame + 1:06d}.jpg"


def back_to_front(annot3: np.ndarray) -> np.ndarray:
    """People's indices from the farthest to the nearest by the depth of the hip: (..., P, 17, 3) -> (..., P)."""
    return np.argsort(-annot3[..., _HIP, 2], axis=-1, kind="stable")


def source_files(
    mpi_root: Path, clips: Sequence[Clip], camera: int, orders: np.ndarray, start: int
) -> Iterator[list[Path]]:
    """The images that frames start, start + 1, ... need, one list per row of `orders` (F, P), as `compose` takes them.

    The farthest person's frame; of each other, in order, frame, chair mask and person mask.
    """
    raw_frames = [clip.raw_frames(start, start + len(orders)) for clip in clips]
    for row, order in enumerate(orders):
        farthest, *others = order.tolist()
        yield [source_path(mpi_root, FRAMES, clips[farthest], camera, raw_frames[farthest][row])] + [
            source_path(mpi_root, kind, clips[person], camera, raw_frames[person][row])
            for person in others
            for kind in (FRAMES, CHAIR_MASKS, PERSON_MASKS)
        ]


def check_sources(files: Sequence[list[Path]]) -> None:
    """Raise DataError naming the first image that is missing, and how many are, before hours are spent."""
    missing = sorted({path for frame in files for path in frame if not path.is_file()})
    if missing:
        raise DataError(
            f"{missing[0]}: missing, with {len(missing) - 1} more of the {len({p for f in files for p in f})} images "
            "that these frames are composed of; prepare MPI-INF-3DHP with its images and masks first"
        )


def compose(files: list[Path], size: int, blur_sigma: float) -> np.ndarray:
    """One frame (size, size, 3) uint8 RGB of the images that `source_files` lists."""
    background, *others = files
    canvas = read_rgb(background, size).copy()
    for at in range(0, len(others), 3):
        frame, chair, person = others[at : at + 3]
        pixels = read_rgb(frame, size)
        paste(canvas, pixels, 255 - read_mask(chair, size), blur_sigma)
        paste(canvas, pixels, read_mask(person, size), blur_sigma)
    return canvas


def paste(canvas: np.ndarray, pixels: np.ndarray, mask: np.ndarray, blur_sigma: float) -> None:
    """Paste `pixels` onto `canvas`, both (H, W, 3) uint8, in place, where `mask` (H, W) uint8 is 255, edges blurred."""
    rows, columns = np.flatnonzero((mask >= _JPEG_NOISE).any(1)), np.flatnonzero((mask >= _JPEG_NOISE).any(0))
    if not len(rows):
        return
    reach = int(4 * blur_sigma + 0.5)  # where scipy cuts the Gaussian
    box = tuple(slice(max(int(at[0]) - reach, 0), int(at[-1]) + reach + 1) for at in (rows, columns))
    alpha = mask[box].astype(np.float32) / 255
    if blur_sigma > 0:
        alpha = gaussian_filter(alpha, blur_sigma, mode="nearest")
    below = canvas[box].astype(np.float32)
    canvas[box] = np.rint(below + alpha[..., None] * (pixels[box] - below)).astype(np.uint8)


def read_rgb(path: Path, size: int) -> np.ndarray:
    """A frame as (size, size, 3) uint8; DataError naming the file if it is no image of that size."""
    with _opened(path, size) as image:
        return np.asarray(image.convert("RGB"))


def read_mask(path: Path, size: int, least: int | None = None) -> np.ndarray:
    """The red channel of a mask as (size, size) uint8; smaller, which is faster, but at least `least` wide if given."""
    with _opened(path, size) as image:
        if least is not None:
            image.draft(None, (least, least))
        return np.asarray(image.getchannel(0))


@contextmanager
def _opened(path: Path, size: int) -> Iterator[Image.Image]:
    """An image of `size` x `size` pixels, RGB or grey, not yet decoded: a small file can hold a huge image."""
    with reading(path, "an image", "extract it again"), Image.open(path) as image:
        if image.size != (size, size):
            raise DataError(
                f"{path}: {image.width} x {image.height} pixels, {size} x {size} are expected; extract it again"
            )
        if image.mode not in ("RGB", "L"):
            raise DataError(f"{path}: an RGB or a grey image is expected, found mode {image.mode}; extract it again")
        yield image
