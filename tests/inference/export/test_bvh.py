"""BVH files: read by bvhio and `bvh`, and by forward kinematics of the text alone."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inference.export.bvh import BvhExporter
from inference.export.bvh_pose import bone_pose, euler_deg
from inference.scene import Scene, array_of
from pose.errors import ConfigError
from pose.joint_sets import MUPOTS_17

Y_UP = np.array([1, -1, -1])
HELPERS = {"lower_spine", "left_pelvis", "right_pelvis", "left_clavicle", "right_clavicle"}


def turn(axis: str, degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    first, second = {"X": (1, 2), "Y": (2, 0), "Z": (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[[first, second], [first, second]] = c
    matrix[second, first], matrix[first, second] = s, -s
    return matrix


def forward_kinematics(path: Path) -> tuple[dict[str, np.ndarray], float]:
    """Joint name -> places (T, 3), and the frame time. A reader of its own: parents multiply from the left."""
    text, motion = path.read_text().split("MOTION\n")
    joints: list[dict] = []
    stack: list[dict | None] = []
    for words in map(str.split, text.splitlines()):
        if words[0] in ("ROOT", "JOINT"):
            joints.append({"name": words[1], "parent": stack[-1] if stack else None})
            current: dict | None = joints[-1]
        elif words[:2] == ["End", "Site"]:
            current = None
        elif words[0] == "{":
            stack.append(current)
        elif words[0] == "}":
            stack.pop()
        elif words[0] == "OFFSET" and stack[-1] is not None:
            stack[-1]["offset"] = np.array(words[1:], dtype=float)
        elif words[0] == "CHANNELS" and stack[-1] is not None:
            stack[-1]["channels"] = words[2:]
            assert len(words[2:]) == int(words[1])
    lines = motion.splitlines()
    frames, frame_time = int(lines[0].split()[1]), float(lines[1].split()[2])
    rows = np.array([line.split() for line in lines[2:]], dtype=float)
    assert rows.shape == (frames, sum(len(joint["channels"]) for joint in joints))
    places: dict[str, list[np.ndarray]] = {joint["name"]: [] for joint in joints}
    for row in rows.tolist():
        values = iter(row)
        for joint in joints:
            parent, offset, rotation = joint["parent"], joint["offset"].copy(), np.eye(3)
            for channel in joint["channels"]:
                value = next(values)
                if channel.endswith("position"):
                    offset["XYZ".index(channel[0])] += value
                else:
                    rotation = rotation @ turn(channel[0], value)
            frame = (np.eye(3), np.zeros(3)) if parent is None else parent["frame"]
            joint["frame"] = (frame[0] @ rotation, frame[1] + frame[0] @ offset)
            places[joint["name"]].append(joint["frame"][1])
    return {name: np.array(values) for name, values in places.items()}, frame_time


def fixed(scene: Scene, person: int) -> np.ndarray:
    """The skeleton with median bones, made here from directions alone."""
    poses = array_of(scene.people[person], "poses_3d") * Y_UP
    parents = dict(zip(range(17), MUPOTS_17.parents, strict=True)) | {0: MUPOTS_17.index("head")}
    places = {14: poses[:, 14]}
    while len(places) < 17:
        for joint, parent in parents.items():
            if parent in places and joint not in places:
                bone = poses[:, joint] - poses[:, parent]
                length = np.linalg.norm(bone, axis=1, keepdims=True)
                places[joint] = places[parent] + bone / length * np.median(length)
    return np.stack([places[joint] for joint in range(17)], axis=1)


@pytest.mark.parametrize(("unit", "mm"), [("m", 1000.0), ("cm", 10.0), ("mm", 1.0)])
def test_forward_kinematics(scene: Scene, tmp_path: Path, unit: str, mm: float) -> None:
    for number, path in enumerate(BvhExporter(unit).write(scene, tmp_path)):
        places, frame_time = forward_kinematics(path)
        assert set(places) == {*MUPOTS_17.names, *HELPERS}
        assert frame_time == pytest.approx(1 / 29.97, abs=1e-9)
        found = np.stack([places[name] for name in MUPOTS_17.names], axis=1) * mm
        first = int(scene.people[number].frame[0])
        np.testing.assert_allclose(found[first:], fixed(scene, number), atol=0.05)  # mm
        np.testing.assert_array_equal(found[:first], found[[first] * first])


def test_bvhio_reads_it(scene: Scene, tmp_path: Path) -> None:
    bvhio = pytest.importorskip("bvhio", reason="pip install bvhio")
    path = BvhExporter().write(scene, tmp_path)[1]
    container = bvhio.readAsBvh(str(path))
    assert (container.FrameCount, round(1 / container.FrameTime, 4)) == (12 + 30, 29.97)
    root = bvhio.readAsHierarchy(str(path))
    joints = {joint.Name: joint for joint, *_ in root.layout()}
    assert set(joints) == {*MUPOTS_17.names, *HELPERS}
    expected = fixed(scene, 1)
    for frame in (0, 11, 12, 25, 41):  # of the video; the person comes in frame 12 and is held before
        root.loadPose(frame)
        found = np.array([list(joints[name].PositionWorld) for name in MUPOTS_17.names]) * 1000
        np.testing.assert_allclose(found, expected[max(frame - 12, 0)], atol=1.0)  # mm; bvhio computes in float32


def test_bvh_reads_it(scene: Scene, tmp_path: Path) -> None:
    bvh = pytest.importorskip("bvh", reason="pip install bvh")
    path = BvhExporter().write(scene, tmp_path)[0]
    found = bvh.Bvh(path.read_text())
    assert (found.nframes, round(1 / found.frame_time, 4)) == (60, 29.97)
    assert set(found.get_joints_names()) == {*MUPOTS_17.names, *HELPERS}
    assert found.joint_channels("hip")[:3] == ["Xposition", "Yposition", "Zposition"]
    assert found.joint_channels("left_knee") == ["Zrotation", "Yrotation", "Xrotation"]
    assert found.joint_channels("left_elbow") == ["Zrotation", "Xrotation", "Yrotation"]
    place = [found.frame_joint_channel(7, "hip", f"{axis}position") for axis in "XYZ"]
    np.testing.assert_allclose(np.array(place) * 1000, fixed(scene, 0)[7, 14], atol=1e-3)


def test_how_far_joints_were_moved_is_logged(scene: Scene, tmp_path: Path, caplog) -> None:
    person = scene.people[0]
    moved = np.linalg.norm(fixed(scene, 0) - array_of(person, "poses_3d") * Y_UP, axis=2)
    with caplog.at_level(logging.INFO):
        BvhExporter().write(replace(scene, people=[person]), tmp_path)
    (text,) = (record.message for record in caplog.records if "median" in record.message)
    assert f"{moved.mean():.0f} mm on average, at most {moved.max():.0f} mm" in text
    assert moved.max() > 1


def test_angles_are_continuous() -> None:
    """Turning on and on, and through 90 degrees of the middle angle, without a jump."""
    steps = np.arange(0, 1000, 6.9)  # past 90 and 270 degrees, not onto them
    found = euler_deg(np.stack([turn("Z", angle) for angle in steps]), "ZXY")
    np.testing.assert_allclose(found[:, 0], steps, atol=1e-6)
    found = euler_deg(np.stack([turn("Z", 20) @ turn("X", angle) @ turn("Y", 30) for angle in steps]), "ZXY")
    np.testing.assert_allclose(found, np.stack([0 * steps + 20, steps, 0 * steps + 30], axis=1), atol=1e-5)


def test_one_frame(scene: Scene, tmp_path: Path) -> None:
    short = scene.people[0].selected(slice(1))
    (path,) = BvhExporter().write(replace(scene, people=[short]), tmp_path)
    places, _ = forward_kinematics(path)
    np.testing.assert_allclose(places["left_wrist"][0] * 1000, (array_of(short, "poses_3d") * Y_UP)[0, 7], atol=0.05)


def test_unknown_unit() -> None:
    with pytest.raises(ConfigError, match=r"unit=km: must be one of m, cm, mm"):
        BvhExporter("km")


def test_bone_pose_agrees(scene: Scene) -> None:
    poses = array_of(scene.people[0], "poses_3d") * Y_UP
    np.testing.assert_allclose(bone_pose(poses, 29.97).positions(), fixed(scene, 0), atol=1e-6)
