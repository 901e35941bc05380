"""TRC, and JSON of MMPose and MediaPipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from data.keypoints.parsing import array_of, frame_numbers, identity_of
from data.poses.joints import named_joints, unmirrored
from data.poses.rows import REMEDY, Options, PoseRows, one_person
from fileio.limits import reading
from pose.errors import DataError
from pose.joint_sets import HUMAN36M_17, MEDIAPIPE_33

MM = {"mm": 1.0, "cm": 10.0, "m": 1000.0}


def read_trc(path: Path, options: Options) -> PoseRows:
    """Pose2Sim, Sports2D, OpenCap: a line of names, tabs between cells, y up; empty cells and NaN are unknown."""
    with reading(path, "a TRC file", REMEDY):
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        head = dict(zip(lines[1].split(), lines[2].split(), strict=False))
        names = [name for name in lines[3].rstrip().split("\t")[2:] if name.strip()]
        unit, fps = head["Units"].lower(), float(head["DataRate"])
        cells = [line.split("\t")[2 : 2 + 3 * len(names)] for line in lines[5:] if line.strip()]
        numbers = [[float(cell) if cell.strip() else np.nan for cell in row] for row in cells]
        points = np.array([row + [np.nan] * (3 * len(names) - len(row)) for row in numbers])
        points = points.reshape(len(points), len(names), 3) * MM[unit]
    return PoseRows("TRC", named_joints(names, path), **one_person(points * [1.0, -1.0, -1.0]), space="world", fps=fps)


def is_mmpose(content: Any) -> bool:
    """MMPose's Pose3D: a list of frames with `instances` whose keypoints are 17 triples."""
    frames: Any = content.get("instance_info") if isinstance(content, dict) else content
    first = next((f for f in frames if isinstance(f, dict) and f.get("instances")), None) if _list(frames) else None
    person = first["instances"][0] if first and _list(first["instances"]) else None
    points: Any = person.get("keypoints") if isinstance(person, dict) else None
    return _list(points) and len(points) == len(HUMAN36M_17) and _list(points[0]) and len(points[0]) == 3


def read_mmpose(content: Any, path: Path, options: Options) -> PoseRows:
    """Axes are x or -x, depth, height over the lowest joint, in the lifter's metres; MMPose keeps no places."""
    frames = content["instance_info"] if isinstance(content, dict) else content
    people = [
        (int(f.get("frame_id", number + 1)) - 1, person)
        for number, f in enumerate(frames)
        for person in f.get("instances") or []
    ]
    where = [f"{path}: frame {number}" for number, _ in people]
    raw = array_of([person["keypoints"] for _, person in people], where, 2)
    poses, mirrored = unmirrored(np.stack([raw[..., 0], -raw[..., 2], raw[..., 1]], axis=-1) * 1000, HUMAN36M_17)
    scores = array_of([person.get("keypoint_scores", [1.0] * 17) for _, person in people], where)
    identity = np.array([identity_of(person) for _, person in people])
    frame = np.array([number for number, _ in people])
    alone = len(np.unique(frame)) == len(frame)
    notes = ("Sides: the file's bodies are mirror images; x was turned round.",) if mirrored else ()
    return PoseRows(
        "MMPose", HUMAN36M_17, frame, poses, "body", score=scores.clip(0, 1), notes=notes,
        identity=identity if (identity >= 0).all() else np.zeros(len(frame), int) if alone else None,
    )  # fmt: skip


_WORLD = ("pose_world_landmarks", "poseWorldLandmarks", "worldLandmarks", "world_landmarks")
_IMAGE = ("pose_landmarks", "poseLandmarks", "landmarks")


def is_mediapipe(content: Any) -> bool:
    """MediaPipe: frames, in a list or by name, with 33 world landmarks."""
    frames = list(content.values()) if isinstance(content, dict) else content
    return _list(frames) and any(isinstance(frame, dict) and any(key in frame for key in _WORLD) for frame in frames)


def read_mediapipe(content: Any, path: Path, options: Options) -> PoseRows:
    """Metres from the middle of the hips, y down; landmarks in the image, where they are there too, place people."""
    if isinstance(content, dict):
        numbers = frame_numbers(list(content), path)
        frames = {numbers[name] - min(numbers.values()): frame for name, frame in content.items()}
    else:
        frames = {int(frame.get("frame", n)): frame for n, frame in enumerate(content) if isinstance(frame, dict)}
    rows: list[tuple[int, Any, Any]] = []
    for number, frame in frames.items():
        world, image = (
            _people(next((frame[key] for key in keys if frame.get(key)), None)) for keys in (_WORLD, _IMAGE)
        )
        rows += [(number, body, image[i] if i < len(image) else None) for i, body in enumerate(world)]
    where = [f"{path}: frame {number}" for number, *_ in rows]
    values = array_of([_points(body, "xyz") for _, body, _ in rows], where, 2, "world landmarks")
    if len(rows) and values.shape[1] != len(MEDIAPIPE_33):
        raise DataError(f"{path}: world landmarks: 33 are expected, found {values.shape[1]}; {REMEDY}")
    seen = array_of([[_number(point, "visibility", 1.0) for point in body] for _, body, _ in rows], where)
    image_size, keypoints = options.image_size, None
    if image_size is not None and rows and all(image is not None for *_, image in rows):
        keypoints = array_of([_points(image, "xy") for *_, image in rows], where, 2, "landmarks") * image_size
    frame = np.array([number for number, *_ in rows], int)
    return PoseRows(
        "MediaPipe", MEDIAPIPE_33, frame, values.reshape(-1, 33, 3) * 1000, "body", score=seen.clip(0, 1),
        image_size=image_size, keypoints_2d=keypoints,
        identity=np.zeros(len(frame), int) if len(np.unique(frame)) == len(frame) else None,
    )  # fmt: skip


def _people(value: Any) -> list[list[Any]]:
    """One person's landmarks, or a list of people's -> a list of people's."""
    value = value.get("landmark") if isinstance(value, dict) else value
    if not _list(value):
        return []
    return value if _list(value[0]) and (not value[0] or isinstance(value[0][0], dict | list)) else [value]


def _points(body: list[Any], axes: str) -> list[list[float]]:
    return [[_number(point, axis, np.nan, place) for place, axis in enumerate(axes)] for point in body]


def _number(point: Any, key: str, missing: float, place: int = 3) -> float:
    found = point.get(key) if isinstance(point, dict) else point[place] if _list(point) and len(point) > place else None
    return float(found) if isinstance(found, int | float) else missing


def _list(value: Any) -> bool:
    return isinstance(value, list) and bool(value)
