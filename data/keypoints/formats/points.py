"""The joints of one person in JSON: numbers in rows or in one row, objects with x and y, or objects by name."""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

import numpy as np

from data.keypoints.parsing import is_number, number_of

_SCORE = ("score", "visibility", "confidence", "v", "likelihood", "visible", "presence", "conf")
_WORDS = {"l": "left", "r": "right", "sho": "shoulder", "elb": "elbow", "wri": "wrist", "kne": "knee", "ank": "ankle"}
#: Fewer are no body: a list of boxes, the corners of a picture.
_FEWEST = 10


class Points(NamedTuple):
    """values (K, 3): x, y, score, NaN where there is none. names: of the joints, () where they are not named."""

    values: np.ndarray
    names: tuple[str, ...] = ()


def points_of(value: Any, scores: list[Any] | None = None) -> Points | None:
    """The joints that `value` is, None if it is none; scores: of the joints, where they stand beside them."""
    found = _by_name(value) if isinstance(value, dict) else _listed(value, len(scores or [])) if value else None
    if found is None or scores is None:
        return found
    beside = np.array([number_of(score) for score in scores], dtype=float)
    if len(beside) != len(found.values):
        return found
    return found._replace(values=np.c_[found.values[:, :2], beside])


def joint_name(name: str) -> str:
    """The name of a joint as our joint sets write it: `leftShoulder`, `Left Shoulder`, `LShoulder`, `l_sho`.

    >>> joint_name("LShoulder"), joint_name("right hip"), joint_name("leftEyeInner"), joint_name("shoulder_left")
    ('left_shoulder', 'right_hip', 'left_eye_inner', 'left_shoulder')
    >>> joint_name("rshoulder"), joint_name("LEFTHIP"), joint_name("ankle_L")
    ('right_shoulder', 'left_hip', 'left_ankle')
    """
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", re.sub(r"^([LR])([A-Z][a-z])", r"\1 \2", name))
    words = re.sub(r"(?i)^(left|right|l|r)(?=(shoulder|elbow|wrist|hip|knee|ankle|foot|eye|ear)$)", r"\1 ", words)
    parts = [_WORDS.get(part, part) for part in re.split(r"[\s_.\-]+", words.lower().strip()) if part]
    if len(parts) > 1 and parts[-1] in ("left", "right"):
        parts = [parts[-1], *parts[:-1]]
    return "_".join(parts)


def is_point(value: Any) -> bool:
    """Whether `value` is one joint: an object with x and y, or two to four numbers."""
    if isinstance(value, dict):
        return _place(value) is not None and "keypoints" not in value  # a person may have a box's x and y
    return isinstance(value, list) and len(value) in (2, 3, 4) and all(is_number(v) or v is None for v in value)


def _by_name(value: dict[str, Any]) -> Points | None:
    """`{"landmark": [...]}`, `{"x": [...], "y": [...]}` or `{"nose": ...}`."""
    if isinstance(value.get("landmark"), list):
        return _listed(value["landmark"], 0)
    if isinstance(value.get("x"), list) and isinstance(value.get("y"), list):
        scores = next((value[key] for key in _SCORE if isinstance(value.get(key), list)), None)
        columns = [value["x"], value["y"], scores if scores is not None else [None] * len(value["x"])]
        if len({len(column) for column in columns}) > 1 or len(value["x"]) < _FEWEST:
            return None
        return Points(np.array([[number_of(cell) for cell in column] for column in columns], dtype=float).T)
    points = [_point(point) for point in value.values()]
    if len(points) < _FEWEST or any(point is None for point in points):
        return None
    return Points(np.array(points, dtype=float), tuple(joint_name(str(name)) for name in value))


def _listed(value: Any, n_scores: int) -> Points | None:
    if not isinstance(value, list) or len(value) < _FEWEST:
        return None
    if all(is_number(v) or v is None for v in value):
        return _flat([number_of(v) for v in value], n_scores)
    points = [_point(point) for point in value]
    if any(point is None for point in points):
        return None
    names = [point.get("name", point.get("part")) if isinstance(point, dict) else None for point in value]
    return Points(np.array(points, dtype=float), tuple(joint_name(str(n)) for n in names) if all(names) else ())


def _flat(numbers: list[float], n_scores: int) -> Points | None:
    """x, y or x, y, score of each joint in one row; four numbers each are x, y, z and visibility of MediaPipe's 33."""
    values = np.array(numbers)
    if len(values) == 4 * 33:
        return Points(values.reshape(-1, 4)[:, [0, 1, 3]])
    if len(values) % 3 == 0 and len(values) != 2 * n_scores:
        return Points(values.reshape(-1, 3))
    if len(values) % 2 == 0:
        return Points(np.c_[values.reshape(-1, 2), np.full(len(values) // 2, np.nan)])
    return None


def _point(value: Any) -> list[float] | None:
    """x, y, score of one joint; a missing one is NaN."""
    if value is None:
        return [math.nan] * 3
    if isinstance(value, dict):
        place = _place(value)
        score = next((value[key] for key in _SCORE if is_number(value.get(key))), None)
        return None if place is None else [*place, number_of(score)]
    if not is_point(value):
        return None
    numbers = [number_of(v) for v in value]
    return [*numbers[:2], math.nan if len(numbers) == 2 else numbers[-1]]


def _place(value: dict[str, Any]) -> list[float] | None:
    place = value.get("position", value)
    if not isinstance(place, dict) or "x" not in place or "y" not in place:
        return None
    pair = [place["x"], place["y"]]
    return [number_of(v) for v in pair] if all(v is None or is_number(v) for v in pair) else None
