"""The file in which 3D poses are exchanged."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data.predictions import KEYS, read_facts, read_predictions, write_predictions
from pose.cameras import Camera
from pose.errors import ConfigError, DataError, MismatchError
from pose.joint_sets import BODY_25, COCO_19, COMMON_14, MUPOTS_17, JointSet
from pose.sequence import PoseSequence
from tests.cases import assert_same_people

N = 6
CAMERA = Camera(1500.25, 1400.5, 960.0, 540.1, 1920, 1080)


def arrays(**changes) -> dict[str, Any]:
    """Three frames of two people, as somebody writes them by hand; a change to None leaves the key out."""
    content = {
        "sequence": np.array(["TS1"] * N),
        "frame": np.arange(N) // 2,
        "person": np.arange(N) % 2,
        "poses_3d": np.arange(N * 51, dtype=np.float32).reshape(N, 17, 3),
    }
    return {key: value for key, value in (content | changes).items() if value is not None}


def optional() -> dict[str, Any]:
    return {
        "lifted_3d": np.ones((N, 17, 3), dtype=np.float32),
        "keypoints_2d": np.full((N, 17, 2), 5.0, dtype=np.float32),
        "confidence": np.linspace(0, 1, N),
        "detected": np.array([True] * 5 + [False]),
        "observed": np.ones((N, 17), dtype=bool),
        "std_mm": np.ones((N, 17)),
        "fps": 30.0,
        "K": np.array([[1500.0, 0, 1024], [0, 1500, 1024], [0, 0, 1]]),
        "image_size": np.array([2048, 2048]),
        "coordinates": "normal",
        "joints_2d": "MuPoTS-17",
        "joints_3d": "MuPoTS-17",
        "n_frames": 3,
        "notes": np.array(["Guessed."]),
    }


def save(tmp_path: Path, **content) -> str:
    path = str(tmp_path / "predictions.npz")
    np.savez(path, **content)
    return path


def make_person(sequence: str, person: int, length: int, first: int = 0, **changes) -> PoseSequence:
    generator = torch.Generator().manual_seed(100 * person + length)

    def random(*shape: int) -> torch.Tensor:
        return torch.rand(length, *shape, generator=generator)

    made = PoseSequence(
        sequence, person, CAMERA, 30.0, 1000 * random(19, 2), random(19),
        detected=random() > 0.3, poses_3d=1000 * random(17, 3), lifted_3d=random(17, 3), observed=random(17) > 0.5,
        std_mm=random(17), frame=torch.arange(length) + first, coordinates="normal",
    )  # fmt: skip
    return dataclasses.replace(made, **changes)


# --- what is written is read -----------------------------------------------------------------------------------------


def test_people_are_the_same_to_the_last_bit(tmp_path: Path) -> None:
    people = [
        make_person("TS2", 0, 5),
        make_person("TS10", 1, 3, first=7, fps=12.5, camera=None),
        make_person("TS2", 1, 1, camera=Camera(1.0, 1.0, 0.0, 0.0, 5, 7), coordinates="universal"),
        make_person("TS2", 3, 4, frame=torch.tensor([2, 5, 6, 90]), poses_3d=torch.ones(4, 17, 3).double().float()),
    ]
    path = tmp_path / "run" / "predictions.npz"
    write_predictions(path, people, notes=["one", "zwei: größer"], n_frames=91)
    assert os.listdir(path.parent) == ["predictions.npz"]
    assert_same_people(read_predictions(path), people)
    assert read_facts(path) == {"notes": ["one", "zwei: größer"], "n_frames": 91}
    with np.load(path) as file:
        assert file["version"] == 2
        assert set(file.files) == {"version", *KEYS}


def test_what_all_people_share_is_written_once(tmp_path: Path) -> None:
    write_predictions(tmp_path / "a.npz", [make_person("TS1", 0, 5), make_person("TS1", 1, 2)])
    with np.load(tmp_path / "a.npz") as file:
        assert (file["fps"].shape, file["K"].shape, file["image_size"].tolist()) == ((), (3, 3), [1920, 1080])
        assert (str(file["coordinates"]), str(file["joints_2d"])) == ("normal", "COCO-19")


def test_what_somebody_lacks_is_left_out(tmp_path: Path) -> None:
    people = [make_person("TS1", 0, 5), make_person("TS1", 1, 2, std_mm=None, lifted_3d=None, observed=None)]
    write_predictions(tmp_path / "a.npz", people)
    found = read_predictions(tmp_path / "a.npz")
    assert found[0].std_mm is found[0].lifted_3d is found[0].observed is None
    assert_same_people(found[1:], people[1:])


def test_frames_without_a_pose_are_left_out(tmp_path: Path) -> None:
    person = make_person("TS1", 0, 5)
    poses_3d = person.require("poses_3d").clone()
    poses_3d[2] = torch.nan
    write_predictions(tmp_path / "a.npz", [dataclasses.replace(person, poses_3d=poses_3d)])
    assert_same_people(read_predictions(tmp_path / "a.npz"), [person.selected(torch.tensor([0, 1, 3, 4]))])
    poses_3d[3, 4, 0] = torch.inf
    with pytest.raises(DataError, match=r"NaN or infinity, .* in row 2 \(sequence TS1, frame 3, person 0\)"):
        write_predictions(tmp_path / "b.npz", [dataclasses.replace(person, poses_3d=poses_3d)])
    assert os.listdir(tmp_path) == ["a.npz"]


def test_other_joint_sets(tmp_path: Path) -> None:
    person = make_person(
        "TS1", 0, 2, joints_2d=BODY_25, keypoints_2d=torch.rand(2, 25, 2), confidence=torch.rand(2, 25), visible=None,
        joints_3d=COMMON_14, poses_3d=torch.rand(2, 14, 3), lifted_3d=None, observed=None, std_mm=None,
    )  # fmt: skip
    write_predictions(tmp_path / "a.npz", [person])
    assert_same_people(read_predictions(tmp_path / "a.npz"), [person])


def test_people_that_do_not_go_into_a_file(tmp_path: Path) -> None:
    person = make_person("TS1", 0, 2)
    refused: list[tuple[list[PoseSequence], type[Exception], str]] = [
        ([], DataError, "no 3D pose to write"),
        ([dataclasses.replace(person, poses_3d=None)], MismatchError, "TS1/0: has no poses_3d"),
        ([person, person], DataError, "row 0 .* is given again in row 2"),
        ([dataclasses.replace(person, person=-1)], DataError, "person: whole numbers from 0 are expected, found -1"),
        (
            [dataclasses.replace(person, joints_2d=JointSet("Mine", COCO_19.names))],
            MismatchError,
            "joint set Mine: a file can hold only MuPoTS-17, ",
        ),
        (
            [
                person,
                make_person(
                    "TS1", 1, 2, joints_2d=MUPOTS_17, keypoints_2d=torch.ones(2, 17, 2), confidence=torch.ones(2, 17)
                ),
            ],
            MismatchError,
            "keypoints_2d: people of different joint sets",
        ),
    ]
    for people, error, message in refused:
        with pytest.raises(error, match=message):
            write_predictions(tmp_path / "a.npz", people)
    assert not os.listdir(tmp_path)


# --- what others write -----------------------------------------------------------------------------------------------


def test_the_four_keys_are_enough(tmp_path: Path, caplog) -> None:
    found = read_predictions(save(tmp_path, **arrays()), coordinates="universal")
    assert [(person.name, person.fps, person.coordinates) for person in found] == [
        ("TS1/0", 30.0, "universal"), ("TS1/1", 30.0, "universal"),
    ]  # fmt: skip
    assert "has no fps: 30 frames per second are assumed; set fps=" in caplog.text
    np.testing.assert_array_equal(found[1].poses_3d, arrays()["poses_3d"][1::2])
    assert not found[0].confidence.any() and found[0].camera is None and found[0].lifted_3d is None
    assert found[0].detected.all() and found[0].frame.tolist() == [0, 1, 2]


def test_all_keys(tmp_path: Path, caplog) -> None:
    path = save(tmp_path, **arrays(**optional()))
    (_, person) = read_predictions(path)
    assert caplog.text == ""
    assert person.confidence.shape == (3, 17), "one number for the row is that of each joint"
    assert person.confidence[:, 5].tolist() == optional()["confidence"][1::2].tolist()
    assert person.detected.tolist() == [True, True, False]
    assert person.camera == Camera(1500.0, 1500.0, 1024.0, 1024.0, 2048, 2048)
    assert read_facts(path) == {"notes": ["Guessed."], "n_frames": 3}


def test_facts_of_each_row(tmp_path: Path) -> None:
    """One value for the file, or one for each row which is the same for all rows of a person."""
    K = np.repeat(optional()["K"][None], N, axis=0)
    K[1::2] *= [[2], [2], [1]]
    coordinates = np.array(["normal", "universal"] * 3)
    rows = {"fps": np.array([25.0, 50.0] * 3), "K": K, "coordinates": coordinates}
    one, two = read_predictions(save(tmp_path, **arrays(**rows)))
    assert (one.fps, two.fps) == (25, 50) and (one.coordinates, two.coordinates) == ("normal", "universal")
    assert one.camera == Camera(1500.0, 1500.0, 1024.0, 1024.0, 2048, 2048)
    assert two.camera is not None and (two.camera.fx, two.camera.cx) == (3000, 2048)
    rows["fps"][4] = 30
    with pytest.raises(DataError, match=r"fps: one value for each person is expected, row 4 .* has another"):
        read_predictions(save(tmp_path, **arrays(**rows)))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (np.array([b"TS1"] * N), "TS1"),
        (np.array(["tür"] * N), "tür"),
        (np.array(["tür".encode()] * N), "tür"),
        (np.full(N, 7, dtype=np.uint8), "TS7"),
    ],
)
def test_sequence_as_text_bytes_or_number(tmp_path: Path, given, expected: str) -> None:
    people = read_predictions(save(tmp_path, **arrays(sequence=given)), "normal")
    assert [person.sequence for person in people] == [expected] * 2


def test_rows_in_any_order_and_of_any_type(tmp_path: Path) -> None:
    order = [3, 0, 5, 1, 4, 2]
    content = {key: value[order] for key, value in arrays(person=(np.arange(N) % 2).astype(np.uint8)).items()}
    content["frame"] = content["frame"].astype(np.float64)
    content["poses_3d"] = content["poses_3d"].astype(int)
    one, two = read_predictions(save(tmp_path, **content, confidence=np.ones((N, 19)), fps=np.array([25])), "normal")
    assert (one.person, two.person, one.fps) == (1, 0, 25), "in the order of the first rows"
    assert one.frame.tolist() == two.frame.tolist() == [0, 1, 2] and one.frame.dtype == torch.int64
    np.testing.assert_array_equal(one.poses_3d, arrays()["poses_3d"][1::2])
    assert one.require("poses_3d").dtype == torch.float64 and one.joints_2d == COCO_19
    assert read_predictions(tmp_path / "predictions.npz", "normal", fps=50.0)[0].fps == 50


def test_the_other_coordinates_are_refused_with_both_words(tmp_path: Path) -> None:
    for held, wanted in (("universal", "normal"), ("normal", "universal")):
        path = save(tmp_path, **arrays(coordinates=held))
        with pytest.raises(MismatchError, match=f"coordinates={wanted}: .* holds {held} poses; set coordinates={held}"):
            read_predictions(path, wanted)
        assert read_predictions(path, held)[0].coordinates == read_predictions(path)[0].coordinates == held
    with pytest.raises(DataError, match="does not say its coordinates"):
        read_predictions(save(tmp_path, **arrays()))


def test_unknown_keys_are_announced(tmp_path: Path, caplog) -> None:
    read_predictions(save(tmp_path, **arrays(fps=30), scores=np.ones(N)), "normal")
    assert "scores not used; known are sequence" in caplog.text


# --- version 1 -------------------------------------------------------------------------------------------------------


def version_1() -> dict[str, Any]:
    """The keys of version 1, as an evaluation wrote them."""
    rng = np.random.default_rng(0)
    return arrays(
        poses_3d_plain=rng.normal(size=(N, 17, 3)),
        keypoints_2d=rng.normal(size=(N, 17, 2)),
        score=rng.random((N, 19)),
        fps=30.0,
        observed=np.array([True] * 5 + [False]),
        version=1,
    )


def test_an_evaluations_file_of_version_1(tmp_path: Path, caplog) -> None:
    old = version_1()
    _, person = read_predictions(save(tmp_path, **old), "normal")
    assert caplog.text == "" and person.joints_2d == COCO_19
    np.testing.assert_array_equal(person.lifted_3d, old["poses_3d_plain"][1::2])
    np.testing.assert_array_equal(person.confidence, old["score"][1::2])
    assert person.detected.tolist() == [True, True, False] and person.observed is None
    for name in ("neck", "left_knee"):
        points = person.keypoints_2d[:, COCO_19.index(name)]
        np.testing.assert_array_equal(points, old["keypoints_2d"][1::2, MUPOTS_17.index(name)])
    assert not person.keypoints_2d[:, COCO_19.index("nose")].any()


def test_a_prediction_of_version_1(tmp_path: Path, caplog) -> None:
    rng = np.random.default_rng(1)
    new = {
        "observed_joints": rng.random((N, 17)) > 0.5,
        "std_mm": rng.random((N, 17)),
        "keypoints_coco19": rng.random((N, 19, 2)),
        "confidence": rng.random(N),  # beside score its mean
        "n_frames": 9,
        "image_size": np.array([640, 480]),
        "K": optional()["K"],
        "variant": "universal",
        "notes": np.array(["A note."]),
    }
    path = save(tmp_path, **version_1(), **new)
    person, _ = read_predictions(path)
    assert caplog.text == "" and person.coordinates == "universal"
    for key, old in {"observed": "observed_joints", "keypoints_2d": "keypoints_coco19", "std_mm": "std_mm"}.items():
        np.testing.assert_array_equal(person.require(key), new[old][::2])
    np.testing.assert_array_equal(person.confidence, version_1()["score"][::2])
    assert person.camera == Camera(1500.0, 1500.0, 1024.0, 1024.0, 640, 480)
    assert read_facts(path) == {"notes": ["A note."], "n_frames": 9}


def test_scores_of_version_1_that_belong_to_other_joints(tmp_path: Path) -> None:
    score = np.random.default_rng(0).random((N, 14))
    for content in (version_1(), arrays()):
        person, _ = read_predictions(save(tmp_path, **(content | {"score": score})), "normal")
        np.testing.assert_allclose(person.confidence, np.repeat(score.mean(1)[::2, None], 17, axis=1))


# --- what is refused -------------------------------------------------------------------------------------------------


def row_set(key: str, row: int, value: float) -> dict[str, Any]:
    changed = np.array({**arrays(), **optional()}[key], dtype=float)
    changed[row] = value
    return {key: changed}


BAD = [
    ({"poses_3d": None}, "has no poses_3d, found sequence, frame, person; see docs/formats.md"),
    ({"sequence": None, "person": None}, "has no sequence, person, found frame, poses_3d"),
    ({"poses_3d": np.zeros((N, 16, 3))}, r"poses_3d: expected shape \(N=6, J=17, 3\), found \(6, 16, 3\)"),
    ({"poses_3d": np.zeros((N - 1, 17, 3))}, r"poses_3d: expected shape \(N=6, J=17, 3\), found \(5, 17, 3\)"),
    ({"poses_3d": np.full((N, 17, 3), "a")}, "poses_3d: an array of numbers is expected, found an array of <U1"),
    ({"frame": np.arange(N + 1)}, r"frame: expected shape \(N=6\), found \(7,\)"),
    (
        {"sequence": np.array([["TS1"]] * N)},
        r"sequence: text of shape \(N,\), .* is expected, found <U3, shape \(6, 1\)",
    ),
    ({"sequence": np.ones(N)}, "sequence: text .* is expected, found float64"),
    ({"sequence": np.array([b"\xff"] * N)}, "sequence: bytes that are not UTF-8 text"),
    (
        {"sequence": np.array([], dtype=str)},
        r"sequence: .* at least one row, is expected, found <U1, shape \(0,\)",
    ),
    (row_set("poses_3d", 3, np.nan), r"poses_3d: .* found nan in row 3 \(sequence TS1, frame 1, person 1\)"),
    (row_set("poses_3d", 0, np.inf), r"poses_3d: .* found inf in row 0 \(sequence TS1, frame 0, person 0\)"),
    (row_set("lifted_3d", 5, np.nan), "lifted_3d: .* row 5"),
    (row_set("keypoints_2d", 5, np.nan), "keypoints_2d: numbers without NaN or infinity, .* row 5"),
    (row_set("confidence", 2, np.nan), "confidence: .* row 2"),
    (row_set("std_mm", 2, np.nan), "std_mm: .* row 2"),
    (row_set("frame", 2, -1), "frame: whole numbers from 0 are expected, found -1.0 in row 2"),
    (row_set("frame", 2, 0.5), "frame: whole numbers from 0 are expected, found 0.5 in row 2"),
    (row_set("frame", 2, np.nan), "frame: whole numbers from 0 are expected, found nan in row 2"),
    (row_set("person", 2, -1), "person: whole numbers from 0 are expected, found -1.0 in row 2"),
    (row_set("person", 4, 1), r"row 4 \(sequence TS1, frame 2, person 1\) is given again in row 5"),
    ({"confidence": np.ones((N, 19, 1))}, r"confidence: expected shape \(N=6\), found \(6, 19, 1\)"),
    (
        {"confidence": np.ones((N, 19)), "keypoints_2d": np.ones((N, 17, 2))},
        r"confidence: expected shape \(N=6, K=17\), found \(6, 19\)",
    ),
    ({"keypoints_2d": np.ones((N, 17, 3))}, r"keypoints_2d: expected shape \(N=6, K, 2\), found \(6, 17, 3\)"),
    ({"detected": np.full(N, 2)}, r"detected: 0 or 1 is expected, found 2 at index \(0,\)"),
    ({"observed": np.ones((N, 16))}, r"observed: expected shape \(N=6, J=17\)"),
    ({"fps": 0.0}, "fps: a number from 1e-05 to 10000 is expected, found 0.0"),
    ({"fps": np.nan}, "fps: a number from 1e-05 to 10000 is expected, found nan"),
    ({"fps": 1e-9}, "fps: a number from 1e-05 to 10000 is expected, found 1e-09"),
    (row_set("poses_3d", 1, 1e30), r"poses_3d: numbers without NaN or infinity, below 1e\+12 .* found 1e\+30 in row 1"),
    (row_set("keypoints_2d", 1, -1e30), r"keypoints_2d: .* found -1e\+30 in row 1"),
    ({"K": np.array([[1e300, 0, 500], [0, 1e300, 500], [0, 0, 1]])}, r"K: \[\[fx, 0, cx\].* is expected, found"),
    ({"fps": np.ones(2)}, r"fps: expected shape \(N=6\), found \(2,\)"),
    ({"K": np.ones((4, 4))}, r"K: expected shape \(N=6, 3, 3\), found \(6, 4, 4\)"),
    ({"K": np.eye(3).T[::-1]}, r"K: \[\[fx, 0, cx\].* is expected, found"),
    ({"image_size": np.array([1920, 0])}, "image_size: positive whole numbers are expected"),
    ({"n_frames": 2.5}, "n_frames: a positive whole number is expected, found 2.5"),
    ({"n_frames": np.array([1, 2])}, r"n_frames: expected shape \(\)"),
    ({"coordinates": "metric"}, "coordinates: normal or universal is expected, found 'metric'"),
    ({"coordinates": "normal" * 1000}, "coordinates: an entry of 24000 bytes, at most 256 are expected"),
    ({"coordinates": np.array(["normal"] * 2)}, r"coordinates: text of shape \(\) or \(N,\) is expected"),
    ({"confidence": np.ones((N, 14))}, "joints_2d: say which 14 keypoints these are, one of MuPoTS-17"),
    ({"joints_2d": "Mine"}, "joints_2d: MuPoTS-17 or .* is expected, found 'Mine'"),
    ({"joints_2d": "COCO-19", "confidence": np.ones((N, 17))}, r"confidence: expected shape \(N=6, K=19\)"),
    ({"joints_3d": "Common-14"}, r"poses_3d: expected shape \(N=6, J=14, 3\)"),
    ({"notes": np.array([1, 2])}, "notes: text of shape"),
    ({"notes": np.array("one")}, "notes: text of shape"),
    ({"version": 3}, "version 3 of the format, 2 is expected; update this program"),
]


@pytest.mark.parametrize(("changes", "message"), BAD)
def test_bad_files(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=rf"predictions\.npz: {message}") as caught:
        read_predictions(save(tmp_path, **arrays(**changes)), "normal")
    assert "\n" not in str(caught.value)


def test_the_same_frame_and_person_of_two_sequences_are_two(tmp_path: Path) -> None:
    content = arrays(sequence=np.array(["TS1", "TS2"] * 3), frame=np.arange(N) // 2, person=np.zeros(N, dtype=int))
    assert [person.name for person in read_predictions(save(tmp_path, **content), "normal")] == ["TS1/0", "TS2/0"]


def test_a_rate_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="fps=-1"):
        read_predictions(save(tmp_path, **arrays()), "normal", fps=-1)


def test_damaged_files(tmp_path: Path) -> None:
    path = save(tmp_path, **arrays())
    with open(path, "rb") as file:
        whole = file.read()
    with open(path, "wb") as file:
        file.write(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"predictions\.npz: not an npz file of plain arrays or damaged"):
        read_predictions(path)
    with pytest.raises(DataError, match=r"not an npz file of plain arrays .*Object arrays"):
        read_predictions(save(tmp_path, **arrays(sequence=np.array(["TS1"] * N, dtype=object))))
    with pytest.raises(DataError, match="cannot be opened"):
        read_predictions(tmp_path / "absent.npz")
