"""Numbering of frames, scales, and files that cannot be read: a result or one line that says what to do."""

from __future__ import annotations

import json
import logging
import zipfile
from pathlib import Path

import numpy as np
import pytest

from data.keypoints import is_keypoints_input, read_detections
from pose.errors import ConfigError, DataError, MismatchError, PoseError


def person(score: float = 0.5) -> list[float]:
    return [value for joint in range(17) for value in (10.0 + joint, 20.0 + joint, score)]


def write(tmp_path: Path, content: object, name: str = "k.json") -> Path:
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def results(*ids: int | str, score: float = 0.5) -> list[dict]:
    return [{"image_id": i, "category_id": 1, "keypoints": person(score), "score": 0.9} for i in ids]


def keyed(*names: str) -> dict[str, list]:
    return {name: [{"keypoints": person(), "score": 0.9}] for name in names}


# --- frames -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "arguments", "frames", "n_frames"),
    [
        (keyed("img_000001.jpg", "img_000002.jpg"), {}, [0, 1], 2),  # every image is listed: the first is frame 0
        (keyed("img_000500.jpg", "img_000502.jpg"), {}, [0, 2], 3),
        (keyed("img_000500.jpg", "img_000502.jpg"), {"n_frames": 600}, [500, 502], 600),  # the whole video's numbers
        (keyed("img_000001.jpg", "img_000003.jpg"), {"first_frame": 0}, [1, 3], 4),
        (keyed("b.jpg", "a.jpg"), {}, [1, 0], 2),
        (keyed("2024-11-05.jpg", "2025-11-05.jpg", "2023-01-05.jpg"), {}, [1, 2, 0], 3),  # the digits are no numbers
        (keyed("1699999999123.jpg", "17.jpg"), {}, [1, 0], 2),
        (keyed("cam1/0007.jpg", "cam1/0008.jpg"), {}, [0, 1], 2),
        (results(3, 5), {}, [3, 5], 6),  # people only: frames before the first may be empty
        (results(1, 6), {"n_frames": 6}, [0, 5], 6),  # numbered from 1: a frame 6 there is not
        (results(1, 6), {"n_frames": 9}, [1, 6], 9),
        (results("img_3.png", "img_5.png"), {}, [3, 5], 6),
        (results(397133, 37777), {}, [1, 0], 2),  # COCO's own images
        ([], {"n_frames": 7}, [], 7),
        ({"a1.jpg": [], "a2.jpg": []}, {}, [], 2),
        ([None, []], {"image_size": (640, 480)}, [], 2),
        ([{"pose_landmarks": []}] * 2, {"image_size": (640, 480)}, [], 2),
    ],
)
def test_frame_numbers(content, arguments, frames, n_frames, tmp_path):
    found = read_detections(write(tmp_path, content), **arguments)
    assert sorted(frames) == found.frame.tolist()
    assert found.n_frames == n_frames


def test_people_go_with_their_frames(tmp_path):
    content = keyed("b.jpg", "a.jpg")
    content["a.jpg"][0]["score"] = 0.1
    assert read_detections(write(tmp_path, content)).box_score.tolist() == pytest.approx([0.1, 0.9])


def test_frames_in_order_of_names_are_said_so(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        read_detections(write(tmp_path, keyed("b.jpg", "a.jpg")))
    assert "k.json: the images' names hold no frame numbers; they count in the order of their names" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_frames": 5}, "frame number 7 is beyond the 5 frames of the video that begin at 0; give the video"),
        ({"first_frame": 4}, "frame 3 comes before input_options.first_frame=4"),
    ],
)
def test_frames_that_do_not_fit(arguments, message, tmp_path):
    with pytest.raises(MismatchError, match=message):
        read_detections(write(tmp_path, results(3, 7)), **arguments)


# --- scores and coordinates -------------------------------------------------------------------------------------------


def instances(score: float) -> list[dict]:
    people = [{"keypoints": [[10.0, 20.0]] * 17, "keypoint_scores": [score] * 17}]
    return [{"frame_id": 0, "instances": people}]


@pytest.mark.parametrize(
    ("content", "arguments", "expected"),
    [
        (results(0, score=1.15), {}, 1.0),
        (results(0, score=1.3), {}, 1.0),
        (results("0.jpg", score=3.0), {}, 1.0),  # AlphaPose's 0..6, divided by the file's high scores
        (results("0.jpg", score=3.0), {"score_scale": 6}, 0.5),
        (instances(1.3), {}, 1.0),  # SimCC
        (instances(7.0), {"score_scale": 10}, 0.7),
        ({"images": [{"id": 3}], "annotations": results(3, score=2)}, {}, 1.0),  # COCO's visibility
    ],
)
def test_scales_of_scores(content, arguments, expected, tmp_path):
    found = read_detections(write(tmp_path, content), **arguments)
    np.testing.assert_allclose(found.confidence, expected, atol=1e-5)


