"""Prepared motion capture on disk: where a set lies, and its readers, which are those of the real data sets."""

from __future__ import annotations

import dataclasses
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from data.sets.muco_temp import MuCoTemp
from data.sets.mupots_3d import MuPoTS3D
from fileio.json_yaml import load_object
from fileio.limits import FETCH, reading
from pose.coordinates import Coordinates
from pose.errors import DataError
from pose.sequence import PoseSequence

#: What a set says about itself: settings and sizes.
SETTINGS_FILE = "mocap.json"
MAX_VIDEOS = 10_000
MUCO, MPI, MUPOTS = "MucoTemp", "Mpi3DHP", "MuPoTS"
_SOURCE = "make it with: python run.py experiment=prepare prepare=mocap paths.mocap=FOLDER"


def mocap_folder(root: Path | str) -> Path:
    """Where the set lies below the data sets' root."""
    return Path(root) / "Mocap" / "all"


def mocap_training(folder: Path) -> MuCoTemp:
    """The reader of the training scenes of the set in `folder`."""
    settings = mocap_settings(folder)
    return _Training(
        folder / MUCO, folder / MPI, videos=range(settings["videos"]), subjects=range(1, settings["subjects"] + 2),
        recordings=range(1, settings["videos"] + 1), fps=settings["fps"],
    )  # fmt: skip


def mocap_test(root: Path | str) -> MuPoTS3D:
    """The reader of the test scenes; root: the folder `Mocap`."""
    folder = mocap_folder(Path(root).parent)
    return _Test(folder / MUPOTS, fps=mocap_settings(folder)["fps"])


def mocap_settings(folder: Path) -> dict[str, Any]:
    """The settings that the set in `folder` was made with. DataError if there is none."""
    path = folder / SETTINGS_FILE
    if not path.is_file():
        raise DataError(f"{folder}: holds no prepared motion capture ({SETTINGS_FILE} is missing); {_SOURCE}")
    settings = load_object(path, FETCH)
    with reading(path, "the settings of a prepared set"):
        counts = settings["videos"], settings["subjects"]
        for key in ("names", "test_names"):
            settings[key] = list(settings.get(key, []))
        if not all(type(n) is int and n in range(1, MAX_VIDEOS) for n in counts) or not 0 < settings["fps"] < 1e6:
            raise DataError(f"{path}: videos, subjects and fps must be positive; {_SOURCE}")
    return settings


#: How a training scene's gravity is known: exactly, as estimated from people (degrees of error per axis), or not.
_GRAVITY_KNOWN = ((0.35, 1.0), (0.35, 7.0), (0.30, None))


class _Training(MuCoTemp):
    ALLOWED_VIDEOS = range(MAX_VIDEOS)
    DOWN = (0.0, -1.0, 0.0)
    name, SOURCE = "mocap", _SOURCE

    def _read(self, coordinates: Coordinates) -> list[PoseSequence]:
        return [_with_uncertain_gravity(person) for person in super()._read(coordinates)]


def _with_uncertain_gravity(person: PoseSequence) -> PoseSequence:
    """The person of a training scene, with gravity as well known as the scene's and the person's numbers decide."""
    camera = person.camera
    assert camera is not None and camera.gravity is not None
    number = zlib.crc32(person.name.encode())
    rng = np.random.default_rng(number)
    degrees = _GRAVITY_KNOWN[int(rng.choice(3, p=[part for part, _ in _GRAVITY_KNOWN]))][1]
    if degrees is None:
        return dataclasses.replace(person, camera=dataclasses.replace(camera, gravity=None))
    x, y, z = (np.array(camera.gravity) + np.radians(degrees) * rng.standard_normal(3)).tolist()
    return dataclasses.replace(person, camera=dataclasses.replace(camera, gravity=(x, y, z)))


class _Test(MuPoTS3D):
    name, SOURCE = "mocap", _SOURCE
