"""`predictions.json`, readable by eye and by any language, and `predictions.csv`, one joint a row for tables.

Both are written frame by frame: a long video's text never stands in memory as a whole.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch

from fileio.atomic import atomic_path
from inference.export.base import check_scene, scene_facts
from inference.scene import Scene, array_of
from pose.cameras import Camera
from pose.joint_sets import MUPOTS_17
from pose.progress import Progress
from pose.sequence import PoseSequence

CSV_COLUMNS = ("frame", "time_s", "person", "joint", "x_mm", "y_mm", "z_mm", "observed", "std_mm", "u", "v")

FRAMES = 1000  # that are made text together


class JsonExporter:
    """Writes `predictions.json`: facts of the scene, then people, then one line per frame; NaN becomes null."""

    def write(self, scene: Scene, folder: Path) -> list[Path]:
        check_scene(scene)
        path = Path(folder) / "predictions.json"
        progress = Progress(path.name, sum(map(len, scene.people)))
        with atomic_path(path) as partial, open(partial, "w", encoding="utf-8") as file:
            head = json.dumps(scene_facts(scene), ensure_ascii=False, allow_nan=False, indent=1)
            file.write(head.removesuffix("\n}") + ',\n "people": [')
            for index, person in enumerate(scene.people):
                file.write(("," if index else "") + f'\n  {{"person": {person.person}, "frames": [')
                _write_lines(file, progress.each(_frames(person, scene.fps)))
                file.write("\n  ]}")
            file.write("\n ]\n}\n")
        return [path]


def _write_lines(file: TextIO, records: Iterator[dict[str, Any]]) -> None:
    for index, record in enumerate(records):
        text = json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(", ", ": "))
        file.write(("," if index else "") + "\n   " + text)


def _frames(person: PoseSequence, fps: float) -> Iterator[dict[str, Any]]:
    decimals = {"poses_3d": 2, "lifted_3d": 2, "std_mm": 2, "keypoints_2d": 2, "confidence": 4}
    arrays = {key: array_of(person, key) for key in decimals if getattr(person, key) is not None}
    for part in _parts(person):
        facts = zip(*(getattr(person, key)[part].tolist() for key in ("frame", "detected", "observed")), strict=True)
        numbers = {key: _numbers(array[part], decimals[key]) for key, array in arrays.items()}
        for i, (frame, detected, observed) in enumerate(facts):
            yield {
                "frame": frame,
                "time_s": round(frame / fps, 6),
                "detected": detected,
                "observed": observed,
                **{key: numbers[key][i] if key in numbers else None for key in decimals},
            }


def _parts(person: PoseSequence) -> Iterator[slice]:
    return (slice(start, start + FRAMES) for start in range(0, len(person), FRAMES))


def _numbers(values: np.ndarray, decimals: int) -> Any:
    """Numbers as nested lists, rounded; null for what is not finite."""
    rounded = np.asarray(np.round(np.asarray(values, dtype=np.float64), decimals))
    if np.isfinite(rounded).all():
        return rounded.tolist()
    mixed = rounded.astype(object)
    mixed[~np.isfinite(rounded)] = None
    return mixed.tolist()


class CsvExporter:
    """Writes `predictions.csv`: a row per frame, person and joint, columns CSV_COLUMNS; unknown cells are empty.

    u, v: where the joint lies in the image, px, projected by the camera of the scene.
    """

    def write(self, scene: Scene, folder: Path) -> list[Path]:
        check_scene(scene)
        path = Path(folder) / "predictions.csv"
        progress = Progress(path.name, sum(map(len, scene.people)))
        with atomic_path(path) as partial, open(partial, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(CSV_COLUMNS)
            for person in scene.people:
                writer.writerows(_rows(person, scene.fps, scene.camera, progress))
        return [path]


def _rows(person: PoseSequence, fps: float, camera: Camera, progress: Progress) -> Iterator[list[Any]]:
    poses, observed = array_of(person, "poses_3d"), array_of(person, "observed")
    pixels = _pixels(poses, camera)
    std = np.full(observed.shape, np.nan) if person.std_mm is None else array_of(person, "std_mm")
    for part in _parts(person):
        numbers = _numbers(np.concatenate([poses[part], std[part][..., None], pixels[part]], axis=2), 2)
        for frame, flags, rows in progress.each(
            zip(person.frame[part].tolist(), observed[part].tolist(), numbers, strict=True)
        ):
            time = round(frame / fps, 6)
            for name, seen, (x, y, z, *others) in zip(MUPOTS_17.names, flags, rows, strict=True):
                yield [frame, time, person.person, name, x, y, z, int(seen), *others]  # None is an empty cell


def _pixels(poses: np.ndarray, camera: Camera) -> np.ndarray:
    """(T, J, 3) mm -> (T, J, 2) px, NaN where a joint does not lie before the camera."""
    before = poses[..., 2:] > 0
    points = torch.from_numpy(np.where(before, poses, np.nan).astype(np.float64))
    return camera.project(points).numpy()
