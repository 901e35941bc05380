"""What the readers of all data sets share: the check for missing files, and the published 2D detections."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from fileio.arrays import member, require, require_mask, to_tensor
from fileio.pickle_reader import read_pickle
from pose.coordinates import Coordinates, check_coordinates
from pose.errors import ConfigError, DataError, check_finite
from pose.joint_sets import COCO_19
from pose.sequence import PoseSequence


class Reader(ABC):
    """A data set on disk, built with its root folder. Nothing is opened before it is asked for.

    name: what results call it. SOURCE: where a user gets it.
    """

    name: ClassVar[str]
    SOURCE: ClassVar[str]

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    @abstractmethod
    def files(self) -> list[Path]:
        """Every file that `sequences` opens, sorted."""

    @abstractmethod
    def _read(self, coordinates: Coordinates) -> list[PoseSequence]:
        """The whole set, once all files are there."""

    def sequences(self, coordinates: str) -> list[PoseSequence]:
        """The whole set in `coordinates` (normal or universal). DataError if a file is missing or unusable."""
        coordinates = check_coordinates(coordinates)
        self.check_files()
        return self._read(coordinates)

    def missing_files(self) -> list[Path]:
        """Those of `files()` that are not there."""
        return [path for path in self.files() if not path.is_file()]

    def check_files(self) -> None:
        """Raise DataError listing every missing file and where to get it."""
        if missing := self.missing_files():
            raise DataError(
                f"{self.name}: {len(missing)} of {len(self.files())} files are missing: {_listed(missing)}; "
                f"{self.SOURCE}"
            )


#: What this process has read, by all that decides it; the oldest of so many sets is forgotten.
_read: dict[tuple, list[PoseSequence]] = {}
_MOST_KEPT = 4


def read_sequences(reader: Reader, coordinates: str) -> list[PoseSequence]:
    """`reader.sequences(coordinates)`, read once by a process as long as its files keep their sizes and dates.

    For test sets, which every row of a sweep evaluates. DataError if a file is missing or unusable.
    """
    reader.check_files()
    states = ((path, path.stat()) for path in reader.files())
    files = tuple((str(path), state.st_size, state.st_mtime_ns) for path, state in states)
    key = (type(reader), repr(sorted(vars(reader).items())), coordinates, files)
    if key not in _read:
        if len(_read) >= _MOST_KEPT:
            _read.pop(next(iter(_read)))
        _read[key] = reader.sequences(coordinates)
    return list(_read[key])


def _listed(paths: list[Path]) -> str:
    """Paths as `folder/{a,b}, folder2/c`."""
    texts = []
    for folder, group in groupby(paths, key=lambda path: path.parent):
        names = ",".join(path.name for path in group)
        texts.append(f"{folder}/{{{names}}}" if "," in names else f"{folder}/{names}")
    return ", ".join(texts)


def check_numbers(key: str, numbers: Iterable[int], allowed: range) -> tuple[int, ...]:
    """`numbers`, sorted; ConfigError if there are none or one is not in `allowed`."""
    found = tuple(sorted(set(numbers)))
    if not found or any(number not in allowed for number in found):
        raise ConfigError(f"{key}={list(found)}: give at least one of {allowed.start} to {allowed.stop - 1}, no others")
    return found


def read_detections(
    path: Path,
    annotations: Path,
    frames: int,
    people: int | None = None,
    surplus: int = 0,
    keys: tuple[str, str] = ("poses", "is_valid"),
) -> tuple[Tensor, Tensor, Tensor]:
    """A pickle of published HR-Net detections, COCO-19.

    frames, people: how many the file `annotations` has (people None: this file has no such axis). A file that is longer
    by exactly `surplus` frames is cut. keys: the file's names of its x, y, score array and of its mask.
    Returns keypoints_2d (T, P, 19, 2) px, confidence (T, P, 19) and detected (T, P), or the same without P.
    """
    content = read_pickle(path)
    axes, expected = (("T",), (frames,)) if people is None else (("T", "P"), (frames, people))
    poses = require(member(content, keys[0], path), path, keys[0], (*axes, len(COCO_19), 3), sizes := {})
    detected = require_mask(member(content, keys[1], path), path, keys[1], axes, sizes)
    if len(poses) == frames + surplus:
        poses, detected = poses[:frames], detected[:frames]
    if detected.shape != expected:
        raise DataError(
            f"{path}: {keys[0]}: ({', '.join(axes)}) = {expected} is expected, as in {annotations}, "
            f"found {detected.shape}; fetch both files again"
        )
    points = to_tensor(poses)
    check_finite(f"{path}: {keys[0]}", points, "an undetected person is all zeros; fetch the file again")
    return points[..., :2].contiguous(), points[..., 2].contiguous(), to_tensor(detected)
