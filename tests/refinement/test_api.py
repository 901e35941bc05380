from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch

from pose.cameras import Camera
from pose.errors import ConfigError, DataError, MismatchError, ShapeError
from pose.joint_sets import BODY_25, COCO_19, MUPOTS_17, JointSet
from pose.sequence import PoseSequence
from refinement import (
    InterpolationRefinement,
    KalmanRTSRefinement,
    NoRefinement,
    PaperRefinement,
    RefinementResult,
    refine,
)
from refinement.occlusion.model import OcclusionRefinement
from refinement.refiner import Refiner
from refinement.skeleton import skeleton_from_bones

MakePerson = Callable[..., PoseSequence]

#: Pairs of BODY_25, by name.
BONES = [
    (BODY_25.index(a), BODY_25.index(b))
    for a, b in [("neck", "hip"), ("nose", "neck"), ("right_eye", "nose"), ("left_eye", "nose")]
    + [("right_ear", "right_eye"), ("left_ear", "left_eye")]
    + [
        (f"{side}_{a}", f"{side}_{b}" if b not in ("neck", "hip_root") else b.removesuffix("_root"))
        for side in ("left", "right")
        for a, b in [("shoulder", "neck"), ("elbow", "shoulder"), ("wrist", "elbow"), ("hip", "hip_root")]
        + [("knee", "hip"), ("ankle", "knee"), ("heel", "ankle"), ("big_toe", "ankle"), ("small_toe", "big_toe")]
    ]
]
METHODS = [None, PaperRefinement(), KalmanRTSRefinement(), InterpolationRefinement()]
each_method = pytest.mark.parametrize("method", METHODS, ids=lambda m: "default" if m is None else m.name)


class Recorder:
    """A refiner that changes nothing and keeps what it was given."""

    name = "recorder"

    def __call__(self, sequences: list[PoseSequence]) -> RefinementResult:
        self.sequences = sequences
        return NoRefinement()(sequences)


def metres(result: PoseSequence) -> np.ndarray:
    assert result.poses_3d is not None
    return result.poses_3d.numpy() / 1000


def walk_m(frames: int, joints: int, seed: int = 0) -> np.ndarray:
    """A stiff person walking across at 1 m/s: (frames, joints, 3) m."""
    rng = np.random.default_rng(seed)
    t = np.arange(frames)[:, None, None] / 30
    return np.array([-0.5, 0.2, 4.0]) + 0.3 * rng.normal(size=(1, joints, 3)) + t * np.array([1.0, 0.0, 0.3])


class TestSkeletonOf25JointsInMetresWithGaps:
    @each_method
    def test_gaps_are_bridged(self, method: Refiner | None) -> None:
        truth = walk_m(90, 25)
        given = truth + 0.01 * np.random.default_rng(1).normal(size=truth.shape)
        given[:5], given[30:42], given[86:] = np.nan, np.nan, np.nan
        given[60:70, BODY_25.index("left_wrist")] = np.nan
        result = refine(given, joints=BODY_25, bones=BONES, unit="m", fps=30, method=method)
        error = np.linalg.norm(metres(result) - truth, axis=-1)
        assert result.poses_3d.shape == (90, 25, 3)
        # The published energy holds frames 20 apart together where nothing is seen, which a walk suffers from.
        paper = (OcclusionRefinement() if method is None else method).name == "paper"
        assert error[30:42].mean() < (0.5 if paper else 0.1)
        assert error[60:70, BODY_25.index("left_wrist")].mean() < 0.1
        assert error[8:28].mean() < 0.05
        assert error[:5].mean() < 0.3  # nothing before it: cannot be known
        assert not result.observed[:5].any()
        assert not result.observed[30:42].any()
        assert not result.observed[60:70, BODY_25.index("left_wrist")].any()
        assert result.observed[8:28].all()
        if result.std_mm is not None:
            assert result.std_mm.shape == (90, 25)
            assert result.std_mm[30:42].mean() > result.std_mm[8:28].mean()
        np.testing.assert_allclose(result.lifted_3d, 1000 * given, rtol=1e-6)

    @each_method
    def test_the_result_is_in_mm_whatever_the_unit(self, method: Refiner | None) -> None:
        given = walk_m(40, 25)
        given[10:20] = np.nan
        in_m = refine(given, bones=BONES, root=BODY_25.root, unit="m", method=method)
        for unit, size in (("cm", 100), ("mm", 1000)):
            other = refine(given * size, bones=BONES, root=BODY_25.root, unit=unit, method=method)
            np.testing.assert_allclose(other.poses_3d, in_m.poses_3d, atol=1e-2)

    def test_the_skeleton_reaches_the_method(self) -> None:
        method = Recorder()
        refine(walk_m(3, 25), joints=BODY_25, bones=BONES, unit="m", method=method)
        joints = method.sequences[0].joints_3d
        assert (joints.names, joints.root) == (BODY_25.names, 8)
        assert {frozenset(bone) for bone in joints.bones} == {frozenset(bone) for bone in BONES}


