"""What all exporters share: their one method, the y-up frame and the facts of a scene in plain types."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from inference.scene import Scene, array_of
from pose.errors import DataError, check_number
from pose.joint_sets import COCO_19, MUPOTS_17
from pose.sequence import PoseSequence


class Exporter(Protocol):
    """Writes one format.

    >>> import torch
    >>> from tempfile import TemporaryDirectory
    >>> from inference.export.json_csv import CsvExporter
    >>> from pose.cameras import Camera
    >>> poses_3d = torch.zeros(60, 17, 3) + torch.tensor([0.0, 0.0, 4000.0])
    >>> camera = Camera(1500.0, 1500.0, 960.0, 540.0, 1920, 1080)
    >>> person = PoseSequence(
    ...     "clip.mp4", 0, camera, 30.0, torch.full((60, 19, 2), 500.0), torch.full((60, 19), 0.9),
    ...     poses_3d=poses_3d, lifted_3d=poses_3d, observed=torch.ones(60, 17, dtype=torch.bool), coordinates="normal",
    ... )
    >>> scene = Scene([person], 30.0, 60, camera, "normal", "clip.mp4")
    >>> with TemporaryDirectory() as folder:
    ...     (path,) = CsvExporter().write(scene, Path(folder))
    ...     path.name, path.read_text().splitlines()[1]
    ('predictions.csv', '0,0.0,0,head_top,0.0,0.0,4000.0,1,,960.0,540.0')
    """

    def write(self, scene: Scene, folder: Path) -> list[Path]:
        """Write the scene's file or files into `folder`, each complete or not at all; return their paths.

        An older file of the same name is replaced, nothing else is touched. Raises DataError for a scene that the
        format cannot hold and ConfigError for a missing library.
        """
        ...


class LimitError(DataError):
    """A scene that this format cannot hold, and others can."""


def check_scene(scene: Scene) -> None:
    """Raise DataError without people, ConfigError for a frame rate that is not positive."""
    if not scene.people or not all(len(person) for person in scene.people):
        raise DataError(f"{scene.source}: no person to write; check that the detector found people in this video")
    check_number("fps", scene.fps, above=0, hint=f"frames per second ({scene.source})")


def to_y_up(points: np.ndarray) -> np.ndarray:
    """Camera coordinates (..., 3), x right, y down, z forward -> x right, y up, z backward, toward the viewer.

    Half a turn about x, so right-handed stays right-handed and left stays left. With a tilted camera the floor of the
    result is tilted: `y_up` also levels it.

    >>> to_y_up(np.array([100.0, 200.0, 3000.0]))
    array([  100.,  -200., -3000.])
    """
    return points * np.array([1.0, -1.0, -1.0])


def y_up(scene: Scene, person: PoseSequence) -> np.ndarray:
    """A person's `poses_3d` (T, 17, 3) mm in the frame of the motion formats: x right, y up, z toward the viewer.

    Level and with the floor at y = 0, or with `level=camera` only turned by `to_y_up`.
    """
    poses = array_of(person, "poses_3d").astype(np.float64)
    return to_y_up(poses) if scene.level == "camera" else scene.world.y_up(poses)


def finite_y_up(scene: Scene, person: PoseSequence, exporter: str) -> np.ndarray:
    """As `y_up`, for a format that cannot leave positions out: DataError where some are not finite."""
    poses = y_up(scene, person)
    if not np.isfinite(poses).all():
        raise DataError(
            f"{scene.source}: person {person.person} has positions that are NaN or infinite, a {exporter} file needs "
            f"all; leave {exporter} out of the exporters"
        )
    return poses


def person_path(folder: Path, person: PoseSequence, suffix: str) -> Path:
    """The file of one person, in formats that hold one."""
    return Path(folder) / f"person_{person.person}{suffix}"


def scene_facts(scene: Scene) -> dict[str, Any]:
    """All but the people, in plain types: the head of the .json file."""
    camera = scene.camera
    return {
        "version": 2,
        "source": scene.source,
        "fps": float(scene.fps),
        "n_frames": int(scene.n_frames),
        "coordinates": str(scene.coordinates),
        "units": "mm",
        "axes": "camera: x right, y down, z forward",
        "camera": {key: float(getattr(camera, key)) for key in ("fx", "fy", "cx", "cy")},
        "image_size": [int(camera.width), int(camera.height)],
        "camera_moves": scene.motion.moves,
        "level": _level_facts(scene),
        "joints": list(MUPOTS_17.names),
        "keypoints": list(COCO_19.names),
        "notes": list(scene.notes),
    }


def _level_facts(scene: Scene) -> dict[str, Any]:
    """How the motion formats are turned against the camera's coordinates: y_up = rotation @ camera + translation_mm."""
    level = scene.level != "camera"
    tilt_deg, roll_deg = scene.world.angles_deg if level else (0.0, 0.0)
    return {
        "level": scene.level,
        "how": scene.world.how,
        "tilt_deg": round(tilt_deg, 3),
        "roll_deg": round(roll_deg, 3),
        "axes": "x right, y up, z toward the viewer",
        "rotation": (scene.world.rotation if level else to_y_up(np.eye(3))).tolist(),
        "translation_mm": [0.0, -scene.world.floor_mm if level else 0.0, 0.0],
    }
