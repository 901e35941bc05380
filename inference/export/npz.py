"""`predictions.npz`: everything that was predicted, in the format that `evaluate` and `refine` read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data.predictions import Predictions, write_predictions
from inference.export.base import check_scene
from inference.scene import PredictedScene
from pose.joint_sets import COCO_19, MUPOTS_17, remap_index_or_last


class NpzExporter:
    """Writes `predictions.npz` (docs/formats.md): person after person, each person's frames in order."""

    def write(self, scene: PredictedScene, folder: Path) -> list[Path]:
        path = Path(folder) / "predictions.npz"
        write_predictions(path, scene_predictions(scene))
        return [path]


def scene_predictions(scene: PredictedScene) -> Predictions:
    """The scene as the rows of a predictions file; DataError for poses that are not finite."""
    check_scene(scene)
    people, camera = scene.people, scene.camera

    def stacked(key: str) -> np.ndarray:
        return np.concatenate([getattr(person, key) for person in people])

    lengths = [len(person) for person in people]
    keypoints, confidence = stacked("keypoints_2d"), stacked("confidence")
    return Predictions(
        sequence=np.repeat([scene.source], sum(lengths)),
        frame=stacked("frame"),
        person=np.repeat([person.person for person in people], lengths),
        poses_3d=stacked("poses_3d"),
        poses_3d_plain=stacked("poses_3d_plain"),
        keypoints_2d=keypoints[:, remap_index_or_last(COCO_19, MUPOTS_17)],
        score=stacked("scores"),
        fps=scene.fps,
        K=camera.K.numpy(),
        observed=confidence > 0,
        observed_joints=stacked("observed"),
        std_mm=stacked("std_mm") if all(person.std_mm is not None for person in people) else None,
        keypoints_coco19=keypoints,
        confidence=confidence,
        n_frames=scene.n_frames,
        image_size=np.array([camera.width, camera.height]),
        coordinates=scene.coordinates,
        notes=np.array(scene.notes, dtype=str),
        source=scene.source,
    )
