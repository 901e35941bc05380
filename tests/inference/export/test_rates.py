"""Every file by a reader that is not ours: bones, rate, unit, times, gaps, at all usual rates, for one and for many."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inference.export.base import y_up
from inference.export.bvh import BvhExporter
from inference.export.c3d import C3dExporter
from inference.export.glb import GlbExporter
from inference.export.mot import MotExporter
from inference.export.trc import TrcExporter
from inference.scene import Scene
from pose.joint_sets import MUPOTS_17
from tests.inference.export.conftest import CAMERA, make_person
from tests.inference.export.test_glb import Glb

#: Frames before and after everybody, and how long they are there.
GAP, LENGTH = 3, 5
BONES = [(MUPOTS_17.names[child], MUPOTS_17.names[parent]) for child, parent in MUPOTS_17.bones if child != 0]


def made(fps: float, people: int, length: int, gap: int) -> Scene:
    found = [replace(make_person(number, gap, length, seed=number), fps=fps) for number in range(people)]
    return Scene(found, fps, length + 2 * gap, CAMERA, "normal", "clip.mp4", level="camera")


@pytest.fixture(
    scope="module",
    params=[24, 25, 29.97, 30, 50, 59.94, 60, 120, 240],
    ids="{}fps".format,
)
def fps(request: pytest.FixtureRequest) -> float:
    return request.param


@pytest.fixture(scope="module", params=["one", "twelve", "one frame", "nothing but one frame"])
def scene(request: pytest.FixtureRequest, fps: float) -> Scene:
    given = {
        "one": (1, LENGTH, GAP),
        "twelve": (12, LENGTH, GAP),
        "one frame": (1, 1, GAP),
        "nothing but one frame": (1, 1, 0),
    }[request.param]
    return made(fps, *given)


def people(scene: Scene) -> Iterator[tuple[int, int, np.ndarray]]:
    """Number, first frame and joints (T, 17, 3), mm, y up."""
    for person in scene.people:
        yield person.person, int(person.frame[0]), y_up(scene, person)


def median_bones(joints: dict[str, np.ndarray]) -> np.ndarray:
    return np.array([np.median(np.linalg.norm(joints[a] - joints[b], axis=-1)) for a, b in BONES])


def named(poses: np.ndarray) -> dict[str, np.ndarray]:
    return {name: poses[..., i, :] for i, name in enumerate(MUPOTS_17.names)}


def test_trc(scene: Scene, tmp_path: Path) -> None:
    trc = pytest.importorskip("trc", reason="pip install trc-data-reader")
    for (_, first, poses), path in zip(people(scene), TrcExporter().write(scene, tmp_path), strict=True):
        found = trc.TRCData()
        found.load(str(path))
        assert (found["DataRate"], found["CameraRate"]) == (pytest.approx(scene.fps, abs=1e-6),) * 2
        assert (found["Units"], found["NumFrames"], found["OrigDataStartFrame"]) == ("mm", len(poses), first + 1)
        frames = np.arange(first, first + len(poses))
        np.testing.assert_array_equal(found["Frame#"], frames + 1)
        np.testing.assert_allclose(found["Time"], frames / scene.fps, atol=1e-6)
        joints = {name: np.array(found[name]) for name in MUPOTS_17.names}
        np.testing.assert_allclose(np.stack(list(joints.values()), axis=1), poses, atol=1e-3)
        np.testing.assert_allclose(median_bones(joints), median_bones(named(poses)), atol=0.01)


def test_c3d(scene: Scene, tmp_path: Path) -> None:
    c3d = pytest.importorskip("c3d", reason="pip install c3d")
    pytest.importorskip("ezc3d")
    (path,) = C3dExporter().write(scene, tmp_path)
    with open(path, "rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are no analog data
        reader = c3d.Reader(file)
        assert reader.point_rate == pytest.approx(scene.fps, rel=1e-6)
        assert reader.get("POINT:UNITS").string_value.strip() == "mm"
        assert (reader.first_frame, reader.last_frame) == (1, scene.n_frames)
        labels = [label.strip() for label in reader.point_labels]
        points = np.stack([points for _, points, _ in reader.read_frames()])
    for number, first, poses in people(scene):
        own = points[:, [labels.index(f"P{number}_{name}") for name in MUPOTS_17.names]]
        there = np.isin(np.arange(scene.n_frames), np.arange(first, first + len(poses)))
        assert (own[~there, :, 3] == -1).all() and (own[there, :, 3] >= 0).all()
        np.testing.assert_allclose(own[there, :, :3], poses, atol=1e-3)
        np.testing.assert_allclose(median_bones(named(own[there, :, :3])), median_bones(named(poses)), atol=0.01)


def test_bvh(scene: Scene, tmp_path: Path) -> None:
    bvhio = pytest.importorskip("bvhio", reason="pip install bvhio")
    for (_, first, poses), path in zip(people(scene), BvhExporter().write(scene, tmp_path), strict=True):
        container = bvhio.readAsBvh(str(path))
        assert container.FrameCount == first + len(poses)
        assert 1 / container.FrameTime == pytest.approx(scene.fps, rel=1e-6)
        root = bvhio.convertBvhToHierarchy(container.Root)
        joints = {joint.Name: joint for joint, *_ in root.layout()}
        expected = median_bones(named(poses))
        for frame in {0, first, first + len(poses) - 1}:
            root.loadPose(frame)
            places = {name: 1000 * np.array(list(joints[name].PositionWorld)) for name in MUPOTS_17.names}
            np.testing.assert_allclose(places["hip"], named(poses)["hip"][max(frame - first, 0)], atol=0.1)
            np.testing.assert_allclose(median_bones(places), expected, atol=0.5)  # bvhio computes in float32


def test_glb(scene: Scene, tmp_path: Path) -> None:
    trimesh = pytest.importorskip("trimesh")
    (path,) = GlbExporter().write(scene, tmp_path)
    loaded, file = trimesh.load(path), Glb(path)
    for number, first, poses in people(scene):
        places = {name: loaded.graph.get(f"P{number}_{name}")[0][:3, 3] for name in MUPOTS_17.names}  # at rest
        np.testing.assert_allclose(1000 * median_bones(places), median_bones(named(poses)), atol=0.1)
        times, hips = file.moved(file.number[f"P{number}_hip"], "translation") or pytest.fail("the hip does not move")
        frames = np.arange(first, first + len(poses))
        np.testing.assert_allclose(np.ravel(times), frames / scene.fps, rtol=1e-6)
        np.testing.assert_allclose(1000 * np.atleast_2d(hips), named(poses)["hip"], atol=0.1)
        at, size = file.moved(file.number[f"P{number}"], "scale") or pytest.fail("nothing hides the person")
        shown = dict(zip(np.round(np.ravel(at) * scene.fps).astype(int).tolist(), size[:, 0].tolist(), strict=True))
        gone = {0: 0.0} if first else {}
        after = {first + len(poses): 0.0} if first + len(poses) < scene.n_frames else {}
        assert shown == gone | {first: 1.0} | after


def test_mot(scene: Scene, tmp_path: Path) -> None:
    for (_, first, poses), path in zip(people(scene), MotExporter().write(scene, tmp_path), strict=True):
        table = np.genfromtxt(path, skip_header=6, names=True)  # the head's lines, then the columns' names
        frames = np.arange(first, first + len(poses))
        np.testing.assert_allclose(np.atleast_1d(table["time"]), frames / scene.fps, atol=1e-6)
        hips = (named(poses)["left_hip"] + named(poses)["right_hip"]) / 2000
        for axis, name in enumerate(("pelvis_tx", "pelvis_ty", "pelvis_tz")):
            np.testing.assert_allclose(np.atleast_1d(table[name]), hips[:, axis], atol=1e-6)
