"""`predict` on what real detectors write: missing joints, exchanged sides, half-seen people, scores of other kinds.

The figures are the goals of `python -m benchmarks.studies.cases` and `benchmarks.multiview`, which print them all.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.multiview import measure
from benchmarks.studies.cases import TS1, against_truth, distances, predict
from benchmarks.studies.refinement import option
from inference.cameras.camera import CameraSettings
from inference.scene import Scene
from lightning_modules.checkpoint import load_lifter
from pose.joint_sets import COCO_17, MUPOTS_17
from pose.metrics.joint_errors import root_relative

RIGHT_HIP = COCO_17.index("right_hip")


@pytest.fixture(scope="module")
def ts1(golden: Path) -> dict[str, list]:
    """MuPoTS-3D TS1 as HR-Net saw it, three people in 201 frames."""
    return json.loads((golden / "detections" / "ts1_keypoints.json").read_text())


@pytest.fixture(scope="module")
def whole(golden: Path) -> Scene:
    return predict(golden / "detections" / "ts1_keypoints.json", TS1, 30, 3)


@pytest.fixture
def changed(ts1: dict[str, list], tmp_path: Path) -> Callable[[Callable[[int, np.ndarray], None]], Scene]:
    """The scene of TS1 with each person's joints (17, 3) changed in place by a function of the frame and them."""

    def predicted(change: Callable[[int, np.ndarray], None]) -> Scene:
        content = {}
        for frame, (name, people) in enumerate(ts1.items()):
            content[name] = []
            for person in people:
                joints = np.reshape(person["keypoints"], (17, 3)).astype(float)
                change(frame, joints)
                content[name].append({**person, "keypoints": joints.ravel().tolist()})
        (tmp_path / "keypoints.json").write_text(json.dumps(content))
        return predict(tmp_path / "keypoints.json", TS1, 30, 3)

    return predicted


def check_near(whole: Scene, part: Scene, relative_mm: float, absolute_mm: float) -> None:
    assert len(part.people) == len(whole.people)
    for absolute, relative in distances(whole, part):
        assert relative < relative_mm
        assert absolute < absolute_mm


def test_one_joint_in_twenty_missing_changes_little(whole: Scene, changed) -> None:
    rng = np.random.default_rng(0)

    def lose(frame: int, joints: np.ndarray) -> None:
        joints[rng.random(17) < 0.05] = 0

    check_near(whole, changed(lose), 15, 30)


def test_a_hip_that_is_never_found_leaves_people_where_they_are(whole: Scene, changed) -> None:
    def lose(frame: int, joints: np.ndarray) -> None:
        joints[RIGHT_HIP] = 0

    part = changed(lose)
    check_near(whole, part, 60, 150)
    assert not any(person.require("observed")[:, MUPOTS_17.index("right_hip")].any() for person in part.people)


def test_exchanged_sides_are_undone_and_right_frames_stay_right(whole: Scene, changed) -> None:
    """Ten exchanges of arms, legs or all of every person; nine leave everybody within 10 mm.

    In the tenth a person is seen in profile where the exchange begins, so that the shorter rest of the track is taken
    for exchanged. In all of them refining makes no right frame worse than lifting did.
    """
    far = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        part = [slice(5, 11), slice(11, 17), slice(0, 17)][rng.integers(3)]
        first, length = int(rng.integers(0, 140)), int(rng.integers(5, 60))

        def exchange(frame: int, joints: np.ndarray, part=part, span=range(first, first + length)) -> None:
            if frame in span:
                joints[part] = joints[list(COCO_17.flip)][part]

        scene = changed(exchange)
        assert len(scene.people) == 3
        far.append(max(relative for _, relative in distances(whole, scene)))
        right = [frame for frame in range(201) if not first <= frame < first + length]
        for person in scene.people:
            (same,) = (one for one in whole.people if abs(one.root - person.root).mean() < 300)
            errors = [
                float((root_relative(poses) - root_relative(same.require("poses_3d")))[right].norm(dim=-1).mean())
                for poses in (person.require("poses_3d"), person.require("lifted_3d"))
            ]
            assert errors[0] <= 1.1 * errors[1]
    assert sum(distance < 10 for distance in far) >= 9


def test_a_real_exchange_is_not_made_worse_by_refining(golden: Path, multiview: Path) -> None:
    truth = dict(np.load(multiview / "truth.npz"))
    K = truth["K"][1]
    camera = CameraSettings(K[0, 0], K[1, 1], K[0, 2], K[1, 2], image_size=(1088, 1920))
    refined, lifted, early = against_truth(predict(golden / "cases" / "cam2_mediapipe.json", camera, 60), truth, 1)
    assert refined < lifted < 110
    assert early > 0.95


def test_a_half_seen_bystander_stands_where_the_picture_says(golden: Path) -> None:
    scene = predict(golden / "cases" / "openpose_bystander.json", CameraSettings(image_size=(1080, 1920)), 60)
    assert len(scene.people) == 2
    depths = sorted(float(person.root[:, 2].median()) for person in scene.people)
    assert depths[0] < 4000 and 5000 < depths[1] < 7000


def test_the_scores_of_another_detector_serve_as_well(multiview: Path) -> None:
    """MoveNet on four views of a person with 3D truth: taken at face value they give 145 and 190 mm."""
    scores = measure(load_lifter("builtin:mocap_normal"), multiview)
    assert np.mean([one.mpjpe_refined for one in scores]) < 133
    assert np.mean([one.hip_refined for one in scores]) < 150


def test_a_real_person_is_carried_through_half_a_second_without_detections(multiview: Path) -> None:
    lifter = load_lifter("builtin:mocap_normal")
    scores = {
        name: measure(lifter, multiview, refinement=option(name), hide=range(35, 65)) for name in ("paper", "occlusion")
    }
    assert all(one.frames == 30 for found in scores.values() for one in found)
    for key in ("mpjpe_refined", "hip_refined"):
        paper, own = (np.mean([getattr(one, key) for one in found]) for found in scores.values())
        assert own < 0.9 * paper
