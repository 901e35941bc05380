"""Pickles and torch files, opened by allow-list: SAM 3D Body, 4D-Humans and PHALP, rtmlib."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from data.keypoints.parsing import frame_numbers
from data.poses.joints import BONES_MM, CHAIN, to_mupots, unmirrored
from data.poses.rows import REMEDY, Options, PoseRows
from fileio.arrays import require
from pose.errors import DataError
from pose.joint_sets import BODY_25, COCO_17, MHR_70, MUPOTS_17

#: 4D-Humans' `camera` is of this focal length in an image this wide, px.
_FOCAL, _WIDTH = 5000.0, 256.0
_LISTS = ("3d_joints", "camera", "tid", "tracked_time", "conf", "size")


def is_sam3d(content: Any) -> bool:
    """Per image a list of people with pred_keypoints_3d and pred_cam_t."""
    return any("pred_keypoints_3d" in person for _, person in _people(content))


def read_sam3d(content: Any, path: Path, options: Options) -> PoseRows:
    """SAM 3D Body: MHR-70 in metres beside the camera's pred_cam_t, focal_length in px; people are in no order."""
    names = list(content) if isinstance(content, dict) else []
    numbers = _from_zero(names, path) if names else {}
    people = _people(content)
    keys = {"pred_keypoints_3d": (70, 3), "pred_cam_t": (3,), "focal_length": ()}
    got = {key: [_one(person, key, shape, path) for _, person in people] for key, shape in keys.items()}
    points = np.array(got["pred_keypoints_3d"]) + np.array(got["pred_cam_t"])[:, None]
    frame = np.array([numbers[str(names[at])] if names else at for at, _ in people])
    seen = None
    if all("pred_keypoints_2d" in person for _, person in people):
        seen = np.array([_one(person, "pred_keypoints_2d", (70, 2), path) for _, person in people])
    return PoseRows(
        "SAM 3D Body", MHR_70, frame, points * 1000, "camera", focal_px=np.array(got["focal_length"], float),
        image_size=options.image_size, keypoints_2d=seen,
    )  # fmt: skip


def is_phalp(content: Any) -> bool:
    """Frame's path -> lists of that frame's people."""
    first = next(iter(content.values()), None) if isinstance(content, dict) else None
    return isinstance(first, dict) and {"3d_joints", "camera"} <= set(first)


def read_phalp(content: Any, path: Path, options: Options) -> PoseRows:
    """4D-Humans, PHALP: 45 joints (OpenPose's 25 first) in m beside `camera`; tracked_time > 0 was not seen."""
    numbers = _from_zero(content, path)
    rows, size = [], options.image_size
    for name, frame in content.items():
        lists = {key: list(frame.get(key, ())) for key in _LISTS}
        for i, joints in enumerate(lists["3d_joints"]):
            own = {key: values[i] if i < len(values) else None for key, values in lists.items()}
            if size is None and own["size"] is not None:
                height, width = np.ravel(require(own["size"], path, "size", (2,), remedy=REMEDY))
                size = (int(width), int(height))
            body = _one({"3d_joints": joints}, "3d_joints", (45, 3), path)[:25]
            place = _one(own, "camera", (3,), path)
            seen = not own["tracked_time"] and own["tracked_time"] is not None
            score = 1.0 if own["conf"] is None else float(np.ravel(own["conf"])[0])
            rows.append((numbers[str(name)], body + place, own["tid"], score if seen else 0.0))
    if not rows:
        raise DataError(f"{path}: lists no people; {REMEDY}")
    if size is None:
        raise DataError(f"{path}: the size of the image is not known; give camera.image_size=[WIDTH,HEIGHT]")
    number, points, identity, score = zip(*rows, strict=True)
    seen = np.array(score) > 0
    return PoseRows(
        "4D-Humans", BODY_25, np.array(number)[seen], np.array(points)[seen] * 1000, "camera",
        score=np.repeat(np.array(score).clip(0, 1)[seen, None], 25, axis=1),
        identity=None if None in identity else np.array(identity, int)[seen],
        focal_px=np.full(int(seen.sum()), _FOCAL / _WIDTH * max(size)), image_size=size,
    )  # fmt: skip


