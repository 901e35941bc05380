"""Lists of people in the manner of COCO: results, annotations, AlphaPose, and `keypoints.json` (keyed by image).

Sources: the COCO results format (cocodataset.org, "format-results"), docs/method.md §3 (`keypoints.json`), AlphaPose's
docs/output.md. A list of results says nothing of images without people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from data.keypoints.coco19 import RawDetections
from data.keypoints.formats.json_facts import size_of
from data.keypoints.formats.points import joint_name
from data.keypoints.parsing import (
    REMEDY,
    Hints,
    Reader,
    array_of,
    frame_numbers,
    identity_of,
    is_numbering,
    joints_of,
    number_of,
    people_of,
    split_triples,
)
from pose.errors import DataError


def reader_of(content: Any) -> Reader | None:
    if isinstance(content, dict):
        if "annotations" in content:
            return read_annotations
        if not isinstance(next(iter(content.values()), None), list) or "frames" in content:
            return None
        people = [one for people in content.values() if isinstance(people, list) for one in people if one]
        return read_keyed if not people or _are_flat(people, "keypoints") else None
    # An empty list is one of results, as only these list no frames.
    return read_results if not content or _are_flat([one for one in content if one], "image_id") else None


def _are_flat(people: list[Any], key: str) -> bool:
    """Whether these are people with `key`, whose joints are one row of numbers, by the first that has any."""
    if not people or not isinstance(people[0], dict) or key not in people[0]:
        return False
    if not any("keypoints" in one for one in people if isinstance(one, dict)):
        return False
    found = [one["keypoints"] for one in people if isinstance(one, dict) and one.get("keypoints")]
    first = next((keypoints[0] if isinstance(keypoints, list) else keypoints for keypoints in found), None)
    return "keypoint_scores" not in people[0] and not isinstance(first, list | dict)


def read_results(content: Any, path: Path, hints: Hints) -> RawDetections:
    """`[{"image_id": number or text, "keypoints": [x, y, score, ...], "score": ...}, ...]`, COCO's or AlphaPose's."""
    where = [f"{path}: entry {index}" for index, entry in enumerate(content) if entry]
    content = [entry for entry in content if entry]  # null, {}: out of sight
    number = _numbers_of_ids([_id(entry, "image_id", at) for entry, at in zip(content, where, strict=True)], path)
    return _read(content, where, number, path, hints)


def read_keyed(content: Any, path: Path, hints: Hints) -> RawDetections:
    """`keypoints.json`: `{image name: [{"keypoints": [x, y, score, ...], "score": ...}, ...]}`, every image listed."""
    people, where, number, listed = people_of(content, path)
    return _read(people, where, number, path, hints, listed=listed)


def read_annotations(content: Any, path: Path, hints: Hints) -> RawDetections:
    """`{"images": [...], "annotations": [...]}`: frames in the order of the images, visibility 0, 1, 2 as 0, 0.5, 1."""
    images, entries = (_list_member(content, key, path) for key in ("images", "annotations"))
    name_of = {}
    for index, image in enumerate(images):
        number = _id(image, "id", f"{path}: images, entry {index}")
        name_of[number] = str(image.get("file_name", number))
    number_by_name = frame_numbers(list(name_of.values()), path)
    where = [f"{path}: annotations, entry {index}" for index in range(len(entries))]
    number = []
    for entry, at in zip(entries, where, strict=True):
        image_id = _id(entry, "image_id", at)
        if image_id not in name_of:
            raise DataError(f"{at}: image_id {image_id!r} is not among the images; {REMEDY}")
        number.append(number_by_name[name_of[image_id]])
    listed = np.array(list(number_by_name.values()), dtype=np.int64)
    entries = [{"keypoints": [], **entry} for entry in entries]
    people = _read(entries, where, np.array(number), path, hints, listed, _names_of(content))
    sizes = {size_of(image) for image in images}
    people = replace(people, image_size=sizes.pop() if len(sizes) == 1 else None)
    if (people.confidence == 2).any() and set(np.unique(people.confidence)) <= {0.0, 1.0, 2.0}:
        return replace(people, confidence=people.confidence / 2)
    return people


def _names_of(content: dict[str, Any]) -> list[str]:
    """The names of the joints in COCO's `categories`, [] without."""
    categories = content.get("categories")
    found = (
        (one.get("keypoints") for one in categories if isinstance(one, dict)) if isinstance(categories, list) else ()
    )
    names = next((names for names in found if isinstance(names, list)), [])
    return [joint_name(str(name)) for name in names]


def _read(
    entries: Sequence[Any],
    where: Sequence[str],
    number: np.ndarray,
    path: Path,
    hints: Hints,
    listed: np.ndarray | None = None,
    names: Sequence[str] = (),
) -> RawDetections:
    """Entries without joints, such as COCO's crowds, are left out."""
    values = [_member(entry, "keypoints", at) for entry, at in zip(entries, where, strict=True)]
    found = [index for index, value in enumerate(values) if value not in (None, [])]
    triples = array_of([values[index] for index in found], [where[index] for index in found])
    keypoints, confidence = split_triples(triples, where)
    joints, assumed = joints_of(
        keypoints.shape[1], path, hints.joint_set, names if len(names) == keypoints.shape[1] else ()
    )
    return RawDetections(
        number=number[found].astype(np.int64),
        keypoints=keypoints,
        confidence=confidence,
        box_score=np.array([number_of(entries[index].get("score")) for index in found]),
        joints=joints,
        assumed=assumed,
        listed=np.empty(0, dtype=np.int64) if listed is None else listed,
        complete=listed is not None,
        identity=np.array([identity_of(entries[index]) for index in found], dtype=np.int64),
    )


def _numbers_of_ids(ids: Sequence[int | str], path: Path) -> np.ndarray:
    """Frame numbers: the numbers themselves, the digits of the names, or the place in sorted order."""
    numbers = [value for value in ids if isinstance(value, int)]
    if len(numbers) == len(ids) and is_numbering(sorted(set(numbers)), from_zero=True):
        return np.array(numbers, dtype=np.int64)
    if numbers and len(numbers) < len(ids):
        name = next(value for value in ids if isinstance(value, str))
        raise DataError(f"{path}: image_id: numbers or names are expected, found both, such as {name[:40]!r}; {REMEDY}")
    number_by_name = frame_numbers([str(value) for value in ids], path, from_zero=True)
    return np.array([number_by_name[str(value)] for value in ids], dtype=np.int64)


def _id(entry: Any, key: str, where: str) -> int | str:
    value = _member(entry, key, where)
    value = int(value) if isinstance(value, float) and value.is_integer() else value
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, str))
        or (isinstance(value, int) and value < 0)
        or value == ""
    ):
        raise DataError(f"{where}: {key}: a frame number or an image name is expected, found {value!r:.40}")
    return value


def _member(entry: Any, key: str, where: str) -> Any:
    if not isinstance(entry, dict) or key not in entry:
        found = f"one with {', '.join(entry)[:80]}" if isinstance(entry, dict) else f"a {type(entry).__name__}"
        raise DataError(f"{where}: an object with {key!r} is expected, found {found}; {REMEDY}")
    return entry[key]


def _list_member(content: Any, key: str, path: Path) -> list[Any]:
    if not isinstance(content.get(key), list):
        raise DataError(f"{path}: {key}: a list is expected, found {type(content.get(key)).__name__}; {REMEDY}")
    return content[key]
