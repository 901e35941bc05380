"""What a kill may leave in a folder: files that can be read to their end, whose results can be compared.

Names that begin with a dot are temporary (or Hydra's) and hidden from everything that reads a folder. Logs grow line by
line, so a kill may cut their last one.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
import torch
import yaml
from PIL import Image

from fileio.arrays import read_npz
from fileio.pickle_reader import read_pickle

#: Names of files whose content tells of the run (when, how long, by whom), not of its result. The curves of a continued
#: training lack the rows that were not yet written: at worst the training loss of the epoch before.
ABOUT_THE_RUN = {"run.json", "report.json", "lock", "metrics.csv"}
#: Keys of JSON files that do the same, and columns of the table of a predict run.
_ABOUT_THE_RUN_KEYS = {"stage_seconds"}
_SECONDS = re.compile(r"^- Seconds: .*$", re.MULTILINE)


class HalfFile(Exception):
    """A file under its final name that cannot be read to its end."""


def final_files(folder: Path) -> Iterator[Path]:
    """All files below `folder` but hidden ones and logs."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden and path.suffix != ".log":
            yield path


def leftovers(folder: Path) -> list[Path]:
    """Temporary files and folders below `folder`: the topmost hidden ones that are neither Hydra's nor locks."""
    hidden = [path for path in sorted(folder.rglob(".*")) if path.name != ".hydra" and not path.name.endswith(".lock")]
    return [path for path in hidden if not any(other in path.parents for other in hidden)]


def check_whole(path: Path) -> None:
    """HalfFile unless `path` can be read to its end; KeyError for an ending that nobody here knows to read."""
    if path.suffix not in _READERS:
        raise KeyError(f"{path}: nothing is known about files with this ending")
    try:
        _READERS[path.suffix](path)
    except Exception as error:  # readers of broken files raise nearly every type
        raise HalfFile(f"{path}: {type(error).__name__}: {error}") from error


def results(folder: Path) -> dict[str, str]:
    """Digests of what was computed, by names below `folder`; where the folder lies and when it was made is left out."""
    return {
        path.relative_to(folder).as_posix(): _digest(path, folder)
        for path in final_files(folder)
        if path.name not in ABOUT_THE_RUN
    }


def _digest(path: Path, folder: Path) -> str:
    if path.suffix == ".ckpt":
        content = torch.load(path, weights_only=True)
        kept = {key: content[key] for key in ("state_dict", "optimizer_states", "epoch") if key in content}
        return hashlib.sha256(b"".join(_plain_bytes(kept))).hexdigest()
    if path.suffix == ".npz":  # a zip archive of it holds the time of day
        return hashlib.sha256(b"".join(_plain_bytes(read_npz(path)))).hexdigest()
    if path.suffix in (".json", ".md", ".yaml"):
        text = _SECONDS.sub("", path.read_text().replace(str(folder), "FOLDER"))
        if path.suffix == ".json":
            content = json.loads(text)
            if isinstance(content, dict):
                content = {key: value for key, value in content.items() if key not in _ABOUT_THE_RUN_KEYS}
            if path.name == "manifest.json":
                _forget_times(content["steps"].values())
            text = json.dumps(content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _forget_times(steps: Iterable[dict[str, Any]]) -> None:
    """A manifest's inputs are recorded by size and time of change, and some were prepared themselves."""
    for step in steps:
        step["inputs"] = {name: size for name, (size, _) in step["inputs"].items()}


def _plain_bytes(value: Any) -> Iterator[bytes]:
    """The bits of nested containers of tensors, arrays and plain values, in their order."""
    if isinstance(value, dict):
        for key, entry in value.items():
            yield repr(key).encode()
            yield from _plain_bytes(entry)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from _plain_bytes(entry)
    elif isinstance(value, (torch.Tensor, np.ndarray)):
        yield f"{value.dtype}{tuple(value.shape)}".encode()
        yield np.ascontiguousarray(value).tobytes()
    else:
        yield repr(value).encode()


# --- readers: each raises for a file that breaks off -----------------------------------------------------------------


def _expect(condition: bool, what: str) -> None:
    if not condition:
        raise ValueError(what)


def _text(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    _expect(text.endswith("\n"), "its last line has no end")
    return text


def _json(path: Path) -> None:
    json.loads(path.read_text(encoding="utf-8"))


def _csv(path: Path) -> None:
    with open(path, newline="", encoding="utf-8") as file:
        lengths = {len(row) for row in csv.reader(line for line in file if not line.startswith("#"))}
    _text(path)
    _expect(len(lengths) == 1, f"rows of different lengths: {sorted(lengths)}")


def _mat(path: Path) -> None:
    if h5py.is_hdf5(path):
        with h5py.File(path) as file:
            for entry in file.values():
                entry[()]
    else:
        scipy.io.loadmat(path)


def _safetensors(path: Path) -> None:
    from safetensors.torch import load_file

    load_file(path)


def _picture(path: Path) -> None:
    with Image.open(path) as image:
        image.load()


def _mp4(path: Path) -> None:
    import av

    with av.open(str(path)) as container:
        declared = container.streams.video[0].frames
        found = sum(1 for _ in container.decode(video=0))
    _expect(found == declared > 0, f"{found} frames, {declared} declared")


def _html(path: Path) -> None:
    _expect(_text(path).rstrip().endswith("</html>"), "no </html> at its end")


def _bvh(path: Path) -> None:
    head, motion = _text(path).split("MOTION\n")
    frames, _, *rows = motion.splitlines()
    _expect(len(rows) == int(frames.split()[1]), f"{len(rows)} rows, {frames}")
    channels = sum(int(count) for count in re.findall(r"CHANNELS (\d+)", head))
    _expect({len(row.split()) for row in rows} == {channels}, f"a row has not {channels} values")


def _trc(path: Path) -> None:
    lines = _text(path).splitlines()
    declared = int(lines[2].split("\t")[2])
    rows = [line for line in lines[5:] if line.strip()]
    _expect(len(rows) == declared, f"{len(rows)} rows, {declared} declared")


def _c3d(path: Path) -> None:
    import c3d

    with open(path, "rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are no analog data
        reader = c3d.Reader(file)
        declared = reader.last_frame - reader.first_frame + 1
        found = sum(1 for _ in reader.read_frames())
    _expect(found == declared, f"{found} frames, {declared} declared")


def _calibration(path: Path) -> None:
    text = _text(path)
    _expect(text.count("name ") == text.count("radial ") == text.count("extrinsic ") > 0, "a camera is not complete")


_READERS: dict[str, Callable[[Path], Any]] = {
    "": lambda path: None if path.name == "lock" else _text(path),
    ".bvh": _bvh,
    ".c3d": _c3d,
    ".calibration": _calibration,
    ".ckpt": lambda path: torch.load(path, weights_only=True),
    ".csv": _csv,
    ".html": _html,
    ".jpg": _picture,
    ".json": _json,
    ".mat": _mat,
    ".md": _text,
    ".mp4": _mp4,
    ".npz": read_npz,
    ".pkl": read_pickle,
    ".png": _picture,
    ".safetensors": _safetensors,
    ".tex": _text,
    ".trc": _trc,
    ".yaml": lambda path: yaml.safe_load(_text(path)),
}
