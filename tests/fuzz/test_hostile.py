"""Files made to do harm: each refused in bounded time and memory, with one line that names the file."""

from __future__ import annotations

import io
import json
import os
import pickle
import stat
import struct
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from data.keypoints import read_detections
from data.keypoints.keypoints_json import read_keypoints_json
from data.mocap.asf_amc import read_amc, read_asf
from data.mocap.bvh import read_bvh
from data.mocap.clips import read_clips
from data.predictions import read_predictions
from data.prepare.manifest import Manifest
from data.prepare.sources import collect
from data.sets.mpi_inf_3dhp import read_cameras
from experiments.results.jobs import Job
from experiments.results.rows import tracks_of
from fileio.arrays import member, read_hdf5, read_mat, read_npz, read_pickle, require
from fileio.json_yaml import read_yaml, write_text
from fileio.video import probe
from lightning_modules.checkpoint import export_published, load_lifter, save_lifter
from pose.errors import PoseError
from tests.fuzz.cases import _reset_peak, _status
from tests.fuzz.mutations import _shared
from tests.fuzz.targets import _from_tests, _make_predictions, _small_lifter

MAX_SECONDS, MAX_BYTES = 5.0, 400 * 2**20


def refused(read: Callable[[], Any], name: str) -> str:
    """The message with which `read` refuses; fails for any other end, and for too much time or memory."""
    _reset_peak()
    before, start = _status("VmRSS"), time.process_time()
    with pytest.raises(PoseError) as caught:
        read()
    assert time.process_time() - start < MAX_SECONDS
    assert _status("VmHWM") - before < MAX_BYTES
    text = str(caught.value)
    assert text.isprintable() and name in text
    return text


# --- programs --------------------------------------------------------------------------------------------------------


class Runs:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def test_programs_in_pickles_and_checkpoints_do_not_run(tmp_path: Path) -> None:
    marker, folder = tmp_path / "ran", tmp_path / "published"
    program = Runs(marker)
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps({"poses": program}))
    refused(lambda: read_pickle(tmp_path / "evil.pkl"), "evil.pkl: refused to load")
    for zipped in (True, False):
        content = {"state_dict": {}, "hyper_parameters": {}, "x": program}
        torch.save(content, tmp_path / "evil.ckpt", _use_new_zipfile_serialization=zipped)
        text = refused(lambda: load_lifter(tmp_path / "evil.ckpt"), "evil.ckpt")
        assert "refused to load posix.system" in text and "weights_only" not in text, "torch's advice is to run it"
    export_published(_small_lifter(), folder)
    for name in ("model_params.pkl", "preprocess_params.pkl"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(pickle.dumps([{"name": "x", "state": program}] * 3, 2))
        refused(lambda: load_lifter(folder), name)
        (folder / name).write_bytes(whole)
    np.savez(tmp_path / "evil.npz", poses_3d=np.array([program], dtype=object), allow_pickle=True)
    for read in (read_npz, read_predictions, read_detections):
        refused(lambda read=read: read(tmp_path / "evil.npz"), "evil.npz")
    assert not marker.exists()


# --- announced sizes -------------------------------------------------------------------------------------------------


def _npy(head: str, content: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head) + 1) + head.encode() + b"\n" + content


