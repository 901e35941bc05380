"""The restricted unpickler: what it reads, what it refuses, and that it says so in one line."""

from __future__ import annotations

import os
import pickle
import subprocess
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from fileio.pickle_reader import read_pickle
from pose.errors import DataError


def dumped(path: Path, content: object, protocol: int = 2) -> Path:
    path.write_bytes(pickle.dumps(content, protocol))
    return path


def python2_pickle(values: np.ndarray) -> bytes:
    """{"poses": values, "n": np.int64(7), "name": "é"} as Python 2 with NumPy 1 writes it in protocol 2.

    Byte strings, no unicode; raw bytes of float32 and of an int64 scalar in them.
    """
    raw = values.astype("<f4").tobytes()
    shape = b"".join(b"K" + bytes([n]) for n in values.shape)
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b\x87R"
        b"(K\x01(" + shape + b"tcnumpy\ndtype\nq\x03U\x02f4K\x00K\x01\x87R"
        b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T" + len(raw).to_bytes(4, "little") + raw + b"tb"
    )
    scalar = (
        b"cnumpy.core.multiarray\nscalar\nh\x03U\x02i8K\x00K\x01\x87R"
        b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tbU\x08" + (7).to_bytes(8, "little") + b"\x86R"
    )
    return b"\x80\x02}(U\x05poses" + array + b"U\x01n" + scalar + b"U\x04nameU\x01\xe9u."


def test_python2_pickle(tmp_path):
    values = np.random.default_rng(0).normal(size=(4, 3, 2)).astype(np.float32)
    path = tmp_path / "old.pkl"
    path.write_bytes(python2_pickle(values))
    content = read_pickle(path)
    assert list(content) == ["poses", "n", "name"]
    np.testing.assert_array_equal(content["poses"], values)
    assert content["poses"].dtype == np.float32
    assert content["n"] == 7
    assert content["name"] == "é"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_of_plain_things(tmp_path, protocol):
    content = {
        "list": [1, 2.5, "text", None, True, (3, 4), b"\xff\x00"],
        "ordered": OrderedDict(a=1),
        "float64": np.arange(6.0).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "big_endian": np.arange(3, dtype=">f4"),
        "bool": np.array([True, False]),
        "text": np.array(["a", "bcd"]),
        "scalar": np.float32(0.1),
        "objects": np.array([{"annot2": np.ones(2)}, None], dtype=object),
    }
    found = read_pickle(dumped(tmp_path / "a.pkl", content, protocol))
    assert found["list"] == content["list"]
    assert found["ordered"] == content["ordered"]
    for key in ("float64", "fortran", "big_endian", "bool", "text", "scalar"):
        np.testing.assert_array_equal(found[key], content[key])
        assert found[key].dtype.newbyteorder("=") == content[key].dtype.newbyteorder("="), key
    np.testing.assert_array_equal(found["objects"][0]["annot2"], np.ones(2))


class Evil:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("function", "arguments", "name"),
    [
        (os.system, ("touch {marker}",), "system"),
        (eval, ("open('{marker}', 'w')",), "eval"),
        (getattr, ([], "append"), "getattr"),
        (np.load, ("{marker}",), "load"),
        (subprocess.check_output, ("{marker}",), "check_output"),
        (Path, ("{marker}",), "Path"),
    ],
)
def test_pickles_with_a_program_are_refused(tmp_path, function, arguments, name):
    marker = tmp_path / "marker"
    arguments = tuple(a.format(marker=marker) if isinstance(a, str) else a for a in arguments)
    path = dumped(tmp_path / "evil.pkl", {"poses": [Evil(function, *arguments)]})
    with pytest.raises(DataError, match=rf"evil\.pkl: refused to load [\w.]*{name}.*arrays.*are expected.*fetch"):
        read_pickle(path)
    assert not marker.exists()


def test_admitted_names_take_no_other_arguments(tmp_path):
    path = tmp_path / "evil.pkl"
    path.write_bytes(b"\x80\x02cnumpy\nndarray\nJ\xff\xff\xff\x7f\x85\x85R.")  # numpy.ndarray((2147483647,))
    with pytest.raises(DataError, match="not a pickle or damaged"):
        read_pickle(path)
    records = np.zeros(2, dtype=[("pointer", "O"), ("x", "f8")])
    with pytest.raises(DataError, match=r"array type .* is not a plain number"):
        read_pickle(dumped(path, records))
    path.write_bytes(b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x04\x00\x00\x00zlib\x86R.")
    assert read_pickle(path) == b"a"  # no codec is looked up
    path.write_bytes(b"\x80\x02c_codecs\nencode\nN}X\x01\x00\x00\x00aK\x01s\x86b.")  # sets an attribute of `encode`
    with pytest.raises(DataError, match="damaged"):
        read_pickle(path)


def test_truncated_pickle(tmp_path):
    whole = pickle.dumps({"poses": np.arange(57.0, dtype=np.float32), "is_valid": [True]}, 2)
    path = tmp_path / "cut.pkl"
    for length in range(0, len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"cut\.pkl: not a pickle or damaged .*fetch the file again"):
            read_pickle(path)


def test_claimed_length_beyond_the_file(tmp_path):
    path = tmp_path / "long.pkl"
    path.write_bytes(b"\x80\x02T\xff\xff\xff\x7fabc.")
    with pytest.raises(DataError, match="damaged"):
        read_pickle(path)


def test_an_object_array_with_too_few_elements_is_refused(tmp_path: Path) -> None:
    whole = pickle.dumps(np.empty(3, dtype=object), 2)
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


def test_tensors_and_sparse_matrices(tmp_path: Path) -> None:
    import torch
    from scipy.sparse import csc_matrix

    whole = torch.arange(24.0).reshape(4, 6)
    held = {"view": whole.T[1:3], "index": torch.tensor([3]), "none": torch.zeros(0, 3), "all": whole}
    found = read_pickle(dumped(tmp_path / "tensors.pkl", held))
    for key, tensor in held.items():
        np.testing.assert_array_equal(found[key], tensor.numpy())
        assert isinstance(found[key], np.ndarray) and found[key].dtype == tensor.numpy().dtype
    matrix = csc_matrix(np.eye(5)[:, :3])
    np.testing.assert_array_equal(read_pickle(dumped(tmp_path / "m.pkl", matrix)).array(), matrix.toarray())
    matrix._shape = (10**9, 3)
    with pytest.raises(ValueError, match="a matrix of shape"):
        read_pickle(dumped(tmp_path / "m.pkl", matrix)).array()


@pytest.mark.parametrize("size", [(7,), (2, 10**9), (-1,)])
def test_a_tensor_beyond_its_storage_is_refused(tmp_path: Path, size: tuple[int, ...]) -> None:
    import torch

    class Tensor:
        def __reduce__(self):
            steps = (1,) + (0,) * (len(size) - 1)
            return torch._utils._rebuild_tensor_v2, (torch.zeros(6)._typed_storage(), 0, size, steps, False, {})

    with pytest.raises(DataError, match="a tensor"):
        read_pickle(dumped(tmp_path / "a.pkl", Tensor()))