@pytest.mark.parametrize("content", [results(0, score=25.0), instances(100.0), keyed("1.jpg")])
def test_scores_of_another_scale_are_refused(content, tmp_path):
    arguments = {"score_scale": 0.3} if isinstance(content, dict) else {}
    with pytest.raises(
        DataError, match=r"joint scores reach [\d.]+, 0 to 1 is expected; give input_options.score_scale="
    ):
        read_detections(write(tmp_path, content), **arguments)


def test_scores_far_above_1_are_divided_by_the_high_ones_and_that_is_noted(tmp_path):
    content = results(*range(20), score=8.0)
    content[3]["keypoints"][2] = 9.5
    content[4]["keypoints"][2] = 4.0
    found = read_detections(write(tmp_path, content))
    assert found.confidence[4, 0] == pytest.approx(0.5)
    assert found.confidence[3, 0] == 1.0
    assert found.notes == (
        "Scores: they reach 9.5 and were divided by 8, which one in twenty exceeds; input_options.score_scale= sets "
        "another divisor.",
    )


@pytest.mark.parametrize(
    ("factor", "message"), [(1 / 640, "fractions of the image"), (1e5, "a coordinate of 3.6e.06 px")]
)
def test_coordinates_that_are_no_pixels(factor, message, tmp_path):
    content = results(0)
    content[0]["keypoints"] = (np.array(person()).reshape(17, 3) * [factor, factor, 1]).ravel().tolist()
    with pytest.raises(DataError, match=message):
        read_detections(write(tmp_path, content))


