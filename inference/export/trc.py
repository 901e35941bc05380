"""TRC marker files for OpenSim: tab-separated text, one file per person.

Source of the format: OpenSim's documentation, page "Marker (.trc) Files". Every line of the table ends in a tab:
OpenSim drops an empty cell at the very end of a line and then counts one too few.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fileio.atomic import atomic_path
from inference.export.base import check_scene, person_path, y_up
from inference.scene import Scene, array_of
from pose.errors import ConfigError, DataError
from pose.joint_sets import MUPOTS_17
from pose.sequence import PoseSequence
from refinement.gaps import bridge

#: Marker name of Pose2Sim (its HALPE_26 model) -> MuPoTS-17 joints whose middle it is, in its order.
POSE2SIM = {
    "Hip": ("left_hip", "right_hip"),
    **{f"R{joint.title()}": (f"right_{joint}",) for joint in ("hip", "knee", "ankle")},
    **{f"L{joint.title()}": (f"left_{joint}",) for joint in ("hip", "knee", "ankle")},
    "Neck": ("neck",),
    "Head": ("head_top",),
    **{f"R{joint.title()}": (f"right_{joint}",) for joint in ("shoulder", "elbow", "wrist")},
    **{f"L{joint.title()}": (f"left_{joint}",) for joint in ("shoulder", "elbow", "wrist")},
}
MARKERS = {"mupots": {name: (name,) for name in MUPOTS_17.names}, "pose2sim": POSE2SIM}


class TrcExporter:
    """Writes `person_{n}.trc`: mm, y up (`base.y_up`), the track's frames.

    observed_only: leave the cells of inferred joints empty. missing: keep leaves the cells of unknown positions empty,
    fill interpolates them in time (the first and last known ones are held), so that no cell is empty. marker_names:
    mupots, the joints' own, or pose2sim, those of its Halpe-26 model that there are. Raises ConfigError for other
    values, DataError where `fill` meets a joint without any position.
    """

    def __init__(self, observed_only: bool = False, missing: str = "keep", marker_names: str = "mupots"):
        if missing not in ("keep", "fill"):
            raise ConfigError(f"exporter.trc.missing={missing}: must be one of keep, fill")
        if marker_names not in MARKERS:
            raise ConfigError(f"exporter.trc.marker_names={marker_names}: must be one of {', '.join(MARKERS)}")
        if observed_only and missing == "fill":
            raise ConfigError("exporter.trc.missing=fill: observed_only=true leaves cells empty; give one of them")
        self.observed_only, self.missing, self.markers = observed_only, missing, MARKERS[marker_names]

    def write(self, scene: Scene, folder: Path) -> list[Path]:
        check_scene(scene)
        paths = []
        for person in scene.people:
            path = person_path(folder, person, ".trc")
            points, known = self._markers(scene, person)
            with atomic_path(path) as partial, open(partial, "w", encoding="utf-8", newline="") as file:
                file.writelines(line + "\n" for line in _head(person, scene.fps, path.name, list(self.markers)))
                for index, frame in enumerate(person.frame.tolist()):
                    file.write(f"{frame + 1}\t{frame / scene.fps:.6f}\t{_cells(points[index], known[index])}\t\n")
            paths.append(path)
        return paths

    def _markers(self, scene: Scene, person: PoseSequence) -> tuple[np.ndarray, np.ndarray]:
        """Positions (T, M, 3) mm and which of them to write (T, M)."""
        joints = [[MUPOTS_17.index(name) for name in names] for names in self.markers.values()]
        poses, observed = y_up(scene, person), array_of(person, "observed")
        points = np.stack([poses[:, some].mean(axis=1) for some in joints], axis=1)
        known = np.asarray(np.isfinite(points).all(axis=2))
        if self.observed_only:
            known &= np.stack([observed[:, some].all(axis=1) for some in joints], axis=1)
        if self.missing == "fill":
            for index, name in enumerate(self.markers):
                there = known[:, index]
                if not there.any():
                    raise DataError(
                        f"{scene.source}: person {person.person} has no position of {name} that could be interpolated; "
                        "use exporter.trc.missing=keep"
                    )
                points[:, index] = bridge(points[:, index], there)
            known[:] = True
        return points, known


def _cells(points: np.ndarray, known: np.ndarray) -> str:
    return "\t".join(
        f"{x:.4f}\t{y:.4f}\t{z:.4f}" if there else "\t\t"
        for (x, y, z), there in zip(points.tolist(), known.tolist(), strict=True)
    )


def _head(person: PoseSequence, fps: float, name: str, markers: list[str]) -> list[str]:
    rate, frames, first = f"{fps:.10g}", len(person), int(person.frame[0]) + 1
    keys = "DataRate CameraRate NumFrames NumMarkers Units OrigDataRate OrigDataStartFrame OrigNumFrames"
    values = (rate, rate, frames, len(markers), "mm", rate, first, frames)
    numbers = range(1, len(markers) + 1)
    return [
        f"PathFileType\t4\t(X/Y/Z)\t{name}",
        "\t".join(keys.split()),
        "\t".join(map(str, values)),
        "Frame#\tTime\t" + "".join(f"{marker}\t\t\t" for marker in markers),
        "\t\t" + "".join(f"X{n}\tY{n}\tZ{n}\t" for n in numbers),
        "",
    ]
