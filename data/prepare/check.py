"""What of every data set is there, what is missing, and what it takes for each command; `prepare=check`.

Files are looked for, not opened: a table in a moment, also over a network. The readers say which files they need.
The number of frames is not known without the annotations, so frames are counted, and only folders without any are
missing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from data.mocap.sets import SETTINGS_FILE, mocap_folder
from data.prepare import mpi_inf_3dhp
from data.prepare import mupots_3d as mupots
from data.sets.mpi_inf_3dhp import (
    CAMERAS,
    SEQUENCES,
    SUBJECTS,
    TEST_NUMBERS,
    MpiInf3dhpTest,
    MpiInf3dhpTrain,
    testset_folder,
)
from data.sets.muco_temp import VIDEOS, MuCoTemp
from data.sets.mupots_3d import NUMBERS, MuPoTS3D
from data.sets.reader import Reader
from pose.errors import PoseError


@dataclass(frozen=True)
class Part:
    """A part of a data set. there: what was found. missing: what was not, "" for nothing. get: how to get it."""

    name: str
    there: str
    missing: str
    get: str


@dataclass(frozen=True)
class Use:
    """What `experiment=` can be set to, and the names of the parts that it still lacks."""

    experiment: str
    lacks: tuple[str, ...]


@dataclass(frozen=True)
class Overview:
    """All parts, and what they enable."""

    root: Path
    parts: tuple[Part, ...]
    uses: tuple[Use, ...]

    def enables(self, part: Part) -> list[str]:
        """The experiments that need this part."""
        return [experiment for experiment, names in USES.items() if part.name in names]


MPI, TEST, MUCO, MUPOTS, MOCAP = (
    "MPI-INF-3DHP training",
    "MPI-INF-3DHP test set",
    "MuCo-Temp",
    "MuPoTS-3D",
    "motion capture scenes",
)
_PREPARE = "python run.py experiment=prepare prepare="
_MPI, _TEST, _MUPOTS = (
    tuple(f"{name}: {part}" for part in ("annotations", "detections", images))
    for name, images in ((MPI, "frames and masks"), (TEST, "images"), (MUPOTS, "images"))
)
_MUCO = tuple(f"{MUCO}: {part}" for part in ("annotations", "detections", "frames"))

#: What `experiment=` needs.
USES = {
    "train": (*_MPI[:2], *_MUCO[:2], *_TEST[:2]),
    "train data=mpi_inf_3dhp": (*_MPI[:2], *_TEST[:2]),
    "train data=muco_temp": (_MPI[0], *_MUCO[:2], *_TEST[:2]),
    "train data=mocap": (MOCAP,),
    "mupots_pck, mupots_mm": _MUPOTS[:2],
    "mpii_3dhp": _TEST[:2],
    "prepare prepare=muco_temp": _MPI,
    "prepare prepare=muco_temp detector=NAME": (_MPI[0], _MPI[2]),
    "prepare prepare=mpi_inf_3dhp prepare.parts=[test] detector=NAME": (_TEST[0], _TEST[2]),
    "prepare prepare=mupots_3d detector=NAME": (_MUPOTS[0], _MUPOTS[2]),
}


def check_datasets(root: Path | str) -> Overview:
    """Look at everything below `root`. Raises nothing: what cannot be read is reported as missing."""
    root = Path(root)
    mpi, muco, two = root / "Mpi3DHP", root / "MucoTemp", root / "MuPoTS"
    by_mpi = f"{mpi_inf_3dhp.ORIGIN}; {_PREPARE}mpi_inf_3dhp prepare.source=FOLDER"
    by_muco = f"made out of MPI-INF-3DHP; {_PREPARE}muco_temp"
    by_mupots = f"{mupots.ORIGIN}; {_PREPARE}mupots_3d prepare.source=FOLDER"
    detect = "the same with detector=NAME or prepare.keypoints=FOLDER"
    parts = []
    for names, reader, annotate, detections, folders, images in (
        (_MPI, MpiInf3dhpTrain(mpi), by_mpi, detect, _mpi_folders(mpi), "mpi_inf_3dhp with prepare.frames=true"),
        (_TEST, MpiInf3dhpTest(mpi), by_mpi, detect, _test_folders(mpi), "mpi_inf_3dhp with prepare.frames=true"),
        (_MUCO, MuCoTemp(muco, mpi), by_muco, by_muco, _muco_folders(muco), "muco_temp with prepare.images=true"),
        (_MUPOTS, MuPoTS3D(two), by_mupots, detect, _mupots_folders(two), "mupots_3d with prepare.frames=true"),
    ):
        parts += _annotations_and_detections(reader, names, annotate, detections)
        parts.append(_images(names[2], list(folders), f"prepare={images}"))
    parts.append(_mocap(root))
    lacking = {part.name for part in parts if part.missing}
    uses = [Use(experiment, tuple(n for n in names if n in lacking)) for experiment, names in USES.items()]
    return Overview(root, tuple(parts), tuple(uses))


def _annotations_and_detections(reader: Reader, names: tuple[str, ...], annotate: str, detect: str) -> list[Part]:
    """The two parts that a reader opens; annotate, detect: how to get them."""
    try:
        files, missing = reader.files(), set(reader.missing_files())
    except PoseError as error:
        return [Part(name, "unreadable", str(error), annotate) for name in names[:2]]
    groups: tuple[list[Path], list[Path]] = ([], [])
    for path in files:
        if path.is_relative_to(reader.root):  # MuCo-Temp also reads MPI-INF-3DHP's calibrations, listed there
            groups["hrnet" in path.relative_to(reader.root).as_posix()].append(path)
    found = []
    for name, of_part, get in zip(names, groups, (annotate, detect), strict=False):
        lost = [path.relative_to(reader.root) for path in of_part if path in missing]
        there = f"{len(of_part) - len(lost)} of {len(of_part)} files"
        found.append(Part(name, there, _first(lost), get if lost else ""))
    return found


def _first(missing: list[Path]) -> str:
    more = f" and {len(missing) - 1} more" if missing[1:] else ""
    return f"{missing[0].as_posix()}{more}" if missing else ""


def _images(name: str, folders: list[tuple[Path, str]], get: str) -> Part:
    """Count the images of folders (with the beginning of their names); the groups without any are missing."""
    counts: dict[Path, dict[str, int]] = {}
    for folder, start in folders:
        counts.setdefault(folder, {})[start] = 0
    for folder, starts in counts.items():
        if folder.is_dir():
            with os.scandir(folder) as entries:
                for entry in entries:
                    start = next((start for start in starts if entry.name.startswith(start)), None)
                    if start is not None and entry.name.endswith(".jpg"):
                        starts[start] += 1
    lost = [Path(*folder.parts[-3:], f"{start}*.jpg") for folder, start in folders if not counts[folder][start]]
    total = sum(sum(starts.values()) for starts in counts.values())
    there = f"{total} images of {len(folders) - len(lost)} of {len(folders)} videos"
    return Part(name, there, _first(lost), get if lost else "")


def _mpi_folders(root: Path) -> Iterable[tuple[Path, str]]:
    for subject, sequence, kind, camera in product(SUBJECTS, SEQUENCES, mpi_inf_3dhp.KINDS, CAMERAS):
        yield root / "frames" / f"S{subject}" / f"Seq{sequence}" / kind, f"img_{camera}_"


def _test_folders(root: Path) -> Iterable[tuple[Path, str]]:
    for number in TEST_NUMBERS:
        yield testset_folder(root, number) / "imageSequence", "img_"


def _muco_folders(root: Path) -> Iterable[tuple[Path, str]]:
    for camera, video in product(CAMERAS, VIDEOS):
        yield root / "frames" / f"cam_{camera}" / f"vid_{video}", "img_"


def _mupots_folders(root: Path) -> Iterable[tuple[Path, str]]:
    for number in NUMBERS:
        yield root / "MultiPersonTestSet" / f"TS{number}", "img_"


def _mocap(root: Path) -> Part:
    """The set that prepare=mocap has made."""
    folder = mocap_folder(root)
    found = (folder / SETTINGS_FILE).is_file()
    there, missing = ("a set", "") if found else ("no set", folder.relative_to(root).as_posix())
    get = f"{_PREPARE}mocap paths.mocap=FOLDER"
    return Part(MOCAP, there, missing, get if missing else "")
