"""Keypoints as JSON lines: what a line may say, and the line that is named where one is wrong."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from data.keypoints.stream import MAX_LINE, KeypointLine, read_lines
from pose.errors import DataError

PERSON = {"keypoints": [500.0, 300.0, 0.9] * 17, "score": 0.8, "track_id": 3}


def line(content: object, number: int = 0) -> KeypointLine:
    return KeypointLine(json.dumps(content).encode(), "input=-, line 4", number)


def test_a_line_is_a_frame() -> None:
    found = line({"frame": 7, "fps": 25, "image_size": [640, 480], "people": [PERSON, PERSON]}, 5)
    assert (found.number, found.fps, found.image_size) == (7, 25.0, (640, 480))
    people = found.detections()
    assert people.keypoints.shape == (2, 17, 2) and people.identity is not None and people.identity.tolist() == [3, 3]
    assert np.allclose(people.confidence, 0.9) and np.allclose(people.box_score, 0.8)
    assert line({"people": []}, 5).number == 5 and len(line({"people": []}).detections().number) == 0
    openpose = line({"people": [{"person_id": [-1], "pose_keypoints_2d": [5.0, 3.0, 0.9] * 25}]}).detections()
    assert openpose.joints.name == "BODY_25"
    rows = line({"people": [{"keypoints": [[5.0, 3.0]] * 17, "keypoint_scores": [0.5] * 17}]}).detections()
    assert (rows.confidence == 0.5).all()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("nonsense", "a frame with a list of people is expected, found 'nonsense'"),
        ({"frame": 6}, "a frame with a list of people is expected, found an object with frame"),
        ({"frame": 4, "people": []}, "frame: a whole number from 5 is expected, found 4; frames come in order"),
        ({"frame": 5.5, "people": []}, "a whole number from 5 is expected, found 5.5"),
        ({"fps": -1, "people": []}, "fps: a number above 0 is expected"),
    ],
)
def test_what_is_no_frame(content: object, said: str) -> None:
    with pytest.raises(DataError, match=r"^input=-, line 4: ") as error:
        line(content, 5)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("people", "said"),
    [
        ([{"name": "Anna"}], "x, y and score of each joint are expected"),
        ([{"keypoints": [5.0, 3.0, 8.0] * 17}], "joint scores from 8 to 8, 0 to 1 is expected; give input_options.sc"),
        ([{"keypoints": [5.0, 3.0, -0.5] * 17}], "joint scores from -0.5 to -0.5"),
    ],
)
def test_who_is_no_person(people: list[object], said: str) -> None:
    with pytest.raises(DataError) as error:
        line({"people": people}).detections()
    assert said in str(error.value)


def test_scores_of_another_scale_as_the_user_says() -> None:
    found = line({"people": [{"keypoints": [5.0, 3.0, 8.0] * 17}]}).detections(score_scale=10)
    assert found.confidence.max() == 8.0  # to_detections divides


def lines_of(content: bytes) -> list[bytes]:
    out, into = os.pipe()
    os.write(into, content)
    os.close(into)
    try:
        return list(read_lines(out, "input=-"))
    finally:
        os.close(out)


def test_lines_as_they_come(caplog: pytest.LogCaptureFixture) -> None:
    assert lines_of(b'{"a": 1}\n\n{"b": 2}') == [b'{"a": 1}', b'{"b": 2}']
    assert lines_of(b'{"a": 1}\n{"b": ') == [b'{"a": 1}']
    assert "the last line was cut off and is left out" in caplog.text


def test_a_line_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = iter([b"x" * MAX_LINE, b"x"])
    monkeypatch.setattr(os, "read", lambda *_: next(blocks))
    with pytest.raises(DataError, match="a line longer than"):
        list(read_lines(0, "input=-"))
