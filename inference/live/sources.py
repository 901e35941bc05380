"""Where a stream's frames come from: JSON lines of keypoints, a video file at its real rate, a camera.

A source says its rate and the image's size, gives frames with the moment they were there, and what a frame holds as
detections. `Newest` lets another thread bring them and hands out the newest only: who is slow loses frames, not time.
"""

from __future__ import annotations

import itertools
import os
import re
import stat
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from data.keypoints.coco19 import MAX_FRAMES, RawDetections, to_detections
from data.keypoints.detections import VideoDetections
from data.keypoints.detector import Detector, detect_people
from data.keypoints.stream import SAMPLE, KeypointLine, read_lines
from pose.errors import ConfigError, DataError
from pose.joint_sets import COCO_17

STDIN = "-"
_STREAM = re.compile(r"rtsps?://", re.IGNORECASE)
INSTALL = "pip install --no-deps opencv-python-headless"


class StreamFrame(NamedTuple):
    """number: in the stream, dropped ones counted. arrived: when it was there, of time.monotonic(). content: an image
    (H, W, 3) uint8 RGB or a line."""

    number: int
    arrived: float
    content: Any


class Source(ABC):
    """name: for messages. fps: None where it does not say it. image_size: (width, height). is_video: a file that
    pictures can be drawn over."""

    name: str
    fps: float | None
    image_size: tuple[int, int] | None
    is_video = False

    @abstractmethod
    def frames(self, fps: float, paced: bool) -> Iterator[StreamFrame]:
        """The frames, counted at `fps`. paced: none before its time, for files, which could give them faster."""

    @abstractmethod
    def detections(self, content: Any) -> VideoDetections:
        """The people of a frame, as frame 0."""


def open_source(
    given: str,
    detector: Detector | None,
    fps: float | None,
    image_size: tuple[int, int] | None,
    options: Mapping[str, Any],
) -> Source:
    """`input=`: - for JSON lines on standard input, the number of a camera, rtsp://..., or a video file.

    Raises ConfigError and DataError for what cannot be opened, and for a video without a detector.
    """
    if given == STDIN:
        if detector is not None:
            raise ConfigError("detector: only for pictures, not for input=-, which is keypoints; leave it out")
        if unfit := options.keys() - {"joint_set", "score_scale"}:
            raise ConfigError(f"input_options.{min(unfit)}: only for files of keypoints, not for input=-; leave it out")
        return KeypointSource(0, image_size, **options)
    if detector is None:
        raise ConfigError(
            f"input={given}: needs a detector; give detector=rtmpose or detector=mediapipe, or input=- for keypoints "
            f"as JSON lines, {SAMPLE}"
        )
    if options:
        raise ConfigError(f"input_options.{next(iter(options))}: only for input=-, keypoints; leave it out")
    if given.isdigit() or _STREAM.match(given):
        return CameraSource(given, detector)
    if not Path(given).is_file():
        raise DataError(f"input={given}: no such file; a camera is a number, such as 0, or rtsp://...")
    return VideoSource(Path(given), detector, fps)


class KeypointSource(Source):
    """JSON lines of a file descriptor, a frame each (data/keypoints/stream.py): a file's at its rate, others as they
    come."""

    def __init__(
        self,
        descriptor: int,
        image_size: tuple[int, int] | None,
        joint_set: str | None = None,
        score_scale: float = 1.0,
    ):
        self.name, self._joint_set, self._score_scale = "stdin", joint_set, score_scale
        self._is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        self._lines = self._read(descriptor)
        self._first = next(self._lines, None)
        if self._first is None:
            raise DataError(f"input=-: standard input is empty; each line is one frame, such as {SAMPLE}")
        self.fps, self.image_size = self._first.fps, image_size or self._first.image_size

    def _read(self, descriptor: int) -> Iterator[KeypointLine]:
        number = 0
        for count, line in enumerate(read_lines(descriptor, "input=-"), 1):
            found = KeypointLine(line, f"input=-, line {count}", number)
            number = found.number + 1
            yield found

    def frames(self, fps: float, paced: bool) -> Iterator[StreamFrame]:
        assert self._first is not None
        zero, start, paced = self._first.number, time.monotonic(), paced and self._is_file
        for line in itertools.chain([self._first], self._lines):
            if (number := line.number - zero) >= MAX_FRAMES:
                raise DataError(f"{line.source}: frame: at most {MAX_FRAMES} frames are recorded, found {line.number}")
            yield StreamFrame(number, _when(start, number / fps, paced), line)

    def detections(self, content: KeypointLine) -> VideoDetections:
        people = content.detections(self._joint_set, self._score_scale)
        return _one_frame(people, content.source, self.image_size, self._score_scale)


