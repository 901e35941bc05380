"""The MuPoTS-3D protocol in cases done by hand; tests/pose/metrics/test_plain.py has all others."""

from __future__ import annotations

import numpy as np
import pytest

from pose.errors import ConfigError, DataError, MismatchError, ShapeError
from pose.metrics.mupots import (
    PEOPLE,
    AnnotatedScene,
    PredictedScene,
    pair_by_2d,
    pair_given,
    rescale_bones,
    score_scenes,
)

# ---- by hand


def annotated_people(*places: float, valid=True) -> AnnotatedScene:
    """One frame of people who stand `places` px to the right, all joints of a person in one point."""
    points = np.zeros((1, len(places), 17, 2)) + np.array(places)[:, None, None]
    return AnnotatedScene(points, np.zeros((1, len(places), 17, 3)), np.full((1, len(places)), valid))


def predicted_people(*places: float, present=True) -> PredictedScene:
    scene = annotated_people(*places)
    return PredictedScene(scene.annotation_3d, np.full(scene.valid.shape, present), scene.annotation_2d)


def test_pairing_is_strictly_within_40_px():
    assert pair_by_2d(annotated_people(100), predicted_people(139.999)).tolist() == [[0]]
    assert pair_by_2d(annotated_people(100), predicted_people(140)).tolist() == [[-1]]
    both = predicted_people(100)
    both.keypoints_2d[..., 1] += 40  # near in x alone
    assert pair_by_2d(annotated_people(100), both).tolist() == [[-1]]


def test_pairing_takes_the_first_of_equals_in_annotation_order():
    assert pair_by_2d(annotated_people(100), predicted_people(500, 120, 100)).tolist() == [[1]]
    # greedy: the first person takes the only prediction, though it is nearer to the second
    assert pair_by_2d(annotated_people(100, 130), predicted_people(130)).tolist() == [[0, -1]]
    assert pair_by_2d(annotated_people(100, 130), predicted_people(130, 131)).tolist() == [[0, 1]]


def test_pairing_prefers_more_joints_and_ignores_those_outside_1_to_13():
    annotated, predicted = annotated_people(100), predicted_people(900, 900)
    predicted.keypoints_2d[0, 0, [0, 14, 15, 16, 1]] = 100  # one that counts
    predicted.keypoints_2d[0, 1, [12, 13]] = 100  # two
    assert pair_by_2d(annotated, predicted).tolist() == [[1]]
    predicted.keypoints_2d[0, :, 1:14] = 900
    assert pair_by_2d(annotated, predicted).tolist() == [[-1]]


def test_invalid_people_and_absent_rows_are_not_paired():
    for pair in (pair_given, pair_by_2d):
        assert pair(annotated_people(100, valid=False), predicted_people(100)).tolist() == [[-1]]
        assert pair(annotated_people(100), predicted_people(100, present=False)).tolist() == [[-1]]
    # an invalid person leaves the prediction to the next one
    annotated = annotated_people(100, 100)
    annotated.valid[0, 0] = False
    assert pair_by_2d(annotated, predicted_people(100)).tolist() == [[-1, 0]]
    assert pair_given(annotated, predicted_people(100, 100)).tolist() == [[-1, 1]]


def straight_pose(bone: float) -> np.ndarray:
    """A skeleton with every bone along x and `bone` mm long, the hip at (0, 0, 3000)."""
    depth = [3, 2, 3, 4, 5, 3, 4, 5, 1, 2, 3, 1, 2, 3, 0, 1, 3]  # bones between a joint and the hip
    pose = np.zeros((17, 3))
    pose[:, 0], pose[:, 2] = np.array(depth) * bone, 3000
    return pose