@pytest.mark.parametrize(
    "head",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (100000, 100000), }",
        "{'descr': '<f8', 'fortran_order': True, 'shape': (-1, 5), }",
        "{'descr': '<U0', 'fortran_order': False, 'shape': (1000000000000,), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (10,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': " + "(" * 3000 + ")" * 3000 + ", }",
    ],
    ids=["large", "negative", "nothing", "objects", "deep"],
)
def test_npz_that_announces_what_it_does_not_hold(head: str, tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("sequence", "frame", "person", "poses_3d", "keypoints"):
            archive.writestr(f"{name}.npy", _npy(head))
    for read in (read_npz, read_predictions, read_detections):
        refused(lambda read=read: read(path), "p.npz")


def test_members_of_npz_that_are_no_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", sequence=["a"], frame=[0], person=[0], poses_3d=np.zeros((1, 17, 3)))
    with zipfile.ZipFile(tmp_path / "p.npz", "a") as archive:
        archive.writestr("version.npy", b"text")
    assert "version is no array" in refused(lambda: read_predictions(tmp_path / "p.npz"), "p.npz")


def test_an_npz_that_unpacks_to_far_more_than_it_is(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "p.npz", sequence=np.zeros(100 * 2**17))
    assert "100 MiB unpacked" in refused(lambda: read_predictions(tmp_path / "p.npz"), "p.npz")


def _element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def _head(array_class: int, shape: tuple[int, ...], name: bytes = b"x") -> bytes:
    dims = struct.pack(f"<{len(shape)}i", *shape)
    return _element(6, struct.pack("<II", array_class, 0)) + _element(5, dims) + _element(1, name)


def _mat(*variables: bytes) -> bytes:
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + b"".join(variables)


@pytest.mark.parametrize(("array_class", "rest"), [(1, b""), (6, _element(9, bytes(8))), (4, b""), (2, b"")])
def test_mat_that_announces_what_it_does_not_hold(array_class: int, rest: bytes, tmp_path: Path) -> None:
    path = tmp_path / "annot.mat"
    for shape in ((100_000, 100_000), (2**31 - 1,) * 8, (-1, 3)):
        path.write_bytes(_mat(_element(14, _head(array_class, shape) + rest)))
        refused(lambda: read_mat(path, ["x"]), "annot.mat")


def test_mat_with_cells_in_cells(tmp_path: Path) -> None:
    head = _head(1, (1, 1))
    size, pieces = 0, []
    for _ in range(100_000):  # SciPy's reader ends the process at about 10,000
        size += 8 + len(head)
        pieces.append(struct.pack("<II", 14, size - 8) + head)
    path = tmp_path / "annot.mat"
    path.write_bytes(_mat(b"".join(reversed(pieces))))
    assert "nested deeper than 8" in refused(lambda: read_mat(path, ["x"]), "annot.mat")


@pytest.mark.parametrize("kind", [0, 8, 14, 15, 16, 200, 2**15])
def test_mat_with_values_of_a_type_that_is_none(kind: int, tmp_path: Path) -> None:
    path = tmp_path / "annot.mat"
    array = _element(14, _head(9, (1, 8)) + _element(kind, bytes(8)))  # type 0 ends the process in SciPy's reader
    for variable in (array, _element(14, _head(1, (1, 1)) + array)):
        path.write_bytes(_mat(variable))
        assert f"values of type {kind}" in refused(lambda: read_mat(path, ["x"]), "annot.mat")


def test_mat_that_unpacks_to_far_more_than_it_is(tmp_path: Path) -> None:
    size = 2**29
    head = _head(6, (1, size // 8)) + struct.pack("<II", 9, size)
    packer = zlib.compressobj(1)
    pieces = [packer.compress(struct.pack("<II", 14, len(head) + size) + head)]
    pieces += [packer.compress(bytes(2**24)) for _ in range(size >> 24)]
    packed = b"".join([*pieces, packer.flush()])
    (tmp_path / "annot.mat").write_bytes(_mat(struct.pack("<II", 15, len(packed)) + packed))
    assert "refused" in refused(lambda: read_mat(tmp_path / "annot.mat", ["x"]), "annot.mat")


def test_variables_that_nobody_asks_for_are_not_unpacked(tmp_path: Path) -> None:
    good = _element(14, _head(6, (1, 1), b"wanted") + _element(9, struct.pack("<d", 5.0)))
    bad = zlib.compress(_element(14, _head(1, (1, 1), b"other") + bytes(3)))
    path = tmp_path / "annot.mat"
    path.write_bytes(_mat(struct.pack("<II", 15, len(bad)) + bad, good))
    assert read_mat(path, ["wanted"])["wanted"] == 5.0
    refused(lambda: read_mat(path), "annot.mat")


def test_hdf5_that_announces_what_it_does_not_hold(tmp_path: Path) -> None:
    path = tmp_path / "annot_data.mat"
    with h5py.File(path, "w") as file:
        file.create_dataset("annot3", shape=(100_000, 100_000), chunks=(1000, 1000), fillvalue=1.0, dtype="f8")
    assert "MiB unpacked" in refused(lambda: read_hdf5(path, ["annot3"]), "annot_data.mat")


def test_hdf5_with_a_chunk_far_larger_than_its_array(tmp_path: Path) -> None:
    path, size = tmp_path / "annot_data.mat", 2**26 + 8
    with h5py.File(path, "w") as file:
        entry = file.create_dataset("annot3", (10,), "f8", maxshape=(None,), chunks=(size // 8,), compression="gzip")
        entry.id.write_direct_chunk((0,), zlib.compress(bytes(size), 1))
    assert "MiB unpacked" in refused(lambda: read_hdf5(path, ["annot3"]), "annot_data.mat")


def test_hdf5_with_a_chunk_that_holds_more_than_its_array(tmp_path: Path) -> None:
    path, packer = tmp_path / "annot_data.mat", zlib.compressobj(1)
    packed = b"".join([*(packer.compress(bytes(2**24)) for _ in range(8)), packer.flush()])
    with h5py.File(path, "w") as file:
        entry = file.create_dataset("annot3", (10,), "f8", chunks=(10,), compression="gzip")
        entry.id.write_direct_chunk((0,), packed)
        file.create_dataset("lzf", data=np.zeros(10), compression="lzf")
    assert "more than its 80 bytes" in refused(lambda: read_hdf5(path, ["annot3"]), "annot_data.mat")
    assert "another method than gzip" in refused(lambda: read_hdf5(path, ["lzf"]), "annot_data.mat")


def test_hdf5_of_large_gzip_chunks_is_read(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 2**60, (3, 2**16))
    with h5py.File(tmp_path / "annot_data.mat", "w") as file:
        options = {"compression": "gzip", "shuffle": True, "fletcher32": True}
        file.create_dataset("annot3", data=values, chunks=(1, 2**16), **options)
    np.testing.assert_array_equal(read_hdf5(tmp_path / "annot_data.mat", ["annot3"])["annot3"], values)


def test_hdf5_that_leads_to_other_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret.bin"
    secret.write_bytes(np.arange(8.0).tobytes())
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.arange(3.0)
    path = tmp_path / "annot_data.mat"
    with h5py.File(path, "w") as file:
        file["link"] = h5py.ExternalLink("other.h5", "/x")
        file["soft"] = h5py.SoftLink("/link")
        file.create_dataset("raw", shape=(8,), dtype="f8", external=[(str(secret), 0, 64)])
        layout = h5py.VirtualLayout(shape=(3,), dtype="f8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", shape=(3,))
        file.create_virtual_dataset("virtual", layout)
        file["text"] = "words"
    for key in ("link", "soft", "raw", "virtual", "text"):
        refused(lambda key=key: read_hdf5(path, [key]), "annot_data.mat")


def test_pickles_that_grow(tmp_path: Path) -> None:
    path = tmp_path / "gt.pkl"
    nested: Any = [0.0] * 10
    for _ in range(9):
        nested = [nested] * 10
    path.write_bytes(pickle.dumps(nested))
    refused(lambda: require(read_pickle(path), path, "annot3", ("T", 17, 3)), "gt.pkl")
    for content in (
        b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"x.",  # a bytearray
        b"\x80\x05\x8e" + struct.pack("<Q", 2**40) + b"x.",  # bytes
        b"\x80\x02T" + struct.pack("<i", 2**31 - 1) + b"x.",
        b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b"N.",  # a frame
        b"(" * 1_000_000 + b".",
        b"I" + b"9" * 100_000 + b"\n.",
    ):
        path.write_bytes(content)
        refused(lambda: read_pickle(path), "gt.pkl")


TUPLES = b"\x85q\x00" + b"h\x00\x86q\x00" * 40  # of one tuple twice: 2 ** 40 in a hash and in a text


@pytest.mark.parametrize(
    "content",
    [
        b"}N" + TUPLES + b"K\x01s.",
        b"}(N" + TUPLES + b"K\x01u.",
        b"(N" + TUPLES + b"K\x01d.",
        b"\x8f(N" + TUPLES + b"\x90.",
        b"(N" + TUPLES + b"\x91.",
        b"ccollections\nOrderedDict\n]N" + TUPLES + b"K\x01\x86a\x85R.",
        b"}\x8b" + struct.pack("<i", 10**6) + b"a" * 10**6 + b"K\x01s.",
        b"cnumpy\ndtype\nN" + TUPLES + b"\x85R.",
    ],
    ids=["setitem", "setitems", "dict", "additems", "frozenset", "ordered", "endless", "dtype"],
)
def test_pickles_whose_keys_take_for_ever(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "gt.pkl").write_bytes(b"\x80\x04" + content)
    text = refused(lambda: read_pickle(tmp_path / "gt.pkl"), "gt.pkl")
    assert "a key of type" in text or "an array type that is a tuple" in text


def _many(count: int, *arguments: bytes) -> bytes:
    """A pickle of a list of `count` results of one function, with the same arguments."""
    stored = b"".join(part + b"q" + bytes([i]) for i, part in enumerate(arguments))
    call = b"".join(b"h" + bytes([i]) for i in range(len(arguments)))
    return b"\x80\x02" + stored + b"](" + (call + (b"\x86R" if len(arguments) == 3 else b"\x85R")) * count + b"e."


def test_pickles_that_copy_one_content(tmp_path: Path) -> None:
    path = tmp_path / "gt.pkl"
    text = b"X" + struct.pack("<I", 2**18) + b"a" * 2**18
    path.write_bytes(_many(2000, b"c_codecs\nencode\n", text, b"X\x06\x00\x00\x00latin1"))
    assert "MiB unpacked" in refused(lambda: read_pickle(path), "gt.pkl")
    pairs = b"](" + b"".join(b"M" + struct.pack("<H", i) + b"K\x01\x86" for i in range(10_000)) + b"e"
    path.write_bytes(_many(1000, b"ccollections\nOrderedDict\n", pairs))
    assert "MiB unpacked" in refused(lambda: read_pickle(path), "gt.pkl")
    array = b"cnumpy.core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\nq\x01K\x00\x85q\x02U\x01bq\x03"
    state = b"(K\x01J" + struct.pack("<i", 2**16) + b"\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R\x89" + text + b"tq\x04"
    path.write_bytes(b"\x80\x02" + array + state + b"](" + b"h\x00h\x01h\x02h\x03\x87Rh\x04b" * 2000 + b"e.")
    assert "MiB unpacked" in refused(lambda: read_pickle(path), "gt.pkl")


def test_lists_of_one_array_or_one_text(tmp_path: Path) -> None:
    path = tmp_path / "gt.pkl"
    path.write_bytes(pickle.dumps([np.zeros((100, 19, 3))] * 25_000))
    assert "MiB unpacked" in refused(lambda: require(read_pickle(path), path, "poses", ("T", "J", 19, 3)), "gt.pkl")
    path.write_bytes(pickle.dumps(["a" * 10**6, *["b"] * 1000]))
    assert "text" in refused(lambda: require(read_pickle(path), path, "poses", ("T",)), "gt.pkl")


def test_a_key_of_endless_digits_is_not_quoted(tmp_path: Path) -> None:
    assert "with keys a;" in refused(lambda: member({10**5000: 1, "a": 2}, "poses", tmp_path / "gt.pkl"), "gt.pkl")


def test_a_memo_far_away_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "gt.pkl"
    path.write_bytes(b"\x80\x02Nr\xff\xff\xff\xff.")  # would be 64 GiB in C
    _reset_peak()
    before = _status("VmRSS")
    assert read_pickle(path) is None
    assert _status("VmHWM") - before < MAX_BYTES


# --- checkpoints -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "network",
    [
        {"channels": 10**6},
        {"channels": 10**400},
        {"filter_widths": [3] * 10**6},
        {"filter_widths": [3, 10**9 + 1]},
        {"dropout": float("nan")},
        {"norm": ["batch"]},
    ],
    ids=["wide", "endless", "deep", "far", "nan", "list"],
)
def test_settings_of_a_huge_network(network: dict, tmp_path: Path) -> None:
    save_lifter(tmp_path / "a.ckpt", _small_lifter())
    content = torch.load(tmp_path / "a.ckpt", weights_only=True)
    content["hyper_parameters"]["network"].update(network)
    torch.save(content, tmp_path / "a.ckpt")
    refused(lambda: load_lifter(tmp_path / "a.ckpt"), "a.ckpt")
    export_published(_small_lifter(), tmp_path / "published")
    config = json.loads((tmp_path / "published" / "config.json").read_text())
    config["model"] |= network | ({"layernorm": network["norm"]} if "norm" in network else {})
    (tmp_path / "published" / "config.json").write_text(json.dumps(config))
    refused(lambda: load_lifter(tmp_path / "published"), "published")


def test_weights_that_are_one_number_written_out(tmp_path: Path) -> None:
    save_lifter(tmp_path / "a.ckpt", _small_lifter())
    content = torch.load(tmp_path / "a.ckpt", weights_only=True)
    size, state = 50_000, content["state_dict"]
    content["hyper_parameters"]["network"]["channels"] = size
    for name, value in state.items():
        shape = [size if side == 4 else side for side in value.shape]
        state[name] = torch.ones((), dtype=value.dtype).expand(shape)
    torch.save(content, tmp_path / "a.ckpt")
    assert (tmp_path / "a.ckpt").stat().st_size < 100_000
    assert "not stored as a plain array" in refused(lambda: load_lifter(tmp_path / "a.ckpt"), "a.ckpt")


def _with_pickle(path: Path, content: bytes) -> None:
    """The torch file `path` with another `data.pkl`."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, old in members.items():
            archive.writestr(name, content if name.endswith("/data.pkl") else old)


@pytest.mark.parametrize(
    "content",
    [
        b"}N" + TUPLES + b"K\x01s.",
        b"ccollections\nOrderedDict\n]N" + TUPLES + b"K\x01\x86a\x85R.",
        b"ccollections\nOrderedDict\n)R]N" + TUPLES + b"K\x01\x86ab.",
        b"c__builtin__\nset\n]N" + TUPLES + b"a\x85R.",
        b"(U\x07storagectorch\nFloatStorage\nN" + TUPLES + b"U\x03cpuK\x01tQ.",
        b"ctorch._utils\n_rebuild_from_type_v2\n(c__builtin__\nset\nN]N" + TUPLES + b"a\x85NtR.",
    ],
    ids=["dict", "ordered", "state", "set", "storage", "rebuilt"],
)
def test_checkpoints_whose_keys_take_for_ever(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    torch.save({}, path)
    _with_pickle(path, b"\x80\x02" + content)
    refused(lambda: load_lifter(path), "a.ckpt: not a readable file of weights")
    torch.save({}, path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    assert whole.count(b"\x80\x02}q\x00.") == 1
    path.write_bytes(whole.replace(b"\x80\x02}q\x00.", b"\x80\x02" + content))
    refused(lambda: load_lifter(path), "a.ckpt: not a readable file of weights")


@pytest.mark.parametrize("key", ["fps", "coordinates", "joints_2d", "network", "training"])
def test_settings_that_grow(key: str, tmp_path: Path) -> None:
    save_lifter(tmp_path / "a.ckpt", _small_lifter())
    content = torch.load(tmp_path / "a.ckpt", weights_only=True)
    hparams = content["hyper_parameters"]
    content["hyper_parameters"] = hparams | {key: _shared(8) if key != "network" else {"channels": _shared(8)}}
    torch.save(content, tmp_path / "a.ckpt")
    assert "far larger than a lifter's" in refused(lambda: load_lifter(tmp_path / "a.ckpt"), "a.ckpt")


def test_published_standardisation_that_grows(tmp_path: Path) -> None:
    export_published(_small_lifter(), tmp_path)
    steps = [{"name": "x", "state": {"mean": _shared(9), "std": _shared(9)}}] * 3
    (tmp_path / "preprocess_params.pkl").write_bytes(pickle.dumps(steps, 2))
    assert "too many" in refused(lambda: load_lifter(tmp_path), "preprocess_params.pkl")


@pytest.mark.parametrize("key", [0, 10**100, ("a",)], ids=["number", "long", "tuple"])
def test_weights_whose_names_are_no_text(key: Any, tmp_path: Path) -> None:
    save_lifter(tmp_path / "a.ckpt", _small_lifter())
    content = torch.load(tmp_path / "a.ckpt", weights_only=True)
    content["state_dict"][key] = torch.zeros(1)
    torch.save(content, tmp_path / "a.ckpt")
    refused(lambda: load_lifter(tmp_path / "a.ckpt"), "a.ckpt")


def test_a_checkpoint_that_unpacks_to_far_more_than_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    torch.save({}, path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data/0", bytes(2**26 + 1), compresslevel=1)
    assert "MiB unpacked" in refused(lambda: load_lifter(path), "a.ckpt")


# --- text ------------------------------------------------------------------------------------------------------------

DEEP = "[" * 100_000 + "]" * 100_000


def test_deep_json(tmp_path: Path) -> None:
    for name in ("k.json", "manifest.json", "lifter.json", "metrics.json", "failed.json"):
        (tmp_path / name).write_text(DEEP)
    refused(lambda: read_detections(tmp_path / "k.json"), "k.json")
    refused(lambda: read_keypoints_json(tmp_path / "k.json"), "k.json")
    refused(lambda: Manifest(tmp_path), "manifest.json")
    refused(lambda: load_lifter(tmp_path), "lifter.json")
    refused(lambda: Job.read(tmp_path, []), "failed.json")
    (tmp_path / "failed.json").unlink()
    refused(lambda: Job.read(tmp_path, []), "metrics.json")
    (tmp_path / "lifter.json").unlink()
    (tmp_path / "config.json").write_text(DEEP)
    refused(lambda: load_lifter(tmp_path), "config.json")
    settings = json.dumps({"lifter": DEEP})
    header = ('{"__metadata__": ' + settings + "}").encode()
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    refused(lambda: load_lifter(tmp_path / "a.safetensors"), "a.safetensors")


def test_yaml_that_grows(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    (tmp_path / "config.yaml").write_text("\n".join(lines))
    assert "repetitions" in refused(lambda: read_yaml(tmp_path / "config.yaml"), "config.yaml")
    (tmp_path / "config.yaml").write_text("a: !!python/object/apply:os.system ['touch ran']")
    refused(lambda: read_yaml(tmp_path / "config.yaml"), "config.yaml")


def test_names_that_break_lines_and_steer_terminals(tmp_path: Path) -> None:
    name = "a\nERROR: all is lost\x1b[2J\ud800.jpg"
    for content in ({name: [{"keypoints": [1]}]}, {name: 5}, {"b.jpg": [], name: {}}):
        (tmp_path / "k.json").write_text(json.dumps(content))
        assert r"\nERROR" in refused(lambda: read_keypoints_json(tmp_path / "k.json"), "k.json")


def test_motion_capture_that_announces_what_it_does_not_hold(tmp_path: Path) -> None:
    text = "HIERARCHY\nROOT hip\n{\nOFFSET 0 0 0\nCHANNELS 1 Xrotation\n}\nMOTION\nFrames: {n}\nFrame Time: {t}\n0\n"
    for n, seconds in ((10**9, 0.01), (1, 1e-300), ("nan", 0.01), (1, "inf")):
        (tmp_path / "w.bvh").write_text(text.replace("{n}", str(n)).replace("{t}", str(seconds)))
        refused(lambda: read_bvh(tmp_path / "w.bvh"), "w.bvh")
    helpers = _from_tests("data/mocap/test_asf_amc.py")
    (tmp_path / "01.asf").write_text(helpers["ASF"])
    (tmp_path / "01_01.amc").write_text(helpers["AMC"].replace("\n5\n", "\n1000000000\n"))
    refused(lambda: read_amc(tmp_path / "01_01.amc", read_asf(tmp_path / "01.asf")), "01_01.amc")
    chain = "".join(f"begin\nname b{i}\nlength 1\nend\n" for i in range(20_000))
    (tmp_path / "02.asf").write_text(f":bonedata\n{chain}:hierarchy\nbegin\nroot b0\nend\n")
    refused(lambda: read_asf(tmp_path / "02.asf"), "02.asf")
    (tmp_path / "npz").mkdir()
    np.savez(tmp_path / "npz" / "w.npz", walk=np.zeros((5, 17, 3)), fps=1e-300)
    refused(lambda: read_clips(tmp_path / "npz"), "w.npz")


def test_a_calibration_of_endless_numbers(tmp_path: Path) -> None:
    path = tmp_path / "camera.calibration"
    path.write_text("name 0\nsize " + "9" * 10_000 + " 2048\n")
    refused(lambda: read_cameras(path), "camera.calibration")


# --- predictions and detections --------------------------------------------------------------------------------------


def test_frames_far_apart(tmp_path: Path) -> None:
    _make_predictions(tmp_path)
    arrays = dict(np.load(tmp_path / "predictions.npz"))
    arrays["frame"] = np.where(arrays["frame"] == 6, 10**12, arrays["frame"])
    np.savez(tmp_path / "predictions.npz", **arrays)
    found = read_predictions(tmp_path / "predictions.npz")
    refused(lambda: tracks_of(found, 25.0, "normal", np.ones(len(found))), "predictions.npz")
    keypoints = np.full((3, 17, 3), 50.0) * [1, 1, 0.01]
    np.savez(tmp_path / "k.npz", keypoints=keypoints, frame=[0, 1, 2], n_frames=999_999_999)
    refused(lambda: read_detections(tmp_path / "k.npz"), "k.npz")


def test_image_names_that_are_one_frame(tmp_path: Path) -> None:
    people = [{"keypoints": [50.0, 60.0, 0.5] * 17, "score": 0.5}]
    (tmp_path / "k.json").write_text(json.dumps({"a/img_1.jpg": people, "b/img_1.jpg": people, "img_01.jpg": people}))
    assert read_detections(tmp_path / "k.json").n_frames == 3, "in the order of their names, none over another"
    assert len(read_keypoints_json(tmp_path / "k.json")) == 3


# --- archives --------------------------------------------------------------------------------------------------------


def test_archives_that_lead_elsewhere_or_grow(tmp_path: Path) -> None:
    path = tmp_path / "S1.zip"
    for name in ("../annot.mat", "/annot.mat", "a/../../annot.mat", "C:\\annot.mat", "..\\annot.mat"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, "x")
        assert "leads out of its folder" in refused(lambda: collect([path], "(annot)"), "S1.zip")
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("annot.mat")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    assert "leads out of its folder" in refused(lambda: collect([path], "(annot)"), "S1.zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("annot.mat", "w") as file:
        for _ in range(10):
            file.write(bytes(2**24))
    assert "unpacks to 160 MiB" in refused(lambda: collect([path], "(annot)"), "S1.zip")


# --- videos ----------------------------------------------------------------------------------------------------------


def test_a_video_of_frames_without_bounds(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    content = bytearray(path.read_bytes())
    at = content.index(b"\xff\xc0\x00\x11\x08")
    content[at + 5 : at + 9] = struct.pack(">HH", 60_000, 60_000)
    path.write_bytes(content)
    refused(lambda: probe(path), "clip.mkv")


@pytest.mark.parametrize("text", ["#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nclip.mp4\n", "ffconcat version 1.0\n"])
def test_play_lists_are_no_videos(text: str, tmp_path: Path) -> None:
    pytest.importorskip("av")
    _from_tests("fileio/test_video.py")["write"](tmp_path / "clip.mp4", 4)
    path = tmp_path / ("list.m3u8" if "EXT" in text else "list.ffconcat")
    path.write_text(text + ("file clip.mp4\n" if "ff" in text else "#EXT-X-ENDLIST\n"))
    refused(lambda: probe(path), path.name)


def test_a_picture_of_a_huge_size(tmp_path: Path) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    file = io.BytesIO(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    (tmp_path / "img_0.png").write_bytes(file.getvalue())
    refused(lambda: probe(tmp_path, fps=25), "img_0.png")


def test_a_matlab_array_without_its_imaginary_part(tmp_path: Path) -> None:
    import scipy.io

    path = tmp_path / "annot.mat"
    cell = np.empty((1, 2), dtype=object)
    cell[0, 0], cell[0, 1] = np.ones((1, 17)), np.ones((1, 17))
    scipy.io.savemat(path, {"labels": cell})
    content = bytearray(path.read_bytes())
    real = struct.pack("<IIII", 6, 8, 6, 0)  # the flags of an array of doubles
    assert content.count(real) == 2
    content[content.index(real) + 9] = 0x08
    path.write_bytes(content)
    assert "2 are expected" in refused(lambda: read_mat(path), "annot.mat")


def test_half_characters_are_spelt_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_text(tmp_path / "table.md", json.loads('"data \\ud800"'), show=True)
    assert capsys.readouterr().out == "data \\ud800\n"
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == "data \\ud800"
