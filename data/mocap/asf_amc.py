"""Skeletons and trials of the CMU Graphics Lab Motion Capture Database: ASF and AMC files.

An ASF file holds the skeleton: for each bone a direction, a length, the frame of its rotations (`axis`) and which of
them vary (`dof`). An AMC file holds one trial: for each frame the root's place and turn and each bone's angles. Both
parsers are written here: PyPI has one package for these formats, pyacclaim, at 0.0.1 since 2023. Sources of the facts:
the database's FAQ (mocap.cs.cmu.edu) for units, "Acclaim ASF/AMC" of the University of Wisconsin for the meaning.

A joint is named after the bone that ends there; `root` is the root.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data.mocap.kinematics import Motion, check_size, forward, rotations
from fileio.limits import FETCH
from fileio.text_lines import TextFile
from pose.errors import DataError

#: Frames per second of the database's trials.
CMU_FPS = 120.0
_ROOT = "root"
_MM_PER_INCH = 25.4


@dataclass
class Bone:
    """vector (3,): from the bone's start to its end in the file's units. axis: angles in degrees and their order.
    dof: which angles a trial gives, as `rx`."""

    vector: np.ndarray = field(default_factory=lambda: np.zeros(3))
    axis: tuple[np.ndarray, str] = field(default_factory=lambda: (np.zeros(3), "XYZ"))
    dof: tuple[str, ...] = ()


@dataclass(frozen=True)
class Skeleton:
    """bones: by name, parents before children, `root` first. parents: the name of each one's parent bone.
    mm_per_unit: size of the unit of all lengths."""

    bones: dict[str, Bone]
    parents: dict[str, str]
    mm_per_unit: float


def read_asf(path: Path | str) -> Skeleton:
    """The skeleton of an ASF file. Raises DataError naming file and line for what cannot be used."""
    text = TextFile(path)
    bones = {_ROOT: Bone(dof=("tx", "ty", "tz", "rx", "ry", "rz"))}
    parents: dict[str, str] = {}
    unit, degrees = 1.0, True
    lengths: dict[str, float] = {}
    section, name = "", ""
    for number, words in text.lines():
        key, values = words[0].lower(), words[1:]
        if key.startswith(":"):
            section = key
        elif section == ":units" and key == "length":
            unit = text.numbers(number, values, 1)[0]
        elif section == ":units" and key == "angle":
            degrees = values[:1] != ["rad"]
        elif section == ":root":
            _read_root_line(text, number, key, values, bones[_ROOT])
        elif section == ":bonedata" and key == "name":
            name = values[0] if values else ""
            if not name or name in bones:
                raise text.error(number, "a new bone's name is expected")
            bones[name] = Bone()
        elif section == ":bonedata" and name:
            _read_bone_line(text, number, key, values, bones[name], lengths, name)
        elif section == ":hierarchy" and key not in ("begin", "end"):
            for child in values:
                if words[0] not in bones or child not in bones or child in parents or child == _ROOT:
                    raise text.error(number, f"known bones, each with one parent, are expected, found {child!r}")
                parents[child] = words[0]
    if not unit > 0:
        raise DataError(f"{path}: units: length {unit}: a positive number is expected; {FETCH}")
    if missing := [bone for bone in bones if bone != _ROOT and bone not in lengths]:
        raise DataError(f"{path}: bonedata: no length of {', '.join(missing[:8])}; {FETCH}")
    check_size(path, len(bones))
    for bone, length in lengths.items():
        bones[bone].vector = bones[bone].vector * length
    if not degrees:
        for bone in bones.values():
            bone.axis = (np.degrees(bone.axis[0]), bone.axis[1])
    return Skeleton(_in_tree_order(path, bones, parents), parents, _MM_PER_INCH / unit)


def read_amc(path: Path | str, skeleton: Skeleton) -> Motion:
    """One trial: positions of the root and of every bone's end, in the units of the skeleton.

    Raises DataError naming file and line for what cannot be used: frames out of order, a bone that the skeleton does
    not have or a frame leaves out, a wrong number of angles, values that are not finite.
    """
    values = _read_frames(TextFile(path), skeleton)
    check_size(path, len(skeleton.bones), len(values[_ROOT]))
    names = tuple(skeleton.bones)
    index = {name: i for i, name in enumerate(names)}
    parents, local, vectors = [], [], []
    for name, bone in skeleton.bones.items():
        parents.append(index[skeleton.parents[name]] if name != _ROOT else -1)
        turns = [i for i, dof in enumerate(bone.dof) if dof.startswith("r")]
        local.append(_local_rotation(bone, values[name][:, turns] if turns else None))
        vectors.append(bone.vector)
    moves = [skeleton.bones[_ROOT].dof.index(dof) for dof in ("tx", "ty", "tz")]
    vectors[0] = vectors[0] + values[_ROOT][:, moves]
    return Motion(names, forward(parents, local, vectors, own=True))


# --- parts -----------------------------------------------------------------------------------------------------------


def _read_root_line(text: TextFile, number: int, key: str, values: list[str], root: Bone) -> None:
    if key == "order":
        root.dof = tuple(value.lower() for value in values)
        if sorted(root.dof) != ["rx", "ry", "rz", "tx", "ty", "tz"]:
            raise text.error(number, "an order of TX TY TZ RX RY RZ is expected")
    elif key == "position":
        root.vector = np.array(text.numbers(number, values, 3))
    elif key == "orientation" and any(text.numbers(number, values, 3)):
        raise text.error(number, "a root without a turn of its own (0 0 0) is expected")


def _read_bone_line(
    text: TextFile, number: int, key: str, values: list[str], bone: Bone, lengths: dict[str, float], name: str
) -> None:
    if key == "direction":
        bone.vector = np.array(text.numbers(number, values, 3))
    elif key == "length":
        lengths[name] = text.numbers(number, values, 1)[0]
    elif key == "axis":
        order = values[-1].upper() if len(values) == 4 else ""
        if sorted(order) != ["X", "Y", "Z"]:
            raise text.error(number, "three angles and their order, as XYZ, are expected")
        bone.axis = (np.array(text.numbers(number, values[:3], 3)), order)
    elif key == "dof":
        bone.dof = tuple(value.lower() for value in values)
        if len(set(bone.dof)) != len(bone.dof) or not set(bone.dof) <= {"rx", "ry", "rz"}:
            raise text.error(number, "rotations only (rx ry rz) are expected")


def _in_tree_order(path: Path | str, bones: dict[str, Bone], parents: dict[str, str]) -> dict[str, Bone]:
    """The bones, parents before children."""
    ordered = [_ROOT]
    for name in ordered:
        ordered += [child for child, parent in parents.items() if parent == name]
    if missing := [name for name in bones if name not in ordered]:
        raise DataError(f"{path}: hierarchy: does not reach {', '.join(missing[:8])} from the root; {FETCH}")
    if len(ordered) == 1:
        raise DataError(f"{path}: no bones, an ASF skeleton is expected; {FETCH}")
    return {name: bones[name] for name in ordered}


def _read_frames(text: TextFile, skeleton: Skeleton) -> dict[str, np.ndarray]:
    """For each bone that moves its values, (T, degrees of freedom), angles in degrees."""
    sizes = {name: len(bone.dof) for name, bone in skeleton.bones.items() if bone.dof}
    rows: dict[str, list[list[float]]] = {name: [] for name in sizes}
    frames, expected = 0, -1
    radians = False
    for number, words in text.lines():
        name = words[0]
        if name.startswith(":"):
            radians = radians or name.upper() == ":RADIANS"
        elif len(words) == 1 and name.isdecimal() and len(name) < 10:
            _check_complete(text, number, rows, frames)
            if frames and int(name) != expected:
                raise text.error(number, f"frame {expected} is expected")
            frames, expected = frames + 1, int(name) + 1
        elif name not in sizes or len(words) != sizes[name] + 1:
            wanted = f"{sizes[name]} values" if name in sizes else "a bone that the skeleton lets move"
            raise text.error(number, f"{wanted} expected")
        elif len(rows[name]) != frames - 1:
            raise text.error(number, f"{name} once per frame is expected")
        else:
            rows[name].append(text.numbers(number, words[1:], sizes[name]))
    if not frames:
        raise DataError(f"{text.path}: no frames, an AMC trial is expected; {FETCH}")
    _check_complete(text, len(text.content) + 1, rows, frames)
    values = {name: np.array(found) for name, found in rows.items()}
    if radians:
        for name, found in values.items():
            turns = [i for i, dof in enumerate(skeleton.bones[name].dof) if dof.startswith("r")]
            found[:, turns] = np.degrees(found[:, turns])
    return values


def _check_complete(text: TextFile, number: int, rows: dict[str, list[list[float]]], frames: int) -> None:
    if missing := [name for name, found in rows.items() if len(found) != frames]:
        raise text.error(number, f"frame {frames} lacks {', '.join(missing[:4])}, every bone is expected")


def _local_rotation(bone: Bone, degrees: np.ndarray | None) -> np.ndarray | None:
    """(T, 3, 3): the angles' rotation, expressed in the frame that `axis` turns to. None for a bone that is fixed.

    ASF lists rotations in the order in which they act about fixed axes, i.e. reversed for moving ones.
    """
    if degrees is None:
        return None
    order = "".join(dof[1].upper() for dof in bone.dof if dof.startswith("r"))
    angles, axes = bone.axis
    frame = rotations(axes[::-1], angles[::-1])
    return frame @ rotations(order[::-1], degrees[:, ::-1]) @ frame.T
