"""Detections of a video, by image."""

from __future__ import annotations

import json

import pytest
import torch

from data.keypoints.keypoints_json import read_keypoints_json
from pose.errors import PoseError


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


def test_people_without_joints_are_left_out(tmp_path):
    content = {"img_1.jpg": [{"keypoints": []}, None, person(7)], "img_2.jpg": [person(20)]}
    found = read_keypoints_json(write(tmp_path, content))
    assert [image.keypoints[:, 0, 0].tolist() for image in found] == [[7], [20]]


BAD = [
    ('{"a.jpg": [', r"keypoints\.json: not a JSON file or damaged .*write it again"),
    ([person()], "an object with a list of people for each image name is expected"),
    ({}, "an object with a list of people for each image name is expected"),
    ({"a.jpg": person()}, "a.jpg: a list of people is expected, found dict"),
    ({"a.jpg": [[1, 2]]}, "a.jpg, person 0: an object with 'keypoints' is expected, found a list"),
    ({"a.jpg": [{**person(), "keypoints": [0.5] * 48}]}, "16 joints found, input_options.joint_set=COCO-17 has 17"),
    ({"a.jpg": [{**person(), "keypoints": [0.5] * 54}]}, "score of 17 joints are expected, found 18"),
    ({"a.jpg": [person(1e39)]}, "x px, y px, score of 17 joints are expected"),
]


@pytest.mark.parametrize(("content", "message"), BAD)
def test_malformed_content(tmp_path, content, message):
    with pytest.raises(PoseError, match=message):
        read_keypoints_json(write(tmp_path, content))


def test_a_person_without_a_score(tmp_path):
    (image,) = read_keypoints_json(write(tmp_path, {"a.jpg": [{"keypoints": person()["keypoints"]}]}))
    assert image.score.isnan().all() and image.keypoints.shape == (1, 17, 3)
