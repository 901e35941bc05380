"""OpenPose's JSON, one object for each frame, and AlphaPose's imitations of it ("open" and "cmu").

Sources: OpenPose's docs "Output" (people / pose_keypoints_2d, older pose_keypoints); AlphaPose's docs/output.md.
Sports2D and Pose2Sim write the same with Halpe-26 joints.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from data.keypoints.coco19 import ALPHAPOSE_MAX_SCORE, MMPOSE_MAX_SCORE, RawDetections
from data.keypoints.parsing import REMEDY, Hints, Reader, array_of, joints_of, people_of, split_triples
from pose.errors import DataError

_LISTS = {"people": ("pose_keypoints_2d", "pose_keypoints"), "bodies": ("joints",)}


def is_frame(content: Any) -> bool:
    """Whether `content` is the people of one frame."""
    return isinstance(content, dict) and any(isinstance(content.get(key), list) for key in _LISTS)


def reader_of(content: Any) -> Reader | None:
    if is_frame(content):
        return read_frame
    first = next(iter(content.values()), None) if isinstance(content, dict) else None
    return read_alphapose if is_frame(first) else None


def read_frame(content: Any, path: Path, hints: Hints) -> RawDetections:
    """A single frame."""
    return read_frames({path.stem: content}, path, hints)


def read_alphapose(content: Any, path: Path, hints: Hints) -> RawDetections:
    """AlphaPose's file of `{image name: frame}`."""
    return read_frames(content, path, hints, ALPHAPOSE_MAX_SCORE)


def read_frames(
    content: Mapping[str, Any], path: Path, hints: Hints, max_score: float = MMPOSE_MAX_SCORE
) -> RawDetections:
    """`{name of the frame's image or file: its object}`; every frame listed.

    max_score: of RTMPose's networks, whose joints Sports2D writes.
    """
    frames = people_of({name: _keypoints(frame, path, name) for name, frame in content.items()}, path)
    flat, where = frames.people, frames.where
    body = [index for index, keypoints in enumerate(flat) if keypoints != []]  # else only a face or a hand was found
    triples = array_of([flat[index] for index in body], [where[index] for index in body])
    keypoints, confidence = split_triples(triples, where)
    return RawDetections(
        number=frames.number[body],
        keypoints=keypoints,
        confidence=confidence,
        box_score=np.full(len(body), np.nan),
        joints=joints_of(keypoints.shape[1], path, hints.joint_set),
        listed=frames.listed,
        complete=True,
        max_score=max_score,
    )


def _keypoints(frame: Any, path: Path, name: str) -> list[Any]:
    if not is_frame(frame):
        raise DataError(f"{path}: {name}: an object with a list 'people' is expected; {REMEDY}")
    key = next(key for key in _LISTS if isinstance(frame.get(key), list))
    found = []
    for index, person in enumerate(frame[key]):
        names = [name for name in _LISTS[key] if isinstance(person, dict) and name in person]
        if not names:
            raise DataError(f"{path}: {name}, person {index}: {_LISTS[key][0]!r} is expected; {REMEDY}")
        found.append(person[names[0]])
    return found
