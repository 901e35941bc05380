"""Prepared motion capture on disk: where a set lies, and its readers, which are those of the real data sets.

A set lies below `Mocap/all` or, without one subject (who is then the one to test on), below `Mocap/without_SUBJECT`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data.sets.muco_temp import MuCoTemp
from data.sets.mupots_3d import MuPoTS3D
from fileio.json_yaml import load_object
from fileio.limits import FETCH, reading
from pose.errors import DataError

#: What a set says about itself: settings and sizes.
SETTINGS_FILE = "mocap.json"
MAX_VIDEOS = 10_000
MUCO, MPI, MUPOTS = "MucoTemp", "Mpi3DHP", "MuPoTS"
_SOURCE = "make it with: python run.py experiment=prepare prepare=mocap paths.mocap=FOLDER"


def mocap_folder(root: Path | str, held_out: str | None) -> Path:
    """Where the set without subject `held_out` (or with all of them) lies below the data sets' root."""
    return Path(root) / "Mocap" / ("all" if held_out is None else f"without_{held_out}")


def mocap_training(folder: Path) -> MuCoTemp:
    """The reader of the training scenes of the set in `folder`."""
    settings = mocap_settings(folder)
    return _Training(
        folder / MUCO, folder / MPI, videos=range(settings["videos"]), subjects=range(1, settings["subjects"] + 2),
        recordings=range(1, settings["videos"] + 1), fps=settings["fps"],
    )  # fmt: skip


def mocap_test(root: Path | str, held_out: str | None = None) -> MuPoTS3D:
    """The reader of the test scenes; root: the folder `Mocap`."""
    folder = mocap_folder(Path(root).parent, held_out)
    return _Test(folder / MUPOTS, fps=mocap_settings(folder)["fps"])


def mocap_settings(folder: Path) -> dict[str, Any]:
    """The settings that the set in `folder` was made with. DataError if there is none."""
    path = folder / SETTINGS_FILE
    if not path.is_file():
        raise DataError(f"{folder}: holds no prepared motion capture ({SETTINGS_FILE} is missing); {_SOURCE}")
    settings = load_object(path, FETCH)
    with reading(path, "the settings of a prepared set"):
        counts = settings["videos"], settings["subjects"]
        if not all(type(n) is int and n in range(1, MAX_VIDEOS) for n in counts) or not 0 < settings["fps"] < 1e6:
            raise DataError(f"{path}: videos, subjects and fps must be positive; {_SOURCE}")
    return settings


class _Training(MuCoTemp):
    ALLOWED_VIDEOS = range(MAX_VIDEOS)
    name, SOURCE = "mocap", _SOURCE


class _Test(MuPoTS3D):
    name, SOURCE = "mocap", _SOURCE