def test_rescaled_bones_keep_direction_and_hip():
    turned = straight_pose(80)[:, [1, 0, 2]] + np.array([7.0, 0, 0])
    expected = straight_pose(100)[:, [1, 0, 2]] + np.array([7.0, 0, 0])
    np.testing.assert_allclose(rescale_bones(turned, straight_pose(100)), expected)
    np.testing.assert_allclose(rescale_bones(turned[None, None], straight_pose(100)[None, None])[0, 0], expected)


def test_rescaling_leaves_its_arguments_and_bones_without_direction():
    flat, target = np.zeros((17, 3)), straight_pose(100)
    np.testing.assert_array_equal(rescale_bones(flat, target), flat)
    pose = straight_pose(80)
    rescale_bones(pose, target)
    np.testing.assert_array_equal(pose, straight_pose(80))


def one_person(pose: np.ndarray, truth: np.ndarray) -> tuple[dict, dict]:
    annotated = AnnotatedScene(np.zeros((1, 1, 17, 2)), truth[None, None], np.ones((1, 1), bool))
    return {"TS1": annotated}, {"TS1": PredictedScene(pose[None, None], np.ones((1, 1), bool))}


def test_pck_is_strictly_below_150():
    truth = straight_pose(100)
    at = score_scenes(*one_person(truth + [0, 150, 0], truth), ["given"])["given/all"]["metrics"]
    below = score_scenes(*one_person(truth + [0, 149, 0], truth), ["given"])["given/all"]["metrics"]
    assert (at["a_pck_pct"], at["a_auc_pct"], at["r_pck_pct"]) == (0, 0, 100)
    assert (below["a_pck_pct"], below["a_auc_pct"]) == (100, pytest.approx(100 / 31))
    assert at["r_auc_pct"] == pytest.approx(100 * 30 / 31)  # zero error is not below the threshold 0
    assert at["mrpe_mm"] == pytest.approx(150)


def test_rescaling_counts_in_pck_alone():
    scores = score_scenes(*one_person(straight_pose(40), straight_pose(100)), ["given"])["given/matched"]["metrics"]
    assert scores["r_pck_pct"] == scores["a_pck_pct"] == 100
    # errors of 60 mm per bone from the hip: joints at most two bones away stay below 150
    assert scores["r_pck_raw_pct"] == scores["a_pck_raw_pct"] == pytest.approx(100 * 5 / 14)
    assert scores["mpjpe_mm"] == pytest.approx(60 * (1 + 1 + 1 + 2 * 3 + 3 * 6 + 4 * 2 + 5 * 2) / 17)
    assert scores["pa_mpjpe_mm"] == pytest.approx(0, abs=1e-9)


def test_unpaired_people_count_as_wrong_or_not_at_all():
    truth = np.stack([straight_pose(100)] * 4)[:, None]
    annotated = AnnotatedScene(np.zeros((4, 1, 17, 2)), truth, np.array([[1], [1], [1], [0]], bool))
    predicted = PredictedScene(truth, np.array([[1], [0], [0], [1]], bool))
    results = score_scenes({"TS1": annotated}, {"TS1": predicted}, ["given"])
    everybody, matched = (results[f"given/{who}"]["metrics"] for who in PEOPLE)
    assert matched["r_pck_pct"] == 100 and everybody["r_pck_pct"] == pytest.approx(100 / 3)
    assert everybody["a_auc_pct"] == pytest.approx(matched["a_auc_pct"] / 3)
    assert matched["detected_pct"] == everybody["detected_pct"] == pytest.approx(100 / 3)
    assert matched["mrpe_mm"] == everybody["mrpe_mm"] == 0


