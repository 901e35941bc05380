"""MediaPipe Pose: one person, works offline, 25 to 50 frames a second on one core.

The package mediapipe 0.10.21 carries its model (complexity 1; the others would be downloaded, and later versions carry
none). Its own requirements ask for older libraries than it needs, so it is installed without them.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from pose.errors import ConfigError, check_number
from pose.joint_sets import COCO_17, MEDIAPIPE_33, remap_index

INSTALL = (
    "pip install --no-deps mediapipe==0.10.21 opencv-python-headless && pip install absl-py flatbuffers "
    "(Python 3.12 or older)"
)
#: Lines about itself: information and warnings of its C++ logs (errors begin with E or F), and of a protobuf newer than
#: it asks for.
_NOTE = re.compile(
    r"^[IW]\d{4} |^WARNING: All log messages before absl|^INFO: Created TensorFlow Lite|"
    r"^AttributeError: 'MessageFactory' object has no attribute 'GetPrototype'"
)
_COCO = remap_index(MEDIAPIPE_33, COCO_17)


class MediaPipeDetector:
    """The person that MediaPipe follows through the frames; the score of a joint is its visibility.

    min_detection_confidence, min_tracking_confidence: 0..1, below which it finds no person, or searches the whole image
    again. One object is for one video. Raises ConfigError if mediapipe is not installed or a value is out of range.
    """

    name = "mediapipe"

    def __init__(self, min_detection_confidence: float = 0.5, min_tracking_confidence: float = 0.5) -> None:
        check_number("detector.min_detection_confidence", min_detection_confidence, 0, 1)
        check_number("detector.min_tracking_confidence", min_tracking_confidence, 0, 1)
        with without_its_notes():
            self._pose = _solutions().pose.Pose(
                model_complexity=1,
                min_detection_confidence=min_detection_confidence,
                min_tracking_confidence=min_tracking_confidence,
            )
            self._pose.process(np.zeros((64, 64, 3), dtype=np.uint8))  # its threads start, and write, only then
        self._found = False

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 RGB -> (0 or 1, 17, 3)."""
        with nullcontext() if self._found else without_its_notes():  # it also writes when it first finds a person
            found = self._pose.process(np.ascontiguousarray(image)).pose_landmarks
        if found is None:
            return np.zeros((0, len(COCO_17), 3), dtype=np.float32)
        self._found = True
        fractions = np.array([[point.x, point.y, point.visibility] for point in found.landmark], dtype=np.float32)
        return fractions[None, _COCO] * np.array([image.shape[1], image.shape[0], 1.0], dtype=np.float32)


@contextmanager
def without_its_notes() -> Iterator[None]:
    """Hold back what mediapipe and its libraries write to standard error about themselves; all other lines pass.

    Its C++ part writes to the file descriptor, so that is what is redirected: for the whole process, so only for the
    moments in which it starts. Where there is no such descriptor nothing is held back.
    """
    try:
        sys.stderr.flush()
        own = os.dup(2)
    except (AttributeError, OSError):
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(own, 2)
            os.close(own)
            held.seek(0)
            for line in held.read().decode("utf-8", "replace").splitlines():
                if not _NOTE.search(line):
                    print(line, file=sys.stderr)


def _solutions() -> Any:
    os.environ.setdefault("GLOG_minloglevel", "2")  # its C++ part writes notes on its own graph otherwise
    try:
        from mediapipe import solutions
    except ImportError as error:
        raise ConfigError(f"detector=mediapipe: cannot be imported ({error}); install it: {INSTALL}") from error
    return solutions
