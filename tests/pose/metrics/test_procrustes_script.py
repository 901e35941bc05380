"""The script of GnTCN and TDBU, against its steps written as loops over frames and people."""

from __future__ import annotations

import numpy as np
import pytest

from pose.errors import ConfigError
from pose.metrics.mupots import AnnotatedScene, PredictedScene, rescale_bones, score_scenes
from pose.metrics.procrustes_script import VARIANTS, procrustes_script_scores

HIP = 14


def scene(noise: float, seed: int = 0, frames: int = 12) -> tuple[AnnotatedScene, PredictedScene]:
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 250, (frames, 2, 17, 3)) + rng.normal(0, 500, (1, 2, 1, 3)) + [0, 0, 4500]
    valid, present = rng.random((frames, 2)) < 0.9, rng.random((frames, 2)) < 0.8
    poses = truth + rng.normal(0, noise, truth.shape) + [0, 0, 1] * rng.normal(0, 300, (frames, 2, 1, 1))
    poses[~present] = np.nan
    return AnnotatedScene(truth[..., :2], truth, valid), PredictedScene(poses, present)


def aligned(pose: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """As the script's `procrustes`: rotation without reflection, scale, translation."""
    a, b = goal - goal.mean(0), pose - pose.mean(0)
    u, s, vt = np.linalg.svd((a / np.linalg.norm(a)).T @ (b / np.linalg.norm(b)))
    v, sign = vt.T, np.sign(np.linalg.det(vt.T @ u.T))
    v[:, -1] *= sign
    s[-1] *= sign
    return s.sum() * np.linalg.norm(a) / np.linalg.norm(b) * b @ (v @ u.T) + goal.mean(0)


def by_loops(truth: AnnotatedScene, given: PredictedScene, variant: str) -> tuple[float, float]:
    both = truth.valid & given.present
    x, y = given.poses_3d[both][:, HIP, 2], truth.annotation_3d[both][:, HIP, 2]
    slope, offset = np.polyfit(x, y, 1)
    right = np.zeros((2, 0))
    for t, p in zip(*np.nonzero(truth.valid), strict=True):
        goal = truth.annotation_3d[t, p] - truth.annotation_3d[t, p, HIP]
        errors = {}
        for row in np.flatnonzero(given.present[t] & truth.valid[t]):
            pose = given.poses_3d[t, row] - given.poses_3d[t, row, HIP]
            errors[row] = np.linalg.norm(aligned(pose, goal) - goal, axis=1).mean(), pose
        hits = np.zeros((2, 14))
        row = min(errors, key=lambda r: errors[r][0], default=None)
        if row is not None and errors[row][0] <= 250:
            pose = aligned(errors[row][1], goal) if variant == VARIANTS[0] else rescale_bones(errors[row][1], goal)
            ratio = (slope * given.poses_3d[t, row, HIP, 2] + offset) / truth.annotation_3d[t, row, HIP, 2]
            moved = pose + truth.annotation_3d[t, p, HIP] * ratio
            hits[0] = np.linalg.norm(pose - goal, axis=1)[:14] < 150
            hits[1] = np.linalg.norm(moved - truth.annotation_3d[t, p], axis=1)[:14] < 150
        right = np.concatenate([right, hits.mean(1, keepdims=True)], axis=1)
    return tuple(100 * right.mean(1))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("noise", [20.0, 90.0])
def test_equals_the_steps_one_by_one(variant: str, noise: float) -> None:
    made = {f"TS{seed}": scene(noise, seed) for seed in (1, 2)}
    for truth, given in made.values():  # the script has a prediction for annotated people only
        given.present[:] &= truth.valid
    truths, predictions = ({name: pair[i] for name, pair in made.items()} for i in (0, 1))
    found = procrustes_script_scores(truths, predictions)[variant]
    expected = np.mean([by_loops(*pair, variant) for pair in made.values()], axis=0)
    assert (found["r_pck_pct"], found["a_pck_pct"]) == pytest.approx(tuple(expected))


def test_noisy_poses_look_far_better_than_by_the_matlab_script() -> None:
    truth, given = scene(60)
    other = procrustes_script_scores({"TS1": truth}, {"TS1": given})[VARIANTS[0]]
    matlab = score_scenes({"TS1": truth}, {"TS1": given}, ["given"], ["all"])["given/all"]["metrics"]
    assert other["r_pck_pct"] > matlab["r_pck_pct"] + 15


def test_missing_sequences_are_wrong_and_rows_must_be_people() -> None:
    truth, given = scene(0)
    alone = procrustes_script_scores({"TS1": truth}, {"TS1": given})[VARIANTS[0]]["r_pck_pct"]
    assert procrustes_script_scores({"TS1": truth, "TS2": truth}, {"TS1": given})[VARIANTS[0]]["r_pck_pct"] == alone / 2
    more = PredictedScene(np.repeat(given.poses_3d, 2, axis=1), np.repeat(given.present, 2, axis=1))
    with pytest.raises(ConfigError, match="TS1 has 4 people, 2 are annotated"):
        procrustes_script_scores({"TS1": truth}, {"TS1": more})