class TestMissing:
    def test_a_single_joint_follows_the_root(self) -> None:
        truth = walk_m(30, 17)
        given = truth.copy()
        given[10:15, 4] = np.nan
        result = refine(given, unit="m", method=InterpolationRefinement())
        np.testing.assert_allclose(metres(result), truth, atol=1e-5)
        assert result.observed.sum() == 30 * 17 - 5

    def test_the_root_alone(self) -> None:
        truth = walk_m(30, 17)
        given = truth.copy()
        given[10:15, 14] = np.nan
        given[28:, 14] = np.nan
        result = refine(given, unit="m", method=InterpolationRefinement())
        np.testing.assert_allclose(metres(result), truth, atol=1e-5)

    def test_missing_root_and_another_joint(self) -> None:
        truth = walk_m(30, 17)
        given = truth.copy()
        given[10:15, [3, 14]] = np.nan
        result = refine(given, unit="m", method=InterpolationRefinement())
        assert np.linalg.norm(metres(result) - truth, axis=-1).max() < 0.1

    def test_a_joint_that_is_never_there_stays_nan(self) -> None:
        given = walk_m(10, 17)
        given[:, 4] = np.nan
        result = refine(given, unit="m", method=PaperRefinement())
        assert np.isnan(result.poses_3d[:, 4]).all()
        assert np.isfinite(np.delete(result.poses_3d, 4, axis=1)).all()

    def test_a_root_that_is_never_there(self) -> None:
        given = walk_m(5, 17)
        given[:, 14] = np.nan
        with pytest.raises(DataError, match="root joint hip is NaN in all frames"):
            refine(given)

    def test_nothing_but_nan(self) -> None:
        with pytest.raises(DataError, match="NaN in all frames"):
            refine(np.full((4, 17, 3), np.nan))

    @each_method
    def test_one_frame(self, method: Refiner | None) -> None:
        pose = walk_m(1, 17)
        result = refine(pose, unit="m", method=method)
        assert result.poses_3d.shape == (1, 17, 3)
        np.testing.assert_allclose(metres(result), pose, atol=0.02)

    def test_scores_of_what_is_missing_are_zero(self) -> None:
        method, given = Recorder(), walk_m(6, 17)
        given[1], given[3, MUPOTS_17.index("left_knee")] = np.nan, np.nan
        refine(given, unit="m", method=method)
        (sequence,) = method.sequences
        expected = np.ones((6, 17))
        expected[1], expected[3, MUPOTS_17.index("left_knee")] = 0, 0
        np.testing.assert_array_equal(sequence.confidence, expected)
        assert sequence.detected.tolist() == [True, False, True, True, True, True]
        refine(given, np.full((6, 19), 0.8), unit="m", method=method)
        (sequence,) = method.sequences
        assert sequence.joints_2d == COCO_19
        assert sequence.confidence[1].max() == 0
        assert float(sequence.confidence[3, COCO_19.index("left_knee")]) == 0
        assert float(sequence.confidence[3, COCO_19.index("right_knee")]) == pytest.approx(0.8)

    def test_nan_in_a_sequence(self, make_person: MakePerson) -> None:
        person = make_person(20)
        assert person.poses_3d is not None
        broken = person.poses_3d.clone()
        broken[4:7] = torch.nan
        result = refine(person.with_poses(broken, "normal"), method=InterpolationRefinement())
        assert np.isfinite(result.poses_3d).all()
        assert not result.observed[4:7].any()
        assert bool(broken[4].isnan().all()), "the input is left as it was"


