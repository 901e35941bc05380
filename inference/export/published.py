"""`predictions.pkl`: the pickle that users of the published tool expect, `predict.py video.mp4 output.pkl`.

Its read-me names the file but documents nothing of what is in it, and its source is not ours to read. So this holds
plain dicts, lists and arrays under our own documented keys, in protocol 2. It opens in Python 2 and 3 with NumPy from
1.26: the arrays carry NumPy 2's module names where NumPy 2 wrote them.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from fileio.arrays import atomic_path
from inference.export.base import check_scene, scene_facts
from inference.scene import PredictedPerson, PredictedScene

_ARRAYS = (
    "frame",
    "poses_3d",
    "poses_3d_plain",
    "observed",
    "confidence",
    "keypoints_2d",
    "scores",
    "std_mm",
)


class PickleExporter:
    """Writes `predictions.pkl`: the facts of the scene and `people`, a list of dicts of arrays."""

    def write(self, scene: PredictedScene, folder: Path) -> list[Path]:
        check_scene(scene)
        path = Path(folder) / "predictions.pkl"
        content = scene_facts(scene) | {"people": [_record(person) for person in scene.people]}
        with atomic_path(path) as partial, open(partial, "wb") as file:
            pickle.dump(content, file, protocol=2)
        return [path]


def _record(person: PredictedPerson) -> dict[str, Any]:
    arrays = {key: getattr(person, key) for key in _ARRAYS}
    return {"person": int(person.person)} | {k: None if v is None else np.asarray(v) for k, v in arrays.items()}
