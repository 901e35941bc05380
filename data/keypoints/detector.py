"""The one protocol of 2D detectors, for `predict` (videos) and `data.prepare` (pictures of the data sets).

A detector takes one image and gives the people in it. The programs that do this are in `inference.detectors`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import numpy as np

from data.keypoints.coco19 import RawDetections, to_detections
from data.keypoints.detections import VideoDetections
from pose.errors import DataError
from pose.joint_sets import COCO_17
from pose.progress import Progress


class Detector(Protocol):
    """Finds people in the images of one video, given in order: a detector may follow them from frame to frame.

    For another video, another object or a `copy.copy`; `data.prepare` also pickles detectors for its processes.
    """

    @property
    def name(self) -> str:
        """Goes into messages and into what `data.prepare` records: another name means detecting again."""
        ...

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 RGB -> (N, 17, 3): x px, y px, score 0..1 of the COCO-17 joints of N >= 0 people.

        A joint that was not found has score 0.
        """
        ...


def detect_people(detector: Detector, image: np.ndarray, where: str) -> np.ndarray:
    """What `detector` finds in one image (H, W, 3), checked: (N, 17, 3) float32.

    Raises DataError, beginning with `where`, for anything else than finite numbers of this shape.
    """
    people = np.asarray(detector(image))
    where = f"{where}: detector {detector.name}"
    if people.dtype.kind not in "iuf" or (people.size > 0 and people.shape[1:] != (len(COCO_17), 3)):
        raise DataError(f"{where}: (N, {len(COCO_17)}, 3) numbers are expected, found {people.dtype} {people.shape}")
    if not np.isfinite(people).all():
        raise DataError(f"{where}: finite numbers are expected, found NaN or infinity; use another detector")
    return people.astype(np.float32).reshape(-1, len(COCO_17), 3)


def detect_video(
    frames: Iterable[np.ndarray],
    detector: Detector,
    fps: float | None = None,
    source: str = "video",
    total: int = 0,
) -> VideoDetections:
    """Detections of every frame (H, W, 3) uint8 RGB; frames are taken one by one and not kept.

    total: how many will come, for the log to say how long it takes; 0 where that is not known.

    Raises DataError for a video without frames or of changing size, and for a detector that gives something else than
    (N, 17, 3) finite numbers.
    """
    found: list[np.ndarray] = []
    progress = Progress(source, total)
    shape: tuple[int, ...] | None = None
    for index, image in enumerate(frames):
        shape = image.shape if shape is None else shape
        if image.shape != shape:
            raise DataError(f"{source}: frame {index}: shape {shape} as before is expected, found {image.shape}")
        found.append(detect_people(detector, image, f"{source}: frame {index}"))
        progress.add()
    if shape is None:
        raise DataError(f"{source}: no frames; check that the video plays")
    people = np.concatenate(found)
    detections = RawDetections(
        number=np.repeat(np.arange(len(found)), [len(rows) for rows in found]),
        keypoints=people[..., :2],
        confidence=people[..., 2],
        box_score=np.full(len(people), np.nan),
        joints=COCO_17,
        image_size=(shape[1], shape[0]),
    )
    return to_detections(detections, source, fps, n_frames=len(found))