# --- arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fps": 0}, "fps=0: must be a number > 0"),
        ({"fps": float("nan")}, "fps=nan"),
        ({"image_size": (0, 10)}, r"camera.image_size=\[0, 10\]: must be"),
        ({"image_size": (5,)}, r"camera.image_size=\[5\]: must be"),
        ({"n_frames": 0}, "input_options.n_frames=0: must be a whole number >= 1"),
        ({"score_scale": 0}, "input_options.score_scale=0: must be a number > 0"),
    ],
)
def test_arguments(arguments, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        read_detections(write(tmp_path, results(0)), **arguments)


def test_unknown_joint_set(tmp_path):
    with pytest.raises(MismatchError, match=r"unknown joint set 'COCO'; known: MuPoTS-17"):
        read_detections(write(tmp_path, results(0)), joint_set="COCO")


# --- files that cannot be read ----------------------------------------------------------------------------------------


def bad_entry(**change) -> list[dict]:
    content = results(0, 1, 2)
    content[1].update(change)
    return content


def mediapipe(count: int = 33, **point) -> dict:
    points = [{"x": 0.5, "y": 0.5, "z": 0, "visibility": 0.9, **point}] * count
    return {"image_size": [640, 480], "frames": [None, points]}


UNREADABLE = {
    "empty file": ("", "k.json: not a JSON file or damaged"),
    "deep": ("[" * 200_000, "k.json: not a JSON file or damaged .RecursionError"),
    "deep and whole": (
        '[{"image_id": 0, "keypoints": ' + "[" * 500 + "]" * 500 + "}]",
        "k.json: the format is not known",
    ),
    "binary": ("\x00\x01\x02", "k.json: not a JSON file or damaged"),
    "number": ("3", "k.json: the format is not known, 3 was found; known: JSON of OpenPose, COCO"),
    "empty object": ({}, "the format is not known"),
    "no people, no frames": ([], "k.json: lists neither people nor frames"),
    "keypoints are missing": (
        [*results(0), {"image_id": 1, "bbox": [1, 2, 3, 4]}],
        "entry 1: an object with 'keypoints' is expected, found one with image_id, bbox",
    ),
    "too few": (bad_entry(keypoints=person()[:50]), "entry 1: keypoints: 51 numbers are expected .* found 50"),
    "a text among numbers": (bad_entry(keypoints=[*person()[:50], "1"]), "entry 1: keypoints: numbers are expected"),
    "infinity": (
        bad_entry(keypoints=[*person()[:50], float("inf")]),
        "entry 1: keypoints: finite numbers are expected",
    ),
    "huge integer": (bad_entry(keypoints=[10**400] * 51), "entry 1: keypoints: numbers are expected"),
    "no triples": ([{"image_id": 0, "keypoints": person()[:50]}], "x, y, score of each joint are expected, found 50"),
    "entry is a number": ([*results(0), 3], "entry 1: an object with 'image_id' is expected, found a int"),
    "image_id is negative": (bad_entry(image_id=-1), "entry 1: image_id: a frame number"),
    "people are an object": ({"a.jpg": [], "b.jpg": {"x": 1}}, "b.jpg: a list of people is expected, found dict"),
    "annotation of no image": ({"images": [], "annotations": results(0)}, "image_id 0 is not among the images"),
    "images are missing": ({"annotations": []}, "images: a list is expected, found NoneType"),
    "openpose person": ({"people": [{"pose": []}]}, "the format is not known, an object with people"),
    "second alphapose frame": ({"1.jpg": {"people": []}, "2.jpg": 3}, "2.jpg: an object with a list 'people'"),
    "mmpose frame twice": (instances(0.5) * 2, "frame 0 is there twice"),
    "mmpose far frame": (
        [*instances(0.5), {"frame_id": 10**9, "instances": []}],
        "frames numbered 0 to 1000000000 in a file of 2",
    ),
    "mmpose person": (
        [*instances(0.5), {"frame_id": 1, "instances": [{"box": 3}]}],
        "frame 1, person 0: x, y and score of each joint are expected, found an object with box",
    ),
    "mmpose 3D": (
        [{"instances": [{"keypoints": [[1.0, 2.0, 3.0]] * 17, "keypoint_scores": [0.5] * 17}]}],
        "the format is not known, a list of 1, the first an object with instances",
    ),
    "mediapipe count": (mediapipe(21), "no joint set of 21 joints is known"),
    "mediapipe text": (mediapipe(x="a"), "the format is not known, an object with image_size, frames"),
    "mediapipe size": ({**mediapipe(), "image_size": [640]}, "fractions of the image; give its size in px"),
    "mediapipe fps": ({**mediapipe(), "fps": 0}, "fps: a number above 0 is expected, found 0"),
    "mediapipe frame": ({**mediapipe(), "frames": [3]}, "the format is not known"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_unreadable_json(name, tmp_path):
    content, message = UNREADABLE[name]
    with pytest.raises((DataError, MismatchError), match=message) as error:
        read_detections(write(tmp_path, content))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600


def test_files_and_folders_that_are_not_there_or_too_large(tmp_path):
    with pytest.raises(DataError, match=r"none.json: cannot be opened"):
        read_detections(tmp_path / "none.json")
    with pytest.raises(DataError, match=r"no .json files in this folder"):
        read_detections(tmp_path)
    path = write(tmp_path, results(0))
    with pytest.raises(
        DataError, match=r"k.json: 0 MiB, at most 0 MiB are read; cut the video in parts, or raise input_options.max"
    ):
        read_detections(path, max_bytes=100)
    with pytest.raises(DataError, match=r"at most 0 MiB are read"):
        read_detections(tmp_path, max_bytes=100)


def test_folder_with_other_json(tmp_path):
    write(tmp_path, {"people": []}, "a_1_keypoints.json")
    write(tmp_path, {"camera": 3}, "settings.json")
    with pytest.raises(DataError, match=r"settings: an object with a list 'people' is expected"):
        read_detections(tmp_path)
    (tmp_path / "a_1_keypoints.json").unlink()
    with pytest.raises(
        DataError, match=r"the .json files are not one frame each of a known format, the first is an object with camera"
    ):
        read_detections(tmp_path)


# --- npz --------------------------------------------------------------------------------------------------------------

K = np.full((3, 17, 3), 50.0) * [1, 1, 0.01]
UNREADABLE_NPZ = {
    "no keypoints": (
        {"poses": K, "time": [0]},
        "'keypoints' and further only box_score, .* found poses .3, 17, 3., time",
    ),
    "unknown key": (
        {"keypoints": K, "frame": [0, 1, 2], "speed": K},
        "found frame .3,., keypoints .3, 17, 3., speed",
    ),
    "fractions": ({"keypoints": K, "frame": [0, 0.5, 1]}, "frame: whole numbers from 0 are expected"),
    "far": ({"keypoints": K, "frame": [0, 1, 10**12]}, "frame: whole numbers from 0 are expected"),
    "shape": ({"keypoints": K[0]}, r"keypoints: shape \(N, K, 2 or 3\) or .* found \(17, 3\)"),
    "frame with T": ({"keypoints": K[:, None], "frame": [0, 1, 2]}, "frame: not with keypoints"),
    "confidence": ({"keypoints": K[..., :2], "confidence": K, "frame": [0, 1, 2]}, "confidence: expected shape"),
    "fps": ({"keypoints": K[:, None], "fps": 0}, r"fps: numbers above 0 are expected, found \[0.\]"),
    "image_size": ({"keypoints": K[:, None], "image_size": [640, 48.5]}, "image_size: whole numbers above 0"),
    "joint_set": ({"keypoints": K[:, None], "joint_set": 17}, "joint_set: a name is expected"),
    "box_score": ({"keypoints": K[:, None], "box_score": [1.0]}, "box_score: expected shape"),
}


@pytest.mark.parametrize("name", UNREADABLE_NPZ)
def test_unreadable_npz(name, tmp_path):
    arrays, message = UNREADABLE_NPZ[name]
    np.savez(tmp_path / "k.npz", **arrays)
    with pytest.raises(DataError, match=message):
        read_detections(tmp_path / "k.npz")


def test_damaged_and_hostile_npz(tmp_path):
    path = tmp_path / "k.npz"
    np.savez(path, keypoints=K[:, None])
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"not an npz file of plain arrays or damaged"):
        read_detections(path)
    np.savez(path, keypoints=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match=r"not an npz file of plain arrays"):
        read_detections(path)
    np.savez_compressed(path, keypoints=np.zeros((4000, 10, 17, 3)))
    assert path.stat().st_size < 100_000
    with pytest.raises(DataError, match=r"k.npz: 16 MiB, at most 1 MiB are read"):
        read_detections(path, max_bytes=2**20)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "x")
    with pytest.raises(PoseError):
        read_detections(path)


# --- which inputs are keypoints ---------------------------------------------------------------------------------------


def test_is_keypoints_input(tmp_path):
    assert is_keypoints_input(tmp_path / "missing.json")  # so that the reader says that it is missing
    assert is_keypoints_input(write(tmp_path, "  {}", "results.txt"))
    assert not is_keypoints_input(write(tmp_path, "\x00\x00\x00 ftypisom", "clip.mp4"))
    assert not is_keypoints_input(tmp_path / "missing.mp4")
    folder = tmp_path / "frames"
    folder.mkdir()
    assert not is_keypoints_input(folder)
    write(folder, "", "1.JPG")
    write(folder, "{}", "notes.json")
    assert not is_keypoints_input(folder)
    write(folder, "{}", "1_keypoints.json")
    assert is_keypoints_input(folder)


def test_real_keypoints(golden):
    found = read_detections(golden / "detections" / "ts1_keypoints.json", fps=30, image_size=(2048, 2048))
    assert (len(found), found.n_frames, found.fps, found.image_size) == (607, 201, 30, (2048, 2048))
    assert found.confidence.max() == 1.0  # HR-Net's 1.03
    assert np.bincount(found.frame, minlength=201).min() == 3


@pytest.mark.parametrize("mark", [-1.0, 9999.0, -9999.0])
def test_a_number_that_stands_for_missing_joints_is_one(golden, tmp_path, mark):
    frames = json.loads((golden / "detections" / "ts1_keypoints.json").read_text())
    rng = np.random.default_rng(0)
    frames = {name: frames[name] for name in sorted(frames)[:20]}
    gone = []
    for rows in frames.values():
        for row in rows:
            points = np.reshape(row["keypoints"], (17, 3))
            missing = rng.random(17) < 0.1
            points[missing] = [mark, mark, 0.9]
            gone.append(missing)
            row["keypoints"] = points.ravel().tolist()
    found = read_detections(write(tmp_path, frames), image_size=(2048, 2048))
    assert ((found.confidence[:, :17] == 0) == gone).all() and not found.keypoints_2d[:, :17][np.array(gone)].any()
    (said,) = [note for note in found.notes if note.startswith("Joints")]
    assert said == f"Joints: those at ({mark:g}, {mark:g}), {np.mean(gone):.0%} of all, count as not found."


def test_a_folder_of_whole_videos(tmp_path: Path) -> None:
    person = {"keypoints": [5.0, 5.0, 1.0] * 17, "score": 1.0}
    for name in ("cam1.json", "cam2.json"):
        (tmp_path / name).write_text(json.dumps({f"{frame:03d}.jpg": [person] for frame in range(3)}))
    with pytest.raises(DataError, match=r"each of its 2 files is a whole video's; give one of them, such as .*cam1"):
        read_detections(tmp_path, fps=30, image_size=(640, 480))
