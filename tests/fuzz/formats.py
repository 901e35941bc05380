"""File formats as trees of values: `parse` a valid file, `write` a damaged tree.

These are the plain libraries, which trust what they are given: only files that this package made are parsed.
"""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import warnings
import zipfile
from typing import Any, NamedTuple

import h5py
import numpy as np
import scipy.io
import torch
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors


class Format(NamedTuple):
    """parse: bytes -> tree. write: tree, generator -> bytes; raises whatever it likes for what it cannot express."""

    parse: Any
    write: Any


def _write_pickle(tree: Any, rng: np.random.Generator) -> bytes:
    return pickle.dumps(tree, int(rng.integers(0, 6)))


def _parse_mat(content: bytes) -> Any:
    found = scipy.io.loadmat(io.BytesIO(content))
    return {key: value for key, value in found.items() if not key.startswith("__")}


def _write_mat(tree: Any, rng: np.random.Generator) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scipy.io.savemat(file, tree, do_compression=bool(rng.integers(0, 2)))
    return file.getvalue()


def _parse_hdf5(content: bytes) -> Any:
    with h5py.File(io.BytesIO(content), "r") as file:
        return {key: value[()] for key, value in file.items()}


def _write_hdf5(tree: Any, rng: np.random.Generator) -> bytes:
    out = io.BytesIO()
    compression = {"compression": "gzip"} if rng.random() < 0.3 else {}
    with h5py.File(out, "w") as file:
        for key, value in tree.items():
            if isinstance(value, dict):
                group = file.create_group(key)
                for inner, content in value.items():
                    group[inner] = content
            elif isinstance(value, np.ndarray) and value.ndim and value.size:
                file.create_dataset(key, data=value, **compression)
            else:
                file[key] = value
    return out.getvalue()


def _parse_npz(content: bytes) -> Any:
    with np.load(io.BytesIO(content)) as archive:
        return dict(archive)


def _write_npz(tree: Any, rng: np.random.Generator) -> bytes:
    file = io.BytesIO()
    (np.savez_compressed if rng.random() < 0.3 else np.savez)(file, **tree)
    if rng.random() < 0.1:  # a member that is no array
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr(f"{next(iter(tree), 'x')}2.npy" if rng.random() < 0.5 else "readme", b"text")
    return file.getvalue()


def _write_json(tree: Any, rng: np.random.Generator) -> bytes:
    text = json.dumps(tree, ensure_ascii=bool(rng.integers(0, 2)))
    if rng.random() < 0.1 and text.startswith("{") and len(text) > 2:  # a key twice
        text = "{" + text[1:-1] + ", " + text[1:]
    encoding = ("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin1")[int(rng.integers(0, 6))]
    return text.encode(encoding, errors="surrogatepass" if encoding != "latin1" else "replace")


def _parse_text(content: bytes) -> Any:
    return [line.split() for line in content.decode().splitlines()]


def _write_text(tree: Any, rng: np.random.Generator) -> bytes:
    lines = [" ".join(map(str, line)) if isinstance(line, list) else str(line) for line in tree]
    return "\n".join(lines).encode(errors="surrogatepass")


def _parse_torch(content: bytes) -> Any:
    return torch.load(io.BytesIO(content), weights_only=True)


def _write_torch(tree: Any, rng: np.random.Generator) -> bytes:
    file = io.BytesIO()
    torch.save(tree, file, _use_new_zipfile_serialization=rng.random() < 0.7)
    return file.getvalue()


def _parse_safetensors(content: bytes) -> Any:
    size = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + size])["__metadata__"]
    return {"tensors": load_safetensors(content), "settings": json.loads(metadata["lifter"])}


def _write_safetensors(tree: Any, rng: np.random.Generator) -> bytes:
    return save_safetensors(tree["tensors"], {"lifter": json.dumps(tree["settings"])})


def _parse_zip(content: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name).decode("latin1") for name in archive.namelist()}


def _write_zip(tree: Any, rng: np.random.Generator) -> bytes:
    file = io.BytesIO()
    kinds = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2)
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", kinds[int(rng.integers(0, 4))]) as archive:
        warnings.simplefilter("ignore")
        for name, value in tree.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = int(rng.choice([0o644, 0o644, 0o644, 0o120777, 0o040755])) << 16
            archive.writestr(info, str(value).encode("latin1", errors="replace"))
            if rng.random() < 0.05:
                archive.writestr(info, b"the same name again")
    return file.getvalue()


def _no_tree(content: bytes) -> Any:
    return None


def _no_write(tree: Any, rng: np.random.Generator) -> bytes:
    raise TypeError("bytes only")


FORMATS = {
    "pickle": Format(pickle.loads, _write_pickle),
    "mat": Format(_parse_mat, _write_mat),
    "hdf5": Format(_parse_hdf5, _write_hdf5),
    "npz": Format(_parse_npz, _write_npz),
    "json": Format(json.loads, _write_json),
    "text": Format(_parse_text, _write_text),
    "torch": Format(_parse_torch, _write_torch),
    "safetensors": Format(_parse_safetensors, _write_safetensors),
    "zip": Format(_parse_zip, _write_zip),
    "bytes": Format(_no_tree, _no_write),
}

_BY_ENDING = {
    ".pkl": "pickle", ".mat": "mat", ".npz": "npz", ".json": "json", ".calibration": "text", ".asf": "text",
    ".amc": "text", ".bvh": "text", ".ckpt": "torch", ".safetensors": "safetensors", ".zip": "zip", ".yaml": "text",
}  # fmt: skip


def format_of(name: str, content: bytes) -> str:
    """The format's name, by the ending of the file's, and for pickles and MATLAB files by the content."""
    kind = _BY_ENDING.get(name[name.rfind(".") :], "bytes")
    if kind == "mat" and b"HDF5" in content[:128]:
        return "hdf5"
    if kind == "pickle":
        with contextlib.suppress(Exception):
            torch.load(io.BytesIO(content), weights_only=True)
            return "torch"
    return kind
