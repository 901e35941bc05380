"""BVH: every channel order against a plain loop, the CMU walk there and back, units, upward axis, damaged files."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from data.mocap.asf_amc import read_amc, read_asf
from data.mocap.bvh import read_bvh, to_world_mm
from data.mocap.joint_maps import to_mupots
from pose.errors import DataError
from pose.joint_sets import MUPOTS_17

LEFT_KNEE, NECK = MUPOTS_17.index("left_knee"), MUPOTS_17.index("neck")

#: Bones of the CMU skeleton and the joints of its BVH conversion that sit where they start.
CMU_JOINTS = {
    "lowerback": "LowerBack",
    "upperback": "Spine",
    "thorax": "Spine1",
    "lowerneck": "Neck",
    "upperneck": "Neck1",
    "head": "Head",
}
for _short, _side in (("l", "Left"), ("r", "Right")):
    CMU_JOINTS |= {
        f"{_short}hipjoint": f"{_short.upper()}HipJoint",
        f"{_short}femur": f"{_side}UpLeg",
        f"{_short}tibia": f"{_side}Leg",
        f"{_short}foot": f"{_side}Foot",
        f"{_short}toes": f"{_side}ToeBase",
        f"{_short}clavicle": f"{_side}Shoulder",
        f"{_short}humerus": f"{_side}Arm",
        f"{_short}radius": f"{_side}ForeArm",
        f"{_short}wrist": f"{_side}Hand",
    }


def elementary(axis: str, degrees: float) -> np.ndarray:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array(
        {
            "X": [[1, 0, 0], [0, c, -s], [0, s, c]],
            "Y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
            "Z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
        }[axis]
    )


def plain_positions(joints, row) -> np.ndarray:
    """One frame by 4x4 matrices, joint by joint and channel by channel."""
    world, values = [], list(row)
    for _, parent, offset, channels in joints:
        move, turn = np.array(offset, dtype=float), np.eye(3)
        for channel in channels.split():
            value = values.pop(0)
            if channel.endswith("position"):
                move["XYZ".index(channel[0])] = value
            else:
                turn = turn @ elementary(channel[0], value)
        local = np.eye(4)
        local[:3, :3], local[:3, 3] = turn, move
        world.append(local if parent < 0 else world[parent] @ local)
    return np.array([matrix[:3, 3] for matrix in world])


@pytest.mark.parametrize(
    "root",
    [
        "Xposition Yposition Zposition Zrotation Xrotation Yrotation",
        "Yrotation Zposition Xrotation Xposition Zrotation Yposition",
        "Zrotation Yrotation Xrotation",
    ],
)
def test_any_channel_order_agrees_with_a_plain_loop(write_bvh, root):
    rng = np.random.default_rng(3)
    joints = [
        ("Hips", -1, (1, 2, 3), root),
        ("a", 0, (0, 1, 0), "Xrotation Yrotation Zrotation"),
        ("b", 1, (0.5, 1, 0), "Yrotation"),
        ("c", 2, (0, 0, 2), "Zrotation Xrotation Yposition Yrotation"),
        ("c end", 3, (0, 1, 1), ""),
        ("d", 0, (-1, 0, 0), "Yrotation Zrotation"),
        ("e", 5, (-1, 0, 1), "Xposition Yposition Zposition Yrotation Xrotation Zrotation"),
        ("e end", 6, (0, 0, 1), ""),
    ]
    rows = rng.uniform(-180, 180, (7, sum(len(joint[3].split()) for joint in joints)))
    motion, fps = read_bvh(write_bvh(joints, rows))
    assert fps == 120
    assert motion.names == tuple(joint[0] for joint in joints)
    expected = np.array([plain_positions(joints, row) for row in rows])
    np.testing.assert_allclose(motion.positions, expected, atol=1e-5)


def cmu_walk(folder: Path, order: str) -> tuple[list, np.ndarray]:
    """Trial 02_01 as BVH joints and rows, its AMC lines turned into Euler angles of another order."""
    skeleton = read_asf(folder / "02.asf")
    frames: list[dict[str, list[float]]] = []
    for line in (folder / "02_01.amc").read_text().splitlines()[3:]:
        name, *values = line.split()
        if values:
            frames[-1][name] = [float(value) for value in values]
        else:
            frames.append({})
    position = "Xposition Yposition Zposition "
    turns = " ".join(f"{axis}rotation" for axis in order)
    joints = [("Hips", -1, (0, 0, 0), position + turns)]
    place = {"root": 0}
    columns = [np.array([frame["root"][:3] for frame in frames])]
    columns.append(euler(Rotation.from_euler("xyz", [frame["root"][3:] for frame in frames], degrees=True), order))

    def add(bone: str) -> None:
        parent = skeleton.parents[bone]
        joints.append((CMU_JOINTS[bone], place[parent], skeleton.bones[parent].vector, turns))
        place[bone] = len(joints) - 1
        angles = np.zeros((len(frames), 3))
        for i, dof in enumerate(skeleton.bones[bone].dof):
            angles[:, "xyz".index(dof[1])] = [frame[bone][i] for frame in frames]
        axis = Rotation.from_euler("xyz", skeleton.bones[bone].axis[0], degrees=True)
        columns.append(euler(axis * Rotation.from_euler("xyz", angles, degrees=True) * axis.inv(), order))
        children = [child for child, above in skeleton.parents.items() if above == bone and child in CMU_JOINTS]
        for child in children:
            add(child)
        if not children:
            joints.append((f"{CMU_JOINTS[bone]} end", place[bone], skeleton.bones[bone].vector, ""))

    for bone, above in skeleton.parents.items():
        if above == "root":
            add(bone)
    return joints, np.concatenate(columns, axis=1)


def euler(turn: Rotation, order: str) -> np.ndarray:
    return turn.as_euler(order, degrees=True)


@pytest.mark.parametrize("order", ["ZYX", "ZXY", "YXZ"])
def test_the_cmu_walk_as_bvh_is_the_cmu_walk(golden, write_bvh, order):
    folder = golden / "mocap" / "asf_amc"
    skeleton = read_asf(folder / "02.asf")
    expected = to_mupots(read_amc(folder / "02_01.amc", skeleton), "amc") * skeleton.mm_per_unit
    path = write_bvh(*cmu_walk(folder, order))
    motion, fps = read_bvh(path)
    poses = to_world_mm(to_mupots(motion, path), fps, path)
    assert fps == 120
    assert np.abs(poses - expected).max() < 0.1


def test_the_thorax_that_the_cmu_conversion_loses_is_restored(golden, write_bvh):
    folder = golden / "mocap" / "asf_amc"
    joints, rows = cmu_walk(folder, "ZYX")
    chest = [joint[0] for joint in joints].index("Spine1")
    complete, lost = (
        read_bvh(write_bvh([(n, p, (0, 0, 0) if cut and p == chest else o, c) for n, p, o, c in joints], rows))[0]
        for cut in (False, True)
    )
    off = np.linalg.norm(to_mupots(lost, "lost") - to_mupots(complete, "complete"), axis=-1) * 25.4 / 0.45
    legs = [i for i, name in enumerate(MUPOTS_17.names) if name.endswith(("hip", "knee", "ankle"))]
    assert off[:, legs].max() < 1e-3
    assert 1 < off[:, NECK].mean() < 6
    # the spine lies between the hips and the neck, and is off by that fraction of the neck's error
    np.testing.assert_allclose(off[:, MUPOTS_17.index("spine")], 0.48 * off[:, NECK], rtol=1e-6)


@pytest.mark.parametrize(
    ("mm_per_unit", "unit"), [(1, "mm"), (10, "cm"), (25.4, "inches"), (25.4 / 0.45, "CMU"), (1000, "m,")]
)
def test_the_unit_is_guessed_from_the_legs_and_said(write_bvh, person, standing, caplog, mm_per_unit, unit):
    caplog.set_level(logging.INFO)
    joints = [(name, parent, np.array(offset) * 10 / mm_per_unit, turns) for name, parent, offset, turns in person]
    standing[:, :3] *= 10 / mm_per_unit
    path = write_bvh(joints, standing)
    motion, fps = read_bvh(path)
    poses = to_world_mm(to_mupots(motion, path), fps, path)
    np.testing.assert_allclose(poses[0, LEFT_KNEE], [90, 430, 0], atol=0.01)
    assert f"lengths taken as {unit}" in caplog.text and "820 mm" in caplog.text


def test_a_unit_that_fits_nothing_is_refused(write_bvh, person, standing):
    joints = [(name, parent, np.array(offset) * 3, channels) for name, parent, offset, channels in person]
    path = write_bvh(joints, standing)
    motion, fps = read_bvh(path)
    with pytest.raises(DataError, match=r"walk\.bvh: legs 246 units"):
        to_world_mm(to_mupots(motion, path), fps, path)


def test_z_up_is_found_and_turned_without_a_mirror(write_bvh, person, standing, caplog):
    caplog.set_level(logging.INFO)
    path = write_bvh(person, standing)
    poses = to_mupots(read_bvh(path)[0], path)
    z_up = np.stack([poses[..., 0], -poses[..., 2], poses[..., 1]], axis=-1)
    expected = to_world_mm(poses, 120, path)
    assert "along z" not in caplog.text
    np.testing.assert_allclose(to_world_mm(z_up, 120, path), expected, atol=1e-9)
    assert "along z" in caplog.text


def test_root_channels_that_count_from_the_offset_are_added_to_it(write_bvh, person, standing):
    absolute = read_bvh(write_bvh(person, standing))[0].positions
    for height, shift in ((90.0, [0.0, 90.0, 0.0]), (0.0, [0.0, 0.0, 0.0])):  # as iClone writes it; as others do
        (name, parent, _, channels), *others = person
        moved = standing.copy()
        moved[:, :3] -= shift
        path = write_bvh([(name, parent, (0, 90.0, 0), channels), *others], moved, f"from_{height}.bvh")
        np.testing.assert_allclose(read_bvh(path)[0].positions, absolute, atol=1e-6)


def test_a_t_pose_before_the_motion_is_left_out(write_bvh, person, standing):
    names = [joint[0] for joint in person if joint[3]]
    arms_down = standing.copy()
    arms_down[1:, 3 + 3 * names.index("LeftArm")] = -85
    arms_down[1:, 3 + 3 * names.index("RightArm")] = 85
    path = write_bvh(person, arms_down)
    motion, fps = read_bvh(path)
    poses = to_mupots(motion, path)
    assert len(to_world_mm(poses, fps, path)) == len(poses) - 1
    assert len(to_world_mm(poses, 5, path)) == len(poses), "in a fifth of a second arms can sink"


def test_cut_off_frame_times_mean_whole_rates(write_bvh, person, standing):
    for seconds, fps in ((0.008333, 120), (0.033333, 30), (0.02, 50), (1 / 23.976, 23.976)):
        found = read_bvh(write_bvh(person, standing, frame_time=seconds))[1]
        assert found == (fps if fps == int(fps) else pytest.approx(fps, rel=1e-4))
        assert (found == int(found)) == (fps == int(fps))


def replaced(old: str, new: str):
    return lambda text: text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: "", "line 1: HIERARCHY is expected"),
        (replaced("HIERARCHY", "hello"), "line 1: HIERARCHY is expected"),
        (replaced("ROOT Hips\n{", "ROOT Hips"), "line 3: { is expected"),
        (replaced("ROOT Hips", "JOINT Hips"), "line 2: a ROOT is expected"),
        (replaced("JOINT LeftLeg", "ROOT LeftLeg"), "one skeleton per file"),
        (replaced("MOTION", "}\nMOTION"), "braces in pairs"),
        (replaced("OFFSET 9 -5 0", "OFFSET 9 -5"), "line 8: 3 finite numbers are expected; found 'OFFSET 9 -5'"),
        (replaced("OFFSET 9 -5 0", "OFFSET 9 nan 0"), "line 8: 3 finite numbers"),
        (replaced("CHANNELS 3 Z", "CHANNELS 4 Z"), "line 9: the number of channels"),
        (replaced("CHANNELS 3 Zrotation", "CHANNELS 3 Yrotation"), "each once"),
        (replaced("CHANNELS 3 Zrotation", "CHANNELS 3 Zscale"), "Xposition .. Zrotation"),
        (replaced("MOTION\n", ""), "then MOTION expected"),
        (replaced("Frames: 5", "Frames: five"), "1 finite number is expected"),
        (replaced("Frames: 5", "Frames: 6"), "6 frames are announced, found 5"),
        (replaced("Frames: 5\n", ""), "Frames: is expected"),
        (replaced("Frame Time: 0.008333", "Frame Time: 0"), "positive frame time"),
        (lambda text: text[: text.index("MOTION")], "the file ends"),
        (lambda text: text[: text.index("Frame Time")], "Frame Time: is expected; the file ends"),
        (lambda text: text[:-8], r"line \d+: 63 finite numbers"),
        (replaced("\n0 90 0", "\n0 x 0"), r"line \d+: 63 finite numbers"),
    ],
)
def test_damaged_files_are_refused_by_line(write_bvh, person, standing, damage, message):
    path = write_bvh(person, standing)
    path.write_text(damage(path.read_text()))
    with pytest.raises(DataError, match=message) as caught:
        read_bvh(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_files_that_would_not_fit_into_memory_are_refused(tmp_path):
    ends = "End Site\n{\nOFFSET 0 0 0\n}\n" * 1001
    path = tmp_path / "many.bvh"
    path.write_text(
        f"HIERARCHY\nROOT a\n{{\nOFFSET 0 0 0\nCHANNELS 1 Xrotation\n{ends}}}\nMOTION\nFrames: 1\nFrame Time: 1\n0\n"
    )
    with pytest.raises(DataError, match="1002 joints in 1 frames"):
        read_bvh(path)
