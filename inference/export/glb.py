"""GLB, the binary form of glTF 2.0: everybody in one file, with the camera and the floor, for Blender and any viewer.

Each person is a skin on the skeleton of `bvh_pose`, whose bones are fixed and turn about their joints, y up, metres.
One animation moves all, frame f at f / fps seconds as in the video; who is not there has no size. Source of the
format: the Khronos specification, glTF 2.0.
"""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ImageColor
from scipy.spatial.transform import Rotation

from fileio.atomic import write_bytes
from inference.export.base import check_scene, finite_y_up, to_y_up
from inference.export.bvh_pose import SEGMENTS, BonePose, bone_pose
from inference.render.drawing import colour_of
from inference.scene import Scene
from pose.sequence import PoseSequence

#: Numbers that the format gives to kinds of components and to the uses of a buffer.
_KINDS, _VERTICES = {"<f4": 5126, "|u1": 5121}, 34962
_SHAPES = {(): "SCALAR", (2,): "VEC2", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}
#: Thickness of a bone as a fraction of its length, m at most; of floor beyond the people, m.
THICK, THICKEST_M, MARGIN_M = 0.12, 0.03, 1.0
_PARENTS = {segment.name: segment.parent for segment in SEGMENTS}
_BY_NAME = {segment.name: segment for segment in SEGMENTS}
#: Joints in which limbs end; they never turn.
_ENDS = {segment.tail: segment.name for segment in SEGMENTS if segment.name not in _PARENTS.values()}
JOINTS = ("hip", *(segment.name for segment in SEGMENTS), *_ENDS)


class GlbExporter:
    """Writes `scene.glb`. Raises DataError for positions that are not finite, which the format cannot leave out."""

    def write(self, scene: Scene, folder: Path) -> list[Path]:
        check_scene(scene)
        file, places = _File(), []
        for person in scene.people:
            poses = finite_y_up(scene, person, "glb") / 1000
            places.append(poses.reshape(-1, 3))
            _add_person(file, person, bone_pose(poses * 1000, scene.fps), scene)
        _add_floor(file, scene, np.concatenate(places))
        _add_camera(file, scene)
        path = Path(folder) / "scene.glb"
        write_bytes(path, file.content(scene.source))
        return [path]


class _File:
    """What is collected of a glTF document."""

    def __init__(self) -> None:
        self.lists: dict[str, list[Any]] = {}
        self.channels: list[Any] = []
        self.samplers: list[Any] = []
        self.roots: list[int] = []
        self.data = bytearray()

    def add(self, key: str, entry: dict[str, Any]) -> int:
        """Its number in the list `key`."""
        self.lists.setdefault(key, []).append(entry)
        return len(self.lists[key]) - 1

    def array(self, values: np.ndarray, dtype: str = "<f4", target: int | None = None) -> int:
        """An accessor of (N,), (N, 2), (N, 3), (N, 4) or (N, 4, 4), the last by columns."""
        values = np.ascontiguousarray(np.swapaxes(values, 1, 2) if values.ndim == 3 else values, dtype)
        self.data += b"\0" * (-len(self.data) % 4)
        view = {"buffer": 0, "byteOffset": len(self.data), "byteLength": values.nbytes}
        self.data += values.tobytes()
        entry = {"componentType": _KINDS[values.dtype.str], "count": len(values), "type": _SHAPES[values.shape[1:]]}
        if values.ndim == 1 or values.shape[1:] == (3,):
            flat = values.reshape(len(values), -1)
            entry |= {"min": flat.min(0).tolist(), "max": flat.max(0).tolist()}
        number = self.add("bufferViews", view | ({} if target is None else {"target": target}))
        return self.add("accessors", {"bufferView": number, **entry})

    def move(self, node: int, path: str, times: int, values: np.ndarray, how: str = "LINEAR") -> None:
        self.samplers.append({"input": times, "output": self.array(values), "interpolation": how})
        self.channels.append({"sampler": len(self.samplers) - 1, "target": {"node": node, "path": path}})

    def mesh(self, name: str, colour: tuple[float, ...], corners: np.ndarray, joints: np.ndarray | None = None) -> int:
        """Triangles (N, 3, 3) m, flat; joints (N,): which joint carries each."""
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        vertices = {"POSITION": corners.reshape(-1, 3), "NORMAL": np.repeat(normals, 3, axis=0)}
        attributes = {key: self.array(values, target=_VERTICES) for key, values in vertices.items()}
        if joints is not None:
            carried = np.zeros((3 * len(joints), 4))
            carried[:, 0] = np.repeat(joints, 3)
            attributes["JOINTS_0"] = self.array(carried, "|u1", _VERTICES)
            attributes["WEIGHTS_0"] = self.array(np.tile([1.0, 0, 0, 0], (len(carried), 1)), target=_VERTICES)
        look = {"baseColorFactor": [*colour, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.9}
        material = self.add("materials", {"name": name, "pbrMetallicRoughness": look, "doubleSided": True})
        return self.add("meshes", {"name": name, "primitives": [{"attributes": attributes, "material": material}]})

    def content(self, source: str) -> bytes:
        self.data += b"\0" * (-len(self.data) % 4)
        document = {
            "asset": {"version": "2.0", "generator": "temporal-smoothing"},
            "scene": 0,
            "scenes": [{"name": source, "nodes": self.roots}],
            "buffers": [{"byteLength": len(self.data)}],
            "animations": [{"name": source, "channels": self.channels, "samplers": self.samplers}],
            **self.lists,
        }
        text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
        text += b" " * (-len(text) % 4)
        chunks = (
            struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(self.data), b"BIN\0") + self.data
        )
        return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _offset(name: str, skeleton: BonePose) -> np.ndarray:
    """A joint from its parent in the rest pose, m."""
    parent = _ENDS.get(name) or _PARENTS.get(name, "hip")
    return np.zeros(3) if parent == "hip" else _BY_NAME[parent].rest * skeleton.lengths[parent] / 1000


