"""TRC marker files for OpenSim: tab-separated text, one file per person.

Source of the format: OpenSim's documentation, page "Marker (.trc) Files". Every line of the table ends in a tab:
OpenSim drops an empty cell at the very end of a line and then counts one too few.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fileio.atomic import atomic_path
from inference.export.base import check_scene, person_path, to_y_up
from inference.scene import Scene, array_of
from pose.joint_sets import MUPOTS_17
from pose.sequence import PoseSequence


class TrcExporter:
    """Writes `person_{n}.trc`: mm, y up (`base.to_y_up`), the track's frames, markers named as the joints.

    observed_only: leave the cells of inferred joints empty. Cells of positions that are not finite are always empty.
    """

    def __init__(self, observed_only: bool = False):
        self.observed_only = observed_only

    def write(self, scene: Scene, folder: Path) -> list[Path]:
        check_scene(scene)
        paths = []
        for person in scene.people:
            path = person_path(folder, person, ".trc")
            points, observed = to_y_up(array_of(person, "poses_3d")), array_of(person, "observed")
            known = np.isfinite(points).all(axis=2) & (observed | (not self.observed_only))
            with atomic_path(path) as partial, open(partial, "w", encoding="utf-8", newline="") as file:
                file.writelines(line + "\n" for line in _head(person, scene.fps, path.name))
                for index, frame in enumerate(person.frame.tolist()):
                    file.write(f"{frame + 1}\t{frame / scene.fps:.6f}\t{_cells(points[index], known[index])}\t\n")
            paths.append(path)
        return paths


def _cells(points: np.ndarray, known: np.ndarray) -> str:
    return "\t".join(
        f"{x:.4f}\t{y:.4f}\t{z:.4f}" if there else "\t\t"
        for (x, y, z), there in zip(points.tolist(), known.tolist(), strict=True)
    )


def _head(person: PoseSequence, fps: float, name: str) -> list[str]:
    rate, frames, first = f"{fps:.10g}", len(person), int(person.frame[0]) + 1
    keys = "DataRate CameraRate NumFrames NumMarkers Units OrigDataRate OrigDataStartFrame OrigNumFrames"
    values = (rate, rate, frames, len(MUPOTS_17), "mm", rate, first, frames)
    numbers = range(1, len(MUPOTS_17) + 1)
    return [
        f"PathFileType\t4\t(X/Y/Z)\t{name}",
        "\t".join(keys.split()),
        "\t".join(map(str, values)),
        "Frame#\tTime\t" + "".join(f"{joint}\t\t\t" for joint in MUPOTS_17.names),
        "\t\t" + "".join(f"X{n}\tY{n}\tZ{n}\t" for n in numbers),
        "",
    ]
