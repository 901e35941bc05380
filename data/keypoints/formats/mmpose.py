"""MMPose's JSON, also of RTMPose models: what its inferencer and its demos save.

A video is a list of `{"frame_id", "instances"}`, from the demos inside `{"meta_info", "instance_info"}`; an image is a
list of instances. An instance has keypoints (K, 2), keypoint_scores (K) and mostly bbox_score. `meta_info` names the
joints. Source: MMPose 1.x, user guide "Inference with existing models".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from data.keypoints.coco19 import MMPOSE_MAX_SCORE, RawDetections
from data.keypoints.parsing import (
    REMEDY,
    Frames,
    Hints,
    Reader,
    array_of,
    box_score,
    first_entry,
    joints_of,
    people_of,
)
from pose.errors import DataError
from pose.joint_sets import JointSet


def is_image(content: Any) -> bool:
    """Whether `content` is the list of people of one image."""
    return isinstance(content, list) and bool(content) and _is_instance(content[0])


def _is_instance(value: Any) -> bool:
    return isinstance(value, dict) and "keypoints" in value and "keypoint_scores" in value


def reader_of(content: Any) -> Reader | None:
    if isinstance(content, dict):
        return read_video if "instance_info" in content else None
    first = first_entry(content)
    video = is_image(first) or (isinstance(first, dict) and "instances" in first)
    return read_video if video or is_image(content) else None


def read_video(content: Any, path: Path, hints: Hints) -> RawDetections:
    """A list over the frames of a video, alone or in "instance_info", every frame listed; or a single image."""
    names = None
    if isinstance(content, dict):
        names = _joint_names(content.get("meta_info")) if hints.joint_set is None else None
        content = content["instance_info"]
    if is_image(content):
        content = [{"frame_id": 0, "instances": content}]
    if not isinstance(content, list):
        raise DataError(f"{path}: instance_info: a list is expected, found {type(content).__name__}; {REMEDY}")
    frames: dict[int, Any] = {}
    for index, frame in enumerate(content):
        if isinstance(frame, list):
            frame = {"frame_id": index, "instances": frame}
        if not isinstance(frame, dict) or not isinstance(frame.get("instances"), list):
            raise DataError(f"{path}: entry {index}: an object with a list 'instances' is expected; {REMEDY}")
        number = frame.get("frame_id", index)
        if isinstance(number, bool) or not isinstance(number, int) or number < 0 or number in frames:
            raise DataError(f"{path}: entry {index}: frame_id: a new frame number is expected, found {number!r:.40}")
        frames[number] = frame["instances"]
    if len(frames) and max(frames) >= 1000 * (len(frames) + 10):
        raise DataError(f"{path}: frame_id {max(frames)} in a file of {len(frames)} frames; {REMEDY}")
    by_name = {f"frame {number}": people for number, people in frames.items()}
    return _read(people_of(by_name, path, list(frames)), path, hints, names)


def read_images(content: Mapping[str, Any], path: Path, hints: Hints) -> RawDetections:
    """`{file name: people of one image}`; every frame listed."""
    return _read(people_of(content, path), path, hints)


def _read(frames: Frames, path: Path, hints: Hints, names: JointSet | None = None) -> RawDetections:
    instances, where = frames.people, frames.where
    for instance, at in zip(instances, where, strict=True):
        if not _is_instance(instance):
            raise DataError(f"{at}: 'keypoints' and 'keypoint_scores' are expected; {REMEDY}")
    keypoints = array_of([one["keypoints"] for one in instances], where, 2, what="x, y of each joint")
    confidence = array_of([one["keypoint_scores"] for one in instances], where, key="keypoint_scores")
    if instances and keypoints.shape != (*confidence.shape, 2):
        raise DataError(
            f"{path}: keypoints {keypoints.shape[1:]} and keypoint_scores {confidence.shape[1:]} do not agree: "
            f"x, y and one score of each joint are expected; {REMEDY}"
        )
    count = confidence.shape[1]
    joints = names if names is not None and len(names) == count else joints_of(count, path, hints.joint_set)
    return RawDetections(
        number=frames.number,
        keypoints=keypoints,
        confidence=confidence,
        box_score=np.array([box_score(person.get("bbox_score")) for person in instances]),
        joints=joints,
        listed=frames.listed,
        complete=True,
        max_score=MMPOSE_MAX_SCORE,
    )


def _joint_names(meta: Any) -> JointSet | None:
    """The joints that `meta_info` names, in order; None if it does not."""
    by_id = meta.get("keypoint_id2name") if isinstance(meta, dict) else None
    if not isinstance(by_id, dict) or not by_id:
        return None
    names = tuple(by_id.get(str(index)) for index in range(len(by_id)))
    if not all(isinstance(name, str) for name in names):
        return None
    return JointSet(str(meta.get("dataset_name", "of the file"))[:40], tuple(map(str, names)))