class TestSeveralPeople:
    @each_method
    def test_lengths_may_differ_and_no_person_depends_on_the_others(self, method: Refiner | None) -> None:
        people = [walk_m(n, 17, seed=n) for n in (30, 1, 55)]
        scores = [np.full(len(p), 0.9) for p in people]
        together = refine(people, scores, unit="m", method=method)
        assert [len(r.poses_3d) for r in together] == [30, 1, 55]
        for person, score, result in zip(people, scores, together, strict=True):
            alone = refine(person, score, unit="m", method=method)
            np.testing.assert_allclose(alone.poses_3d, result.poses_3d, atol=2e-2)

    def test_arrays_are_scenes_of_their_own(self) -> None:
        method = Recorder()
        refine([walk_m(3, 17), walk_m(3, 17)], unit="m", method=method)
        assert [person.name for person in method.sequences] == ["array/0", "array1/1"]

    def test_no_person(self) -> None:
        assert refine([]) == []

    def test_sequences(self, make_person: MakePerson) -> None:
        people = [make_person(10), make_person(12, person=1)]
        results = refine(people, method=PaperRefinement(max_iter=100))
        assert [r.name for r in results] == ["TS1/0", "TS1/1"]
        expected = PaperRefinement(max_iter=100)(people).sequences[1].poses_3d
        np.testing.assert_array_equal(results[1].poses_3d, expected)

    def test_one_rate_and_camera_for_all_or_each(self) -> None:
        method, camera = Recorder(), Camera(1000, 1000, 500, 400, 1000, 800)
        people = [walk_m(3, 17), walk_m(4, 17)]
        points = [np.full((len(person), 17, 2), 100.0) for person in people]
        refine(people, fps=[25, 60], camera=camera, keypoints_2d=points, unit="m", method=method)
        assert [(s.fps, s.camera) for s in method.sequences] == [(25, camera), (60, camera)]

    def test_wrong_number_of_scores(self) -> None:
        with pytest.raises(MismatchError, match="score: 1 given for 2 people"):
            refine([walk_m(3, 17), walk_m(4, 17)], [np.ones(3)])


class TestDetections:
    def test_keypoints_and_a_matrix_of_intrinsics(self) -> None:
        method, points = Recorder(), np.full((3, 17, 2), 100.0)
        points[1, 2] = np.nan
        K = np.array([[1000, 0, 640], [0, 1100, 360], [0, 0, 1]])
        refine(walk_m(3, 17), np.ones(3), camera=K, keypoints_2d=points, joints_2d=None, unit="m", method=method)
        (sequence,) = method.sequences
        assert sequence.camera == Camera(1000, 1100, 640, 360, 1280, 720)
        assert sequence.joints_2d == MUPOTS_17
        assert (float(sequence.confidence[1, 2]), float(sequence.confidence[1, 3])) == (0, 1)
        assert float(sequence.keypoints_2d[1, 3, 0]) == 100

    def test_a_camera_without_keypoints_has_nothing_to_see(self) -> None:
        method = Recorder()
        refine(walk_m(3, 17), camera=Camera(1000, 1000, 500, 400, 1000, 800), unit="m", method=method)
        assert method.sequences[0].camera is None

    def test_their_joints_must_be_known(self) -> None:
        with pytest.raises(ConfigError, match="joints_2d"):
            refine(walk_m(3, 17), keypoints_2d=np.zeros((3, 5, 2)))
        five = JointSet("five", tuple("abcde"))
        method = Recorder()
        refine(walk_m(3, 17), keypoints_2d=np.zeros((3, 5, 2)), joints_2d=five, method=method)
        assert method.sequences[0].joints_2d == five


