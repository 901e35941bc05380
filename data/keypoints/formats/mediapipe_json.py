"""MediaPipe Pose landmarks saved as JSON: a list over frames of 33 landmarks {x, y, z, visibility}.

x and y are fractions of the image's width and height (MediaPipe's documentation, "Pose landmark detection"), so pixels
need the image size. A frame is the list of landmarks itself, an object with it as "landmarks" or "pose_landmarks"
(there also a list of people), or null or empty where no person was found. The list may lie in an object:
`{"fps": 30, "image_size": [width, height], "frames": [...]}`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from data.keypoints.coco19 import RawDetections
from data.keypoints.parsing import REMEDY, Hints, Reader, array_of, first_entry, people_of
from pose.errors import DataError, MismatchError
from pose.joint_sets import MEDIAPIPE_33

_KEYS = ("pose_landmarks", "landmarks")


def is_frame(content: Any) -> bool:
    """Whether `content` is the landmarks of one frame: an object that says so, or a list with people in it."""
    if isinstance(content, dict) and any(key in content for key in _KEYS):
        return True
    people = _unpacked(content)
    first = people[0] if isinstance(people, list) and people else None
    return isinstance(first, list) and bool(first) and isinstance(first[0], dict) and {"x", "y"} <= set(first[0])


def reader_of(content: Any) -> Reader | None:
    if isinstance(content, dict):
        return read_frames if "frames" in content else None
    without_people = isinstance(content, list) and len(content) > 0 and first_entry(content) is None
    return read_frames if without_people or any(is_frame(entry) for entry in content) else None


def read_frames(content: Any, path: Path, hints: Hints) -> RawDetections:
    """The frames of a video, every frame listed. Raises DataError if the image size is not known."""
    fps, image_size = None, hints.image_size
    if hints.joint_set not in (None, MEDIAPIPE_33.name):
        raise MismatchError(f"{path}: MediaPipe landmarks are {MEDIAPIPE_33.name}, joint_set={hints.joint_set} given")
    if isinstance(content, dict):
        fps = _fps(content.get("fps"), path)
        image_size = image_size or _image_size(content.get("image_size"), path)
        content = content["frames"]
    if image_size is None:
        raise DataError(
            f"{path}: MediaPipe landmarks are fractions of the image; give its size in px as image_size=[width, height]"
        )
    if not isinstance(content, list):
        raise DataError(f"{path}: frames: a list is expected, found {type(content).__name__}; {REMEDY}")
    frames = {f"frame {number}": _unpacked(entry) for number, entry in enumerate(content)}
    people, where, number, listed = people_of(frames, path, range(len(content)))
    rows = [_row(landmarks, at) for landmarks, at in zip(people, where, strict=True)]
    values = array_of(rows, where, 2, "landmarks") if rows else np.zeros((0, len(MEDIAPIPE_33), 3))
    return RawDetections(
        number=number,
        keypoints=values[..., :2] * np.array(image_size, dtype=np.float64),
        confidence=values[..., 2],
        box_score=np.full(len(rows), np.nan),
        joints=MEDIAPIPE_33,
        listed=listed,
        complete=True,
        fps=fps,
        image_size=image_size,
    )


def _unpacked(entry: Any) -> Any:
    """A frame as a list of people; itself if it is none."""
    inner = next((entry[key] for key in _KEYS if key in entry), entry) if isinstance(entry, dict) else entry
    if isinstance(inner, dict):  # the protocol buffer's own JSON: {"landmark": [...]}
        inner = inner.get("landmark", inner)
    if inner is None or inner == []:
        return []
    return [inner] if isinstance(inner, list) and isinstance(inner[0], dict) else inner


def _row(landmarks: Any, where: str) -> list[list[Any]]:
    if not isinstance(landmarks, list) or len(landmarks) != len(MEDIAPIPE_33):
        found = f"{len(landmarks)} of them" if isinstance(landmarks, list) else f"a {type(landmarks).__name__}"
        raise DataError(f"{where}: {len(MEDIAPIPE_33)} landmarks are expected, found {found}; {REMEDY}")
    try:
        return [[point["x"], point["y"], point["visibility"]] for point in landmarks]
    except (KeyError, TypeError, IndexError):
        raise DataError(f"{where}: each landmark needs 'x', 'y' and 'visibility'; {REMEDY}") from None


def _fps(value: Any, path: Path) -> float | None:
    if value is None or (isinstance(value, (int, float)) and 0 < value < 1e6):
        return None if value is None else float(value)
    raise DataError(f"{path}: fps: a number above 0 is expected, found {value!r:.40}; {REMEDY}")


def _image_size(value: Any, path: Path) -> tuple[int, int] | None:
    if value is None:
        return None
    if isinstance(value, list) and len(value) == 2 and all(type(side) is int and 0 < side < 10**6 for side in value):
        return value[0], value[1]
    raise DataError(f"{path}: image_size: [width, height] in px is expected, found {value!r:.40}; {REMEDY}")
