"""`predictions.npz`: the file in which 3D poses pass between this project and other programs (docs/formats.md).

`evaluate` and `refine` read it, every run writes it. One row is one person in one frame; a missing row is a person not
detected.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from fileio.arrays import read_npz, require, require_mask
from fileio.atomic import atomic_path
from pose.coordinates import COORDINATES
from pose.errors import DataError
from pose.joint_sets import COCO_19, MUPOTS_17

logger = logging.getLogger(__name__)

VERSION = 1
REQUIRED = ("sequence", "frame", "person", "poses_3d")
_REMEDY = "see docs/formats.md"
_J = len(MUPOTS_17)


@dataclass(frozen=True, eq=False)
class Predictions:
    """N rows, NumPy arrays.

    sequence (N,) text: the sequence's name; a whole number n stands for TSn. frame (N,) and person (N,): from 0.
    poses_3d (N, 17, 3) mm in camera coordinates, MuPoTS-17; poses_3d_plain: the same before refinement.
    keypoints_2d (N, 17, 2) px, MuPoTS-17. score (N,) or (N, J): confidence of the row's detection, or of its J joints.
    fps: frames per second. K (3, 3): intrinsics in px. observed (N,): the frame held a detection.
    What `predict` adds: observed_joints (N, 17): the joint rests on what was seen in that frame. std_mm (N, 17):
    standard deviation of a joint's place. keypoints_coco19 (N, 19, 2) px: the detection itself, COCO-19.
    confidence (N,): of the row's detection. n_frames: frames of the video. image_size (2,): width and height in px.
    coordinates: normal or universal. notes (M,) text: what a user must know.
    source: what error messages call it; not written.

    Raises DataError for shapes that do not agree, values that are not finite, frames or people that are not whole
    numbers from 0, and (sequence, frame, person) given twice.
    """

    sequence: np.ndarray
    frame: np.ndarray
    person: np.ndarray
    poses_3d: np.ndarray
    poses_3d_plain: np.ndarray | None = None
    keypoints_2d: np.ndarray | None = None
    score: np.ndarray | None = None
    fps: float | None = None
    K: np.ndarray | None = None
    observed: np.ndarray | None = None
    observed_joints: np.ndarray | None = None
    std_mm: np.ndarray | None = None
    keypoints_coco19: np.ndarray | None = None
    confidence: np.ndarray | None = None
    n_frames: int | None = None
    image_size: np.ndarray | None = None
    coordinates: str | None = None
    notes: np.ndarray | None = None
    source: str = "predictions"

    def __post_init__(self) -> None:
        def put(key: str, value: Any) -> None:
            object.__setattr__(self, key, value)

        put("sequence", self._text("sequence"))
        sizes = {"N": len(self.sequence)}
        put("frame", self._whole_numbers("frame", sizes))
        put("person", self._whole_numbers("person", sizes))
        per_row = {
            "poses_3d": ("N", _J, 3),
            "poses_3d_plain": ("N", _J, 3),
            "keypoints_2d": ("N", _J, 2),
            "score": ("N", "J") if np.ndim(self.score) == 2 else ("N",),  # type: ignore[arg-type]
            "std_mm": ("N", _J),
            "keypoints_coco19": ("N", len(COCO_19), 2),
            "confidence": ("N",),
        }
        for key, pattern in per_row.items():
            if key == "poses_3d" or getattr(self, key) is not None:
                put(key, self._finite_rows(key, pattern, sizes))
        for key, pattern in {"observed": ("N",), "observed_joints": ("N", _J)}.items():
            if (mask := getattr(self, key)) is not None:
                put(key, require_mask(np.asarray(mask), self.source, key, pattern, sizes, _REMEDY))
        if self.fps is not None:
            put("fps", self._frame_rate())
        if self.n_frames is not None:
            put("n_frames", int(self._whole("n_frames", 1)[0]))
        if self.image_size is not None:
            put("image_size", self._whole("image_size", 2))
        if self.coordinates is not None:
            put("coordinates", self._variant())
        if self.notes is not None:
            put("notes", self._notes())
        if self.K is not None:
            put("K", self._intrinsics())
        self._check_unique()

    def __len__(self) -> int:
        return len(self.sequence)

    def __repr__(self) -> str:
        return f"Predictions({self.source}, {len(self)} rows)"

    def row(self, index: int) -> str:
        """How messages name a row."""
        return f"row {index} ({self.sequence[index]}, frame {self.frame[index]}, person {self.person[index]})"

    def _fail(self, message: str) -> DataError:
        return DataError(f"{self.source}: {message}; {_REMEDY}")

    def _text(self, key: str) -> np.ndarray:
        value = np.asarray(getattr(self, key))
        if value.ndim != 1 or value.dtype.kind not in "USiu":
            raise self._fail(f"{key}: text of shape (N,) is expected, found {value.dtype}, shape {value.shape}")
        if not len(value):
            raise self._fail(f"{key}: no rows, at least one is expected")
        try:
            if value.dtype.kind in "iu":
                return np.char.add("TS", value.astype(str))
            return np.char.decode(value, "utf-8") if value.dtype.kind == "S" else value.astype(str)
        except UnicodeDecodeError:
            raise self._fail(f"{key}: bytes that are not UTF-8 text") from None

    def _whole_numbers(self, key: str, sizes: dict[str, int]) -> np.ndarray:
        value = require(np.asarray(getattr(self, key)), self.source, key, ("N",), sizes, _REMEDY)
        bad = ~((value >= 0) & (value < 2**53) & (value == np.floor(value)))
        if bad.any():
            index = int(np.flatnonzero(bad)[0])
            raise self._fail(f"{key}: whole numbers from 0 are expected, found {value[index]} in row {index}")
        return value.astype(np.int64)

    def _finite_rows(self, key: str, pattern: tuple[int | str, ...], sizes: dict[str, int]) -> np.ndarray:
        value = require(np.asarray(getattr(self, key)), self.source, key, pattern, sizes, _REMEDY)
        bad = ~np.isfinite(value).reshape(len(value), -1).all(axis=1)
        if bad.any():
            row = self.row(int(np.flatnonzero(bad)[0]))
            raise self._fail(
                f"{key}: {int(bad.sum())} rows hold NaN or infinity, the first is {row}; leave out a row where nothing "
                "was predicted"
            )
        return value.astype(np.float32 if value.dtype in (np.float16, np.float32) else np.float64)

    def _frame_rate(self) -> float:
        value = require(np.asarray(self.fps).reshape(-1), self.source, "fps", (1,), None, _REMEDY)
        if not 0 < value[0] < float("inf"):
            raise self._fail(f"fps: a positive number is expected, found {value[0]}")
        return float(value[0])

    def _whole(self, key: str, count: int) -> np.ndarray:
        value = require(np.asarray(getattr(self, key)).reshape(-1), self.source, key, (count,), None, _REMEDY)
        if not ((value > 0) & (value < 2**53) & (value == np.floor(value))).all():
            raise self._fail(f"{key}: {count} positive whole number(s) expected, found {value.tolist()}")
        return value.astype(np.int64)

    def _variant(self) -> str:
        value = np.asarray(self.coordinates)
        if value.shape != () or str(value) not in COORDINATES:
            raise self._fail(f"coordinates: {' or '.join(COORDINATES)} is expected, found {str(value)[:40]!r}")
        return str(value)

    def _notes(self) -> np.ndarray:
        value = np.asarray(self.notes)
        if value.ndim != 1 or value.dtype.kind not in "US":
            raise self._fail(f"notes: text of shape (M,) is expected, found {value.dtype}, shape {value.shape}")
        return value.astype(str)

    def _intrinsics(self) -> np.ndarray:
        K = require(np.asarray(self.K), self.source, "K", (3, 3), None, _REMEDY).astype(np.float64)
        if not (np.isfinite(K).all() and K[0, 0] > 0 and K[1, 1] > 0 and (K[2] == (0, 0, 1)).all()):
            raise self._fail(f"K: [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] in pixels is expected, found {K.tolist()}")
        return K

    def _check_unique(self) -> None:
        _, sequence = np.unique(self.sequence, return_inverse=True)
        order = np.lexsort((self.person, self.frame, sequence))
        keys = np.stack([sequence, self.frame, self.person], axis=1)[order]
        twice = (keys[1:] == keys[:-1]).all(axis=1)
        if twice.any():
            first = int(np.flatnonzero(twice)[0])
            one, other = sorted((int(order[first]), int(order[first + 1])))
            raise self._fail(f"{self.row(one)} is given again in row {other}, each person once per frame is expected")


def read_predictions(path: Path | str) -> Predictions:
    """The predictions of a file. DataError of one line for whatever cannot be used in it.

    >>> from tempfile import TemporaryDirectory
    >>> made = Predictions(
    ...     sequence=np.repeat(["TS1"], 60),
    ...     frame=np.arange(60),
    ...     person=np.zeros(60, dtype=int),
    ...     poses_3d=np.zeros((60, 17, 3)) + [0, 0, 4000],  # mm
    ...     fps=30.0,
    ... )
    >>> with TemporaryDirectory() as folder:
    ...     write_predictions(f"{folder}/predictions.npz", made)
    ...     read = read_predictions(f"{folder}/predictions.npz")
    >>> read.poses_3d.shape, str(read.sequence[0]), read.fps
    ((60, 17, 3), 'TS1', 30.0)
    """
    arrays = read_npz(path)
    missing = [key for key in REQUIRED if key not in arrays]
    if missing:
        raise DataError(f"{path}: has no {', '.join(missing)}, found {', '.join(arrays) or 'nothing'}; {_REMEDY}")
    version = arrays.pop("version", np.array(VERSION))
    if version.shape != () or version != VERSION:
        raise DataError(
            f"{path}: version {str(version)[:40]} of the format, {VERSION} is expected; update this program"
        )
    known = [field.name for field in fields(Predictions) if field.name != "source"]
    if unknown := sorted(set(arrays) - set(known)):
        logger.warning("%s: %s not used; known are %s", path, ", ".join(unknown), ", ".join(known))
    return Predictions(**{key: arrays[key] for key in known if key in arrays}, source=str(path))  # type: ignore[arg-type]


def write_predictions(path: Path | str, predictions: Predictions) -> None:
    """Write the fields that are not None as an uncompressed npz. The file appears only when complete."""
    content = {
        field.name: getattr(predictions, field.name)
        for field in fields(predictions)
        if field.name != "source" and getattr(predictions, field.name) is not None
    }
    with atomic_path(path) as partial, open(partial, "wb") as file:
        np.savez(file, version=np.array(VERSION), **content)