def test_missing_sequences_are_undetected_and_means_are_over_those_that_have_a_key():
    annotated, predicted = one_person(straight_pose(100), straight_pose(100) + [0, 0, 20])
    annotated["TS2"] = annotated["TS1"]
    # No valid person: no keys.
    annotated["TS3"] = AnnotatedScene(np.zeros((1, 1, 17, 2)), np.zeros((1, 1, 17, 3)), np.zeros((1, 1), bool))
    results = score_scenes(annotated, predicted, ["given"])
    everybody, matched = (results[f"given/{who}"] for who in PEOPLE)
    assert everybody["per_sequence"]["TS2"] == {
        "detected_pct": 0, "frames_pct": 0, "ap_root_25cm_pct": 0, "r_pck_pct": 0, "r_auc_pct": 0, "a_pck_pct": 0,
        "a_auc_pct": 0, "r_pck_raw_pct": 0, "r_auc_raw_pct": 0, "a_pck_raw_pct": 0, "a_auc_raw_pct": 0,
    }  # fmt: skip
    assert matched["per_sequence"]["TS2"] == {"detected_pct": 0, "frames_pct": 0, "ap_root_25cm_pct": 0}
    assert everybody["per_sequence"]["TS3"] == matched["per_sequence"]["TS3"] == {}
    assert everybody["metrics"]["a_pck_pct"] == 50 and matched["metrics"]["a_pck_pct"] == 100
    assert everybody["metrics"]["mrpe_mm"] == matched["metrics"]["mrpe_mm"] == 20
    assert everybody["metrics"]["detected_pct"] == 50


# ---- refusals


def test_refusals_say_what_is_wrong():
    annotated, predicted = one_person(straight_pose(100), straight_pose(100))
    with pytest.raises(ConfigError, match=r"protocol\.pairing=by2d: .*keypoints_2d"):
        score_scenes(annotated, predicted)
    with pytest.raises(ConfigError, match=r"protocol\.pairing=by3d: must be one of given, by2d"):
        score_scenes(annotated, predicted, ["by3d"])
    with pytest.raises(ConfigError, match=r"protocol\.people=some: must be one of all, matched"):
        score_scenes(annotated, predicted, ["given"], ["some"])
    with pytest.raises(MismatchError, match=r"TS9.*TS1"):
        score_scenes(annotated, predicted | {"TS9": predicted["TS1"]}, ["given"])
    longer = predicted_people(0, 0)
    with pytest.raises(ShapeError, match=r"TS1.*pairing=given.*\(1, 1, 17, 3\), found \(1, 2, 17, 3\)"):
        score_scenes(annotated, {"TS1": longer}, ["given"])
    score_scenes(annotated, {"TS1": longer}, ["by2d"])
    too_long = PredictedScene(np.zeros((2, 1, 17, 3)), np.ones((2, 1), bool), np.zeros((2, 1, 17, 2)))
    for pairing in ("given", "by2d"):
        with pytest.raises(ShapeError, match="TS1"):
            score_scenes(annotated, {"TS1": too_long}, [pairing])


def test_scenes_refuse_arrays_that_do_not_fit():
    points, poses, people = np.zeros((3, 2, 17, 2)), np.zeros((3, 2, 17, 3)), np.ones((3, 2), bool)
    with pytest.raises(ShapeError, match="annotation_2d"):
        AnnotatedScene(points[:2], poses, people)
    with pytest.raises(ShapeError, match="valid"):
        AnnotatedScene(points, poses, people[:, :1])
    with pytest.raises(ShapeError, match="poses_3d"):
        PredictedScene(poses[..., :16, :], people)
    with pytest.raises(ShapeError, match="keypoints_2d"):
        PredictedScene(poses, people, points[:, :1])
    poses[2, 1, 5] = np.nan
    with pytest.raises(DataError, match=r"poses_3d: 1 poses .*frame 2, person 1"):
        PredictedScene(poses, people)
    with pytest.raises(DataError, match=r"annotation_3d: 1 poses .*frame 2, person 1"):
        AnnotatedScene(points, poses, people)
    people[2, 1] = False
    PredictedScene(poses, people)
    points[0, 0] = np.nan
    with pytest.raises(DataError, match="annotation_2d"):
        pair_by_2d(AnnotatedScene(points, poses, people), PredictedScene(poses, people, np.zeros_like(points)))