def _add_person(file: _File, person: PoseSequence, skeleton: BonePose, scene: Scene) -> None:
    label = f"P{person.person}"
    times = file.array(person.frame.numpy() / scene.fps)
    rest: dict[str, np.ndarray] = {}
    nodes: dict[str, int] = {}
    for name in JOINTS:
        parent = _ENDS.get(name) or _PARENTS.get(name)
        offset = _offset(name, skeleton)
        rest[name] = offset + (rest[parent] if parent else 0.0)
        nodes[name] = file.add("nodes", {"name": f"{label}_{name}", "translation": offset.tolist()})
        if parent:
            file.lists["nodes"][nodes[parent]].setdefault("children", []).append(nodes[name])
        if name not in _ENDS:
            turned = Rotation.from_matrix(skeleton.local(name)).as_quat()
            flips = np.cumprod(np.where((turned[1:] * turned[:-1]).sum(1) < 0, -1.0, 1.0))
            file.move(nodes[name], "rotation", times, turned * np.concatenate([[1.0], flips])[:, None])
    file.move(nodes["hip"], "translation", times, skeleton.root / 1000)
    file.lists["nodes"][nodes["hip"]]["translation"] = (skeleton.root[0] / 1000).tolist()
    triangles, joints = _bones(skeleton, rest)
    colour = tuple((value / 255) ** 2.2 for value in ImageColor.getrgb(colour_of(person.person))[:3])  # linear
    bind = np.tile(np.eye(4), (len(JOINTS), 1, 1))
    bind[:, :3, 3] = [-rest[name] for name in JOINTS]
    skin = file.add(
        "skins",
        {"joints": [nodes[name] for name in JOINTS], "inverseBindMatrices": file.array(bind), "skeleton": nodes["hip"]},
    )
    body = file.add(
        "nodes", {"name": f"{label}_body", "mesh": file.mesh(label, colour, triangles, joints), "skin": skin}
    )
    whole = file.add("nodes", {"name": label, "children": [nodes["hip"]]})
    file.roots += [whole, body]
    first, last = int(person.frame[0]), int(person.frame[-1])
    shown = [(0, 0.0)] * (first > 0) + [(first, 1.0)] + [(last + 1, 0.0)] * (last + 1 < scene.n_frames)
    at, size = np.array(shown).T
    file.move(whole, "scale", file.array(at / scene.fps), np.repeat(size[:, None], 3, axis=1), "STEP")


def _bones(skeleton: BonePose, rest: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Triangles (N, 3, 3) m of bones in the rest pose, long octahedra, and the joint of each (N,)."""
    triangles, joints = [], []
    for segment in SEGMENTS:
        start, length = rest[segment.name], skeleton.lengths[segment.name] / 1000
        across = np.eye(3)[np.abs(segment.rest).argmin()]
        side, other = across, np.cross(segment.rest, across)
        thick = min(THICK * length, THICKEST_M) if segment.name != "head" else 0.45 * length
        middle = start + (0.2 if segment.name != "head" else 0.5) * length * segment.rest
        ring = [middle + thick * way for way in (side, other, -side, -other)]
        for a, b in zip(ring, [*ring[1:], ring[0]], strict=True):
            triangles += [(start, b, a), (start + length * segment.rest, a, b)]
            joints += [JOINTS.index(segment.name)] * 2
    return np.array(triangles), np.array(joints)


def _add_floor(file: _File, scene: Scene, points: np.ndarray) -> None:
    height = scene.world.floor_mm / 1000 if scene.level == "camera" else 0.0
    (x0, _, z0), (x1, _, z1) = points.min(0) - MARGIN_M, points.max(0) + MARGIN_M
    a, b, c, d = (np.array([x, height, z]) for x, z in ((x0, z0), (x0, z1), (x1, z1), (x1, z0)))
    mesh = file.mesh("floor", (0.8, 0.8, 0.8), np.array([(a, b, c), (a, c, d)]))
    file.roots.append(file.add("nodes", {"name": "floor", "mesh": mesh}))


def _add_camera(file: _File, scene: Scene) -> None:
    """The video's camera; the format holds no centre beside the middle of the image."""
    camera, of_camera = scene.camera, scene.level == "camera"
    lens = {
        "yfov": 2 * math.atan(camera.height / 2 / camera.fy),
        "aspectRatio": camera.width / camera.height * camera.fy / camera.fx,
        "znear": 0.05,
        "zfar": 1000.0,
    }
    number = file.add("cameras", {"name": "camera", "type": "perspective", "perspective": lens})
    turn = to_y_up(np.eye(3)) if of_camera else scene.world.rotation
    held = Rotation.from_matrix(turn @ to_y_up(np.eye(3))).as_quat()  # a camera of the format looks along -z, y up
    place = [0.0, 0.0 if of_camera else -scene.world.floor_mm / 1000, 0.0]
    node = {"name": "camera", "camera": number, "rotation": held.tolist(), "translation": place}
    file.roots.append(file.add("nodes", node))
