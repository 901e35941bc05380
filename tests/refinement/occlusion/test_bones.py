"""Bones: constant in the result, of human lengths where the lifter's cannot be believed, as they are elsewhere."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data.synthetic.bodies import random_body
from data.synthetic.motions import procedural_motion
from inference.export.bvh_pose import bone_pose
from inference.export.trc import TrcExporter
from inference.scene import Scene
from pose.cameras import Camera
from pose.joint_sets import COCO_19, MUPOTS_17
from pose.sequence import PoseSequence
from refinement.occlusion.bones import PROPORTIONS, with_rigid_head
from refinement.occlusion.model import OcclusionRefinement

CAMERA = Camera(1500.0, 1500.0, 960.0, 540.0, 1920, 1080)
PARENTS = list(MUPOTS_17.parents)


def walker(seed: int = 0) -> PoseSequence:
    """Somebody of 1.68 m who walks by, detected where the joints are; with the truth as prediction."""
    rng = np.random.default_rng(seed)
    motion = procedural_motion("walk", 150, 30.0, random_body(rng), rng)
    poses = motion * [1.0, -1.0, -1.0]
    kinds = [name.removeprefix("left_").removeprefix("right_") for name in MUPOTS_17.names]
    sized = poses.copy()
    order = [14]
    for joint in order:
        order += [child for child, parent in enumerate(PARENTS) if parent == joint and child != joint]
    for joint in order[1:]:
        bone = poses[:, joint] - poses[:, PARENTS[joint]]
        length = np.linalg.norm(bone, axis=-1, keepdims=True)
        sized[:, joint] = sized[:, PARENTS[joint]] + bone / length * 1680 * PROPORTIONS[kinds[joint]]
    sized += [0.0, 0.0, 4500.0] - sized[:1, [14]]
    truth = torch.from_numpy(sized)
    points = CAMERA.project(truth)
    names = [name if name in MUPOTS_17.names else "head" for name in COCO_19.names]
    return PoseSequence(
        "walk", 0, CAMERA, 30.0, points[:, [MUPOTS_17.index(name) for name in names]].float(),
        torch.full((150, 19), 0.9), torch.ones(150, dtype=torch.bool), truth.float(), coordinates="normal",
        annotation_2d=points.float(),
    )  # fmt: skip


def shortened(person: PoseSequence) -> PoseSequence:
    """As a lifter that is not sure of depths: limbs up to 40 % shorter along the ray, and by turns."""
    poses = person.require("poses_3d").clone()
    depth = poses[..., 2] - poses[:, 14:15, 2]
    poses[..., 2] -= depth * (0.3 + 0.1 * torch.sin(torch.arange(len(poses)) / 8))[:, None]
    relative = poses - poses[:, 14:15]
    relative *= (0.82 + 0.08 * torch.sin(torch.arange(len(poses)) / 11))[:, None, None]
    return dataclasses.replace(person, poses_3d=poses[:, 14:15] + relative)


def lengths(poses: torch.Tensor) -> np.ndarray:
    return np.delete(np.linalg.norm((poses - poses[:, PARENTS]).double().numpy(), axis=-1), 14, axis=1)


def refined(person: PoseSequence, **keys: Any) -> PoseSequence:
    return OcclusionRefinement(**keys)([person]).sequences[0]


def test_bones_are_constant_and_every_file_holds_the_same_joints(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    given = walker()
    noisy = given.require("poses_3d") + torch.from_numpy(rng.normal(0, 20, given.require("poses_3d").shape)).float()
    found = refined(dataclasses.replace(given, poses_3d=noisy))
    poses = found.require("poses_3d").double().numpy()
    assert lengths(found.require("poses_3d")).std(axis=0).max() < 0.01
    y_up = poses * [1, -1, -1]
    np.testing.assert_allclose(bone_pose(y_up, 30.0).positions(), y_up, atol=1.0)  # what BVH writes
    scene = Scene([found], 30.0, 150, CAMERA, "normal", "walk", [], level="camera")
    (file,) = TrcExporter().write(scene, tmp_path)
    rows = np.array([line.split("\t")[2:53] for line in file.read_text().splitlines()[6:]], dtype=float)
    apart = np.linalg.norm(rows.reshape(150, 17, 3)[:, 1:] - rows.reshape(150, 17, 3)[:, :1], axis=-1)
    own = np.linalg.norm(poses[:, 1:] - poses[:, :1], axis=-1)
    scale = np.median(own / apart)  # the file's unit
    np.testing.assert_allclose(apart * scale, own, atol=1.0)


def test_short_limbs_are_lengthened_rather_than_people_moved() -> None:
    truth, given = walker(), shortened(walker())
    found = refined(given)
    size = [np.median(lengths(one.require("poses_3d")), axis=0).sum() for one in (truth, given, found)]
    assert size[1] < 0.85 * size[0]
    assert abs(size[2] / size[0] - 1) < 0.05
    depth = [one.root[:, 2].double().mean() for one in (truth, found)]
    assert abs(float(depth[1] / depth[0]) - 1) < 0.04


def test_lengths_that_do_not_change_are_believed() -> None:
    """Somebody of 1.4 m, predicted as such: the prior of adults hardly counts."""
    truth = walker()
    small = dataclasses.replace(truth, poses_3d=truth.require("poses_3d") * (1.4 / 1.68))
    found = refined(small)
    own, want = (np.median(lengths(one.require("poses_3d")), axis=0).sum() for one in (found, small))
    assert own / want == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize("change", ["universal", "no camera", "no human", "other joints"])
def test_the_prior_is_only_for_metric_people_before_a_camera(change: str) -> None:
    given = shortened(walker())
    if change == "universal":
        given = dataclasses.replace(given, coordinates="universal")
    elif change == "no camera":
        given = dataclasses.replace(given, camera=None)
    elif change == "other joints":  # as CMU's: the root above the hips, the neck and the wrists nearer
        poses = given.require("poses_3d").clone()
        for name, part in (("neck", 0.5), ("left_wrist", 0.7), ("right_wrist", 0.7), ("head", 2.0)):
            joint = MUPOTS_17.index(name)
            poses[:, joint] = poses[:, PARENTS[joint]] + part * (poses[:, joint] - poses[:, PARENTS[joint]])
        poses[:, 14, 1] -= 90
        given = dataclasses.replace(given, poses_3d=poses)
    else:
        poses = given.require("poses_3d").clone()
        for arm in ("left_elbow", "right_elbow", "left_wrist", "right_wrist"):
            joint = MUPOTS_17.index(arm)
            poses[:, joint] += 5 * (poses[:, joint] - poses[:, PARENTS[joint]])
        given = dataclasses.replace(given, poses_3d=poses)
    result = OcclusionRefinement()([given])
    assert result.scale_std_pct == (0.0,)
    np.testing.assert_allclose(
        np.median(lengths(result.sequences[0].require("poses_3d")), axis=0),
        np.median(lengths(given.require("poses_3d")), axis=0),
        rtol=0.05,
    )


def test_the_uncertainty_of_the_size_is_stated_apart_and_within_std_mm() -> None:
    given = shortened(walker())
    result = OcclusionRefinement()([given])
    assert result.scale_std_pct is not None
    assert 3 < result.scale_std_pct[0] < 5.4  # percent; the prior alone is 90 / 1680
    (person,) = result.sequences
    assert person.std_mm is not None
    common = result.scale_std_pct[0] / 100 * person.require("poses_3d").norm(dim=-1) / 3**0.5
    assert bool((person.std_mm >= common - 1e-3).all())
    known = refined(given, stature_std_mm=1.0)
    assert known.std_mm is not None
    assert float(known.std_mm.mean()) < float(person.std_mm.mean())


def test_a_rigid_head_keeps_lengths_and_the_angle() -> None:
    rng = np.random.default_rng(0)
    poses = rng.normal(0, 200, (20, 17, 3))
    rigid = with_rigid_head(poses, MUPOTS_17)
    head, top, neck = (MUPOTS_17.index(name) for name in ("head", "head_top", "neck"))
    a, b = rigid[:, head] - rigid[:, neck], rigid[:, top] - rigid[:, neck]
    np.testing.assert_allclose(np.linalg.norm(a, axis=1), np.linalg.norm((poses[:, head] - poses[:, neck]), axis=1))
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert np.ptp(cosine) < 1e-9
    others = np.arange(17) != head
    np.testing.assert_array_equal(rigid[:, others], poses[:, others])


def test_a_known_stature_takes_the_place_of_the_adults() -> None:
    person = walker()
    small = dataclasses.replace(shortened(person), stature_mm=1500.0)
    known, unknown = OcclusionRefinement(ground="off")([small, dataclasses.replace(small, stature_mm=None)]).sequences

    def size(found: PoseSequence) -> float:
        poses = found.require("poses_3d")
        return float((poses - poses[:, PARENTS]).norm(dim=-1).sum(1).mean())

    assert size(known) / size(unknown) == pytest.approx(1500 / 1680, abs=0.03)
    assert known.require("std_mm").mean() < unknown.require("std_mm").mean()


def test_a_joint_that_is_never_seen_is_no_farther_off_than_its_bones_reach() -> None:
    person = walker()
    scores = person.confidence.clone()
    scores[:, [COCO_19.index("right_elbow"), COCO_19.index("right_wrist")]] = 0
    (refined,) = OcclusionRefinement()([dataclasses.replace(person, confidence=scores)]).sequences
    elbow, wrist, shoulder = (MUPOTS_17.index(f"right_{joint}") for joint in ("elbow", "wrist", "shoulder"))
    std, poses = refined.require("std_mm"), refined.require("poses_3d")
    for joint, parent in ((elbow, shoulder), (wrist, elbow)):
        length = (poses[:, joint] - poses[:, parent]).norm(dim=-1)
        assert (std[:, joint] ** 2 <= std[:, parent] ** 2 + 0.67 * length**2 + 1).all()
        assert (std[:, joint] > 1.5 * std[:, shoulder]).all()
    assert std.max() < 1000
