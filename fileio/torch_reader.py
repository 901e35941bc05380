"""Torch files that may come from anywhere, read by `torch.load(weights_only=True)`, and their writing."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import Any

import torch

from fileio.atomic import write_bytes
from fileio.limits import check_unpacked
from pose.errors import DataError, PoseError


def load_tensors(path: Path) -> Any:
    """Content of a torch file that holds tensors and plain containers only. DataError for any other file."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as listing:
                check_unpacked(path, sum(item.file_size for item in listing.infolist()))
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


def write_tensors(path: Path | str, content: Any) -> None:
    """Write a torch file. DataError where it cannot be written."""
    file = io.BytesIO()  # PyTorch makes an error of its own of a full disk
    torch.save(content, file)
    write_bytes(path, file.getbuffer())


def _refusal(error: Exception) -> str:
    """The reason in torch's message, which for a file with a program in it is a page of advice to run it."""
    text = " ".join(str(error).split())
    if program := re.search(r"GLOBAL (\S+)", text):
        return f"refused to load {program[1][:100]}, which could run a program; do not open this file elsewhere"
    if damage := re.search(r"WeightsUnpickler error: (.{1,100})", text):
        return damage[1]
    return text[:150] or type(error).__name__
