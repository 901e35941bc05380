"""Detections of a video, by image."""

from __future__ import annotations

import json

import pytest
import torch

from data.keypoints.keypoints_json import read_keypoints_json
from pose.errors import DataError


def person(first: float = 0.0, score: float = 0.9) -> dict:
    return {"keypoints": [first + i for i in range(51)], "score": score, "center": [1, 2], "area": 5.0}


def write(tmp_path, content) -> str:
    path = tmp_path / "keypoints.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_images_in_natural_order(tmp_path):
    content = {"img_10.jpg": [person(100)], "img_2.jpg": [person(20), person(21, 0.5)], "img_9.jpg": []}
    found = read_keypoints_json(write(tmp_path, content))
    assert [image.image for image in found] == ["img_2.jpg", "img_9.jpg", "img_10.jpg"]
    assert [tuple(image.keypoints.shape) for image in found] == [(2, 17, 3), (0, 17, 3), (1, 17, 3)]
    assert found[0].keypoints[1, 0].tolist() == [21, 22, 23]
    assert found[0].keypoints[0, 16].tolist() == [68, 69, 70]
    assert torch.equal(found[0].score, torch.tensor([0.9, 0.5]))
    assert found[1].score.shape == (0,)
    assert found[0].keypoints.dtype == found[1].keypoints.dtype == torch.float32


def without(key: str) -> dict:
    return {name: value for name, value in person().items() if name != key}


BAD = [
    ('{"a.jpg": [', r"keypoints\.json: not a JSON file or damaged .*write it again"),
    ("", "not a JSON file"),
    ([person()], "an object with a list of people for each image name is expected"),
    ({}, "an object with a list of people for each image name is expected"),
    ({"a.jpg": person()}, "a.jpg: a list of people is expected, found dict"),
    ({"a.jpg": [[1, 2]]}, "a.jpg, person 0: an object is expected, found list"),
    (
        {"a.jpg": [person(), {**person(), "keypoints": [0.0] * 50}]},
        "a.jpg, person 1: keypoints: a list of 51 numbers is expected, found 50 of them",
    ),
    ({"a.jpg": [without("keypoints")]}, "a.jpg, person 0: keypoints: a list of 51 numbers is expected, found NoneType"),
    ({"a.jpg": [without("score")]}, "a.jpg, person 0: score: a finite number is expected, found None"),
    ({"a.jpg": [{**person(), "keypoints": [0.0] * 50 + ["1"]}]}, "keypoints: a finite number is expected, found '1'"),
    ({"a.jpg": [person(score=float("nan"))]}, "score: a finite number is expected, found nan"),
    ({"a.jpg": [person(float("inf"))]}, "keypoints: a finite number is expected, found inf"),
]


@pytest.mark.parametrize(("content", "message"), BAD)
def test_malformed_content(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_keypoints_json(write(tmp_path, content))


def test_absent_file(tmp_path):
    with pytest.raises(DataError, match="cannot be opened"):
        read_keypoints_json(tmp_path / "keypoints.json")


def test_real_detections(golden):
    ts1 = read_keypoints_json(golden / "detections/ts1_keypoints.json")
    assert [image.image for image in ts1] == [f"img_{n:06d}.jpg" for n in range(1, 202)]
    counts = [len(image.score) for image in ts1]
    assert (counts.count(3), counts.count(4)) == (197, 4)
    people = torch.cat([image.keypoints for image in ts1])
    assert people[..., :2].max() < 2048
    assert people[..., 2].min() >= 0
    for camera in range(1, 5):
        images = read_keypoints_json(golden / f"multiview/cam{camera}_keypoints.json")
        assert [image.image for image in images] == [f"img_{n:06d}.jpg" for n in range(100)]
        assert sum(len(image.score) for image in images) >= 100
