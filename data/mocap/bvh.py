"""BVH files, of whatever exporter: channels in any order, positions on any joint, any unit, y or z up.

The parser is written here. Of the packages on PyPI only pybvh (0.9) is kept and checks what it reads, but it refuses
position channels on other joints than the root (Perception Neuron writes them) and joints without exactly three
rotations, and renames its functions from release to release; upc-pymotion takes damaged files as they come, bvhio
pins a graphics library. Sources of the facts: "Biovision BVH" of the University of Wisconsin; the README of cgspeed's
BVH conversion of the CMU database.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data.mocap.kinematics import Motion, check_size, forward, rotations
from fileio.limits import FETCH
from fileio.text_lines import TextFile
from pose.errors import DataError
from pose.joint_sets import MUPOTS_17

logger = logging.getLogger(__name__)

#: Units met in BVH files, in mm. No two of them can make one skeleton's legs plausible (LEG_MM spans a factor of 2).
UNITS = {"mm": 1.0, "cm": 10.0, "inches": 25.4, "CMU units (inches / 0.45)": 25.4 / 0.45, "m": 1000.0}
#: From the hip joint over the knee to the ankle, mm: from a child of six to a very tall adult.
LEG_MM = (550.0, 1100.0)
#: Joints that move faster than this about the hip, on average, do not belong to one motion, mm/s.
_MAX_SPEED = 6000.0
_AXES = "XYZ"


@dataclass
class Node:
    """A joint or, without channels, an end site. parent: its index, -1 for the root. channels: as `Xposition`."""

    name: str
    parent: int
    offset: np.ndarray = field(default_factory=lambda: np.zeros(3))
    channels: tuple[str, ...] = ()


def read_bvh(path: Path | str) -> tuple[Motion, float]:
    """Joint positions in the file's own unit and frame, and frames per second.

    The end site of a joint is called `NAME end`. A position channel replaces that coordinate of the joint's offset; of
    the root it is added (as iClone means it) where the body would otherwise lie as far below the floor.
    Raises DataError naming file and line for what cannot be used.
    """
    text = TextFile(path)
    lines = text.lines()
    nodes = _read_hierarchy(text, lines)
    fps, values = _read_motion(text, lines, sum(len(node.channels) for node in nodes))
    check_size(path, len(nodes), len(values))
    _restore_thorax(path, nodes)
    local: list[np.ndarray | None] = []
    vectors: list[np.ndarray] = []
    column = 0
    for node in nodes:
        given = values[:, column : column + len(node.channels)]
        column += len(node.channels)
        turns = [i for i, channel in enumerate(node.channels) if channel.endswith("rotation")]
        axes = "".join(node.channels[i][0] for i in turns)
        local.append(rotations(axes, given[:, turns]) if turns else None)
        vector = node.offset
        if len(turns) < len(node.channels):
            vector = np.tile(node.offset, (len(values), 1))
            for i, channel in enumerate(node.channels):
                if channel.endswith("position"):
                    vector[:, _AXES.index(channel[0])] = given[:, i]
        vectors.append(vector)
    names = tuple(node.name for node in nodes)
    positions = forward([node.parent for node in nodes], local, vectors, own=False)
    return Motion(names, positions + _root_shift(nodes[0], positions)), fps


def to_world_mm(poses: np.ndarray, fps: float, source: Path | str) -> np.ndarray:
    """Poses (T, 17, 3), MuPoTS-17 in a file's own unit and frame -> the same in mm, y up, a lone first pose left out.

    The unit is found by the length of the legs, the axis that points up by how the person stands; both are logged.
    Raises DataError where no known unit makes the legs plausible.
    """
    poses = poses * _guess_unit(poses, source)
    if _guess_up(poses, source) == "z":
        poses = np.stack([poses[..., 0], poses[..., 2], -poses[..., 1]], axis=-1)
    if _first_pose_is_apart(poses, fps):
        logger.info("%s: the first frame is left out, it is a pose apart (a T-pose before the motion)", source)
        poses = poses[1:]
    return poses


# --- parsing ---------------------------------------------------------------------------------------------------------


def _read_hierarchy(text: TextFile, lines: Iterator[tuple[int, list[str]]]) -> list[Node]:
    """The nodes in file order, which puts parents before children; `lines` is left after the line MOTION."""
    nodes: list[Node] = []
    open_nodes: list[int] = []
    begun = True  # whether the last node's { has been seen
    number, words = next(lines, (len(text.content) + 1, [""]))
    if words[0].upper() != "HIERARCHY":
        raise text.error(number, "HIERARCHY is expected first, in a BVH file")
    for number, words in lines:
        key = words[0].upper()
        if not begun and key != "{":
            raise text.error(number, "{ is expected")
        if key in ("ROOT", "JOINT", "END"):
            if key == "ROOT" and nodes:
                raise text.error(number, "one skeleton per file is expected; split the file")
            if key != "ROOT" and not open_nodes:
                raise text.error(number, "a ROOT is expected first")
            parent = open_nodes[-1] if open_nodes else -1
            name = f"{nodes[parent].name} end" if key == "END" else " ".join(words[1:]).rstrip("{ ")
            nodes.append(Node(name, parent))
            begun = words[-1].endswith("{")
            if begun:
                open_nodes.append(len(nodes) - 1)
        elif key == "{" and not begun:
            open_nodes.append(len(nodes) - 1)
            begun = True
        elif key == "}" and open_nodes:
            open_nodes.pop()
        elif key == "OFFSET" and open_nodes:
            nodes[open_nodes[-1]].offset = np.array(text.numbers(number, words[1:], 3))
        elif key == "CHANNELS" and open_nodes:
            nodes[open_nodes[-1]].channels = _channels(text, number, words[1:])
        elif key == "MOTION" and nodes and not open_nodes:
            return nodes
        else:
            raise text.error(number, "ROOT, JOINT, End Site, OFFSET, CHANNELS, braces in pairs, then MOTION expected")
    raise text.error(number + 1, "MOTION is expected after the hierarchy")


def _channels(text: TextFile, number: int, words: list[str]) -> tuple[str, ...]:
    found = tuple(word[:1].upper() + word[1:].lower() for word in words[1:])
    known = {axis + kind for axis in _AXES for kind in ("position", "rotation")}
    if not set(found) <= known or len(set(found)) != len(found) or words[:1] != [str(len(found))]:
        raise text.error(number, "the number of channels and as many of Xposition .. Zrotation, each once, expected")
    return found


def _read_motion(text: TextFile, lines: Iterator[tuple[int, list[str]]], columns: int) -> tuple[float, np.ndarray]:
    """Frames per second and the channels' values (T, columns)."""
    stated: dict[str, float] = {}
    number = 0
    for key in ("Frames:", "Frame Time:"):
        number, words = next(lines, (len(text.content) + 1, []))
        after = " ".join(words)
        if not after.lower().startswith(key.lower()):
            raise text.error(number, f"{key} is expected")
        stated[key] = text.numbers(number, after[len(key) :].split(), 1)[0]
    if not stated["Frame Time:"] > 1e-6:
        raise text.error(number, "a positive frame time in seconds is expected")
    rows = [text.numbers(number, words, columns) for number, words in lines]
    if not rows or len(rows) != stated["Frames:"]:
        raise DataError(
            f"{text.path}: {stated['Frames:']:g} frames are announced, found {len(rows)}, at least one is expected; "
            f"{FETCH}"
        )
    return _frame_rate(stated["Frame Time:"]), np.array(rows).reshape(len(rows), columns)


