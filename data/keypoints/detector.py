"""What a 2D detector is, how one is found by name, and how it runs over a video.

A detector takes one image and gives the people in it. Anything that does this can be plugged in: an installed package
names its class in the entry point group `temporal_smoothing.detectors`.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Protocol

import numpy as np

from data.keypoints.coco19 import People, to_detections
from data.keypoints.detections import VideoDetections
from pose.errors import ConfigError, DataError
from pose.joint_sets import COCO_17

log = logging.getLogger(__name__)

GROUP = "temporal_smoothing.detectors"

#: Name -> class, imported only when asked for: their libraries are optional.
_BUILT_IN = {
    "rtmpose": "inference.detectors.rtmpose:RTMPoseDetector",
    "mediapipe": "inference.detectors.mediapipe_pose:MediaPipeDetector",
}


class Detector(Protocol):
    """Finds people in images of one video, given in order (a detector may follow them from frame to frame).

    image (H, W, 3) uint8, RGB -> (N, 17, 3) float: x px, y px, score 0..1 of the COCO-17 joints of each person. N may
    be 0; a joint that was not found has score 0.
    """

    name: str

    def __call__(self, image: np.ndarray) -> np.ndarray: ...


def load_detector(name: str, **options: Any) -> Detector:
    """The detector called `name` (rtmpose, mediapipe or an entry point of `temporal_smoothing.detectors`).

    options: keyword arguments of its class. Raises ConfigError for an unknown name or option, and, with the line that
    installs it, for a library that is missing.
    """
    make = _class(name)
    try:
        inspect.signature(make).bind(**options)
    except TypeError as error:
        allowed = ", ".join(inspect.signature(make).parameters) or "none"
        raise ConfigError(f"detector.name={name}: {error}; its options: {allowed}") from None
    return make(**options)


def _class(name: str) -> Callable[..., Detector]:
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        return getattr(import_module(module), attribute)
    plugins = {point.name: point for point in entry_points(group=GROUP)}
    if name in plugins:
        try:
            return plugins[name].load()
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"detector.name={name}: {plugins[name].value} cannot be loaded ({error})") from error
    known = ", ".join([*_BUILT_IN, *plugins])
    raise ConfigError(
        f"detector.name={name}: unknown; known: {known}; others register in the entry point group {GROUP}"
    )


def detect_video(
    frames: Iterable[np.ndarray],
    detector: Detector,
    fps: float | None = None,
    source: str = "video",
    log_every: int = 200,
) -> VideoDetections:
    """Detections of every frame (H, W, 3) uint8 RGB; frames are taken one by one and not kept.

    Raises DataError for a video without frames or of changing size, and for a detector that gives something else than
    (N, 17, 3) finite numbers.
    """
    found: list[np.ndarray] = []
    shape: tuple[int, ...] | None = None
    for index, image in enumerate(frames):
        shape = image.shape if shape is None else shape
        if image.shape != shape:
            raise DataError(f"{source}: frame {index}: shape {shape} as before is expected, found {image.shape}")
        found.append(_checked(detector(image), f"{source}: frame {index}: detector {detector.name}"))
        if (index + 1) % log_every == 0:
            log.info("%s: %d frames, %d people found", source, index + 1, sum(map(len, found)))
    if shape is None:
        raise DataError(f"{source}: no frames; check that the video plays")
    people = np.concatenate(found)
    detections = People(
        number=np.repeat(np.arange(len(found)), [len(rows) for rows in found]),
        keypoints=people[..., :2],
        confidence=people[..., 2],
        box_score=np.full(len(people), np.nan),
        joints=COCO_17,
        image_size=(shape[1], shape[0]),
    )
    return to_detections(detections, source, fps, n_frames=len(found))


def _checked(people: Any, where: str) -> np.ndarray:
    people = np.asarray(people)
    if people.shape[1:] != (len(COCO_17), 3) or people.dtype.kind not in "iuf":
        raise DataError(f"{where}: (N, {len(COCO_17)}, 3) numbers are expected, found {people.dtype} {people.shape}")
    if not np.isfinite(people).all():
        raise DataError(f"{where}: finite numbers are expected, found NaN or infinity")
    return people.astype(np.float32)
