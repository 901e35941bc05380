"""The file in which 3D poses are exchanged."""

from __future__ import annotations

import os

import numpy as np
import pytest

from data.predictions import Predictions, read_predictions, write_predictions
from pose.errors import DataError

N = 6


def arrays(**changes) -> dict:
    """Three frames of two people; a change to None leaves the key out."""
    content = {
        "sequence": np.array(["TS1"] * N),
        "frame": np.arange(N) // 2,
        "person": np.arange(N) % 2,
        "poses_3d": np.arange(N * 51, dtype=np.float32).reshape(N, 17, 3),
    }
    return {key: value for key, value in (content | changes).items() if value is not None}


def optional() -> dict:
    return {
        "poses_3d_plain": np.ones((N, 17, 3), dtype=np.float32),
        "keypoints_2d": np.full((N, 17, 2), 5.0, dtype=np.float32),
        "score": np.linspace(0, 1, N),
        "fps": 30.0,
        "K": np.array([[1500.0, 0, 1024], [0, 1500, 1024], [0, 0, 1]]),
        "observed": np.array([True] * 5 + [False]),
    }


def save(tmp_path, **content) -> str:
    path = str(tmp_path / "predictions.npz")
    np.savez(path, **content)
    return path


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "run" / "predictions.npz"
    for content in (arrays(), arrays(**optional())):
        write_predictions(path, Predictions(**content))
        assert os.listdir(path.parent) == ["predictions.npz"]
        found = read_predictions(path)
        assert len(found) == N
        for key in (*arrays(), *optional()):
            if key in content:
                np.testing.assert_array_equal(getattr(found, key), content[key])
            else:
                assert getattr(found, key) is None
        assert found.poses_3d.dtype == np.float32
        assert found.observed is None or found.observed.dtype == bool
    with np.load(path) as file:
        assert file["version"] == 1
        assert set(file.files) == {"version", *arrays(), *optional()}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (np.array([b"TS1"] * N), "TS1"),
        (np.array(["tür"] * N), "tür"),
        (np.array(["tür".encode()] * N), "tür"),
        (np.full(N, 7, dtype=np.uint8), "TS7"),
    ],
)
def test_sequence_as_text_bytes_or_number(tmp_path, given, expected):
    found = read_predictions(save(tmp_path, **arrays(sequence=given)))
    assert found.sequence.tolist() == [expected] * N
    assert found.sequence.dtype.kind == "U"


