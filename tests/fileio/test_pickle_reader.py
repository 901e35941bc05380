"""The restricted unpickler: what it reads, what it refuses, and that it says so in one line."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from fileio.pickle_reader import read_pickle
from pose.errors import DataError


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_plain_containers_come_back(tmp_path: Path, protocol: int) -> None:
    mixed = np.empty(2, dtype=object)
    mixed[:] = [np.arange(3), "a"]
    content = {
        "poses": np.arange(24, dtype=np.float32).reshape(2, 4, 3),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "swapped": np.arange(3, dtype=">i2"),
        "valid": np.array([True, False]),
        "scalar": np.float64(2.5),
        "mixed": mixed,
        "plain": [1, 2.5, None, ("a", b"bytes"), OrderedDict(b=1)],
    }
    path = tmp_path / "some.pkl"
    path.write_bytes(pickle.dumps(content, protocol))
    found = read_pickle(path)
    for key in ("poses", "fortran", "swapped", "valid"):
        np.testing.assert_array_equal(found[key], content[key])
        assert found[key].dtype.newbyteorder("=") == content[key].dtype.newbyteorder("=")
    assert found["scalar"] == 2.5 and found["plain"] == content["plain"]
    np.testing.assert_array_equal(found["mixed"][0], [0, 1, 2])


def test_python_2_text_is_read(tmp_path: Path) -> None:
    path = tmp_path / "old.pkl"
    path.write_bytes(b"\x80\x02}q\x00U\x04poseq\x01U\x02\xe9aq\x02s.")
    assert read_pickle(path) == {"pose": "éa"}


class _Runs:
    def __reduce__(self):
        return os.system, ("echo owned",)


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_program_is_refused_by_name(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps([np.zeros(2), _Runs()], protocol))
    with pytest.raises(DataError, match=r"evil\.pkl: refused to load (posix|nt)\.system") as caught:
        read_pickle(path)
    assert "\n" not in str(caught.value)


def test_a_structured_array_type_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "structured.pkl"
    path.write_bytes(pickle.dumps(np.zeros(2, dtype=[("a", "f4")]), 2))
    with pytest.raises(DataError, match=r"structured\.pkl.*not a plain number or text"):
        read_pickle(path)


def test_an_object_array_with_too_few_elements_is_refused(tmp_path: Path) -> None:
    array = np.empty(3, dtype=object)
    whole = pickle.dumps(array, 2)
    short = whole.replace(b"(NNNe", b"(NNe")
    assert short != whole
    path = tmp_path / "short.pkl"
    path.write_bytes(short)
    with pytest.raises(DataError, match=r"short\.pkl.*shape \(3,\) with 2 elements"):
        read_pickle(path)


@pytest.mark.parametrize("content", [b"", b"not a pickle", pickle.dumps(np.arange(1000.0), 2)[:500]])
def test_damage_is_one_line_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "damaged.pkl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"damaged\.pkl: not a pickle or damaged") as caught:
        read_pickle(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.pkl: cannot be opened"):
        read_pickle(tmp_path / "absent.pkl")


def test_empty_array_in_protocol_2(tmp_path: Path) -> None:
    path = tmp_path / "empty.pkl"
    path.write_bytes(pickle.dumps({"poses": np.zeros((0, 19, 3), np.float32)}, protocol=2))
    assert read_pickle(path)["poses"].shape == (0, 19, 3)


class _ViewOfAnArray:
    def __reduce__(self):
        try:
            from numpy._core.numeric import _frombuffer
        except ImportError:  # NumPy 1
            from numpy.core.numeric import _frombuffer

        return _frombuffer, (np.zeros(8, np.uint8), np.dtype("u1"), (8,), "C")


def test_an_array_cannot_be_the_memory_of_another(tmp_path: Path) -> None:
    path = tmp_path / "view.pkl"
    path.write_bytes(pickle.dumps(_ViewOfAnArray(), protocol=2))
    with pytest.raises(DataError, match=r"view\.pkl"):
        read_pickle(path)
