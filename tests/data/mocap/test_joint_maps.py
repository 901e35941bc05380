"""Joint tables: each convention finds its table, the extrapolated head, errors that help."""

from __future__ import annotations

import numpy as np
import pytest

from data.mocap.bvh import read_bvh
from data.mocap.joint_maps import TABLES, to_mupots
from data.mocap.kinematics import Motion
from pose.errors import ConfigError, DataError
from pose.joint_sets import MUPOTS_17


def skeleton(trunk: str, limbs: str, prefix: str = "") -> list[str]:
    names = trunk.split() + [side + part for side in ("Left", "Right") for part in limbs.split()]
    return [prefix + name for name in names]


ARM_LEG = "Shoulder Arm ForeArm Hand UpLeg Leg Foot ToeBase"
PLAIN = "Collar Shoulder Elbow Wrist Hip Knee Ankle Toe"
XSENS = [*skeleton("Hips Chest Chest2 Chest3 Chest4 Neck Head", PLAIN), "Head end"]
ROKOKO = skeleton("Hips Spine1 Spine2 Spine3 Spine4 Neck Head", "Shoulder Arm ForeArm Hand Thigh Shin Foot Toe")
MIXAMO = skeleton("Hips Spine Spine1 Spine2 Neck Head HeadTop_End", ARM_LEG, prefix="mixamorig:")
NEURON = skeleton("Hips Spine Spine1 Spine2 Spine3 Neck Head", ARM_LEG)
CMU_POSER = skeleton("Hips LHipJoint RHipJoint lowerback Chest Chest2 lowerneck Neck Head", PLAIN)


def scattered(names: list[str]) -> Motion:
    positions = np.random.default_rng(0).normal(size=(2, len(names), 3))
    return Motion(tuple(names), positions)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (XSENS, {"spine": "Chest3", "left_hip": "LeftHip", "right_wrist": "RightWrist", "head_top": "Head end"}),
        (ROKOKO, {"spine": "Spine3", "left_hip": "LeftThigh", "left_knee": "LeftShin", "right_shoulder": "RightArm"}),
        (
            MIXAMO,
            {"spine": "mixamorig:Spine2", "head_top": "mixamorig:HeadTop_End", "left_ankle": "mixamorig:LeftFoot"},
        ),
        (NEURON, {"spine": "Spine2", "left_elbow": "LeftForeArm", "right_knee": "RightLeg", "hip": "Hips"}),
        (CMU_POSER, {"left_hip": "LeftHip", "left_elbow": "LeftElbow", "left_shoulder": "LeftShoulder"}),
        (list(MUPOTS_17.names), {name: name for name in MUPOTS_17.names}),
    ],
)
def test_every_naming_finds_its_joints(names, expected):
    motion = scattered(names)
    poses = to_mupots(motion, "file")
    assert poses.shape == (2, 17, 3) and np.isfinite(poses).all()
    for joint, source in expected.items():
        np.testing.assert_array_equal(poses[:, MUPOTS_17.index(joint)], motion.positions[:, names.index(source)])


def test_only_the_cmu_skeleton_has_its_wrists_and_trunk_moved():
    moved, kept = (
        scattered([name for name in CMU_POSER if name not in drop]) for drop in ((), ("LHipJoint", "RHipJoint"))
    )
    for motion, is_cmu in ((moved, True), (kept, False)):
        at = {name: motion.positions[:, i] for i, name in enumerate(motion.names)}
        poses = to_mupots(motion, "file")
        wrist = at["LeftElbow"] + (1.5 if is_cmu else 1) * (at["LeftWrist"] - at["LeftElbow"])
        hip = (at["LeftHip"] + at["RightHip"]) / 2 if is_cmu else at["Hips"]
        np.testing.assert_allclose(poses[:, MUPOTS_17.index("left_wrist")], wrist, atol=1e-12)
        np.testing.assert_allclose(poses[:, MUPOTS_17.index("hip")], hip, atol=1e-12)


def test_a_head_without_an_end_is_extended_from_the_neck(write_bvh, person, standing):
    path = write_bvh(person, standing)
    motion = read_bvh(path)[0]
    end = motion.names.index("Head end")
    missing = Motion(tuple(n for n in motion.names if n != "Head end"), np.delete(motion.positions, end, axis=1))
    without_length = Motion(motion.names, motion.positions.copy())
    without_length.positions[:, end] = motion.positions[:, motion.names.index("Head")]
    for headless in (missing, without_length):
        poses = to_mupots(headless, path)[0]
        head, neck, top = (poses[MUPOTS_17.index(name)] for name in ("head", "neck", "head_top"))
        np.testing.assert_allclose(top - head, 0.22 * 82 * (head - neck) / np.linalg.norm(head - neck), atol=1e-6)


def test_joints_of_no_known_naming_are_listed():
    with pytest.raises(DataError, match=r"file: joints of no known naming .*Rokoko.*the file's joints: pelvis, j0$"):
        to_mupots(scattered(["pelvis", "j0"]), "file")


def test_a_map_of_ones_own_names_the_joints():
    motion = scattered([f"bone.{name}" for name in MUPOTS_17.names])
    named = {name: f"bone.{name}" for name in MUPOTS_17.names}
    np.testing.assert_array_equal(to_mupots(motion, "file", named), motion.positions)
    with pytest.raises(ConfigError, match=r"^prepare\.joint_map: .*; not pelvis; without hip$"):
        to_mupots(motion, "file", {"pelvis" if name == "hip" else name: place for name, place in named.items()})
    with pytest.raises(DataError, match=r"'prepare\.joint_map=\{hip: "):
        to_mupots(motion, "file", named | {"hip": "none"})


def test_every_table_names_every_joint():
    for convention, table in TABLES.items():
        assert set(table) == set(MUPOTS_17.names), convention