def test_whole_numbers_and_other_types(tmp_path):
    content = arrays(frame=(np.arange(N) // 2).astype(np.float64), person=(np.arange(N) % 2).astype(np.uint8))
    content["poses_3d"] = content["poses_3d"].astype(int)
    found = read_predictions(save(tmp_path, **content, score=np.ones((N, 19)), fps=np.array([25])))
    assert found.frame.dtype == found.person.dtype == np.int64
    assert found.poses_3d.dtype == np.float64
    assert found.score is not None and found.score.shape == (N, 19)
    assert found.fps == 25.0


def test_unknown_keys_are_announced(tmp_path, caplog):
    read_predictions(save(tmp_path, **arrays(), scores=np.ones(N)))
    assert "scores not used; known are sequence" in caplog.text
    caplog.clear()
    read_predictions(save(tmp_path, **arrays(), version=1))
    assert caplog.text == ""


def row_set(key: str, row: int, value: float) -> dict:
    content = {**arrays(), **optional()}
    changed = np.array(content[key], dtype=float)
    changed[row] = value
    return {key: changed}


BAD = [
    ({"poses_3d": None}, "has no poses_3d, found sequence, frame, person; see docs/formats.md"),
    ({"sequence": None, "person": None}, "has no sequence, person, found frame, poses_3d"),
    ({"poses_3d": np.zeros((N, 16, 3))}, r"poses_3d: expected shape \(N=6, 17, 3\), found \(6, 16, 3\)"),
    ({"poses_3d": np.zeros((N - 1, 17, 3))}, r"poses_3d: expected shape \(N=6, 17, 3\), found \(5, 17, 3\)"),
    ({"poses_3d": np.full((N, 17, 3), "a")}, "poses_3d: an array of numbers is expected, found an array of <U1"),
    ({"frame": np.arange(N + 1)}, r"frame: expected shape \(N=6\), found \(7,\)"),
    ({"sequence": np.array([["TS1"]] * N)}, r"sequence: text of shape \(N,\) is expected, found <U3, shape \(6, 1\)"),
    ({"sequence": np.ones(N)}, "sequence: text .* is expected, found float64"),
    ({"sequence": np.array([b"\xff"] * N)}, "sequence: bytes that are not UTF-8 text"),
    ({"sequence": np.array([], dtype=str)}, "sequence: no rows, at least one is expected"),
    (
        row_set("poses_3d", 3, np.nan),
        r"poses_3d: 1 rows hold NaN or infinity, the first is row 3 \(TS1, frame 1, person 1\)",
    ),
    (row_set("poses_3d", 0, np.inf), r"poses_3d: .* the first is row 0 \(TS1, frame 0, person 0\)"),
    (row_set("poses_3d_plain", 5, np.nan), "poses_3d_plain: 1 rows hold NaN .* row 5"),
    (row_set("keypoints_2d", 5, np.nan), "keypoints_2d: 1 rows hold NaN .* row 5"),
    (row_set("score", 2, np.nan), "score: 1 rows hold NaN .* row 2"),
    (row_set("frame", 2, -1), "frame: whole numbers from 0 are expected, found -1.0 in row 2"),
    (row_set("frame", 2, 0.5), "frame: whole numbers from 0 are expected, found 0.5 in row 2"),
    (row_set("frame", 2, np.nan), "frame: whole numbers from 0 are expected, found nan in row 2"),
    (row_set("person", 2, -1), "person: whole numbers from 0 are expected, found -1.0 in row 2"),
    (row_set("person", 4, 1), r"row 4 \(TS1, frame 2, person 1\) is given again in row 5"),
    ({"score": np.ones((N, 19, 1))}, r"score: expected shape \(N=6\), found \(6, 19, 1\)"),
    ({"keypoints_2d": np.ones((N, 17, 3))}, r"keypoints_2d: expected shape \(N=6, 17, 2\), found \(6, 17, 3\)"),
    ({"fps": 0.0}, "fps: a positive number is expected, found 0.0"),
    ({"fps": np.nan}, "fps: a positive number is expected, found nan"),
    ({"fps": np.ones(2)}, r"fps: expected shape \(1\), found \(2,\)"),
    ({"K": np.ones((4, 4))}, r"K: expected shape \(3, 3\), found \(4, 4\)"),
    ({"K": np.eye(3).T[::-1]}, r"K: \[\[fx, 0, cx\].* is expected, found"),
    ({"observed": np.full(N, 2)}, r"observed: 0 or 1 is expected, found 2 at index \(0,\)"),
    ({"version": 2}, "version 2 of the format, 1 is expected; update this program"),
]


@pytest.mark.parametrize(("changes", "message"), BAD)
def test_bad_files(tmp_path, changes, message):
    with pytest.raises(DataError, match=rf"predictions\.npz: {message}") as caught:
        read_predictions(save(tmp_path, **arrays(**changes)))
    assert "\n" not in str(caught.value)


def test_the_same_frame_and_person_of_two_sequences_are_two(tmp_path):
    content = arrays(sequence=np.array(["TS1", "TS2"] * 3), frame=np.arange(N) // 2, person=np.zeros(N, dtype=int))
    assert len(read_predictions(save(tmp_path, **content))) == N


def test_damaged_files(tmp_path):
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


def test_the_constructor_checks_too():
    with pytest.raises(DataError, match="predictions: poses_3d: 1 rows hold NaN"):
        Predictions(**arrays(**row_set("poses_3d", 1, np.nan)))
    assert repr(Predictions(**arrays())) == "Predictions(predictions, 6 rows)"