class _Images(Source):
    def __init__(self, name: str, detector: Detector):
        self.name, self._detector = name, detector

    def detections(self, content: np.ndarray) -> VideoDetections:
        people = detect_people(self._detector, content, self.name)
        found = RawDetections(
            np.zeros(len(people), np.int64), people[..., :2], people[..., 2], np.full(len(people), np.nan), COCO_17
        )
        return _one_frame(found, self.name, (content.shape[1], content.shape[0]))


class VideoSource(_Images):
    """A video file as if it were a camera."""

    is_video = True

    def __init__(self, path: Path, detector: Detector, fps: float | None):
        from fileio.video import probe

        super().__init__(path.name, detector)
        info = probe(path, fps)
        self._path, self._fps = path, fps
        self.fps, self.image_size = info.fps, (info.width, info.height)

    def frames(self, fps: float, paced: bool) -> Iterator[StreamFrame]:
        from fileio.video import read_video

        start = time.monotonic()
        for frame in read_video(self._path, self._fps):
            yield StreamFrame(frame.index, _when(start, frame.index / fps, paced), frame.image)


class CameraSource(_Images):
    """A camera by its number, or an address rtsp://..., through OpenCV."""

    def __init__(self, address: str, detector: Detector):
        try:
            import cv2
        except ImportError as error:
            raise ConfigError(f"input={address}: needs OpenCV ({error}); install it: {INSTALL}") from error
        super().__init__(f"camera {address}" if address.isdigit() else "camera", detector)
        self._capture = cv2.VideoCapture(int(address) if address.isdigit() else address)
        read, image = self._capture.read()
        if not read:
            raise DataError(f"input={address}: no picture comes from this camera; is another program using it?")
        self.image_size = (image.shape[1], image.shape[0])
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = float(rate) if 1 <= rate <= 1000 else None

    def frames(self, fps: float, paced: bool) -> Iterator[StreamFrame]:
        start, number = time.monotonic(), -1
        while True:
            read, image = self._capture.read()
            arrived = time.monotonic()
            if not read:
                return
            number = max(number + 1, round((arrived - start) * fps))
            yield StreamFrame(number, arrived, np.ascontiguousarray(image[..., ::-1]))


class Newest:
    """Iterates over frames that a thread of its own brings: the newest each time; older ones are dropped and counted.

    drop: false to take every frame, while the source waits. An error of the source is raised after its last frame.
    """

    def __init__(self, frames: Iterable[StreamFrame], drop: bool = True):
        self.brought, self.dropped, self.stopped = 0, 0, False
        self._frames, self._drop = frames, drop
        self._held: StreamFrame | None = None
        self._ended, self._error = False, None
        self._change = threading.Condition()

    def stop(self) -> None:
        """No further frame is handed out. To be called from anywhere, also from a signal's handler."""
        self.stopped = True

    def __iter__(self) -> Iterator[StreamFrame]:
        threading.Thread(target=self._bring, daemon=True).start()
        while not self.stopped:
            with self._change:
                self._change.wait_for(lambda: self._held is not None or self._ended, timeout=0.1)
                frame, self._held, ended = self._held, None, self._ended
                self._change.notify_all()
            if frame is not None:
                yield frame
            elif ended:
                break
        if self._error is not None:
            raise self._error

    def _bring(self) -> None:
        try:
            for frame in self._frames:
                with self._change:
                    self.brought += 1
                    if not self._drop:
                        self._change.wait_for(lambda: self._held is None or self.stopped)
                    self.dropped += self._held is not None
                    self._held = frame
                    self._change.notify_all()
                if self.stopped:
                    return
        except BaseException as error:
            self._error = error
        finally:
            with self._change:
                self._ended = True
                self._change.notify_all()


def _when(start: float, seconds: float, paced: bool) -> float:
    """The moment, of time.monotonic(), at which a frame is due; waits until then if paced."""
    now = time.monotonic()
    if paced and start + seconds > now:
        time.sleep(start + seconds - now)
        return start + seconds
    return now


def _one_frame(
    found: RawDetections, source: str, size: tuple[int, int] | None, score_scale: float = 1.0
) -> VideoDetections:
    return to_detections(found, source, image_size=size, n_frames=2, first_frame=0, score_scale=score_scale)
