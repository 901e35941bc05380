"""Where frames come from, at which moment, and that the newest is taken."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fileio.video import VideoWriter
from inference.live.sources import CameraSource, KeypointSource, Newest, StreamFrame, VideoSource, open_source
from pose.errors import ConfigError, DataError


class Brightness:
    """One person whose joints lie at (value, 2 value), the value of the image's first pixel."""

    name = "brightness"

    def __call__(self, image: np.ndarray) -> np.ndarray:
        value = float(image[0, 0, 0])
        return np.tile([value, 2 * value, 0.9], (1, 17, 1))


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Half a second that grows lighter, 64 x 48."""
    pytest.importorskip("av")
    with VideoWriter(tmp_path / "clip.mp4", 20.0) as writer:
        for value in range(50, 250, 20):
            writer.write(np.full((48, 64, 3), value, np.uint8))
    return tmp_path / "clip.mp4"


def numbered(count: int, wait: float = 0.0) -> Iterator[StreamFrame]:
    for number in range(count):
        time.sleep(wait)
        yield StreamFrame(number, time.monotonic(), None)


def test_a_slow_taker_gets_the_newest_and_the_rest_is_counted() -> None:
    frames, taken = Newest(numbered(30, 0.01)), []
    for frame in frames:
        taken.append(frame.number)
        assert time.monotonic() - frame.arrived < 0.05, "it has waited in a queue"
        time.sleep(0.05)
    assert taken[0] == 0 and taken[-1] == 29 and taken == sorted(taken)
    assert 0 < len(taken) < 20 and len(taken) + frames.dropped == frames.brought == 30


def test_every_frame_where_the_source_waits() -> None:
    frames = Newest(numbered(30), drop=False)
    assert [frame.number for frame in frames] == list(range(30)) and frames.dropped == 0


def test_stopped_while_nothing_comes() -> None:
    def silent() -> Iterator[StreamFrame]:
        yield StreamFrame(0, time.monotonic(), None)
        threading.Event().wait(60)

    frames = Newest(silent())
    begin = time.monotonic()
    threading.Timer(0.1, frames.stop).start()
    assert [frame.number for frame in frames] == [0] and time.monotonic() - begin < 5


def test_an_error_comes_after_the_frames_before_it() -> None:
    def broken() -> Iterator[StreamFrame]:
        yield from numbered(2)
        raise DataError("the cable")

    taken = []
    with pytest.raises(DataError, match="the cable"):
        for frame in Newest(broken(), drop=False):
            taken.append(frame.number)
    assert taken == [0, 1]


def test_a_video_at_its_rate(video: Path) -> None:
    source = VideoSource(video, Brightness(), None)
    assert (source.fps, source.image_size, source.is_video, source.name) == (20.0, (64, 48), True, "clip.mp4")
    begin = time.monotonic()
    frames = list(source.frames(20.0, paced=True))
    assert 0.44 < time.monotonic() - begin < 3 and [frame.number for frame in frames] == list(range(10))
    apart = np.diff([frame.arrived for frame in frames])
    assert apart.min() > -1e-9 and np.median(apart) == pytest.approx(0.05, abs=0.02)
    found = source.detections(frames[4].content)
    assert found.keypoints_2d.shape == (1, 19, 2) and found.image_size == (64, 48)
    assert np.allclose(found.keypoints_2d[0, 0], [130, 260], atol=8)
    begin = time.monotonic()
    assert len(list(source.frames(20.0, paced=False))) == 10 and time.monotonic() - begin < 0.44


def lines(*contents: object) -> bytes:
    return b"".join(json.dumps(content).encode() + b"\n" for content in contents)


PERSON = {"keypoints": [50.0, 30.0, 0.9] * 17}


def test_lines_of_a_file_come_at_their_rate_and_of_a_pipe_as_they_are(tmp_path: Path) -> None:
    content = lines(
        {"frame": 4, "fps": 50, "image_size": [640, 480], "people": [PERSON]},
        {"people": []},
        {"frame": 14, "people": []},
    )
    (tmp_path / "a.jsonl").write_bytes(content)
    with open(tmp_path / "a.jsonl", "rb") as file:
        source = KeypointSource(file.fileno(), None)
        begin = time.monotonic()
        frames = list(source.frames(50.0, paced=True))
        assert 0.19 < time.monotonic() - begin < 2
    assert [frame.number for frame in frames] == [0, 1, 10], "counted from the first that came"
    assert (source.fps, source.image_size) == (50.0, (640, 480))
    assert source.detections(frames[0].content).keypoints_2d[0, 0].tolist() == [50, 30]
    assert len(source.detections(frames[1].content)) == 0
    out, into = os.pipe()
    os.write(into, content)
    os.close(into)
    begin = time.monotonic()
    assert len(list(KeypointSource(out, (64, 48)).frames(50.0, paced=True))) == 3 and time.monotonic() - begin < 0.19
    os.close(out)


def test_a_line_that_is_wrong_is_named_after_those_before_it() -> None:
    out, into = os.pipe()
    os.write(into, lines({"people": [PERSON]}) + b"\n\nnonsense\n")
    os.close(into)
    source = KeypointSource(out, (64, 48))
    taken = []
    with pytest.raises(DataError, match=r"^input=-, line 2: no JSON"):
        for frame in source.frames(30.0, paced=False):
            taken.append(frame.number)
    assert taken == [0]


def test_a_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a stand-in for OpenCV: three pictures, blue before green before red."""
    pictures = [np.full((48, 64, 3), (9, 8, 7), np.uint8)] * 4
    opened = []

    class Capture:
        def __init__(self, address: int | str) -> None:
            opened.append(address)

        def read(self) -> tuple[bool, np.ndarray | None]:
            time.sleep(0.01)
            return (True, pictures.pop()) if pictures else (False, None)

        def get(self, _: int) -> float:
            return 0.0

    monkeypatch.setitem(__import__("sys").modules, "cv2", SimpleNamespace(VideoCapture=Capture, CAP_PROP_FPS=5))
    source = open_source("0", Brightness(), None, None, {})
    assert isinstance(source, CameraSource) and opened == [0]
    assert (source.name, source.fps, source.image_size, source.is_video) == ("camera 0", None, (64, 48), False)
    frames = list(source.frames(30.0, paced=True))
    assert len(frames) == 3 and frames[0].content[0, 0].tolist() == [7, 8, 9]
    assert [frame.number for frame in frames] == sorted({frame.number for frame in frames})
    with pytest.raises(DataError, match="input=rtsp://there: no picture comes from this camera"):
        open_source("rtsp://there", Brightness(), None, None, {})


