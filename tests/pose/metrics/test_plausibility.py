"""Poses that cannot be what they are taken for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from data.sets.mupots_3d import MuPoTS3D
from pose.cameras import Camera
from pose.errors import DataError
from pose.joint_sets import COCO_17, HUMAN36M_17, MUPOTS_17
from pose.metrics.mupots import AnnotatedScene, PredictedScene
from pose.metrics.plausibility import ROOT_RELATIVE, check_poses, check_view, other_order
from pose.metrics.scenes import scenes_from_sequences
from pose.sequence import PoseSequence

HIP = MUPOTS_17.index("hip")


@pytest.fixture(scope="module")
def annotated(conformance: Path) -> dict[str, AnnotatedScene]:
    return scenes_from_sequences(MuPoTS3D(conformance / "MuPoTS", sequences=[2, 7, 12]).sequences("normal"))


@pytest.fixture
def poses(annotated) -> np.ndarray:
    truth = np.concatenate([scene.annotation_3d[scene.valid] for scene in annotated.values()])
    return truth + np.random.default_rng(0).normal(0, 40, truth.shape)


def relative(poses: np.ndarray) -> np.ndarray:
    return poses - poses[:, HIP, None]


def test_nothing_is_said_of_good_and_of_bad_predictions(annotated, poses) -> None:
    rng = np.random.default_rng(1)
    mean = np.repeat(relative(poses).mean(0)[None], 40, 0) + [0, 0, 4000]
    for given in (poses, poses + rng.normal(0, 120, poses.shape), poses * 0.7, poses * 1.4, mean):
        assert check_poses(given, annotated, "x.npz") == []


AS_HUMAN36M = [MUPOTS_17.index(name if name != "nose" else "head") for name in HUMAN36M_17.names]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda p: p / 1000, "poses_3d are in metres, mm are expected; multiply them by 1000"),
        (lambda p: relative(p) / 1000, "poses_3d are in metres"),
        (lambda p: p / 10, "poses_3d are in centimetres, mm are expected; multiply them by 10"),
        (lambda p: p * 30, "30.3 times the annotated size; poses_3d are expected in mm"),
        (lambda p: p * [1, -1, 1], "people stand on their heads: y points up, down is expected; negate y"),
        (lambda p: p * [1, -1, -1], "y points up, down is expected; negate y and z"),
        (lambda p: relative(p) * [1, -1, -1], "y points up, down is expected; negate y and z"),
        (lambda p: p * [1, 1, -1], "people are behind the camera, the hips at z = -"),
        (lambda p: p * [-1, 1, -1], "z must point forward; negate x and z"),
        (lambda p: p[:, list(MUPOTS_17.flip)], "knees bend backwards: left and right joints are exchanged"),
        (lambda p: p * [-1, 1, 1], "or x is mirrored; exchange them, or negate x"),
        (lambda p: p[:, AS_HUMAN36M], "the joints are not in the order of MuPoTS-17; the bones fit Human3.6M-17: set "),
    ],
)
def test_what_can_only_be_a_mistake_is_refused(annotated, poses, change, says: str) -> None:
    with pytest.raises(DataError) as error:
        check_poses(change(poses), annotated, "x.npz")
    message = str(error.value)
    assert says in message and message.startswith("x.npz: ") and "\n" not in message


def test_a_joint_order_that_fits_no_set_is_a_warning(annotated, poses) -> None:
    (warning,) = check_poses(poses[:, np.random.default_rng(0).permutation(17)], annotated, "x.npz")
    assert warning.startswith(
        "bones are not those of people in the order of MuPoTS-17 (lengths differ by a factor of 2."
    )


def test_poses_given_in_another_set_are_seen_as_that(annotated, poses) -> None:
    assert check_poses(poses[:, AS_HUMAN36M], annotated, "x.npz", HUMAN36M_17) == []
    with pytest.raises(DataError, match="order of COCO-17; the bones fit MuPoTS-17"):
        check_poses(poses, annotated, "x.npz", COCO_17)


def test_root_relative_poses_and_normalised_ones(annotated, poses) -> None:
    assert check_poses(relative(poses), annotated, "x.npz") == [ROOT_RELATIVE]
    first, second = check_poses(relative(poses) / 520, annotated, "x.npz")
    assert first == ROOT_RELATIVE and second.startswith("poses are 0.00194 times the annotated size")


def test_roots_that_are_in_no_camera(annotated, poses) -> None:
    (warning,) = check_poses(relative(poses) + [0, 0, 300.0], annotated, "x.npz")
    assert warning.startswith("people stand 300 mm before the camera, ")


def predicted(annotated: dict[str, AnnotatedScene], order) -> dict[str, PredictedScene]:
    """The annotation with the people of each frame as `order(frame, people)` says."""
    found = {}
    for name, scene in annotated.items():
        frames, people = scene.valid.shape
        rows = np.stack([order(frame, people) for frame in range(frames)])[..., None]
        poses = np.take_along_axis(scene.annotation_3d, rows[..., None], 1)
        found[name] = PredictedScene(poses, np.take_along_axis(scene.valid, rows[..., 0], 1))
    return found


def test_people_in_another_order(annotated) -> None:
    assert other_order(annotated, predicted(annotated, lambda _, people: np.arange(people))) == []
    (turned,) = other_order(annotated, predicted(annotated, lambda _, people: np.arange(people)[::-1]))
    assert "TS12 as [1, 0] (656 -> 0 mm)" in turned and turned.endswith(
        "pair them by protocol.pairing=by2d with keypoints_2d"
    )
    rng = np.random.default_rng(0)
    (shuffled,) = other_order(annotated, predicted(annotated, lambda _, people: rng.permutation(people)))
    assert "TS12 in changing orders" in shuffled


def seen(scale: float = 1.0) -> PoseSequence:
    """Somebody 4 m away to the left of the middle, detected there, in a picture `scale` times as large."""
    camera = Camera(1500.0, 1500.0, 960.0, 540.0, 1920, 1080)
    poses = torch.randn(30, 17, 3, generator=torch.Generator().manual_seed(0)) * 300
    poses = poses + torch.tensor([-500.0, -400.0, 4000.0])
    return PoseSequence(
        "a", 0, camera, 30.0, scale * camera.project(poses), torch.ones(30, 17), joints_2d=MUPOTS_17, poses_3d=poses,
        coordinates="normal",
    )  # fmt: skip


def test_axes_are_told_from_the_detections() -> None:
    person = seen()
    assert check_view([person], "a.npz") == []
    poses = person.require("poses_3d")
    for signs, axes in (((1, 1, -1), "z"), ((1, -1, 1), "y"), ((-1, 1, 1), "x"), ((1, -1, -1), "y and z")):
        turned = person.with_poses(poses * torch.tensor(signs), "normal")
        with pytest.raises(DataError, match=rf"a\.npz: .*negated in {axes} their joints are 0 %"):
            check_view([turned], "a.npz")
    (said,) = check_view([seen(0.5)], "a.npz")
    assert "from the detected ones (median): keypoints_2d, K and poses_3d" in said
    (said,) = check_view([person.with_poses(poses - poses[:, [14]], "normal")], "a.npz")
    assert "half of the joints of poses_3d or more are behind the camera, as of root-relative poses" in said
    unseen = PoseSequence("a", 0, person.camera, 30.0, torch.zeros(30, 19, 2), torch.ones(30, 19), poses_3d=-poses,
                          coordinates="normal")  # fmt: skip
    assert check_view([unseen], "a.npz") == []
