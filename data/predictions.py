"""`predictions.npz`: the file in which people's 3D poses pass between programs, a list of `PoseSequence` in code.
Other programs' files are read too (`data.foreign_predictions`).

Every run writes one; `evaluate` and `refine` read one. docs/formats.md lists its keys. A row is one person in a frame;
a missing row is a person not detected. What is true of a whole person (frame rate, camera, coordinates, joint sets) is
one value for the file, or one for each row.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data.foreign_predictions import is_foreign, read_foreign, sequences_of
from fileio.arrays import read_npz, require, require_mask, write_npz
from pose.cameras import Camera
from pose.coordinates import COORDINATES, Coordinates
from pose.errors import RATES, DataError, MismatchError
from pose.joint_sets import COCO_19, JOINT_SETS, MUPOTS_17, POSE_SETS, JointSet, remap_index_or_last
from pose.sequence import PoseSequence

Shape = tuple[int | str, ...]

logger = logging.getLogger(__name__)

VERSION = 2
DEFAULT_FPS = 30.0
REQUIRED = ("sequence", "frame", "person", "poses_3d")
_ROWS = ("lifted_3d", "keypoints_2d", "confidence", "detected", "observed", "std_mm")
_FACTS = {"fps": (), "K": (3, 3), "image_size": (2,), "coordinates": (), "joints_2d": (), "joints_3d": ()}
KEYS = (*REQUIRED, *_ROWS, *_FACTS, "n_frames", "notes")
_OLD_NAMES = {  # version 1 -> 2; observed (N,) became detected
    "observed_joints": "observed",
    "poses_3d_plain": "lifted_3d",
    "keypoints_coco19": "keypoints_2d",
    "score": "confidence",
    "variant": "coordinates",
}
_WHOLE = ("frame", "person", "n_frames", "image_size")
_USUAL = {len(joints): joints.name for joints in (MUPOTS_17, COCO_19)}  # without joints_2d
_LARGEST = 1e12  # mm or px
_LONGEST = 256  # bytes of a number or a name
_NO_CAMERA = np.full((3, 3), np.nan)
_REMEDY = "see docs/formats.md"


def read_predictions(
    path: Path | str,
    coordinates: Coordinates | None = None,
    fps: float | None = None,
    joint_set: str | None = None,
) -> list[PoseSequence]:
    """The people of a file in the order of their first rows, each with the frames that it has, in order.

    path: a predictions.npz or what `data.foreign_predictions` reads; poses whose joints all coincide in the origin are
    left out, with a warning. coordinates: what is wanted; taken where the file does not say its own. fps: replaces the
    file's; without either 30 are assumed, with a warning. joint_set: of another program's poses, where not MuPoTS-17.
    Without keypoints_2d or confidence these are zero.

    Raises DataError of one line for whatever cannot be used in the file, MismatchError for other coordinates.

    >>> from tempfile import TemporaryDirectory
    >>> poses_3d = torch.zeros(60, 17, 3) + torch.tensor([0.0, 0.0, 4000.0])  # mm
    >>> person = PoseSequence(
    ...     "TS1", 0, None, 30.0, torch.zeros(60, 19, 2), torch.ones(60, 19), poses_3d=poses_3d, coordinates="normal"
    ... )
    >>> with TemporaryDirectory() as folder:
    ...     write_predictions(f"{folder}/predictions.npz", [person])
    ...     read_predictions(f"{folder}/predictions.npz")
    [PoseSequence(TS1/0, 60 frames at 30 fps, COCO-19 -> MuPoTS-17, normal)]
    """
    rows = _Rows(str(path), _load(path, joint_set))
    if fps is None and "fps" not in rows.values:
        logger.warning("%s has no fps: %g frames per second are assumed; set fps=", path, DEFAULT_FPS)
        fps = DEFAULT_FPS
    return [_person(rows, own, coordinates, fps) for own in _detected_rows(rows)]


def says_fps(path: Path | str) -> bool:
    """Whether a file that `read_predictions` reads holds its frame rate."""
    return "fps" in _load(path)


def _detected_rows(rows: _Rows) -> list[np.ndarray]:
    """The rows of each person without poses of zeros, which many programs write for people that they did not find."""
    empty = (rows.values["poses_3d"] == 0).all(axis=(1, 2))
    if empty.all():
        raise rows.fail(f"poses_3d: all {len(empty)} poses are zeros")
    if empty.any():
        logger.warning("%s: %d of %d poses are zeros: taken as undetected", rows.path, empty.sum(), len(empty))
    return [left for own in rows.people if len(left := own[~empty[own]])]


def read_facts(path: Path | str) -> dict[str, Any]:
    """What a file says of itself as a whole, as `write_predictions` takes it: `notes`, `n_frames`, and `image_size`
    where no camera holds it."""
    values = _Rows(str(path), _load(path)).values
    notes, n_frames = values.get("notes", np.array([])), values.get("n_frames")
    facts = {"notes": notes.tolist(), "n_frames": None if n_frames is None else int(n_frames)}
    if "image_size" in values and "K" not in values:
        facts["image_size"] = values["image_size"][0].tolist()
    return facts


def write_predictions(
    path: Path | str,
    people: Sequence[PoseSequence],
    notes: Sequence[str] = (),
    n_frames: int | None = None,
    image_size: Sequence[int] | None = None,
) -> None:
    """Write all people as an uncompressed npz, which appears only when complete. Annotations are not written.

    notes: what a user must know, one sentence each. n_frames: of the video. image_size: where nobody has a camera.
    Frames without a pose (all NaN) are left out, and so are lifted_3d, observed and std_mm unless every person has
    them.

    Raises DataError without a pose, for one that is partly NaN, for a frame given twice; MismatchError for joint sets
    that are not in `pose.joint_sets`, or of different sizes.
    """
    people = [person.selected(~person.require("poses_3d").isnan().flatten(1).all(1)) for person in people]
    lengths = [len(person) for person in people]
    if not sum(lengths):
        raise DataError(f"{path}: no 3D pose to write")
    content: dict[str, Any] = {
        "sequence": np.repeat([person.sequence for person in people], lengths),
        "person": np.repeat([person.person for person in people], lengths),
        **{key: _stacked(people, key) for key in ("frame", "poses_3d", *_ROWS)},
    }
    facts = {
        "fps": [person.fps for person in people],
        "coordinates": [person.coordinates for person in people],
        "joints_2d": [_name(person.joints_2d) for person in people],
        "joints_3d": [_name(person.joints_3d) for person in people],
    }
    if cameras := [person.camera for person in people if person.camera is not None]:
        facts["K"] = [_NO_CAMERA if person.camera is None else person.camera.K.numpy() for person in people]
        facts["image_size"] = [((c := person.camera or cameras[0]).width, c.height) for person in people]
    elif image_size is not None:
        facts["image_size"] = [tuple(image_size)] * len(people)
    for key, values in facts.items():
        same = all(np.array_equal(value, values[0]) for value in values)
        content[key] = values[0] if same else np.repeat(np.array(values), lengths, axis=0)
    content |= {"notes": np.array(notes, str) if notes else None, "n_frames": n_frames}
    content = {key: np.asarray(value) for key, value in content.items() if value is not None}
    _Rows(str(path), content)
    write_npz(path, version=np.array(VERSION), **content)


# --- one person ------------------------------------------------------------------------------------------------------


def _person(rows: _Rows, own: np.ndarray, coordinates: Coordinates | None, fps: float | None) -> PoseSequence:
    """The sequence of the rows `own`, which are one person's in the order of frames."""
    values, first = rows.values, int(own[0])
    held = str(rows.fact("coordinates", first, coordinates or ""))
    if not held:
        raise rows.fail("does not say its coordinates; add coordinates, normal or universal")
    if coordinates not in (None, held):
        raise MismatchError(
            f"coordinates={coordinates}: {rows.path} holds {held} poses; set coordinates={held}, or give another file"
        )
    return PoseSequence(
        sequence=str(values["sequence"][first]),
        person=int(values["person"][first]),
        camera=_camera(rows, first),
        fps=float(rows.fact("fps", first)) if fps is None else fps,
        coordinates=held,  # type: ignore[arg-type]  # checked to be one of COORDINATES
        joints_2d=POSE_SETS[rows.fact("joints_2d", first)],
        joints_3d=POSE_SETS[rows.fact("joints_3d", first, MUPOTS_17.name)],
        stature_mm=None,
        **{key: torch.from_numpy(values[key][own]) for key in ("frame", "poses_3d", *_ROWS) if key in values},
    )


