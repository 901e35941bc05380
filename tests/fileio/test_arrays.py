"""Opening what may be damaged or hostile, and writing what must never be half there."""

from __future__ import annotations

import os
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
