"""BVH for Blender and other animation programs: one file per person, a skeleton of fixed bones and its rotations.

Every MuPoTS-17 joint has a BVH joint of its name at its place. Five more stand where several bones start, so that each
bone can turn by itself: `lower_spine`, `left_pelvis` and `right_pelvis` at the hip, `left_clavicle` and
`right_clavicle` at the neck.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fileio.atomic import atomic_path
from inference.export.base import check_scene, finite_y_up, person_path
from inference.export.bvh_pose import SEGMENTS, BonePose, bone_pose, euler_deg
from inference.scene import Scene
from pose.errors import ConfigError

logger = logging.getLogger(__name__)

_PER_MM = {"m": 1e-3, "cm": 1e-1, "mm": 1.0}
#: The order of a leg's angles and that of all others. The middle angle is the one that stays clear of 90 degrees, where
#: Euler angles jump: not the bend of hips and knees (X), nor that of elbows (Y), nor an arm hanging down (Z).
_LEG_ORDER, _ORDER = "ZYX", "ZXY"
_SEGMENTS = {segment.name: segment for segment in SEGMENTS}
_CHILDREN = {name: [segment.name for segment in SEGMENTS if segment.parent == name] for name in ("hip", *_SEGMENTS)}


class BvhExporter:
    """Writes `person_{n}.bvh`: y up (`base.y_up`), from the video's first frame to the track's last, so that the files
    of several people start together; the track's first pose is held before it. Bone lengths are their medians.

    unit: m, cm or mm. Logs how far the fixed bones move the joints, and until where a pose is held. Raises ConfigError
    for another unit and DataError for positions that are not finite, which the format cannot leave out.
    """

    def __init__(self, unit: str = "m"):
        if unit not in _PER_MM:
            raise ConfigError(f"exporter.bvh.unit={unit}: must be one of {', '.join(_PER_MM)}")
        self.unit = unit

    def write(self, scene: Scene, folder: Path) -> list[Path]:
        check_scene(scene)
        paths = []
        for person in scene.people:
            poses = finite_y_up(scene, person, "bvh")
            skeleton = bone_pose(poses, scene.fps)
            moved = np.linalg.norm(skeleton.positions() - poses, axis=2)
            logger.info(
                "person %d: bone lengths fixed at their medians for BVH, joints moved by %.0f mm on average, at most "
                "%.0f mm",
                *(person.person, moved.mean(), moved.max()),
            )
            first = int(person.frame[0])  # of the video; the format can neither start later nor hide anybody
            if first:
                logger.info("person %d: BVH holds the first pose before frame %d", person.person, first)
            path = person_path(folder, person, ".bvh")
            with atomic_path(path) as partial, open(partial, "w", encoding="utf-8", newline="") as file:
                scale = _PER_MM[self.unit]
                file.write("HIERARCHY\n" + "".join(line + "\n" for line in _hierarchy("hip", skeleton, scale)))
                file.write(f"MOTION\nFrames: {first + len(person)}\nFrame Time: {1 / scene.fps:.9f}\n")
                np.savetxt(file, np.pad(_channels(skeleton, scale), ((first, 0), (0, 0)), "edge"), fmt="%.6f")
            paths.append(path)
        return paths


def _hierarchy(name: str, skeleton: BonePose, scale: float, depth: int = 0) -> Iterator[str]:
    """Lines of the joint `name` and all below it, in the order of `_channels`."""
    indent = "\t" * depth
    yield f"{indent}{'JOINT' if depth else 'ROOT'} {name}"
    yield indent + "{"
    yield f"{indent}\tOFFSET {_numbers(_offset(name, skeleton) * scale)}"
    rotations = " ".join(f"{axis}rotation" for axis in _order(name))
    places = "" if depth else "Xposition Yposition Zposition "
    yield f"{indent}\tCHANNELS {3 if depth else 6} {places}{rotations}"
    for child in _CHILDREN[name]:
        yield from _hierarchy(child, skeleton, scale, depth + 1)
    if name != "hip" and not _CHILDREN[name]:
        segment = _SEGMENTS[name]
        end = segment.rest * skeleton.lengths[name] * scale
        yield from _leaf(segment.tail, end, depth + 1)
    yield indent + "}"


def _leaf(joint: str, offset: NDArray[np.floating], depth: int) -> Iterator[str]:
    """A joint at the end of a limb: it never turns, but an `End Site` would lose its name."""
    indent = "\t" * depth
    yield f"{indent}JOINT {joint}"
    yield indent + "{"
    yield f"{indent}\tOFFSET {_numbers(offset)}"
    yield f"{indent}\tCHANNELS 3 " + " ".join(f"{axis}rotation" for axis in _order(joint))
    yield f"{indent}\tEnd Site"
    yield indent + "\t{"
    yield f"{indent}\t\tOFFSET {_numbers(np.zeros(3))}"
    yield indent + "\t}"
    yield indent + "}"


def _offset(name: str, skeleton: BonePose) -> NDArray[np.floating]:
    """From the parent joint in the rest pose, mm: the parent's bone, or nothing for those that stand at the hip."""
    parent = _SEGMENTS[name].parent if name != "hip" else "hip"
    if parent == "hip":
        return np.zeros(3)
    return _SEGMENTS[parent].rest * skeleton.lengths[parent]


def _order(name: str) -> str:
    return _LEG_ORDER if name.endswith(("_pelvis", "_hip", "_knee", "_ankle")) else _ORDER


def _numbers(values: NDArray[np.floating]) -> str:
    return " ".join(f"{value:.6f}" for value in values + 0.0)


def _channels(skeleton: BonePose, scale: float) -> NDArray[np.floating]:
    """(T, channels): the hip's place, then degrees of every joint in the order of `_hierarchy`."""
    columns = [skeleton.root * scale]

    def visit(name: str) -> None:
        columns.append(euler_deg(skeleton.local(name), _order(name)))
        for child in _CHILDREN[name]:
            visit(child)
        if name != "hip" and not _CHILDREN[name]:
            columns.append(np.zeros_like(skeleton.root))

    visit("hip")
    return np.concatenate(columns, axis=1)
