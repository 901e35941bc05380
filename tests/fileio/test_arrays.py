"""Opening what may be damaged or hostile, and writing what must never be half there."""

from __future__ import annotations

import os
import pickle
import subprocess
from collections import OrderedDict
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import torch

from fileio.arrays import member, read_hdf5, read_npz, require, require_mask, to_tensor
from fileio.atomic import atomic_path
from fileio.mat_reader import read_mat
from fileio.pickle_reader import read_pickle
from pose.errors import DataError


def write_pickle(path: Path, content, protocol: int = 2) -> Path:
    path.write_bytes(pickle.dumps(content, protocol))
    return path


# --- pickles


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


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
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
    found = read_pickle(write_pickle(tmp_path / "a.pkl", content, protocol))
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
    path = write_pickle(tmp_path / "evil.pkl", {"poses": [Evil(function, *arguments)]})
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
        read_pickle(write_pickle(path, records))
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


# --- MATLAB, HDF5, npz


@pytest.fixture
def mat(tmp_path) -> Path:
    path = tmp_path / "annot.mat"
    scipy.io.savemat(path, {"annot3": np.arange(600.0).reshape(20, 30), "x": "text"}, do_compression=True)
    return path


def test_read_mat(mat):
    np.testing.assert_array_equal(read_mat(mat)["annot3"], np.arange(600.0).reshape(20, 30))
    assert set(read_mat(mat)) == {"annot3", "x"}
    assert set(read_mat(mat, ["annot3"])) == {"annot3"}
    with pytest.raises(DataError, match=r"annot\.mat: has no variable 'annot2'; fetch"):
        read_mat(mat, ["annot2"])


def test_damaged_mat(mat):
    whole = mat.read_bytes()
    for length in (0, 3, 100, 130, len(whole) // 2, len(whole) - 80):
        mat.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"annot\.mat: "):
            read_mat(mat, ["annot3", "x"])
    mat.write_text("no MATLAB file, but a text that is long enough to have a header\n" * 10)
    with pytest.raises(DataError, match="not a MATLAB v5 file or damaged"):
        read_mat(mat)


def test_hdf5_where_mat_is_expected_and_the_reverse(tmp_path, mat):
    path = tmp_path / "annot_data.mat"
    with h5py.File(path, "w") as file:
        file["annot3"] = np.ones((2, 1, 17, 3))
    np.testing.assert_array_equal(read_hdf5(path, ["annot3"])["annot3"], np.ones((2, 1, 17, 3)))
    with pytest.raises(DataError, match=r"annot_data\.mat: a MATLAB v7\.3 \(HDF5\) file, MATLAB v5 is expected"):
        read_mat(path)
    with pytest.raises(DataError, match="not an HDF5"):
        read_hdf5(mat, ["annot3"])
    with pytest.raises(DataError, match="has no data set 'valid_frame', found annot3"):
        read_hdf5(path, ["annot3", "valid_frame"])
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"not an HDF5 .* or damaged .*truncated"):
        read_hdf5(path, ["annot3"])


def test_npz(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.arange(1000))
    np.testing.assert_array_equal(read_npz(path)["x"], np.arange(1000))
    whole = path.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"a\.npz: not an npz file of plain arrays or damaged .*savez"):
            read_npz(path)
    np.savez(path, x=np.array([{}, None], dtype=object))
    with pytest.raises(DataError, match="Object arrays cannot be loaded"):
        read_npz(path)
    with open(path, "wb") as file:
        np.save(file, np.arange(3))
    with pytest.raises(DataError, match="not a zip file"):
        read_npz(path)


@pytest.mark.parametrize("read", [read_pickle, read_mat, read_npz, lambda path: read_hdf5(path, ["x"])])
def test_files_that_cannot_be_opened(tmp_path, read):
    with pytest.raises(DataError, match=r"absent: cannot be opened \(No such file or directory\); check"):
        read(tmp_path / "absent")
    with pytest.raises(DataError, match="cannot be opened"):
        read(tmp_path)


# --- writing


def test_atomic_path(tmp_path):
    path = tmp_path / "new" / "metrics.json"
    with atomic_path(path) as partial:
        assert partial.parent == path.parent
        assert partial.suffix == ".json"
        partial.write_text("first")
        assert not path.exists()
    assert path.read_text() == "first"
    with atomic_path(path) as partial:
        partial.write_text("second")
    assert path.read_text() == "second"
    assert os.listdir(path.parent) == ["metrics.json"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_atomic_path_leaves_the_old_file_after_an_error(tmp_path, error):
    path = tmp_path / "metrics.json"
    path.write_text("old")
    with pytest.raises(error), atomic_path(path) as partial:
        partial.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["metrics.json"]


def test_atomic_path_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(DataError, match=r"a\.json: cannot be written .*check permissions"),
        atomic_path(tmp_path / "file" / "a.json"),
    ):
        pass
    with pytest.raises(DataError, match="No space left"), atomic_path(tmp_path / "b.json"):
        raise OSError(28, "No space left on device")
    assert os.listdir(tmp_path) == ["file"]


# --- checks


def test_require():
    poses = np.zeros((5, 17, 3), dtype=">f8")
    sizes = {"T": 5}
    assert require(poses, "f.mat", "annot3", ("T", 17, 3), sizes).dtype == np.dtype("=f8")
    np.testing.assert_array_equal(require([(1, 2, 3)], "f.mat", "clips", ("P", 3), sizes), [[1, 2, 3]])
    assert sizes == {"T": 5, "P": 1}
    with pytest.raises(DataError, match=r"f\.mat: annot3: expected shape \(T=5, 17, 3\), found \(4, 17, 3\); fetch"):
        require(poses[:4], "f.mat", "annot3", ("T", 17, 3), sizes)
    with pytest.raises(DataError, match=r"f\.mat: annot3: empty, shape \(0, 17, 3\)"):
        require(poses[:0], "f.mat", "annot3", ("T", 17, 3))
    with pytest.raises(DataError, match="found an array of <U1"):
        require(np.array(["a"]), "f.mat", "annot3", ("T",))
    with pytest.raises(DataError, match="found a dict"):
        require({}, "f.mat", "annot3", ("T",))
    with pytest.raises(DataError, match="unequal lengths"):
        require([[1], [1, 2]], "f.mat", "annot3", ("T", 2))


def test_require_mask():
    np.testing.assert_array_equal(require_mask(np.array([0.0, 1.0]), "f", "is_valid", ("T",)), [False, True])
    for bad in (2, np.nan, -1):
        with pytest.raises(DataError, match=r"f: is_valid: 0 or 1 is expected, found .* at index \(1,\)"):
            require_mask(np.array([0.0, bad]), "f", "is_valid", ("T",))


def test_member():
    assert member({"poses": 1}, "poses", "f") == 1
    assert member([5, 6], 1, "f", "video 1") == 6
    with pytest.raises(DataError, match="f: has no poses, found a dict with keys pose, valid; fetch"):
        member({"pose": 1, "valid": 2}, "poses", "f")
    with pytest.raises(DataError, match="f: has no video 7, found a list"):
        member([], 7, "f", "video 7")
    with pytest.raises(DataError, match="f: has no poses, found a float"):
        member(1.0, "poses", "f")


def test_to_tensor_owns_its_memory():
    array = np.zeros((4, 2))
    tensor = to_tensor(array[:, 0])
    array += 1
    assert tensor.dtype == torch.float32
    assert tensor.sum() == 0
    assert to_tensor(np.array([True])).dtype == torch.bool
