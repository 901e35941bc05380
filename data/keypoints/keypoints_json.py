"""`keypoints.json` by image, for `data.prepare`: which people a detector found in each picture (docs/method.md §3)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from data.keypoints.coco19 import MAX_COORDINATE
from data.keypoints.formats.coco import read_keyed
from data.keypoints.parsing import REMEDY, Hints, frame_numbers, read_json
from data.keypoints.recognise import MAX_BYTES
from fileio.text_lines import natural_order
from pose.errors import DataError
from pose.joint_sets import COCO_17


class ImageDetections(NamedTuple):
    """The n people found in one image: keypoints (n, 17, 3) as x px, y px, score in COCO-17 order, and scores (n,)."""

    image: str
    keypoints: Tensor
    score: Tensor


def read_keypoints_json(path: Path | str) -> list[ImageDetections]:
    """Detections of every image, images in natural order of their names ("img_2.jpg" before "img_10.jpg"), float32.

    Raises DataError naming file and image for content that is not in the format.
    """
    path = Path(path)
    content = read_json(path, MAX_BYTES)
    if not isinstance(content, dict) or not content:
        raise DataError(f"{path}: an object with a list of people for each image name is expected; {REMEDY}")
    found = read_keyed(content, path, Hints(COCO_17.name))
    n_joints = found.confidence.shape[1] if len(found.confidence) else len(COCO_17)
    keypoints = np.concatenate([found.keypoints, found.confidence[..., None]], axis=-1).reshape(-1, n_joints, 3)
    if n_joints != len(COCO_17) or not (np.abs(keypoints) < MAX_COORDINATE).all():
        raise DataError(f"{path}: x px, y px, score of {len(COCO_17)} joints are expected, found {n_joints}; {REMEDY}")
    number_of, rows = frame_numbers(list(content), path), Counter(found.number.tolist())
    counts = [rows[number_of[image]] for image in content]  # entries without joints are left out
    by_image = dict(zip(content, torch.from_numpy(keypoints).float().split(counts), strict=True))
    scores = dict(zip(content, torch.from_numpy(found.box_score).float().split(counts), strict=True))
    return [ImageDetections(image, by_image[image], scores[image]) for image in sorted(content, key=natural_order)]
