"""Torch files from anywhere: tensors and plain containers, in time and memory that the file's size bounds.

`torch.load(weights_only=True)` runs no program, but follows a file that asks for endless work. The structure is
therefore made by our own unpickler first, with nothing in place of the tensors.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch.serialization import MAGIC_NUMBER

from fileio.limits import check_unpacked
from fileio.pickle_reader import Unpickler, Whole, check_keys
from pose.errors import DataError, PoseError


def load_tensors(path: Path) -> Any:
    """Content of a torch file that holds tensors and plain containers only. DataError for any other file."""
    try:
        _check_structure(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except PoseError:
        raise
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); copy the whole checkpoint folder") from error
    except Exception as error:  # unpickling damaged bytes raises nearly every type
        reason = _refusal(error)
        raise DataError(
            f"{path}: not a readable file of weights ({reason}); it is damaged or no torch checkpoint, copy it again"
        ) from error


def _refusal(error: Exception) -> str:
    """The reason in torch's message, which for a file with a program in it is a page of advice to run it."""
    text = " ".join(str(error).split())
    if program := re.search(r"GLOBAL (\S+)", text):
        return f"refused to load {program[1][:100]}, which could run a program; do not open this file elsewhere"
    if damage := re.search(r"WeightsUnpickler error: (.{1,100})", text):
        return damage[1]
    return text[:150] or type(error).__name__


class _Nothing:
    """Stands for a tensor, a type of numbers or a storage."""


class _Structure(Unpickler):
    """Containers as they are in the file, without the tensors."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch._utils" and name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter"):
            return lambda *_: _Nothing()
        if module == "torch" and (name.endswith("Storage") or isinstance(vars(torch).get(name), torch.dtype)):
            return _Nothing()  # cannot be called
        admitted = {
            ("collections", "OrderedDict"): self._ordered,
            ("collections", "Counter"): self._counts,  # milestones of a learning rate
            ("builtins", "set"): self._set,
            ("_codecs", "encode"): self._encode,
        }
        key = (module.replace("__builtin__", "builtins"), name)
        if key not in admitted:
            raise pickle.UnpicklingError(f"GLOBAL {module}.{name}")
        return admitted[key]

    def persistent_load(self, pid: Any) -> _Nothing:
        kind, _, key, location, numel, *view = pid
        check_keys((kind, key, location, numel))
        check_unpacked(self.path, numel)
        if view not in ([], [None]):
            raise pickle.UnpicklingError("a part of a storage")
        return _Nothing()

    def _load_build(self) -> None:
        """Only ordered dicts have attributes: torch's state dicts."""
        state, made = self.stack.pop(), self.stack[-1]
        if not isinstance(made, dict) or not isinstance(state, dict):
            raise pickle.UnpicklingError(f"a state of a {type(made).__name__}")
        self._count(100 * len(state))

    dispatch = {**Unpickler.dispatch, pickle.BUILD[0]: _load_build}

    def _encode(self, text: str, encoding: str) -> bytes:
        if encoding != "latin1":  # torch looks the codec up
            raise pickle.UnpicklingError("bytes in another encoding than latin1")
        return super()._encode(text, encoding)

    def _set(self, members: Any = ()) -> set:
        self._count(100 * len(members))
        check_keys(members)
        return set(members)

    def _counts(self, counts: dict) -> dict:
        return dict(self._ordered(counts.items()))


def _check_structure(path: Path) -> None:
    """Raise for a torch file that is no plain containers of tensors, or larger in memory than its size admits."""
    with open(path, "rb") as file:
        zipped = file.read(4) == b"PK\x03\x04"  # as torch tells them apart
    if zipped:
        with zipfile.ZipFile(path) as listing:
            check_unpacked(path, sum(item.file_size for item in listing.infolist()))
        # Torch's own reader, so that it sees no other content than this.
        _Structure(path, torch._C.PyTorchFileReader(str(path)).get_record("data.pkl")).load()
        return
    file = Whole(path.read_bytes())
    if _Structure(path, file).load() != MAGIC_NUMBER:
        raise pickle.UnpicklingError("it does not begin as one")
    for _ in ("version", "system", "content"):
        _Structure(path, file).load()
    check_keys(_Structure(path, file).load())  # of the storages