def _frame_rate(frame_time: float) -> float:
    """Frames per second: the whole number where a frame time is one cut off after some digits (0.008333)."""
    fps = 1.0 / frame_time
    return float(round(fps)) if abs(fps - round(fps)) < 1e-4 * fps else fps


def _root_shift(root: Node, positions: np.ndarray) -> np.ndarray:
    """(3,): the root's OFFSET where its position channels count from there and would be lost, else zeros."""
    up = int(np.abs(root.offset).argmax())
    lowest = float(np.percentile(positions[..., up].min(axis=1) * np.sign(root.offset[up]), 5))
    moves = any(channel.endswith("position") for channel in root.channels)
    below = -lowest / max(abs(root.offset[up]), 1e-9)  # how far below the floor, in units of the OFFSET
    return root.offset if moves and 0.5 < below < 1.5 else np.zeros(3)


def _restore_thorax(path: Path | str, nodes: list[Node]) -> None:
    """Give the CMU conversions their thorax back.

    cgspeed's conversions lose the length of bones that branch: the neck and both collars start where the thorax
    starts, 12 cm too low. In the database the thorax is as long as the bone below it to a millimetre and nearly
    parallel at rest; so restored, the first frame of 01_01 agrees with the original within 5.3 mm.
    """
    if "lowerback" not in (node.name.lower() for node in nodes):
        return
    for index, node in enumerate(nodes):
        children = [child for child in nodes if child.parent == index]
        if node.parent >= 0 and len(children) >= 3 and not any(child.offset.any() for child in children):
            logger.info("%s: %s has lost its length in the conversion, that of the bone below is used", path, node.name)
            for child in children:
                child.offset = node.offset


# --- unit, frame, first pose -----------------------------------------------------------------------------------------


def _joint(poses: np.ndarray, name: str) -> np.ndarray:
    return poses[:, MUPOTS_17.index(name)]


def _guess_unit(poses: np.ndarray, source: Path | str) -> float:
    bones = [
        (f"{side}_{a}", f"{side}_{b}") for side in ("left", "right") for a, b in (("hip", "knee"), ("knee", "ankle"))
    ]
    leg = sum(float(np.median(np.linalg.norm(_joint(poses, a) - _joint(poses, b), axis=-1))) for a, b in bones) / 2
    for unit, size in UNITS.items():
        if LEG_MM[0] <= leg * size < LEG_MM[1]:
            logger.info("%s: lengths taken as %s, which makes the legs %.0f mm long", source, unit, leg * size)
            return size
    raise DataError(
        f"{source}: legs {leg:.4g} units long; in {', '.join(UNITS)} they are {LEG_MM[0]:g} to {LEG_MM[1]:g} mm; "
        "bring the file to one of these units"
    )


def _guess_up(poses: np.ndarray, source: Path | str) -> str:
    """`z` if the person stands along it most of the time, else `y`."""
    trunk = _joint(poses, "neck") - (_joint(poses, "left_ankle") + _joint(poses, "right_ankle")) / 2
    length = np.linalg.norm(trunk, axis=-1, keepdims=True)
    mean = (trunk / np.maximum(length, 1e-9)).mean(axis=0)
    if mean[2] < 0.7:
        return "y"
    logger.info("%s: the person stands along z: taken as up", source)
    return "z"


def _first_pose_is_apart(poses: np.ndarray, fps: float) -> bool:
    if len(poses) < 2:
        return False
    relative = poses[:2] - poses[:2, MUPOTS_17.index("hip"), None]
    return float(np.linalg.norm(relative[1] - relative[0], axis=-1).mean()) * fps > _MAX_SPEED
