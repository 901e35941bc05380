"""Real people in the layouts that many tools write: each file is read to the same keypoints as its source."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data.keypoints import is_keypoints_input, read_detections
from pose.errors import DataError, MismatchError
from pose.joint_sets import COCO_17
from tests.data.keypoints.formats.writers import (
    MANY,
    N_FRAMES,
    SIZE,
    TRACKED,
    as_csv,
    dump,
    fractions,
    kinetics,
    mmpose_0x,
    rtmw_scores,
    yolo_labels,
)
from tests.data.keypoints.formats.writers_of_one import ONE, movenet_json, movenet_npy, videopose3d

PERSON = {"keypoints": [[1.0, 2.0, 0.5]] * 17}


@pytest.mark.parametrize("form", MANY)
def test_several_people(form: Callable, source, tmp_path: Path):
    people, expected = source
    path = form(people)(tmp_path)
    assert is_keypoints_input(path)
    found = read_detections(path, image_size=SIZE)
    assert (found.n_frames, found.frame.tolist()) == (N_FRAMES, expected.frame.tolist())
    np.testing.assert_allclose(found.keypoints_2d, expected.keypoints_2d, atol=2e-3)
    np.testing.assert_allclose(found.confidence, expected.confidence, atol=0.06 if form is rtmw_scores else 1e-5)
    assert bool(found.notes) == (form is rtmw_scores)
    assert (found.identity is not None) == (form in TRACKED)
    if found.identity is not None:
        assert (np.diff(found.identity.reshape(N_FRAMES, 3), axis=1) == 1).all()


@pytest.mark.parametrize("form", ONE)
def test_one_person(form: Callable, source, tmp_path: Path):
    people, expected = source
    path = form(np.stack([frame[0] for frame in people]))(tmp_path)
    assert is_keypoints_input(path)
    found = read_detections(path, image_size=SIZE)
    assert (found.n_frames, found.frame.tolist()) == (N_FRAMES, list(range(N_FRAMES)))
    np.testing.assert_allclose(found.keypoints_2d, expected.keypoints_2d[::3], atol=2e-3)
    if form is not videopose3d:  # which has no scores
        np.testing.assert_allclose(found.confidence, expected.confidence[::3], atol=1e-5)
    assert bool(found.notes) == (form in (movenet_npy, movenet_json))


# --- what is refused, and how -----------------------------------------------------------------------------------------


def test_the_people_of_one_picture_are_one_frame(source, tmp_path: Path):
    """Ultralytics' `to_json` of a single image."""
    people = [
        {"name": "person", "class": 0, "keypoints": dict(zip("xy", p.T.tolist(), strict=False))} for p in source[0][0]
    ]
    found = read_detections(dump(people)(tmp_path))
    assert (found.n_frames, found.frame.tolist()) == (1, [0, 0, 0])


@pytest.mark.parametrize(("name", "start", "step"), [("frame", 1_699_999_999_123_456, 33_333), ("time (s)", 0.5, 0.04)])
def test_times_count_in_their_usual_step(name: str, start: float, step: float, tmp_path: Path, caplog):
    rows = [[start + step * i, *(100.0 + j for j in range(34))] for i in (0, 1, 2, 5, 6)]
    path = as_csv([[name, *(f"{n}_{a}" for n in COCO_17.names for a in "xy")], *rows])(tmp_path)
    assert read_detections(path).frame.tolist() == [0, 1, 2, 5, 6]
    assert "times, not numbers, of frames; 2 of them are missing" in caplog.text


def test_fractions_ask_for_the_size(source, tmp_path: Path):
    for form in (fractions, kinetics, yolo_labels):
        folder = tmp_path / form.__name__
        folder.mkdir()
        with pytest.raises(DataError, match=r"fractions of the image; give its size in px, camera.image_size=\["):
            read_detections(form(source[0])(folder))


def test_several_videos_in_one_file_are_named(tmp_path: Path):
    positions = {"S1": {"Walking": [np.zeros((4, 17, 2)), np.zeros((4, 17, 2))]}}
    np.savez(tmp_path / "k.npz", positions_2d=positions)
    with pytest.raises(
        DataError, match=r"positions_2d of one video are expected, found 2 \(S1/Walking/0, S1/Walking/1\)"
    ):
        read_detections(tmp_path / "k.npz")


def test_programs_in_pickles_are_not_run(tmp_path: Path):
    class Program:
        def __reduce__(self):
            return print, ("run",)

    np.savez(tmp_path / "k.npz", positions_2d={"S1": Program()})
    with pytest.raises(DataError, match=r"refused to load builtins.print"):
        read_detections(tmp_path / "k.npz")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("k.csv", "a,b,c\n1,2,3\n", "columns such as nose_x, nose_y, .* found a, b, c"),
        ("k.csv", "hello\nworld\n", "a table with a header of joints .* found hello"),
        ("k.csv", "", "a table with a header of joints .* found nothing"),
        ("k.csv", "nose_x,nose_y\n1,2\n3\n", "row 3 has 1 cells, 2 are expected"),
        ("k.csv", "nose_x,nose_y\n1,2\n", "joint set of the file has no left_shoulder"),
        ("notes.txt", "the man walks", "neither a video nor keypoints; it begins with b'the man walks'; known: JSON"),
        ("clip.mp4", "<!DOCTYPE html>", "neither a video nor keypoints; it begins with b'<!DOCTYPE"),
        ("k.pkl", "\x04\x95\x00\x00", "neither a video nor keypoints"),
        ("k.json", '{"poses": {"a": 1}, "version": 2}', "not known, an object with poses, version was found"),
        ("k.json", '[{"name": "x", "value": 3}]', "a list of 1, the first an object with name, value was found"),
        ("k.json", json.dumps([[PERSON], [{"boxes": 3}]]), "frame 1, person 0: x, y and score of each joint .* boxes"),
        ("k.json", json.dumps([[PERSON], [{"keypoints": PERSON["keypoints"][1:]}]]), "a person of 16 joints among"),
    ],
)  # fmt: skip
def test_what_is_no_video_and_no_keypoints(name: str, content: str, message: str, tmp_path: Path):
    path = tmp_path / name
    path.write_text(content)
    assert is_keypoints_input(path)
    with pytest.raises((DataError, MismatchError), match=message) as error:
        read_detections(path)
    assert "\n" not in str(error.value)


def test_folders_of_other_things(tmp_path: Path):
    (tmp_path / "a.xml").write_text("<a/>")
    assert is_keypoints_input(tmp_path)
    with pytest.raises(DataError, match=r"no .json files in this folder, found a.xml; known"):
        read_detections(tmp_path)
    (tmp_path / "notes.txt").write_text("1 2 3")
    with pytest.raises(
        DataError, match=r"class, box and x, y, score of each joint are expected .* found rows of 3 numbers"
    ):
        read_detections(tmp_path)


def test_scores_of_percent_are_refused(source, tmp_path: Path):
    people = [frame * [1, 1, 100] for frame in source[0]]
    with pytest.raises(DataError, match=r"joint scores reach \d+.* give input_options.score_scale="):
        read_detections(mmpose_0x(people)(tmp_path))
    found = read_detections(mmpose_0x(people)(tmp_path), score_scale=100)
    np.testing.assert_allclose(found.confidence, source[1].confidence, atol=1e-5)
