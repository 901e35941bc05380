"""Errors of trajectories, against a plain reference and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pose.joint_sets import MUPOTS_17
from pose.metrics.trajectories import trajectory_errors


def walk(frames: int, people: int = 1, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    pose = rng.normal(0, 300, (1, people, 17, 3)) + [0, 0, 4000]
    steps = np.cumsum(rng.normal(0, 20, (frames, people, 1, 3)), axis=0)
    return torch.from_numpy(pose + steps + rng.normal(0, 10, (frames, people, 17, 3)))


def umeyama(source: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Umeyama 1991, eq. 40 to 42: scale, rotation, translation of x -> s R x + t."""
    a, b = source.mean(0), target.mean(0)
    covariance = (target - b).T @ (source - a) / len(source)
    u, d, vt = np.linalg.svd(covariance)
    sign = np.diag([1, 1, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ sign @ vt
    scale = np.trace(np.diag(d) @ sign) / np.square(source - a).sum(1).mean()
    return scale, rotation, b - scale * rotation @ a


@pytest.mark.parametrize(("key", "fitted"), [("w_mpjpe_mm", slice(0, 2)), ("wa_mpjpe_mm", slice(None))])
def test_stretches_of_100_frames_are_aligned(key: str, fitted: slice) -> None:
    target, scored = walk(250, 2), torch.ones(250, 2, dtype=torch.bool)
    scored[40:60, 1] = False
    scored[202:, 0] = False  # two frames are too few
    poses = 1.2 * walk(250, 2, 1) @ torch.linalg.qr(torch.randn(3, 3).double())[0]
    expected = []
    for person in range(2):
        for start in (0, 100, 200):
            own = [t for t in range(start, min(start + 100, 250)) if scored[t, person]]
            if len(own) < 3:
                continue
            p, t = poses[own, person].numpy(), target[own, person].numpy()
            s, r, shift = umeyama(p[fitted].reshape(-1, 3), t[fitted].reshape(-1, 3))
            expected += np.linalg.norm(s * p @ r.T + shift - t, axis=-1).flatten().tolist()
    errors = trajectory_errors(poses, target, scored, 25.0)[key]
    assert errors.mean == pytest.approx(np.mean(expected))
    assert len(errors.rows) == 250 - 20 + 200 and set(errors.rows.tolist()) <= set(range(500))


def test_a_similarity_of_the_whole_costs_nothing() -> None:
    target = walk(120)
    turn = torch.linalg.qr(torch.randn(3, 3).double())[0]
    turn *= torch.linalg.det(turn)
    errors = trajectory_errors(0.8 * target @ turn + 300, target, torch.ones(120, 1, dtype=torch.bool), 25.0)
    for key in ("w_mpjpe_mm", "wa_mpjpe_mm", "w_root_mm"):
        assert errors[key].mean == pytest.approx(0, abs=1e-6)


def test_foot_slide_counts_annotated_feet_that_stand() -> None:
    left, right = MUPOTS_17.index("left_ankle"), MUPOTS_17.index("right_ankle")
    target = torch.zeros(4, 1, 17, 3).double() + torch.tensor([0.0, 0.0, 4000.0])
    target[:, 0, right, 0] = torch.tensor([0.0, 50.0, 100.0, 150.0])  # 1500 mm/s at 30 fps: it walks
    poses = target.clone()
    poses[:, 0, left, 2] += torch.tensor([0.0, 3.0, 3.0, 9.0])
    scored = torch.ones(4, 1, dtype=torch.bool)
    found = trajectory_errors(poses, target, scored, 30.0)["foot_slide_mm_s"]
    assert found.values[:, 0].tolist() == pytest.approx([90, 0, 180]) and found.rows.tolist() == [1, 2, 3]
    scored[1] = False
    poses[1] = torch.nan
    found = trajectory_errors(poses, target, scored, 30.0)["foot_slide_mm_s"]
    assert found.values[:, 0].tolist() == pytest.approx([180]) and found.rows.tolist() == [3]
    assert trajectory_errors(poses, target, torch.zeros(4, 1, dtype=torch.bool), 30.0) == {}
