"""`predictions.npz`: everything that was predicted, in the format that `evaluate` and `refine` read."""

from __future__ import annotations

from pathlib import Path

from data.predictions import write_predictions
from inference.export.base import check_scene
from inference.scene import Scene


class NpzExporter:
    """Writes `predictions.npz` (docs/formats.md): person after person, each person's frames in order.

    Raises DataError for poses that are not finite.
    """

    def write(self, scene: Scene, folder: Path) -> list[Path]:
        check_scene(scene)
        path = Path(folder) / "predictions.npz"
        write_predictions(path, scene.people, notes=scene.notes, n_frames=scene.n_frames)
        return [path]