def is_rtmlib(content: Any) -> bool:
    """A list of what `Wholebody3d` returned for each frame: keypoints, scores, keypoints_simcc, keypoints_2d."""
    first = content[0] if isinstance(content, list) and content else None
    points: Any = first[0] if isinstance(first, list | tuple) and len(first) == 4 else None
    return isinstance(points, np.ndarray) and points.shape[1:] == (133, 3)


def read_rtmlib(content: Any, path: Path, options: Options) -> PoseRows:
    """COCO-WholeBody's body: depth from the hips, m, beside px of the image; each frame gets an adult's size."""
    frame, depth, pixels, score = [], [], [], []
    for number, found in enumerate(content):
        if not len(found[0]):
            continue
        sizes: dict[str, int] = {}
        points, scores, flat = (
            require(found[i], path, f"frame {number}: {key}", ("P", 133, *last), sizes, REMEDY)[:, : len(COCO_17)]
            for i, key, last in ((0, "keypoints", (3,)), (1, "scores", ()), (3, "keypoints_2d", (2,)))
        )
        frame += [number] * len(points)
        depth, pixels, score = [*depth, *points[..., 2]], [*pixels, *flat], [*score, *scores]
    seen, forward = np.array(pixels, float), np.array(depth, float)[..., None]
    metres_per_px = _size_of(seen, forward)[:, None, None]
    poses = np.concatenate([(seen - seen.mean(1, keepdims=True)) * metres_per_px, forward], axis=-1) * 1000
    notes = ["Scale: px have none; everybody got a stature of about 1.7 m."]
    if unmirrored(poses, COCO_17)[1]:
        poses = poses * [1.0, 1.0, -1.0]
        notes.append("Depth: knees and noses point backward; it was turned round.")
    alone = len(np.unique(frame)) == len(frame)
    return PoseRows(
        "rtmlib", COCO_17, np.array(frame), poses, "body", score=np.array(score, float).clip(0, 1), keypoints_2d=seen,
        image_size=options.image_size, identity=np.zeros(len(frame), int) if alone else None, notes=tuple(notes),
    )  # fmt: skip


def _size_of(pixels: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """(N,) m per px at which bodies of px (N, J, 2) and depth (N, J, 1) m have an adult's bones, by bisection."""
    bodies, _ = to_mupots(np.concatenate([pixels, depth], axis=-1), COCO_17)
    bones = np.stack([bodies[:, MUPOTS_17.index(a)] - bodies[:, MUPOTS_17.index(b)] for a, b in CHAIN], axis=1)
    across, along = np.linalg.norm(bones[..., :2], axis=-1), bones[..., 2]
    low, high = np.zeros(len(bones)), BONES_MM / 1000 / np.maximum(across.sum(1), 1e-6)
    for _ in range(40):
        middle = (low + high) / 2
        short = np.hypot(across * middle[:, None], along).sum(1) < BONES_MM / 1000
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    return high


def _from_zero(names: Iterable[Any], path: Path) -> dict[str, int]:
    """Frames by the numbers in their images' names; the first that is listed is the first of the video."""
    numbers = frame_numbers([str(name) for name in names], path)
    first = min(numbers.values(), default=0)
    return {name: number - first for name, number in numbers.items()}


def _people(content: Any) -> list[tuple[int, dict[str, Any]]]:
    """(image, person) of a list or dict of images, or of one image's list."""
    images = list(content.values()) if isinstance(content, dict) else content if isinstance(content, list) else []
    if images and all(isinstance(person, dict) for person in images) and not isinstance(content, dict):
        images = [images]
    lists = [image if isinstance(image, list) else [] for image in images]
    return [(at, person) for at, image in enumerate(lists) for person in image if isinstance(person, dict)]


def _one(person: dict[str, Any], key: str, shape: tuple[int, ...], path: Path) -> np.ndarray:
    value: Any = person.get(key)
    value = value.numpy() if hasattr(value, "numpy") else value  # a tensor
    if isinstance(value, np.ndarray):
        value = value.reshape(shape) if value.size == np.prod(shape, dtype=int) else value
    return np.asarray(require(value, path, key, shape, remedy=REMEDY), float)