def _camera(rows: _Rows, row: int) -> Camera | None:
    """Without an image size it is taken to be what has its centre at (cx, cy)."""
    K = rows.fact("K", row, _NO_CAMERA)
    if np.isnan(K).any():
        return None
    (fx, _, cx), (_, fy, cy), _ = K.tolist()
    width, height = rows.fact("image_size", row, np.array([max(1, round(2 * cx)), max(1, round(2 * cy))])).tolist()
    return Camera(fx, fy, cx, cy, int(width), int(height))


def _stacked(people: list[PoseSequence], key: str) -> np.ndarray | None:
    arrays = [getattr(person, key) for person in people]
    if any(array is None or (key == "lifted_3d" and array.isnan().any()) for array in arrays):
        return None
    if len({array.shape[1:] for array in arrays}) > 1:
        raise MismatchError(f"{key}: people of different joint sets do not go into one file; write one for each")
    return torch.cat([array.cpu() for array in arrays]).numpy()


def _name(joints: JointSet) -> str:
    if joints in POSE_SETS.values():
        return joints.name
    raise MismatchError(f"joint set {joints.name}: a file can hold only {', '.join(POSE_SETS)}")


# --- what is in a file -----------------------------------------------------------------------------------------------


def _load(path: Path | str, joint_set: str | None = None) -> dict[str, np.ndarray]:
    """The arrays under today's names."""
    if is_foreign(Path(path)):
        return read_foreign(Path(path), joint_set)
    arrays = read_npz(path)
    if arrays and not any(key in arrays for key in REQUIRED[:3]):
        return sequences_of(arrays, Path(path), joint_set)
    missing = [key for key in REQUIRED if key not in arrays]
    if missing:
        raise DataError(f"{path}: has no {', '.join(missing)}, found {', '.join(arrays) or 'nothing'}; {_REMEDY}")
    version = arrays.pop("version", np.array(VERSION))
    if version.shape != () or version not in range(1, VERSION + 1):
        raise DataError(
            f"{path}: version {str(version)[:40]} of the format, {VERSION} is expected; update this program"
        )
    of_frames = arrays.get("observed", np.zeros((0, 0))).ndim == 1
    old_scores = "score" in arrays  # of version 1; `confidence` beside them was their mean
    for old, new in {**({"observed": "detected"} if of_frames else {}), **_OLD_NAMES}.items():
        if old in arrays:
            arrays[new] = arrays.pop(old)
    if old_scores:
        _agree(arrays)
    if unknown := sorted(set(arrays) - set(KEYS)):
        logger.warning("%s: %s not used; known are %s", path, ", ".join(unknown), ", ".join(KEYS))
    return {key: arrays[key] for key in KEYS if key in arrays}