class TestBones:
    def test_parents_and_pairs(self) -> None:
        assert skeleton_from_bones([-1, 0, 1]).parents == (0, 0, 1)
        assert skeleton_from_bones([0, 0, 1]).root == 0
        assert skeleton_from_bones([(0, 1), (2, 1)], root=2).parents == (1, 2, 2)

    @pytest.mark.parametrize(
        ("bones", "root", "message"),
        [
            ([(0, 1)], None, "need the index of the root"),
            ([(0, 1)], 5, "root=5: must be one of"),
            ([(0, 1), (2, 3)], 0, r"joints \[2, 3\] are not connected"),
            ([0, 1, 1], None, "exactly one joint"),
            ([0, 0, 7], None, "exactly one joint"),
            ([0, 0], 1, "exactly one joint"),
            ([(0, 1, 2)], None, "each joint's parent, or pairs"),
            ([], None, "each joint's parent, or pairs"),
        ],
    )
    def test_what_is_no_skeleton(self, bones: list, root: int | None, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            refine(walk_m(3, 3), bones=bones, root=root)

    def test_another_count_than_the_joints(self) -> None:
        with pytest.raises(ConfigError, match="3 joints, but joints=BODY_25 has 25"):
            refine(walk_m(3, 3), joints=BODY_25, bones=[0, 0, 1])

    def test_a_root_for_a_set_without_one(self) -> None:
        rootless = JointSet("rootless", tuple("abc"))
        with pytest.raises(MismatchError, match="rootless has no root"):
            refine(walk_m(3, 3), joints=rootless, unit="m", method=PaperRefinement())
        assert refine(walk_m(3, 3), joints=rootless, root=1, unit="m").poses_3d.shape == (3, 3, 3)


def test_what_cannot_be_used(make_person: MakePerson) -> None:
    with pytest.raises(ConfigError, match=r"^unit=inch: must be one of mm, cm, m"):
        refine(walk_m(3, 17), unit="inch")
    with pytest.raises(ConfigError, match="score: is for plain arrays"):
        refine(make_person(3), np.ones(3))
    with pytest.raises(ConfigError, match="unit: is for plain arrays"):
        refine(make_person(3), unit="m")
    with pytest.raises(MismatchError, match="has no poses_3d"):
        refine(dataclasses.replace(make_person(3), poses_3d=None, coordinates=None))
    with pytest.raises(ShapeError, match="score"):
        refine(walk_m(3, 17), np.ones((3, 4)), keypoints_2d=np.zeros((3, 17, 2)))
    with pytest.raises(ShapeError, match="keypoints_2d"):
        refine(walk_m(3, 17), keypoints_2d=np.zeros((2, 17, 2)))
    with pytest.raises(ShapeError, match="camera"):
        refine(walk_m(3, 17), camera=np.eye(4))
    with pytest.raises(DataError, match="confidence outside"):
        refine(walk_m(3, 17), [0.5, 1.7, 0.5], unit="m", method=PaperRefinement())


def test_tensors_that_carry_gradients() -> None:
    poses = torch.tensor(walk_m(4, 17), dtype=torch.float32, requires_grad=True)
    result = refine(poses, torch.ones(4), unit="m", method=InterpolationRefinement())
    np.testing.assert_allclose(metres(result), poses.detach().numpy(), atol=1e-6)


def test_neither_lightning_nor_hydra_is_imported(repo) -> None:
    import subprocess
    import sys

    code = (
        "import sys, numpy as np; from refinement import refine, PaperRefinement; "
        "refine(np.zeros((2, 17, 3)), method=PaperRefinement()); "
        "sys.exit(bool({'pytorch_lightning', 'hydra', 'omegaconf', 'wandb'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=repo).returncode == 0
