"""What the readers of keypoint files share: bounded JSON, people of all frames as checked arrays, frame numbers."""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from data.keypoints.coco19 import RawDetections
from fileio.json_yaml import load_json
from fileio.text_lines import natural_order
from pose.errors import DataError, MismatchError
from pose.joint_sets import (
    BODY_25,
    COCO_17,
    FOURTEEN,
    HALPE_26,
    LSP_14,
    MEDIAPIPE_33,
    MPII_16,
    OPENPOSE_18,
    PANOPTIC_19,
    JointSet,
)
from pose.joint_sets import joint_set as joint_set_by_name

log = logging.getLogger(__name__)

REMEDY = "write it again with the detector"


class Hints(NamedTuple):
    """What the user says of a file that does not say it itself: the name of the joint set."""

    joint_set: str | None = None


#: Endings of images and of files named after them; what else stands behind a dot, as in cam01.0039, is a number.
_ENDING = re.compile(r"\.(jpe?g|png|bmp|tiff?|webp|json|txt|csv)$", re.IGNORECASE)

#: Reads a file's content, of that path, into detections.
Reader = Callable[[Any, Path, Hints], RawDetections]

#: What a number of joints means where a file does not name them. COCO-WholeBody's 133 begin with COCO-17, Halpe-136
#: with Halpe-26; the further joints (feet, face, hands) are not used.
_BY_COUNT: dict[int, JointSet] = {
    **{len(joints): joints for joints in (COCO_17, OPENPOSE_18, PANOPTIC_19, BODY_25, HALPE_26, MPII_16, MEDIAPIPE_33)},
    14: LSP_14,  # or another of FOURTEEN, as the bodies tell
    133: COCO_17,
    136: HALPE_26,
}


def read_json(path: Path, max_bytes: int) -> Any:
    """The content of a JSON file; of one with several values, such as OpenPifPaf's lines, a list of them.

    DataError if it is no JSON, nested too deeply or larger than `max_bytes`.
    """
    check_size(path, path.stat().st_size if path.exists() else 0, max_bytes)
    try:
        content = load_json(path, REMEDY)
    except DataError:
        content = _values(path.read_text("utf-8-sig", "replace")) if path.is_file() else []
        if len(content) < 2:
            raise
    if isinstance(content, list) and content and all(isinstance(one, str) for one in content):
        return _values("\n".join(content)) or content  # Ultralytics' `to_json` is text, which many store as such
    return content


def _values(text: str) -> list[Any]:
    """JSON values one after the other, in lines or not; [] where something is none."""
    values, place, decoder = [], 0, json.JSONDecoder()
    try:
        while (start := re.compile(r"\s*").match(text, place)) and start.end() < len(text):
            value, place = decoder.raw_decode(text, start.end())
            values.append(value)
    except (ValueError, RecursionError):
        return []
    return values


def check_size(path: Path, size: int, max_bytes: int) -> None:
    """Raise DataError for a file (or folder, or unpacked archive) of more than `max_bytes`."""
    if size > max_bytes:
        raise DataError(
            f"{path}: {size / 2**20:.0f} MiB, at most {max_bytes / 2**20:.0f} MiB are read; cut the video in parts, or "
            "raise input_options.max_bytes="
        )


def first_entry(content: Sequence[Any]) -> Any:
    """The first entry of a list that is not empty, None without any."""
    return next((entry for entry in content if entry), None)


class Frames(NamedTuple):
    """The people of all frames: one list, what messages call each, its frame number (N,); all frame numbers (F,)."""

    people: list[Any]
    where: list[str]
    number: np.ndarray
    listed: np.ndarray


def people_of(frames: Mapping[str, Any], path: Path) -> Frames:
    """`frames`: lists of people by name; null and {} stand for none. DataError for no list."""
    people: list[Any] = []
    where: list[str] = []
    counts: list[int] = []
    for name, found in frames.items():
        if found and not isinstance(found, list):
            raise DataError(f"{path}: {name}: a list of people is expected, found {type(found).__name__}; {REMEDY}")
        here = [(index, person) for index, person in enumerate(found or []) if person]  # null, {}: out of sight
        people += [person for _, person in here]
        where += [f"{path}: {name}, person {index}" for index, _ in here]
        counts.append(len(here))
    number_by_name = frame_numbers(list(frames), path)
    listed = np.array([number_by_name[name] for name in frames], dtype=np.int64)
    return Frames(people, where, np.repeat(listed, counts), listed)


def array_of(
    values: Sequence[Any], where: Sequence[str], ndim: int = 1, key: str = "keypoints", what: str = "numbers"
) -> np.ndarray:
    """`values`, one entry for each person, as a float64 array (N, ...) of numbers with `ndim` further axes.

    null and NaN, of joints that were not found, come out as NaN. All entries must have the same shape. Raises DataError
    for the first that does not, by its `where` and `key`.
    """
    if not len(values):
        return np.zeros((0,) * (ndim + 1))
    array = numeric(values)
    if array is not None and array.ndim == ndim + 1 and not np.isinf(array).any():
        return array
    expected: tuple[int, ...] | None = None
    for index, value in enumerate(values):
        found = numeric(value)
        if found is None or found.ndim != ndim:
            raise DataError(f"{where[index]}: {key}: {what} are expected, found {described(value)}; {REMEDY}")
        if np.isinf(found).any():
            raise DataError(f"{where[index]}: {key}: finite numbers are expected, found infinity; {REMEDY}")
        expected = expected or found.shape
        if found.shape != expected:
            raise DataError(
                f"{where[index]}: {key}: {_times(expected)} numbers are expected as in the entries before, found "
                f"{_times(found.shape)}; {REMEDY}"
            )
    raise DataError(f"{where[0]}: {key}: {what} are expected; {REMEDY}")