def _agree(arrays: dict[str, np.ndarray]) -> None:
    """Scores of version 1, which may be of other joints than keypoints_2d -> both of the same."""
    points, scores = arrays.get("keypoints_2d", np.zeros((0, 0, 0))), arrays["confidence"]
    if scores.ndim != 2 or not scores.size or {points.dtype.kind, scores.dtype.kind} - set("fiub"):
        return
    if points.ndim == 3 and points.shape[1] == len(MUPOTS_17) and scores.shape[1] == len(COCO_19):
        known = [joint in MUPOTS_17.names for joint in COCO_19.names]
        arrays["keypoints_2d"] = points[:, remap_index_or_last(MUPOTS_17, COCO_19)] * np.array(known)[:, None]
    elif scores.shape[1] != points.shape[1] if points.size else scores.shape[1] not in _USUAL:
        arrays["confidence"] = scores.mean(axis=1)


class _Rows:
    """The checked arrays of a file; DataErrors name the file and the row.

    values: those of KEYS that are there, facts for each row; keypoints_2d, joints_2d and confidence (N, K) always are.
    people: the rows of each person in the order of frames, people in the order of their first rows.
    """

    def __init__(self, path: str, arrays: dict[str, np.ndarray]) -> None:
        self.path, self.given = path, dict(arrays)
        self.values: dict[str, np.ndarray] = {}
        self.sizes: dict[str, int] = {}
        self._text("sequence")
        N = self.sizes["N"] = len(self.values["sequence"])
        for key, shape in _FACTS.items():
            if key in arrays and (arrays[key].ndim == len(shape) or arrays[key].shape == (1,)):  # once for the file
                once = arrays[key] if shape else arrays[key].reshape(())
                if once.itemsize > _LONGEST:  # before it is repeated
                    raise self.fail(f"{key}: an entry of {once.itemsize} bytes, at most {_LONGEST} are expected")
                self.given[key] = np.repeat(once[None], N, axis=0)
        self._numbers("frame", ("N",), _whole(0), "whole numbers from 0 are")
        self._numbers("person", ("N",), _whole(0), "whole numbers from 0 are")
        self._text("notes")
        self._numbers("n_frames", (), _whole(1), "a positive whole number is")
        self._numbers(
            "fps",
            ("N",),
            lambda fps: (fps >= RATES[0]) & (fps <= RATES[1]),
            f"a number from {RATES[0]:g} to {RATES[1]:g} is",
        )
        self._numbers("K", ("N", 3, 3), _is_camera, "[[fx, 0, cx], [0, fy, cy], [0, 0, 1]] in pixels is")
        self._numbers("image_size", ("N", 2), _whole(1), "positive whole numbers are")
        for key, allowed in {"coordinates": COORDINATES, "joints_2d": POSE_SETS, "joints_3d": POSE_SETS}.items():
            self._text(key, tuple(allowed))
        self.sizes.update(("K", len(POSE_SETS[name])) for name in self.values.get("joints_2d", []))
        self.sizes.update(("J", len(POSE_SETS[name])) for name in self.values.get("joints_3d", [MUPOTS_17.name]))
        finite = (
            f"numbers without NaN or infinity, below {_LARGEST:g} (leave out a row where nothing was predicted) are"
        )
        for key, shape in {
            "poses_3d": ("J", 3),
            "lifted_3d": ("J", 3),
            "std_mm": ("J",),
            "keypoints_2d": ("K", 2),
        }.items():
            self._numbers(key, ("N", *shape), _is_usable, finite)
        flat = self.given.get("confidence", np.zeros((0, 0))).ndim != 2
        self._numbers("confidence", ("N",) if flat else ("N", "K"), _is_usable, finite)
        for key, pattern in {"detected": ("N",), "observed": ("N", "J")}.items():
            if key in self.given:
                self.values[key] = require_mask(self.given[key], path, key, pattern, self.sizes, _REMEDY)
        K = self.sizes.setdefault("K", len(MUPOTS_17))
        if "joints_2d" not in self.values and K not in _USUAL:
            raise self.fail(f"joints_2d: say which {K} keypoints these are, one of {', '.join(JOINT_SETS)}")
        self.values.setdefault("joints_2d", np.full(N, _USUAL.get(K)))
        self.values.setdefault("keypoints_2d", np.zeros((N, K, 2), np.float32))
        confidence = self.values.get("confidence", np.zeros((N, K), np.float32))
        self.values["confidence"] = np.repeat(confidence[:, None], K, axis=1) if flat else confidence
        self.people = self._grouped()

    def fail(self, message: str) -> DataError:
        return DataError(f"{self.path}: {message}; {_REMEDY}")

    def row(self, index: int) -> str:
        """How messages name a row."""
        known = [f"{key} {self.values[key][index]}" for key in REQUIRED[:3] if key in self.values]
        return f"row {index} ({', '.join(known)})"

    def fact(self, key: str, row: int, unknown: Any = None) -> Any:
        return self.values[key][row] if key in self.values else unknown

    def _numbers(self, key: str, shape: Shape, good: Callable[[np.ndarray], np.ndarray], expected: str) -> None:
        """Put numbers that are all good."""
        if key not in self.given:
            return
        value = require(self.given[key], self.path, key, shape, self.sizes, _REMEDY)
        bad = np.argwhere(~np.asarray(good(value)))
        if len(bad):
            found, where = value[tuple(bad[0])].tolist(), f" in {self.row(int(bad[0][0]))}" if shape else ""
            raise self.fail(f"{key}: {expected} expected, found {found}{where}")
        single = value.dtype in (np.float16, np.float32)
        self.values[key] = value.astype(np.int64 if key in _WHOLE else np.float32 if single else np.float64)

    def _text(self, key: str, allowed: Sequence[str] = ()) -> None:
        """Put text: the rows' sequences, which may be whole numbers too, the notes, or a fact."""
        if key not in self.given:
            return
        value = self.given[key]
        good = (
            value.ndim == 1 and (value.size or key == "notes") and (key not in _FACTS or len(value) == self.sizes["N"])
        )
        if not good or value.dtype.kind not in ("USiu" if key == "sequence" else "US"):
            expected = "() or (N,)" if key in _FACTS else "(N,), at least one row,"
            raise self.fail(f"{key}: text of shape {expected} is expected, found {value.dtype}, shape {value.shape}")
        try:
            if value.dtype.kind == "S":
                value = np.char.decode(value.astype(np.bytes_), "utf-8")
            else:
                value = np.char.add("TS" if value.dtype.kind in "iu" else "", value.astype(str))
        except UnicodeDecodeError:
            raise self.fail(f"{key}: bytes that are not UTF-8 text") from None
        if allowed and (odd := sorted(set(value.tolist()) - set(allowed))):
            raise self.fail(f"{key}: {' or '.join(allowed)} is expected, found {odd[0][:40]!r}")
        self.values[key] = value

    def _grouped(self) -> list[np.ndarray]:
        """`people`; checks that no person is in a frame twice, and that a person has one value of each fact."""
        sequence = np.unique(self.values["sequence"], return_inverse=True)[1]
        keys = np.stack([sequence, self.values["person"]], axis=1)
        first, group = np.unique(keys, axis=0, return_index=True, return_inverse=True)[1:]
        group, frame = group.reshape(-1), self.values["frame"]
        order = np.lexsort((frame, group))
        twice = np.flatnonzero((np.diff(group[order]) == 0) & (np.diff(frame[order]) == 0))
        if len(twice):
            one, other = sorted(order[twice[0] : twice[0] + 2].tolist())
            raise self.fail(f"{self.row(one)} is given again in row {other}, each person once per frame is expected")
        for key in [key for key in _FACTS if key in self.values]:
            values = np.nan_to_num(self.values[key])
            if len(bad := np.argwhere(values != values[first[group]])):
                raise self.fail(f"{key}: one value for each person is expected, {self.row(int(bad[0][0]))} has another")
        people = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
        return [people[number] for number in np.argsort(first)]


def _whole(low: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda values: (values >= low) & (values < 2**53) & (values == np.floor(values))


def _is_usable(values: np.ndarray) -> np.ndarray:
    return np.abs(values) < _LARGEST  # squares of larger ones overflow


def _is_camera(K: np.ndarray) -> np.ndarray:
    """(N,): intrinsics, or all NaN where they are not known."""
    known = _is_usable(K).all((1, 2)) & (K[:, 0, 0] > 0) & (K[:, 1, 1] > 0) & (K[:, 2] == (0, 0, 1)).all(1)
    return known | np.isnan(K).all((1, 2))