def test_what_cannot_be_opened(video: Path) -> None:
    with pytest.raises(ConfigError, match="needs a detector; give detector=rtmpose"):
        open_source(str(video), None, None, None, {})
    with pytest.raises(ConfigError, match="detector: only for pictures, not for input=-"):
        open_source("-", Brightness(), None, None, {})
    with pytest.raises(DataError, match=r"no such file; a camera is a number, such as 0, or rtsp://"):
        open_source("nowhere.mp4", Brightness(), None, None, {})
    with pytest.raises(ConfigError, match=r"input_options\.score_scale: only for input=-"):
        open_source(str(video), Brightness(), None, None, {"score_scale": 2})
    out, into = os.pipe()
    os.close(into)
    with pytest.raises(DataError, match="standard input is empty"):
        KeypointSource(out, None)
    os.close(out)


def test_scores_of_another_scale_and_numbers_beyond_all_frames() -> None:
    out, into = os.pipe()
    os.write(into, lines({"people": [{"keypoints": [50.0, 30.0, 8.0] * 17}]}, {"frame": 10**8, "people": []}))
    os.close(into)
    frames = (source := KeypointSource(out, (64, 48), score_scale=10)).frames(30.0, paced=False)
    assert np.allclose(source.detections(next(frames).content).confidence, 0.8)
    with pytest.raises(DataError, match="input=-, line 2: frame: at most 3600000 frames are recorded, found 100000000"):
        next(frames)
    os.close(out)
    with pytest.raises(ConfigError, match=r"input_options\.n_frames: only for files of keypoints"):
        open_source("-", None, None, None, {"n_frames": 20, "score_scale": 2.0})
