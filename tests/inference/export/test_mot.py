"""OpenSim's joint angles: poses made by hand, whose angles are plain, and a chain of OpenSim's own joints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from inference.export.mot import MotExporter, coordinates
from inference.scene import Scene
from pose.joint_sets import MUPOTS_17

FPS = 30.0
#: Someone who stands and looks along +x, arms hanging: mm, y up, the right side at +z.
STANDING = {
    "hip": (0, 1000, 0), "spine": (0, 1200, 0), "neck": (0, 1500, 0), "head": (0, 1600, 0), "head_top": (0, 1750, 0),
    "right_hip": (0, 1000, 100), "right_knee": (0, 550, 100), "right_ankle": (0, 100, 100),
    "left_hip": (0, 1000, -100), "left_knee": (0, 550, -100), "left_ankle": (0, 100, -100),
    "right_shoulder": (0, 1500, 180), "right_elbow": (0, 1200, 180), "right_wrist": (0, 950, 180),
    "left_shoulder": (0, 1500, -180), "left_elbow": (0, 1200, -180), "left_wrist": (0, 950, -180),
}  # fmt: skip
#: What is moved, in mm, and the degrees that come of it; all others stay 0. A limb at 30, 60 or 90 degrees.
S, C = 0.5, 3**0.5 / 2
BY_HAND = {
    "standing": ({}, {}),
    "right knee lifted before the body": (
        {"right_knee": (450, 1000, 100), "right_ankle": (450, 550, 100)}, {"hip_flexion_r": 90, "knee_angle_r": 90},
    ),
    "left shank backward": ({"left_ankle": (-450 * C, 550 - 450 * S, -100)}, {"knee_angle_l": 60}),
    "right leg out to its side": (
        {"right_knee": (0, 1000 - 450 * C, 100 + 450 * S), "right_ankle": (0, 1000 - 900 * C, 100 + 900 * S)},
        {"hip_adduction_r": -30},
    ),
    "left leg out to its side": (
        {"left_knee": (0, 1000 - 450 * C, -100 - 450 * S), "left_ankle": (0, 1000 - 900 * C, -100 - 900 * S)},
        {"hip_adduction_l": -30},
    ),
    "right foot turned inward behind, so that the thigh turns outward": (
        {"right_ankle": (-450 * C, 550, 100 - 450 * S)}, {"knee_angle_r": 90, "hip_rotation_r": -30},
    ),
    "left arm straight ahead": (
        {"left_elbow": (300, 1500, -180), "left_wrist": (550, 1500, -180)}, {"arm_flex_l": 90},
    ),
    "right forearm ahead": ({"right_wrist": (250, 1200, 180)}, {"elbow_flex_r": 90}),
    "right arm out to its side": (
        {"right_elbow": (0, 1500 - 300 * S, 180 + 300 * C), "right_wrist": (0, 1500 - 550 * S, 180 + 550 * C)},
        {"arm_add_r": -60},
    ),
    "left arm out to its side": (
        {"left_elbow": (0, 1500 - 300 * S, -180 - 300 * C), "left_wrist": (0, 1500 - 550 * S, -180 - 550 * C)},
        {"arm_add_l": -60},
    ),
    "left forearm across the belly": (
        {"left_wrist": (250 * C, 1200, -180 + 250 * S)}, {"elbow_flex_l": 90, "arm_rot_l": 30},
    ),
}  # fmt: skip
ZERO = 1e-3


def poses(moved: dict[str, tuple[float, ...]] | None = None) -> np.ndarray:
    """(8, 17, 3): the same pose eight times."""
    return np.repeat(np.array([(STANDING | (moved or {}))[name] for name in MUPOTS_17.names], float)[None], 8, axis=0)


def angles(points: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values for name, values in coordinates(points, FPS).items() if name[-3:-1] != "_t"}


@pytest.mark.parametrize("name", BY_HAND)
def test_by_hand(name: str) -> None:
    moved, expected = BY_HAND[name]
    found = angles(poses(moved))
    assert {key: round(float(values[4])) for key, values in found.items() if abs(values[4]) > ZERO} == expected
    assert all(np.ptp(values) < ZERO for values in found.values())


def about(axis: str, degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rows = {"x": [(1, 0, 0), (0, c, -s), (0, s, c)], "y": [(c, 0, s), (0, 1, 0), (-s, 0, c)]}
    return np.array(rows.get(axis, [(c, -s, 0), (s, c, 0), (0, 0, 1)]), float)


@pytest.mark.parametrize(
    ("turn", "expected"),
    [
        (about("z", 20), {"pelvis_tilt": 20}),  # leans back
        (about("x", 15), {"pelvis_list": 15}),  # to the right
        (about("y", -90), {"pelvis_rotation": -90}),  # looks at the viewer, +z
    ],
)
def test_the_whole_body_turned(turn: np.ndarray, expected: dict[str, float]) -> None:
    found = angles(poses() @ turn.T)
    assert {key: round(float(values[0])) for key, values in found.items() if abs(values[0]) > ZERO} == expected


@pytest.mark.parametrize(
    ("turn", "name", "degrees"),
    [
        (about("z", -40), "lumbar_extension", -40),  # bent forward
        (about("x", 25), "lumbar_bending", 25),  # to the right
        (about("y", 35), "lumbar_rotation", 35),  # to the left
    ],
)
def test_the_trunk_turned_over_the_spine(turn: np.ndarray, name: str, degrees: float) -> None:
    upper = [i for i, joint in enumerate(MUPOTS_17.names) if joint.split("_")[-1] in ("shoulder", "elbow", "wrist")]
    upper += [MUPOTS_17.index(joint) for joint in ("neck", "head", "head_top")]
    turned, spine = poses(), np.array(STANDING["spine"])
    turned[:, upper] = (turned[:, upper] - spine) @ turn.T + spine
    found = angles(turned)
    assert {key: round(float(values[0])) for key, values in found.items() if abs(values[0]) > ZERO} == {name: degrees}


def test_a_chain_of_opensims_joints() -> None:
    """Pelvis, hips, knees, back, shoulders and elbows turned at once, the file's columns multiplied up again."""
    given = {
        "pelvis_tilt": -5, "pelvis_list": 4, "pelvis_rotation": 70, "lumbar_extension": -15, "lumbar_bending": 6,
        "lumbar_rotation": -12, "hip_flexion_r": 35, "hip_adduction_r": -8, "hip_rotation_r": 9, "knee_angle_r": 55,
        "hip_flexion_l": -12, "hip_adduction_l": -6, "hip_rotation_l": 14, "knee_angle_l": 30, "arm_flex_r": 40,
        "arm_add_r": -25, "arm_rot_r": 20, "elbow_flex_r": 70, "arm_flex_l": -20, "arm_add_l": -15, "arm_rot_l": 10,
        "elbow_flex_l": 45,
    }  # fmt: skip

    def turned(parent: np.ndarray, names: tuple[str, ...], mirrored: bool = False) -> np.ndarray:
        sign = -1 if mirrored else 1
        for axis, name, way in zip("zxy", names, (1, sign, sign), strict=False):
            parent = parent @ about(axis, way * given[name])
        return parent

    pelvis = turned(np.eye(3), ("pelvis_tilt", "pelvis_list", "pelvis_rotation"))
    torso = turned(pelvis, ("lumbar_extension", "lumbar_bending", "lumbar_rotation"))
    at = {"hip": np.array([300.0, 950.0, -200.0])}
    at["spine"] = at["hip"] + pelvis @ [0, 200, 0]
    at["neck"] = at["spine"] + torso @ [0, 300, 0]
    at["head"], at["head_top"] = (at["neck"] + torso @ [0, up, 0] for up in (100, 250))
    for side, out in (("right", 1), ("left", -1)):
        end, mirrored = f"_{side[0]}", side == "left"
        at[f"{side}_hip"] = at["hip"] + pelvis @ [0, 0, 100 * out]
        thigh = turned(pelvis, tuple(f"hip_{turn}{end}" for turn in ("flexion", "adduction", "rotation")), mirrored)
        at[f"{side}_knee"] = at[f"{side}_hip"] + thigh @ [0, -450, 0]
        at[f"{side}_ankle"] = at[f"{side}_knee"] + thigh @ about("z", -given[f"knee_angle{end}"]) @ [0, -450, 0]
        at[f"{side}_shoulder"] = at["neck"] + torso @ [0, 0, 180 * out]
        arm = turned(torso, tuple(f"arm_{turn}{end}" for turn in ("flex", "add", "rot")), mirrored)
        at[f"{side}_elbow"] = at[f"{side}_shoulder"] + arm @ [0, -300, 0]
        at[f"{side}_wrist"] = at[f"{side}_elbow"] + arm @ about("z", given[f"elbow_flex{end}"]) @ [0, -250, 0]
    body = np.array([at[name] for name in MUPOTS_17.names])
    found = coordinates(np.repeat(body[None], 30, axis=0), FPS)
    assert {key: float(found[key][15]) for key in given} == pytest.approx(given, abs=0.3)
    assert [float(found[f"pelvis_t{axis}"][0]) for axis in "xyz"] == pytest.approx([0.3, 0.95, -0.2])
    assert set(found) == {*given, "pelvis_tx", "pelvis_ty", "pelvis_tz"}, "no ankles, no hands"


