"""The joint set of a file: known by its number of joints, checked against the bodies, never wrong without a word."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from data.keypoints import read_detections
from data.keypoints.anatomy import NO_BODY, implausibility
from data.keypoints.detections import VideoDetections
from pose.errors import MismatchError
from pose.joint_sets import (
    BODY_25,
    BODY_25B,
    COCO_17,
    COCO_19,
    FOURTEEN,
    HALPE_26,
    HUMAN36M_17,
    JOINT_SETS,
    MEDIAPIPE_33,
    MPII_16,
    MUPOTS_17,
    OPENPOSE_18,
    PANOPTIC_19,
    JointSet,
)

#: Where other sets have joints that COCO-17 lacks: the middle of these.
BETWEEN = {
    "hip": ("left_hip", "right_hip"),
    "neck": ("left_shoulder", "right_shoulder"),
    "upper_neck": ("left_shoulder", "right_shoulder", "nose"),
    "thorax": ("left_shoulder", "right_shoulder"),
    "spine": ("left_shoulder", "right_shoulder", "left_hip", "right_hip"),
    "head_top": ("left_ear", "right_ear"),
    "head": ("nose",),
}


@pytest.fixture(scope="module")
def bodies(golden: Path) -> np.ndarray:
    """(60, 17, 3): real people in the order of COCO-17."""
    content = json.loads((golden / "detections" / "ts1_keypoints.json").read_text())
    people = [one["keypoints"] for name in sorted(content)[:20] for one in content[name]]
    return np.array(people).reshape(-1, 17, 3).clip(0, [1e9, 1e9, 1])


def in_order(bodies: np.ndarray, joints: JointSet, size: int | None = None) -> np.ndarray:
    """(N, size, 3); feet at the ankles, hands at the wrists, the rest at the nose."""
    out = np.repeat(bodies[:, :1], size or len(joints), axis=1)
    for index, name in enumerate(joints.names):
        side = name.split("_")[0]
        if name in COCO_17.names:
            near: tuple[str, ...] = (name,)
        elif any(part in name for part in ("toe", "heel", "foot")):
            near = (f"{side}_ankle",)
        elif any(part in name for part in ("pinky", "index", "thumb")):
            near = (f"{side}_wrist",)
        else:
            near = BETWEEN.get(name, ("nose",))
        out[:, index] = bodies[:, [COCO_17.index(one) for one in near]].mean(axis=1)
    return out


def read(people: np.ndarray, tmp_path: Path, **options) -> VideoDetections:
    path = tmp_path / "k.json"
    path.write_text(json.dumps([{"image_id": i, "keypoints": p.ravel().tolist()} for i, p in enumerate(people)]))
    return read_detections(path, **options)


@pytest.mark.parametrize(
    ("joints", "size"),
    [
        (COCO_17, 17), (OPENPOSE_18, 18), (PANOPTIC_19, 19), (BODY_25, 25), (HALPE_26, 26), (HALPE_26, 136),
        (MPII_16, 16), (MEDIAPIPE_33, 33), (COCO_17, 133),
    ],
)  # fmt: skip
def test_the_usual_set_of_so_many_joints(joints: JointSet, size: int, bodies, tmp_path: Path) -> None:
    found = read(in_order(bodies, joints, size), tmp_path)
    np.testing.assert_allclose(found.keypoints_2d[:, 5:17], bodies[:, 5:, :2], atol=1e-3)
    assert found.notes == ()


@pytest.mark.parametrize(
    ("joints", "usual"),
    [
        (BODY_25B, "BODY_25"),
        (HUMAN36M_17, "COCO-17"),
        (MUPOTS_17, "COCO-17"),
        (COCO_19, "Panoptic-19"),
    ],
)
def test_another_set_of_as_many_joints_is_taken_and_noted(joints: JointSet, usual: str, bodies, tmp_path: Path) -> None:
    found = read(in_order(bodies, joints), tmp_path)
    np.testing.assert_allclose(found.keypoints_2d[:, 5:17], bodies[:, 5:, :2], atol=1e-3)
    assert found.notes == (
        f"Joints: the bodies do not fit {usual} but {joints.name}, which was taken; input_options.joint_set= says "
        "which it is.",
    )
    given = read(in_order(bodies, joints), tmp_path, joint_set=joints.name)
    assert given.notes == ()
    np.testing.assert_array_equal(given.keypoints_2d, found.keypoints_2d)


@pytest.mark.parametrize("joints", FOURTEEN, ids=lambda joints: joints.name)
def test_fourteen_joints_are_told_apart_by_the_bodies(joints: JointSet, bodies, tmp_path: Path) -> None:
    found = read(in_order(bodies, joints), tmp_path)
    np.testing.assert_allclose(found.keypoints_2d[:, 5:17], bodies[:, 5:, :2], atol=1e-3)
    assert f"of the orders of 14 joints the bodies fit {joints.name}, which was taken" in found.notes[0]
    with pytest.raises(MismatchError, match=r"14 joints can be LSP-14, AIC-14, .*joint_set="):
        read(in_order(bodies[:5], joints), tmp_path)
    few = read(in_order(bodies[:5], joints), tmp_path, joint_set=joints.name)
    np.testing.assert_allclose(few.keypoints_2d[:, 5:17], bodies[:5, 5:, :2], atol=1e-3)


def test_people_lie_only_in_the_order_that_is_theirs(bodies, tmp_path: Path) -> None:
    people = in_order(bodies, COCO_19)
    people[:, [3, 9], 0] -= 900.0  # shoulders, if these were Panoptic-19
    np.save(tmp_path / "k.npy", people)
    assert not [note for note in read_detections(tmp_path / "k.npy").notes if note.startswith("Coordinates")]


def test_a_given_set_is_taken_and_its_misfit_noted(bodies, tmp_path: Path) -> None:
    found = read(in_order(bodies, BODY_25B), tmp_path, joint_set="BODY_25")
    assert found.notes == (
        "Joints: the bodies fit COCO-17 or BODY_25B rather than BODY_25, which was given and taken.",
    )


def test_a_set_of_fewer_joints_that_fits_is_named(bodies, tmp_path: Path) -> None:
    people = in_order(bodies, HUMAN36M_17, 18)
    with pytest.raises(
        MismatchError, match=r"18 joints do not make bodies in the order of OpenPose-18; they fit Human3"
    ):
        read(people, tmp_path)
    found = read(people, tmp_path, joint_set="Human3.6M-17")
    np.testing.assert_allclose(found.keypoints_2d[:, 5:17], bodies[:, 5:, :2], atol=1e-3)


def test_what_fits_nothing_is_read_with_a_warning(bodies, tmp_path: Path, caplog) -> None:
    people = np.random.default_rng(0).uniform(0, 500, bodies.shape) * [1, 1, 0] + [0, 0, 0.9]
    found = read(people, tmp_path)
    assert "hardly any of the people look like bodies in the order of COCO-17" in found.notes[0]
    assert found.notes[0] in caplog.text


def upside_down(people: np.ndarray) -> np.ndarray:
    return people * [1, -1, 1] + [0, 2048, 0]


def lying(people: np.ndarray) -> np.ndarray:
    return people[..., [1, 0, 2]]


def sitting(people: np.ndarray) -> np.ndarray:
    """Thighs that point at the camera: a quarter of their length, shins as they are."""
    people = people.copy()
    for side in ("left", "right"):
        hip, knee, ankle = (COCO_17.index(f"{side}_{name}") for name in ("hip", "knee", "ankle"))
        shin = people[:, ankle, :2] - people[:, knee, :2]
        people[:, knee, :2] = people[:, hip, :2] + 0.25 * (people[:, knee, :2] - people[:, hip, :2])
        people[:, ankle, :2] = people[:, knee, :2] + shin
    return people


def from_the_side(people: np.ndarray) -> np.ndarray:
    return people * [0.1, 1, 1]


def far_away(people: np.ndarray) -> np.ndarray:
    """A twentieth of the size, in whole pixels."""
    return np.concatenate([(people[..., :2] / 20).round(), people[..., 2:]], axis=-1)


def half_seen(people: np.ndarray) -> np.ndarray:
    """Nothing below the hips."""
    people = people.copy()
    people[:, 13:] = 0.0
    return people


@pytest.mark.parametrize("posed", [upside_down, lying, sitting, half_seen, from_the_side, far_away])
@pytest.mark.parametrize("joints", [BODY_25B, HUMAN36M_17, MUPOTS_17, COCO_19])
def test_other_sets_of_people_in_unusual_poses_are_found(posed, joints: JointSet, bodies, tmp_path: Path) -> None:
    people = posed(bodies)
    found = read(in_order(people, joints), tmp_path)
    assert f"but {joints.name}, which was taken" in found.notes[0]
    np.testing.assert_allclose(found.keypoints_2d[:, 5:17], people[:, 5:, :2], atol=1e-3)


@pytest.mark.parametrize("posed", [upside_down, lying, sitting, half_seen, from_the_side, far_away])
@pytest.mark.parametrize("name", ["COCO-17", "BODY_25", "Halpe-26", "MediaPipe-33", "OpenPose-18", "MPII-16"])
def test_people_in_unusual_poses_are_people(posed, name: str, bodies, tmp_path: Path) -> None:
    people = in_order(posed(bodies), JOINT_SETS[name])
    assert read(people, tmp_path).notes == ()
    value = implausibility(people[..., :2], people[..., 2], JOINT_SETS[name])
    assert value is None or value < NO_BODY


def test_few_people_tell_nothing(bodies, tmp_path: Path) -> None:
    assert read(in_order(bodies[:5], HUMAN36M_17), tmp_path).notes == ()
