"""Motion formats of a tilted camera stand level, feet on the floor; `level=camera` leaves them as it was held."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from inference.export.bvh import BvhExporter
from inference.export.c3d import C3dExporter
from inference.export.json_csv import JsonExporter
from inference.export.trc import TrcExporter
from inference.scene import Scene, array_of
from pose.errors import ConfigError
from pose.joint_sets import MUPOTS_17
from pose.level import up_of
from tests.inference.export.test_trc import cells

HIPS = [MUPOTS_17.index(f"{side}_hip") for side in ("left", "right")]
ANKLES = [MUPOTS_17.index(f"{side}_ankle") for side in ("left", "right")]


@pytest.fixture
def tilted(scene: Scene) -> Scene:
    """The scene by a camera that looks down by 25 degrees."""
    angle = math.radians(25)
    turn = torch.tensor(
        [[1, 0, 0], [0, math.cos(angle), -math.sin(angle)], [0, math.sin(angle), math.cos(angle)]], dtype=torch.float64
    )
    people = [
        replace(person, **{key: person.require(key) @ turn.T for key in ("poses_3d", "lifted_3d")})
        for person in scene.people
    ]
    return replace(scene, people=people, level="auto")


def leans_deg(places: np.ndarray) -> float:
    """The angle of the mean way from ankles (T, 17, 3) to hips against +y."""
    way = (places[:, HIPS].mean(axis=1) - places[:, ANKLES].mean(axis=1)).mean(axis=0)
    return math.degrees(math.acos(way[1] / np.linalg.norm(way)))


def test_trc_stands_on_the_floor(tilted: Scene, tmp_path: Path) -> None:
    for path in TrcExporter().write(tilted, tmp_path):
        _, places = cells(path)
        assert leans_deg(places) < 5
        assert np.percentile(places[..., 1].min(axis=1), 5) == pytest.approx(0, abs=60)
    _, places = cells(TrcExporter().write(replace(tilted, level="camera"), tmp_path)[0])
    assert leans_deg(places) == pytest.approx(25, abs=3)
    np.testing.assert_allclose(places, array_of(tilted.people[0], "poses_3d") * [1, -1, -1], atol=1e-3)


def test_bvh_stands_upright_for_other_programs(tilted: Scene, tmp_path: Path) -> None:
    bvhio = pytest.importorskip("bvhio", reason="pip install bvhio")
    root = bvhio.readAsHierarchy(str(BvhExporter().write(tilted, tmp_path)[0]))
    joints = {joint.Name: joint for joint, *_ in root.layout()}
    places = []
    for frame in range(0, 60, 5):
        root.loadPose(frame)
        places.append([list(joints[name].PositionWorld) for name in MUPOTS_17.names])
    assert leans_deg(np.array(places)) < 5
    assert np.array(places)[:, ANKLES, 1].min() == pytest.approx(0, abs=0.08)


def test_c3d_is_the_same_as_trc(tilted: Scene, tmp_path: Path) -> None:
    ezc3d = pytest.importorskip("ezc3d")
    _, places = cells(TrcExporter().write(tilted, tmp_path)[0])
    points = ezc3d.c3d(str(C3dExporter().write(tilted, tmp_path)[0]))["data"]["points"]
    np.testing.assert_allclose(points[:3, :17].transpose(2, 1, 0), places, atol=1e-2)


def test_json_stays_in_camera_coordinates_and_states_the_way_to_level(tilted: Scene, tmp_path: Path) -> None:
    content = json.loads(JsonExporter().write(tilted, tmp_path)[0].read_text())
    level = content["level"]
    assert (level["level"], level["how"]) == ("auto", "people")
    assert level["tilt_deg"] == pytest.approx(25, abs=4)
    poses = np.array([frame["poses_3d"] for frame in content["people"][0]["frames"]])
    np.testing.assert_allclose(poses, array_of(tilted.people[0], "poses_3d"), atol=0.01)
    _, places = cells(TrcExporter().write(tilted, tmp_path)[0])
    np.testing.assert_allclose(poses @ np.array(level["rotation"]).T + level["translation_mm"], places, atol=0.1)
    as_held = json.loads(JsonExporter().write(replace(tilted, level="camera"), tmp_path)[0].read_text())["level"]
    assert as_held["rotation"] == np.diag([1.0, -1.0, -1.0]).tolist() and as_held["translation_mm"] == [0, 0, 0]


def test_a_given_tilt_is_used(tilted: Scene) -> None:
    given = replace(tilted, tilt_deg=10.0, roll_deg=5.0)
    np.testing.assert_allclose(given.world.axes[2], up_of(10.0, 5.0))


def test_other_levels_are_refused(scene: Scene) -> None:
    with pytest.raises(ConfigError, match="level=flat: must be one of auto, camera"):
        replace(scene, level="flat")
