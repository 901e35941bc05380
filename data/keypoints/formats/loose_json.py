"""JSON of the many tools without a reader of their own: frames, people and joints are found by what they are called.

What tools agree on is little: a frame is an entry of a list, a member of an object, or named by a number in each
person; a person has one member with the joints (points.py). So this reads, among others, MMPose and Sapiens, MediaPipe
by index or by name, Ultralytics' `to_json`, DWPose and ComfyUI lists, kinetics-skeleton, OpenPifPaf lines, tfjs and
easy_ViTPose; docs/inputs.md has a sample of each. An entry that is no person is refused, never left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from data.keypoints.coco19 import RawDetections
from data.keypoints.formats.json_facts import fps_of, joint_names_of, size_of
from data.keypoints.formats.points import is_point, points_of
from data.keypoints.parsing import (
    REMEDY,
    Hints,
    Reader,
    described,
    frame_numbers,
    identity_of,
    is_number,
    is_numbering,
    joints_of,
    number_of,
)
from pose.errors import DataError

#: Members that hold a person's joints, their scores, a frame's people, a file's frames, a frame's number or image.
_JOINTS = (
    "keypoints", "pose_keypoints_2d", "pose_keypoints", "keypoints_2d", "pose", "pose_landmarks", "poseLandmarks",
    "landmarks", "landmark", "joints", "kpts", "points",
)  # fmt: skip
_SCORES = (
    "keypoint_scores", "keypoints_scores", "keypoints_score", "keypointScores", "kp_score", "kpts_scores",
    "pose_keypoint_scores", "scores", "score", "visibility", "visible", "confidence", "conf", "likelihood",
)  # fmt: skip
_PEOPLE = (
    "people", "bodies", "instances", "persons", "skeleton", "skeletons", "predictions", "poses", "detections",
    "preds", "results", "instance_info", "pose_landmarks", "poseLandmarks", "landmarks",
)  # fmt: skip
_NOTHING_ELSE = ("people", "bodies", "instances", "persons")
_FRAMES = ("frames", "data", "instance_info", "annotations", "results", "predictions", "keypoints", "sequence")
_NUMBER = ("frame", "frame_id", "frame_index", "frame_idx", "frameIndex", "image_id", "frame_number", "frame_num")
_IMAGE = ("image_name", "file_name", "image", "img_path", "image_path", "filename", "img_name")
_BOX_SCORE = ("score", "confidence", "box_score", "bbox_score")


class _Person(NamedTuple):
    joints: np.ndarray  # (K, 3) x, y, score; NaN for what is missing
    names: tuple[str, ...] = ()
    box_score: Any = None
    identity: int = -1


def reader_of(content: Any) -> Reader | None:
    """`read`, if something in the file looks like frames of people."""
    if isinstance(content, list) and content and all(_is_absent(entry) for entry in content):
        return read
    return read if any(_person(entry) for _, entries in _frames(content) for entry in entries) else None


def read(content: Any, path: Path, hints: Hints) -> RawDetections:
    """The people of a file in any layout that the module names. DataError for an entry that is no person."""
    labels, people, listed = [], [], []
    size = size_of(content)
    for label, entries in _frames(content):
        listed.append(label)
        for index, entry in enumerate(entries):
            if _is_absent(entry):
                continue
            person = _person(entry)
            if person is None:
                raise DataError(
                    f"{path}: frame {str(label)[:60]}, person {index}: x, y and score of each joint are expected, "
                    f"found {described(entry)}; {REMEDY}"
                )
            people.append(person)
            labels.append(label)
    number_by_label = _numbers(listed, path)
    values, names = _stacked(people, labels, path)
    names = names or joint_names_of(content, values.shape[1])
    joints, assumed = joints_of(values.shape[1], path, hints.joint_set, names)
    transposed = isinstance(content, dict) and isinstance(content.get("skeleton"), dict)  # easy_ViTPose's y, x, score
    return RawDetections(
        number=np.array([number_by_label[label] for label in labels], dtype=np.int64),
        keypoints=values[..., 1::-1] if transposed else values[..., :2],
        confidence=values[..., 2],
        box_score=np.array([number_of(person.box_score) for person in people]),
        joints=joints,
        assumed=assumed,
        listed=np.array(sorted(number_by_label.values()), dtype=np.int64),
        complete=not _is_by_person(content) or len(set(labels)) < len(listed),
        fps=fps_of(content, path),
        image_size=size,
        identity=np.array([person.identity for person in people], dtype=np.int64),
    )


def _stacked(people: list[_Person], labels: list[Any], path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """(N, K, 3) and the joints' names, () without; named joints may be left out and in any order.

    DataError where people without names have different numbers of joints.
    """
    names = tuple(dict.fromkeys(name for order in {person.names: 0 for person in people} for name in order))
    rows = []
    for person, label in zip(people, labels, strict=True):
        joints = person.joints
        if person.names and person.names != names:
            joints = np.full((len(names), 3), np.nan)
            joints[[names.index(name) for name in person.names]] = person.joints
        expected = len(names or people[0].joints)
        if len(joints) != expected or bool(person.names) != bool(names):
            raise DataError(
                f"{path}: frame {str(label)[:60]}: a person of {len(joints)} joints among those of {expected}, or "
                f"without names; {REMEDY}"
            )
        rows.append(joints)
    return (np.stack(rows) if rows else np.zeros((0, 0, 3))), names


# --- frames -----------------------------------------------------------------------------------------------------------


def _frames(content: Any) -> Iterator[tuple[Any, list[Any]]]:
    """(frame's number or name, its people) of a file."""
    tracks = _tracks(content)
    if tracks:
        yield from _by_frame([{**one, "track_id": track} for track, people in tracks.items() for one in people])
    elif isinstance(content, dict):
        yield from _frames_of_object(content)
    elif isinstance(content, list) and _is_by_person(content):
        yield from _by_frame(content)
    elif isinstance(content, list) and content and all(is_point(entry) for entry in content):
        yield 0, [content]
    elif isinstance(content, list) and content and all(_is_instance(entry) for entry in content):
        yield 0, content
    elif isinstance(content, list):
        labels = [_label(entry, index, None) for index, entry in enumerate(content)]
        numbered = any(label is not None for label in labels)
        for index, (label, entry) in enumerate(zip(labels, content, strict=True)):
            paths = entry.get("image_paths") if isinstance(entry, dict) else None
            if isinstance(paths, list) and len(paths) == len(_people(entry)):  # a batch of MMPose 0.x
                yield from _by_frame([{"image": p, "keypoints": k} for p, k in zip(paths, _people(entry), strict=True)])
            elif not numbered:
                yield index, _people(entry)
            elif entry:
                yield (_Unusable(index, "none") if label is None else label), _people(entry)


def _by_frame(people: list[dict[str, Any]]) -> Iterator[tuple[Any, list[Any]]]:
    by_frame: dict[Any, list[Any]] = {}
    for index, person in enumerate(people):
        by_frame.setdefault(_label(person, index, _Unusable(index, "none")), []).append(person)
    yield from by_frame.items()


def _tracks(content: Any) -> dict[int, list[dict[str, Any]]]:
    """A file by people instead of frames: each one's list, whose entries name the frames; {} for others."""
    if isinstance(content, dict):
        lists = list(content.values())
    else:
        lists = [one.get("frames") if isinstance(one, dict) else None for one in content or []]
    tracks: dict[int, list[dict[str, Any]]] = {}
    for track, people in enumerate(lists):
        if not isinstance(people, list) or not all(isinstance(one, dict) and _person(one) for one in people):
            return {}
        labels = [_label(person, index, None) for index, person in enumerate(people)]
        if not labels or None in labels or len(set(labels)) < len(labels):
            return {}
        tracks[track] = people
    return tracks


def _frames_of_object(content: dict[str, Any]) -> Iterator[tuple[Any, list[Any]]]:
    if _is_frame(content) or _person(content) is not None:
        yield _label(content, 0, 0), _people(content)
        return
    key = next((key for key in _FRAMES if isinstance(content.get(key), list | dict) and content[key]), None)
    if key is not None and (isinstance(content[key], dict) or not is_number(content[key][0])):
        yield from _frames(content[key])
        return
    # Without people a member may be something else: "warnings": [].
    digits = any(re.search(r"\d", name) for name, entry in content.items() if entry)
    for name, entry in content.items():
        empty = entry in (None, [], {}) and (not digits or re.search(r"\d", name))
        if empty or (isinstance(entry, list | dict) and entry and _people(entry)):
            yield name, _people(entry) if entry else []


def _people(entry: Any) -> list[Any]:
    """A frame's people."""
    if isinstance(entry, dict):
        for key in _PEOPLE:
            value = entry.get(key)
            if not isinstance(value, list):
                continue
            if value and isinstance(value[0], list) and value[0] and _person(value[0]) is None:
                return value[0] if _person(value[0][0]) is not None else value
            if key in _NOTHING_ELSE or not value or not value[0] or _person(value[0]) is not None:
                return value
        if entry and all(name.isdigit() and isinstance(person, list) for name, person in entry.items()):
            return [{"keypoints": person, "id": int(name[:18])} for name, person in entry.items()]
        return [entry] if any(key in entry for key in _JOINTS) or _person(entry) is not None else []
    if not isinstance(entry, list):
        return [entry] if entry is not None else []
    if entry and all(is_point(point) for point in entry):
        return [entry]
    if len(entry) == 1 and isinstance(entry[0], list) and entry[0] and isinstance(entry[0][0], dict):
        return entry[0] if _person(entry[0][0]) is not None else entry
    return entry


def _is_frame(entry: dict[str, Any]) -> bool:
    return any(isinstance(entry.get(key), list) for key in _NOTHING_ELSE)


def _is_by_person(content: Any) -> bool:
    """Whether this is a list of people each of whom names the frame, which says nothing of frames without any."""
    return (
        isinstance(content, list)
        and len(content) > 0
        and all(isinstance(one, dict) and any(key in one for key in (*_NUMBER, *_IMAGE)) for one in content)
        and any(_person(one) is not None for one in content)
        and not any(_is_frame(one) for one in content)
    )


def _is_instance(entry: Any) -> bool:
    """Whether this is a person of MMPose or Ultralytics, whose list alone is one image."""
    return isinstance(entry, dict) and "keypoints" in entry and ("keypoint_scores" in entry or "class" in entry)


class _Unusable(NamedTuple):
    """The frame of the entry at this index, which is neither a number nor a name."""

    index: int
    value: str


def _label(entry: Any, index: int, default: Any) -> Any:
    """The number or name of the frame that the entry at `index` says, `default` if it says none."""
    if not isinstance(entry, dict):
        return default
    for value in (entry[key] for key in _NUMBER if entry.get(key) is not None):
        value = int(value) if isinstance(value, float) and value.is_integer() else value
        usable = (is_number(value) and isinstance(value, int)) or (isinstance(value, str) and value)
        return value if usable else _Unusable(index, repr(value)[:40])
    return next((entry[key] for key in _IMAGE if isinstance(entry.get(key), str) and entry[key]), default)


def _numbers(labels: list[Any], path: Path) -> dict[Any, int]:
    """Frame number of each label: numbers as they are, names by their digits. DataError for unusable ones."""
    bad = next((label for label in labels if isinstance(label, _Unusable)), None)
    if bad is not None:
        raise DataError(
            f"{path}: entry {bad.index}: frame: a whole number from 0 or an image's name is expected, as in all "
            f"entries, found {bad.value}; {REMEDY}"
        )
    name = next((label for label in labels if isinstance(label, str)), None)
    if name is not None and any(isinstance(label, int) for label in labels):
        raise DataError(f"{path}: frame: numbers or names are expected, found both, such as {name[:40]!r}; {REMEDY}")
    if len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise DataError(f"{path}: frame {str(twice)[:60]} is there twice; {REMEDY}")
    if all(isinstance(label, int) for label in labels):
        if min(labels, default=0) < 0 or not is_numbering(labels):
            raise DataError(
                f"{path}: frames numbered {min(labels)} to {max(labels)} in a file of {len(labels)}; {REMEDY}"
            )
        return {label: label for label in labels}
    found = frame_numbers([str(label) for label in labels], path)
    return {label: found[str(label)] for label in labels}


# --- people -----------------------------------------------------------------------------------------------------------


def _is_absent(entry: Any) -> bool:
    """Whether this is what tools write for a person out of sight: null, {}, [], or no joints."""
    if not isinstance(entry, dict):
        return entry is None or entry == []
    joints = [entry[key] for key in _JOINTS if key in entry]
    return not entry or (bool(joints) and not any(joints))


def _person(entry: Any) -> _Person | None:
    """The person that `entry` is; None if it is none, or has no joints."""
    if isinstance(entry, list):
        points = points_of(entry)
        return None if points is None else _Person(_scored(points.values), points.names)
    if not isinstance(entry, dict):
        return None
    scores = next((entry[key] for key in _SCORES if isinstance(entry.get(key), list)), None)
    for key in _JOINTS:
        points = points_of(entry.get(key), scores)
        if points is None or ("keypoint_scores" in entry and _is_3d(entry[key])):
            continue
        box = next((entry[key] for key in _BOX_SCORE if is_number(entry.get(key))), entry.get("bbox_score"))
        return _Person(_scored(points.values), points.names, box, identity_of(entry))
    points = points_of(entry)  # joints by name
    return None if points is None else _Person(_scored(points.values), points.names)


def _is_3d(rows: Any) -> bool:
    """Whether these are x, y and z, where the scores stand beside them."""
    return isinstance(rows, list) and isinstance(rows[0], list) and len(rows[0]) == 3


def _scored(joints: np.ndarray) -> np.ndarray:
    """Where the tool gives no score, 1 for each joint that it found: 0, 0 is how many write a missing one."""
    found = np.isfinite(joints[:, :2]).all(axis=1) & (joints[:, :2] != 0).any(axis=1)
    return np.c_[joints[:, :2], np.where(np.isnan(joints[:, 2]), found, joints[:, 2])]