def numeric(value: Any) -> np.ndarray | None:
    """An array of numbers, null as NaN; None for text, truth values, unequal lengths and integers without bound."""
    try:
        array = np.asarray(value)
        if array.dtype == object and all(type(part) in (int, float, type(None)) for part in array.flat):
            array = array.astype(np.float64)
    except (ValueError, OverflowError, RecursionError, MemoryError):
        return None
    return array.astype(np.float64) if array.dtype.kind in "iuf" else None


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def described(value: Any) -> str:
    """What was found, for messages: `an object with people, version`, `a list of 3, the first a number`."""
    if isinstance(value, dict):
        return f"an object with {', '.join(map(str, list(value)[:6]))[:120]}" if value else "an empty object"
    if isinstance(value, list):
        first = next(iter(value), None)
        kind = "an object" if isinstance(first, dict) else "a list" if isinstance(first, list) else repr(first)[:20]
        inner = f" with {', '.join(map(str, list(first)[:6]))[:80]}" if isinstance(first, dict) and first else ""
        return f"a list of {len(value)}" + (f", the first {kind}{inner}" if value else "")
    return repr(value)[:40]


def split_triples(flat: np.ndarray, where: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3 K) of x, y, score -> (N, K, 2) and (N, K); K is 0 if N is."""
    if len(flat) and (flat.shape[1] == 0 or flat.shape[1] % 3):
        found = f"found {flat.shape[1]} numbers"
        raise DataError(f"{where[0]}: keypoints: x, y, score of each joint are expected, {found}; {REMEDY}")
    triples = flat.reshape(len(flat), flat.shape[1] // 3, 3)
    return triples[..., :2], triples[..., 2]


def is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def number_of(value: Any) -> float:
    """A float, also out of lists of one; NaN for all that is no finite number."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return float(value) if is_number(value) and abs(value) < 1e300 else math.nan


#: Members by which tools tell people apart.
_IDENTITY = ("track_id", "idx", "id_", "person_id", "instance_id", "id")


def identity_of(entry: dict[str, Any]) -> int:
    """Who a person is by the file's own tracks, -1 where it does not say it."""
    value = number_of(next((entry[key] for key in _IDENTITY if key in entry), -1))
    return int(value) if 0 <= value < 2**53 and value.is_integer() else -1


def joints_of(count: int, path: Path | str, name: str | None, names: Sequence[str] = ()) -> tuple[JointSet, bool]:
    """The joint set called `name`, or of the `names` in the file, or, without either, the usual one of `count` joints,
    and whether that is so assumed. MismatchError if there is none.

    count: 0 where the file holds no people.
    """
    if name is None and names:
        return JointSet("of the file", tuple(names)), False
    return _joint_set(count, path, name), name is None


def _joint_set(count: int, path: Path | str, name: str | None) -> JointSet:
    if count == 0:
        return COCO_17
    if name is not None:
        try:
            joints = joint_set_by_name(name)
        except MismatchError as error:
            raise MismatchError(f"{path}: {error}") from None
        if len(joints) > count:
            raise MismatchError(
                f"{path}: {count} joints found, input_options.joint_set={name} has {len(joints)}: "
                f"{', '.join(joints.names)}"
            )
        return joints
    if count not in _BY_COUNT:
        fourteen = " or ".join(joints.name for joints in FOURTEEN)
        names = {size: fourteen if size == 14 else joints.name for size, joints in sorted(_BY_COUNT.items())}
        known = ", ".join(f"{size} ({name})" for size, name in names.items())
        raise MismatchError(
            f"{path}: no joint set of {count} joints is known; known: {known}; give input_options.joint_set="
        )
    return _BY_COUNT[count]


def frame_numbers(names: Sequence[str], path: Path | str, from_zero: bool = False) -> dict[str, int]:
    """Frame number of each image name: its last digits that differ from name to name, or, where these are no
    numbering, its place in natural order.

    from_zero: whether the video's frames before the first name count too.
    """
    names = sorted(set(names), key=natural_order)
    digits = [re.findall(r"\d+", _ENDING.sub("", name).removesuffix("_keypoints")) for name in names]
    for place in range(1, 1 + min(map(len, digits), default=0)):  # from the last: clip_0012_1080p, clip_0013_1080p
        numbers = [int(found[-place][:18]) for found in digits]
        if len(set(numbers)) == len(names) and is_numbering(numbers, from_zero):
            return dict(zip(names, numbers, strict=True))
    log.warning("%s: the images' names hold no frame numbers; they count in the order of their names", path)
    return {name: place for place, name in enumerate(names)}


def check_one_video(names: Sequence[str], path: Path) -> None:
    """Raise DataError for a folder's names that are those of several videos, whose frames have the same numbers."""
    numbered = [match for match in (re.fullmatch(r"(.*?)(\d+)(\D*)", name) for name in names) if match]
    videos = {match[1]: 0 for match in numbered}
    several = 1 < len(videos) <= len(names) / 3 and len(numbered) == len(names)
    if several and len({match[2] for match in numbered}) <= len(names) / 2:
        raise DataError(
            f"{path}: files of {len(videos)} videos, {', '.join(sorted(videos)[:4])}; put those of one into a folder "
            "of their own"
        )


def is_numbering(numbers: Sequence[int], from_zero: bool = False) -> bool:
    """Whether these can be the frame numbers of one video, and not dates or identifiers: not too far apart."""
    first = 0 if from_zero else min(numbers, default=0)
    return max(numbers, default=0) - first < 1000 * (len(numbers) + 10)
