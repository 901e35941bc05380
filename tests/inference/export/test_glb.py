"""GLB: a reader of its own and trimesh find the people where they were, the camera and the floor."""

from __future__ import annotations

import dataclasses
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from inference.export.base import y_up
from inference.export.glb import GlbExporter
from inference.scene import Scene
from pose.errors import DataError
from pose.joint_sets import MUPOTS_17
from tests.inference.export.conftest import CAMERA, FPS


class Glb:
    """A file's document and its arrays."""

    def __init__(self, path: Path) -> None:
        content = path.read_bytes()
        magic, version, size = struct.unpack_from("<4sII", content)
        assert (magic, version, size) == (b"glTF", 2, len(content))
        length, kind = struct.unpack_from("<I4s", content, 12)
        assert kind == b"JSON" and length % 4 == 0
        self.facts = json.loads(content[20 : 20 + length])
        size, kind = struct.unpack_from("<I4s", content, 20 + length)
        assert kind == b"BIN\0" and size == self.facts["buffers"][0]["byteLength"]
        self.data = content[28 + length :]
        self.number = {node["name"]: i for i, node in enumerate(self.facts["nodes"])}

    def array(self, number: int) -> np.ndarray:
        entry = self.facts["accessors"][number]
        view = self.facts["bufferViews"][entry["bufferView"]]
        width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}[entry["type"]]
        dtype = {5126: "<f4", 5121: "|u1"}[entry["componentType"]]
        values = np.frombuffer(self.data, dtype, entry["count"] * width, view["byteOffset"])
        return values.reshape(entry["count"], width).squeeze() if width == 1 else values.reshape(-1, width)

    def moved(self, node: int, path: str) -> tuple[np.ndarray, np.ndarray] | None:
        (animation,) = self.facts["animations"]
        for channel in animation["channels"]:
            if channel["target"] == {"node": node, "path": path}:
                sampler = animation["samplers"][channel["sampler"]]
                return self.array(sampler["input"]), self.array(sampler["output"])
        return None

    def places(self, person: int, row: int) -> dict[str, np.ndarray]:
        """Every joint of a person at a key of the animation, m."""
        found: dict[str, np.ndarray] = {}

        def visit(number: int, turn: np.ndarray, place: np.ndarray) -> None:
            node = self.facts["nodes"][number]
            own, spin = np.array(node["translation"]), self.moved(number, "rotation")
            if moved := self.moved(number, "translation"):
                own = moved[1][row]
            place = place + turn @ own
            found[node["name"].split("_", 1)[1]] = place
            turn = turn if spin is None else turn @ Rotation.from_quat(spin[1][row]).as_matrix()
            for child in node.get("children", ()):
                visit(child, turn, place)

        visit(self.number[f"P{person}_hip"], np.eye(3), np.zeros(3))
        return found


@pytest.mark.parametrize("level", ["camera", "auto"])
def test_everybody_is_where_they_were(scene: Scene, tmp_path: Path, level) -> None:
    scene = dataclasses.replace(scene, level=level)
    (path,) = GlbExporter().write(scene, tmp_path)
    glb = Glb(path)
    for person in scene.people:
        poses = y_up(scene, person) / 1000
        for row in (0, 7, len(person) - 1):
            found = glb.places(person.person, row)
            apart = [np.linalg.norm(found[name] - poses[row, i]) for i, name in enumerate(MUPOTS_17.names)]
            assert max(apart) < 0.06 and np.mean(apart) < 0.02, "bones of the scene change their lengths by 5 mm"
        times, _ = glb.moved(glb.number[f"P{person.person}_hip"], "translation") or (None, None)
        np.testing.assert_allclose(times, person.frame.numpy() / FPS, rtol=1e-5)
    shown = glb.moved(glb.number["P1"], "scale")
    assert shown is not None and shown[1][:, 0].tolist() == [0, 1, 0]
    np.testing.assert_allclose(shown[0] * FPS, [0, 12, 42], rtol=1e-5)


def test_camera_and_floor(scene: Scene, tmp_path: Path) -> None:
    scene = dataclasses.replace(scene, level="auto", tilt_deg=15.0, roll_deg=4.0)
    (path,) = GlbExporter().write(scene, tmp_path)
    glb = Glb(path)
    node = glb.facts["nodes"][glb.number["camera"]]
    lens = glb.facts["cameras"][node["camera"]]["perspective"]
    person = scene.people[0]
    point = y_up(scene, person)[0, 0] / 1000
    x, y, z = Rotation.from_quat(node["rotation"]).as_matrix().T @ (point - node["translation"])
    top = np.tan(lens["yfov"] / 2)
    pixel = [(x / -z / top / lens["aspectRatio"] + 1) * CAMERA.width / 2, (1 - y / -z / top) * CAMERA.height / 2]
    np.testing.assert_allclose(pixel, CAMERA.project(person.require("poses_3d")[0, 0]).numpy(), atol=0.1)
    floor = glb.facts["meshes"][glb.facts["nodes"][glb.number["floor"]]["mesh"]]["primitives"][0]
    corners = glb.array(floor["attributes"]["POSITION"])
    assert (corners[:, 1] == 0).all()
    assert corners[:, 0].min() < point[0] < corners[:, 0].max()


def test_trimesh_reads_it(scene: Scene, tmp_path: Path) -> None:
    trimesh = pytest.importorskip("trimesh")
    (path,) = GlbExporter().write(scene, tmp_path)
    loaded = trimesh.load(path)
    assert set(loaded.geometry) == {"P0", "P1", "floor"}
    for name in ("P0", "P1"):
        body = loaded.geometry[name]
        assert body.area > 0.2 and (body.triangles_cross * (body.triangles_center - body.centroid)).sum() > 0
        assert 1.2 < body.extents[1] < 2.2 and 1.0 < body.extents[0] < 2.2, "a T, upright"
    assert loaded.graph.get("P1_left_ankle") is not None


def test_unknown_positions_are_refused(scene_with_nan: Scene, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"person 1 has positions that are NaN .*leave glb out"):
        GlbExporter().write(scene_with_nan, tmp_path)
