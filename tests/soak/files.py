"""What a kill may leave in a folder: files that can be read to their end, whose results can be compared.

Names that begin with a dot are temporary (or Hydra's). Logs grow line by line, so a kill may cut their last one.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ezc3d
import h5py
import scipy.io
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

from fileio.arrays import read_npz
from fileio.pickle_reader import read_pickle

#: Files that tell of the run (when, how long), not of its result. The curves of a continued training can lack a loss.
ABOUT_THE_RUN = {"run.json", "report.json", "lock", "metrics.csv"}


class HalfFile(Exception):
    """A file under its final name that cannot be read to its end."""


def final_files(folder: Path) -> Iterator[Path]:
    """All files below `folder` but hidden ones and logs."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden and path.suffix != ".log":
            yield path


def check_whole(path: Path) -> None:
    """HalfFile unless `path` can be read to its end; KeyError for an ending without a reader."""
    read = _READERS[path.suffix]
    try:
        read(path)
    except Exception as error:  # readers of broken files raise nearly every type
        raise HalfFile(f"{path}: {type(error).__name__}: {error}") from error


def results(folder: Path) -> dict[str, str]:
    """Digests of what was computed, by names below `folder`; where the folder lies and when it was made is left out."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(_content(path, folder)).hexdigest()
        for path in final_files(folder)
        if path.name not in ABOUT_THE_RUN
    }


def _content(path: Path, folder: Path) -> bytes:
    if path.suffix == ".ckpt":
        content, file = torch.load(path, weights_only=True), io.BytesIO()
        torch.save({key: content[key] for key in ("state_dict", "optimizer_states", "epoch") if key in content}, file)
        return file.getvalue()
    if path.suffix == ".npz":  # a zip archive of it holds the time of day
        return b"".join(f"{k}{v.dtype}{v.shape}".encode() + v.tobytes() for k, v in sorted(read_npz(path).items()))
    if path.suffix not in (".json", ".md", ".yaml"):
        return path.read_bytes()
    text = re.sub(r"(?m)^- Seconds: .*$", "", path.read_text().replace(str(folder), "FOLDER"))
    if path.suffix == ".json" and isinstance(content := json.loads(text), dict):
        content.pop("stage_seconds", None)
        for step in content["steps"].values() if path.name == "manifest.json" else ():
            step["inputs"] = {name: size for name, (size, _) in step["inputs"].items()}  # without the time of change
        text = json.dumps(content, sort_keys=True)
    return text.encode()


def _text(path: Path, end: str = "\n") -> None:
    if not path.read_text(encoding="utf-8").endswith(end):
        raise ValueError("its end is missing")


def _mat(path: Path) -> None:
    if h5py.is_hdf5(path):
        with h5py.File(path) as file:
            for entry in file.values():
                entry[()]
    else:
        scipy.io.loadmat(path)


def _mp4(path: Path) -> None:
    import av

    with av.open(str(path)) as container:
        if sum(1 for _ in container.decode(video=0)) != container.streams.video[0].frames:
            raise ValueError("frames are missing")


_READERS: dict[str, Callable[[Path], Any]] = {
    "": lambda path: None if path.name == "lock" else _text(path),
    ".ckpt": lambda path: torch.load(path, weights_only=True),
    ".html": lambda path: _text(path, "</html>\n"),
    ".json": lambda path: json.loads(path.read_text(encoding="utf-8")),
    ".mat": _mat,
    ".mp4": _mp4,
    ".npz": read_npz,
    ".pkl": read_pickle,
    ".safetensors": load_file,
    ".yaml": lambda path: _text(path) or yaml.safe_load(path.read_text()),
    **dict.fromkeys((".bvh", ".calibration", ".csv", ".md", ".tex", ".trc"), _text),
    ".c3d": lambda path: ezc3d.c3d(str(path)),
    **dict.fromkeys((".gif", ".jpg", ".png"), lambda path: Image.open(path).load()),
}
