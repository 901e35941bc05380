"""PCK of groups of joints, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pose.joint_sets import MUPOTS_17
from pose.metrics.joint_groups import GROUP_NAMES, GROUPED
from pose.metrics.mupots import AnnotatedScene, PredictedScene, score_scenes


def scored(visible: np.ndarray | None = None) -> dict:
    """Four frames of two people; person 1 is missed in the last. Person 0's left wrist is 200 mm off in two frames."""
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 300, (4, 2, 17, 3)) + [0, 0, 4000]
    poses, everybody = truth.copy(), np.ones((4, 2), bool)
    poses[:2, 0, MUPOTS_17.index("left_wrist"), 0] += 200
    present = everybody.copy()
    present[3, 1] = False
    annotated = {"TS1": AnnotatedScene(truth[..., :2], truth, everybody, visible)}
    annotated["TS2"] = annotated["TS1"]
    predicted = {"TS1": PredictedScene(poses, present), "TS2": PredictedScene(truth, everybody)}
    return score_scenes(annotated, predicted, ["given"])


def test_groups_follow_the_protocol() -> None:
    scores = scored()
    matched, everybody = (scores[f"given/{who}"]["parts"]["a_pck_raw_pct"] for who in ("matched", "all"))
    # TS1: seven poses found, 14 wrists, two wrong; of all eight people 16 wrists, four wrong. TS2: all right.
    assert matched["group:wrists"] == pytest.approx((100 * 12 / 14 + 100) / 2)
    assert everybody["group:wrists"] == pytest.approx((100 * 12 / 16 + 100) / 2)
    assert matched["group:elbows"] == 100 and everybody["group:head"] == pytest.approx((100 * 7 / 8 + 100) / 2)
    assert "group:visible_joints" not in matched
    assert "group:wrists" not in scores["given/all"]["parts"]["mpjpe_mm"]
    total = sum(everybody[f"group:{name}"] * size for name, size in SIZES.items()) / 14
    assert total == pytest.approx(scores["given/all"]["metrics"]["a_pck_raw_pct"])


SIZES = {"head": 1, "neck": 1, "shoulders": 2, "elbows": 2, "wrists": 2, "hips": 2, "knees": 2, "ankles": 2}


def test_visible_and_occluded_joints_count_those_of_unpaired_people() -> None:
    visible = np.ones((4, 2, 17), bool)
    visible[:, :, MUPOTS_17.index("left_wrist")] = False
    scores = scored(visible)
    matched, everybody = (scores[f"given/{who}"]["parts"]["a_pck_raw_pct"] for who in ("matched", "all"))
    assert matched["group:occluded_joints"] == pytest.approx((100 * 5 / 7 + 100) / 2)
    assert everybody["group:occluded_joints"] == pytest.approx((100 * 5 / 8 + 100) / 2)
    assert matched["group:visible_joints"] == 100
    assert everybody["group:visible_joints"] == pytest.approx((100 * 7 / 8 + 100) / 2)


def test_every_name_is_there() -> None:
    parts = scored(np.random.default_rng(0).random((4, 2, 17)) < 0.5)["given/all"]["parts"]
    for key in GROUPED:
        assert set(GROUP_NAMES) <= set(parts[key])