def test_the_file(scene: Scene, tmp_path: Path) -> None:
    path = MotExporter().write(scene, tmp_path)[1]
    head, _, table = path.read_text().partition("endheader\n")
    assert head.splitlines() == ["person_1", "version=1", "nRows=30", "nColumns=26", "inDegrees=yes"]
    names = table.splitlines()[0].split("\t")
    rows = np.loadtxt(table.splitlines()[1:], delimiter="\t")
    assert rows.shape == (30, 26) and names[:2] == ["time", "pelvis_tilt"]
    np.testing.assert_allclose(rows[:, 0], np.arange(12, 42) / 29.97, atol=1e-6)  # the video's times
    hips = scene.people[1].require("poses_3d")[:, [8, 11]].mean(1).numpy() / 1000
    np.testing.assert_allclose(
        rows[:, [names.index(f"pelvis_t{axis}") for axis in "xyz"]], hips * [1, -1, -1], atol=1e-6
    )


def test_one_frame_and_a_turn_without_a_jump(scene: Scene, tmp_path: Path) -> None:
    (path,) = MotExporter().write(replace(scene, people=[scene.people[0].selected(slice(1))]), tmp_path)
    assert len(path.read_text().splitlines()) == 8
    turning = torch.from_numpy(poses()[:1]).repeat(100, 1, 1).numpy()
    turns = np.stack([about("y", 9 * step) for step in range(100)])
    found = coordinates(np.einsum("tij,tkj->tki", turns, turning), FPS)["pelvis_rotation"]
    np.testing.assert_allclose(np.diff(found), 9, atol=1e-6)
