"""C3D, the binary format of motion laboratories (Visual3D, Mokka, Vicon): one file for all people.

Written by ezc3d. Source of what residuals and camera masks mean: the C3D user guide, c3d.org.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np

from fileio.atomic import atomic_path
from inference.export.base import LimitError, check_scene, y_up
from inference.scene import Scene, array_of
from pose.errors import ConfigError
from pose.joint_sets import MUPOTS_17

MISSING, INFERRED, OBSERVED = -1.0, 0.0, 1.0
#: The header counts frames in 16 bits, and ezc3d drops what is beyond without a word.
MAX_FRAMES = 65_535


class C3dExporter:
    """Writes `scene.c3d`: points `P0_head_top`, ... in mm, y up (`base.y_up`), all frames of the video.

    A point's residual tells what it rests on, as the format has it: -1 missing (its coordinates are NaN), 0 with an
    empty camera mask inferred, 1 with the first camera set observed. The 1 is a flag, not an error in mm.
    observed_only: write inferred joints as missing. Raises ConfigError where ezc3d is not installed and LimitError for
    a scene of more than MAX_FRAMES frames.
    """

    def __init__(self, observed_only: bool = False):
        self.observed_only = observed_only

    def write(self, scene: Scene, folder: Path) -> list[Path]:
        check_scene(scene)
        if scene.n_frames > MAX_FRAMES:
            raise LimitError(
                f"{scene.source}: {scene.n_frames} frames, a C3D file holds {MAX_FRAMES} at most; cut the video, or "
                "leave c3d out of the exporters"
            )
        ezc3d = _library()
        points, residuals = self._points(scene)
        file = ezc3d.c3d()
        parameters: dict[str, Any] = file["parameters"]["POINT"]
        parameters["UNITS"]["value"] = ["mm"]
        parameters["RATE"]["value"] = [float(scene.fps)]
        parameters["LABELS"]["value"] = [f"P{p.person}_{joint}" for p in scene.people for joint in MUPOTS_17.names]
        file.add_parameter("POINT", "X_SCREEN", ["+X"])
        file.add_parameter("POINT", "Y_SCREEN", ["+Y"])
        file["data"]["points"] = points
        masks = np.zeros((7, *residuals.shape), dtype=bool)
        masks[0] = residuals == OBSERVED
        file["data"]["meta_points"]["residuals"] = residuals[None]
        file["data"]["meta_points"]["camera_masks"] = masks
        path = Path(folder) / "scene.c3d"
        with atomic_path(path) as partial:
            file.write(str(partial))
            if partial.stat().st_size < 16 * residuals.size:  # ezc3d does not say that a disk is full
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return [path]

    def _points(self, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
        """Homogeneous positions (4, people * 17, frames) and residuals (people * 17, frames)."""
        shape = (len(scene.people), len(MUPOTS_17), scene.n_frames)
        points, residuals = np.full((3, *shape), np.nan), np.full(shape, MISSING)
        for index, person in enumerate(scene.people):
            frame, observed = array_of(person, "frame"), array_of(person, "observed")
            poses = y_up(scene, person)
            known = np.isfinite(poses).all(axis=2) & (observed | (not self.observed_only))
            points[:, index, :, frame] = np.where(known[..., None], poses, np.nan).transpose(0, 2, 1)
            residuals[index, :, frame] = np.where(known, np.where(observed, OBSERVED, INFERRED), MISSING)
        ones = np.ones((1, *shape))
        return np.concatenate([points, ones]).reshape(4, -1, scene.n_frames), residuals.reshape(-1, scene.n_frames)


def _library() -> Any:
    try:
        import ezc3d
    except ImportError:
        raise ConfigError(
            "exporter=c3d: needs ezc3d, which is not installed; pip install ezc3d, or leave c3d out of the exporters"
        ) from None
    return ezc3d
