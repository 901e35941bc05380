"""`keypoints.json`: 2D detections of a video, COCO results by image name (docs/method.md §3), without identities."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fileio.json_yaml import load_json
from pose.errors import DataError
from pose.joint_sets import COCO_17

_REMEDY = "write it again with the detector"
_LARGEST = 1e30  # what float32 can hold, and no pixel
_N_FLOATS = 3 * len(COCO_17)


class ImageDetections(NamedTuple):
    """The n people found in one image: keypoints (n, 17, 3) as x px, y px, score in COCO-17 order, and scores (n,)."""

    image: str
    keypoints: Tensor
    score: Tensor


def read_keypoints_json(path: Path | str) -> list[ImageDetections]:
    """Detections of every image, images in natural order of their names ("img_2.jpg" before "img_10.jpg"), float32.

    Raises DataError naming file and image for content that is not in the format.
    """
    content = load_json(path, _REMEDY)
    if not isinstance(content, dict) or not content:
        raise DataError(f"{path}: an object with a list of people for each image name is expected; {_REMEDY}")
    return [_read_image(path, image, content[image]) for image in sorted(content, key=_natural)]


def _natural(name: str) -> list[str | int]:
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def _read_image(path: Path | str, image: str, people: Any) -> ImageDetections:
    if not isinstance(people, list):
        raise DataError(f"{path}: {image}: a list of people is expected, found {type(people).__name__}; {_REMEDY}")
    keypoints, scores = [], []
    for number, person in enumerate(people):
        where = f"{path}: {image}, person {number}"
        if not isinstance(person, dict):
            raise DataError(f"{where}: an object is expected, found {type(person).__name__}; {_REMEDY}")
        keypoints.append(_numbers(person.get("keypoints"), _N_FLOATS, f"{where}: keypoints"))
        scores += _numbers([person.get("score")], 1, f"{where}: score")
    return ImageDetections(
        image,
        torch.tensor(keypoints, dtype=torch.float32).reshape(-1, len(COCO_17), 3),
        torch.tensor(scores, dtype=torch.float32),
    )


def _numbers(values: Any, count: int, where: str) -> list[float]:
    """`values` if it is a list of `count` finite numbers."""
    if not isinstance(values, list) or len(values) != count:
        found = f"{len(values)} of them" if isinstance(values, list) else type(values).__name__
        raise DataError(f"{where}: a list of {count} numbers is expected, found {found}; {_REMEDY}")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < _LARGEST:
            raise DataError(f"{where}: a finite number is expected, found {value!r:.40}; {_REMEDY}")
    return values
