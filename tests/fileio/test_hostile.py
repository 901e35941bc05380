"""Files with a program inside never run it; files that announce gigabytes are refused at once. Each with one line."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import time
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import torch

from data.keypoints import is_keypoints_input, read_detections
from data.keypoints.keypoints_json import read_keypoints_json
from data.predictions import read_predictions
from fileio.arrays import read_hdf5, read_npz, require
from fileio.json_yaml import load_json, read_yaml, write_text
from fileio.mat_reader import read_mat
from fileio.pickle_reader import read_pickle
from fileio.torch_reader import load_tensors
from fileio.video import probe, read_video
from lightning_modules.checkpoint import load_lifter, save_lifter
from pose.errors import PoseError

MAX_SECONDS, MAX_BYTES = 5.0, 400 * 2**20


def _memory(key: str) -> int:
    """Bytes, by Linux's /proc; 0 elsewhere."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) * 1024
    return 0


def refused(read: Callable[[], Any], name: str) -> str:
    """The message with which `read` refuses; fails for any other end, and for too much time or memory."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before, start = _memory("VmRSS"), time.process_time()
    with pytest.raises(PoseError) as caught:
        read()
    assert time.process_time() - start < MAX_SECONDS
    assert _memory("VmHWM") - before < MAX_BYTES
    text = str(caught.value)
    assert text.isprintable() and name in text
    return text


# --- programs --------------------------------------------------------------------------------------------------------


class Runs:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def test_programs_do_not_run(golden: Path, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    program = Runs(marker)
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps({"poses": program}))
    assert "refused to load" in refused(lambda: read_pickle(tmp_path / "evil.pkl"), "evil.pkl")
    for zipped in (True, False):
        content = {"state_dict": {}, "hyper_parameters": {}, "x": program}
        torch.save(content, tmp_path / "evil.ckpt", _use_new_zipfile_serialization=zipped)
        text = refused(lambda: load_lifter(tmp_path / "evil.ckpt"), "evil.ckpt")
        assert "refused to load posix.system" in text and "weights_only" not in text, "torch's advice is to run it"
    for name in ("model_params.pkl", "preprocess_params.pkl"):
        folder = tmp_path / name.split("_")[0]
        folder.mkdir()
        for file in (golden / "checkpoint").iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        (folder / name).write_bytes(pickle.dumps([{"name": "x", "state": program}] * 3, 2))
        refused(lambda folder=folder: load_lifter(folder), name)
    np.savez(tmp_path / "evil.npz", poses_3d=np.array([program], dtype=object), allow_pickle=True)
    for read in (read_npz, read_predictions, read_detections):
        refused(lambda read=read: read(tmp_path / "evil.npz"), "evil.npz")
    (tmp_path / "evil.yaml").write_text(f"a: !!python/object/apply:os.system ['touch {marker}']")
    refused(lambda: read_yaml(tmp_path / "evil.yaml"), "evil.yaml")
    assert not marker.exists()


def _element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def _head(array_class: int, shape: tuple[int, ...], name: bytes = b"x") -> bytes:
    dims = struct.pack(f"<{len(shape)}i", *shape)
    return _element(6, struct.pack("<II", array_class, 0)) + _element(5, dims) + _element(1, name)


def _mat(*variables: bytes) -> bytes:
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + b"".join(variables)


@pytest.mark.parametrize("array_class", [3, 5, 16, 17], ids=["object", "sparse", "function handle", "opaque"])
def test_mat_that_is_not_plain_data(array_class: int, tmp_path: Path) -> None:
    array = _element(14, _head(array_class, (1, 1)) + _element(9, bytes(8)))
    for variable in (array, _element(14, _head(1, (1, 1)) + array)):
        (tmp_path / "annot.mat").write_bytes(_mat(variable))
        assert "not plain data" in refused(lambda: read_mat(tmp_path / "annot.mat"), "annot.mat")


def test_hdf5_that_leads_to_other_files(tmp_path: Path) -> None:
    secret, path = tmp_path / "secret.bin", tmp_path / "annot_data.mat"
    secret.write_bytes(np.arange(8.0).tobytes())
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.arange(3.0)
    with h5py.File(path, "w") as file:
        file["link"] = h5py.ExternalLink("other.h5", "/x")
        file.create_dataset("raw", shape=(8,), dtype="f8", external=[(str(secret), 0, 64)])
        layout = h5py.VirtualLayout(shape=(3,), dtype="f8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", shape=(3,))
        file.create_virtual_dataset("virtual", layout)
    for key in ("link", "raw", "virtual"):
        refused(lambda key=key: read_hdf5(path, [key]), "annot_data.mat")


# --- announced sizes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["'<f8', (100000, 100000)", "'<f8', (-1, 5)", "'<U0', (10**12,)", "'|O', (10,)"])
def test_npz_that_announces_what_it_does_not_hold(head: str, tmp_path: Path) -> None:
    descr, shape = head.replace("10**12", str(10**12)).split(", ", 1)
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    with zipfile.ZipFile(tmp_path / "p.npz", "w") as archive:
        for name in ("sequence", "frame", "person", "poses_3d", "keypoints"):
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text)
    for read in (read_npz, read_predictions, read_detections):
        refused(lambda read=read: read(tmp_path / "p.npz"), "p.npz")


def test_files_that_unpack_to_far_more_than_they_are(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "p.npz", sequence=np.zeros(100 * 2**17))
    assert "100 MiB unpacked" in refused(lambda: read_npz(tmp_path / "p.npz"), "p.npz")
    scipy.io.savemat(tmp_path / "annot.mat", {"x": np.zeros(2**24)}, do_compression=True)
    assert "unpacks to more" in refused(lambda: read_mat(tmp_path / "annot.mat", ["x"]), "annot.mat")
    torch.save({}, tmp_path / "a.ckpt")
    with zipfile.ZipFile(tmp_path / "a.ckpt", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data/0", bytes(2**26 + 1), compresslevel=1)
    assert "MiB unpacked" in refused(lambda: load_tensors(tmp_path / "a.ckpt"), "a.ckpt")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", shape=(100_000, 100_000), chunks=(1000, 1000), fillvalue=1.0, dtype="f8")
    assert "MiB unpacked" in refused(lambda: read_hdf5(tmp_path / "a.h5", ["x"]), "a.h5")


EMPTY_TEXT = (4, _element(4, b""))  # would become as many spaces


@pytest.mark.parametrize(("array_class", "rest"), [(1, b""), (6, _element(9, bytes(8))), EMPTY_TEXT, (2, b"")])
def test_mat_that_announces_what_it_does_not_hold(array_class: int, rest: bytes, tmp_path: Path) -> None:
    path = tmp_path / "annot.mat"
    for shape in ((100_000, 100_000), (2**31 - 1,) * 8, (-1, 3)):
        path.write_bytes(_mat(_element(14, _head(array_class, shape) + rest)))
        refused(lambda: read_mat(path, ["x"]), "annot.mat")


def test_mat_that_ends_the_process_in_scipys_reader(tmp_path: Path) -> None:
    path = tmp_path / "annot.mat"
    path.write_bytes(_mat(_element(14, _head(9, (1, 8)) + _element(0, bytes(8)))))
    assert "values of type 0" in refused(lambda: read_mat(path, ["x"]), "annot.mat")
    nested = b""
    for _ in range(1000):
        nested = _element(14, _head(1, (1, 1)) + nested)
    path.write_bytes(_mat(nested))
    assert "nested deeper than 8" in refused(lambda: read_mat(path, ["x"]), "annot.mat")
    scipy.io.savemat(path, {"x": np.ones((1, 17))})
    content = path.read_bytes()
    path.write_bytes(content[:145] + b"\x08" + content[146:])  # complex, without an imaginary part
    assert "elements of values" in refused(lambda: read_mat(path), "annot.mat")


def test_pickles_that_announce_what_they_do_not_hold(tmp_path: Path) -> None:
    path = tmp_path / "gt.pkl"
    for content in (
        b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"x.",  # a bytearray
        b"\x80\x05\x8e" + struct.pack("<Q", 2**40) + b"x.",  # bytes
        b"\x80\x02T" + struct.pack("<i", 2**31 - 1) + b"x.",
        b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b"N.",  # a frame
        b"\x80\x02Nr\xff\xff\xff\xff.",  # a place of 64 GiB
        b"(" * 1_000_000 + b".",
    ):
        path.write_bytes(content)
        refused(lambda: read_pickle(path), "gt.pkl")
    nested: Any = [0.0] * 10
    for _ in range(9):
        nested = [nested] * 10
    path.write_bytes(pickle.dumps(nested))
    refused(lambda: require(read_pickle(path), path, "annot3", ("T", 17, 3)), "gt.pkl")


@pytest.mark.parametrize("network", [{"channels": 10**6}, {"filter_widths": [3, 10**9 + 1]}], ids=["wide", "far"])
def test_settings_of_a_huge_network(network: dict, golden: Path, tmp_path: Path) -> None:
    save_lifter(tmp_path / "a.ckpt", load_lifter(golden / "checkpoint"))
    content = torch.load(tmp_path / "a.ckpt", weights_only=True)
    content["hyper_parameters"]["network"].update(network)
    torch.save(content, tmp_path / "a.ckpt")
    refused(lambda: load_lifter(tmp_path / "a.ckpt"), "a.ckpt")


def test_text_that_is_deep_or_grows(tmp_path: Path) -> None:
    (tmp_path / "k.json").write_text("[" * 100_000 + "]" * 100_000)
    for read in (load_json, read_detections, read_keypoints_json):
        refused(lambda read=read: read(tmp_path / "k.json"), "k.json")
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    (tmp_path / "config.yaml").write_text("\n".join(lines))
    assert "repetitions" in refused(lambda: read_yaml(tmp_path / "config.yaml"), "config.yaml")


def test_a_picture_of_a_huge_size(tmp_path: Path) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    file = io.BytesIO(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    (tmp_path / "img_0.png").write_bytes(file.getvalue())
    refused(lambda: probe(tmp_path, fps=25), "img_0.png")


@pytest.mark.parametrize("text", ["#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nclip.mp4\n", "ffconcat version 1.0\n"])
def test_play_lists_are_no_videos(text: str, tmp_path: Path) -> None:
    pytest.importorskip("av")
    path = tmp_path / ("list.m3u8" if "EXT" in text else "list.ffconcat")
    path.write_text(text + ("file clip.mp4\n" if "ff" in text else "#EXT-X-ENDLIST\n"))
    refused(lambda: probe(path), path.name)


def test_pipes_and_devices_are_no_input(tmp_path: Path) -> None:
    """They would be waited for without end."""
    os.mkfifo(tmp_path / "pipe.json")
    for path in (tmp_path / "pipe.json", Path("/dev/zero")):
        for read in (load_json, read_detections, is_keypoints_input, read_predictions, read_video):
            said = refused(lambda read=read, path=path: read(path), path.name)
            assert "is a pipe or a device, a file is expected" in said, read


def test_names_that_break_lines_and_steer_terminals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "a\nERROR: all is lost\x1b[2J\ud800.jpg"
    for content in ({name: [{"keypoints": [1]}]}, {name: 5}):
        (tmp_path / "k.json").write_text(json.dumps(content))
        assert r"\nERROR" in refused(lambda: read_keypoints_json(tmp_path / "k.json"), "k.json")
    write_text(tmp_path / "table.md", json.loads('"data \\ud800"'), show=True)
    assert capsys.readouterr().out == "data \\ud800\n"
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == "data \\ud800"
