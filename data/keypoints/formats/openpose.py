"""OpenPose's JSON, one object for each frame, and AlphaPose's imitations of it ("open" and "cmu").

Sources: OpenPose's docs "Output" (people / pose_keypoints_2d, older pose_keypoints); AlphaPose's docs/output.md.
Sports2D and Pose2Sim write the same with Halpe-26 joints.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from data.keypoints.coco19 import RawDetections
from data.keypoints.formats.json_facts import size_of
from data.keypoints.parsing import (
    REMEDY,
    Hints,
    Reader,
    array_of,
    first_entry,
    identity_of,
    joints_of,
    people_of,
    split_triples,
)
from pose.errors import DataError

_LISTS = ("people", "bodies")
_JOINTS = ("pose_keypoints_2d", "pose_keypoints", "joints")


def is_frame(content: Any) -> bool:
    """Whether `content` is the people of one frame."""
    people = _people(content)
    person = None if people is None else first_entry(people)
    return people is not None and (
        person is None or (isinstance(person, dict) and any(key in person for key in _JOINTS))
    )


def reader_of(content: Any) -> Reader | None:
    if is_frame(content):
        return read_frame
    first = first_entry(list(content.values())) if isinstance(content, dict) else None
    return read_frames if is_frame(first) else None


def read_frame(content: Any, path: Path, hints: Hints) -> RawDetections:
    """A single frame."""
    return read_frames({path.stem: content}, path, hints)


def read_frames(content: Mapping[str, Any], path: Path, hints: Hints) -> RawDetections:
    """`{name of the frame's image or file: its object}`, also AlphaPose's one file of them; every frame listed."""
    by_name = {name: _people(frame) if frame else [] for name, frame in content.items()}
    for name, people in by_name.items():
        if people is None:
            raise DataError(f"{path}: {name}: an object with a list 'people' is expected; {REMEDY}")
    frames = people_of(by_name, path)
    keys = [next((key for key in _JOINTS if key in person), "") for person in frames.people]
    for at, key in zip(frames.where, keys, strict=True):
        if not key:
            raise DataError(f"{at}: {_JOINTS[0]!r} is expected; {REMEDY}")
    flat = [person[key] for person, key in zip(frames.people, keys, strict=True)]
    body = [index for index, keypoints in enumerate(flat) if keypoints != []]  # else only a face or a hand was found
    triples = array_of([flat[index] for index in body], [frames.where[index] for index in body])
    keypoints, confidence = split_triples(triples, frames.where)
    joints, assumed = joints_of(keypoints.shape[1], path, hints.joint_set)
    return RawDetections(
        number=frames.number[body],
        keypoints=keypoints,
        confidence=confidence,
        box_score=np.full(len(body), np.nan),
        joints=joints,
        assumed=assumed,
        listed=frames.listed,
        complete=True,
        image_size=size_of([frame for frame in content.values() if frame]),  # ComfyUI's canvas
        identity=np.array([identity_of(frames.people[index]) for index in body], dtype=np.int64),
    )


def _people(frame: Any) -> list[Any] | None:
    lists = (frame[key] or [] for key in _LISTS if key in frame) if isinstance(frame, dict) else ()
    return next((people for people in lists if isinstance(people, list)), None)
