"""PCK by the script that the published numbers of GnTCN and TDBU come from, to see how it differs: docs/method.md §9.

It finds a person by the smallest error after Procrustes alignment, below 250 mm, whoever it is; one prediction may
serve two people. Each pose is aligned before PCK, by rotation and scale (GnTCN) or bone lengths (TDBU). Absolute poses
stand at the annotated root times predicted over annotated depth. Unpaired people count as wrong.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from pose.errors import ConfigError
from pose.metrics.joint_errors import ROOT, SCORED_JOINTS, joint_errors, procrustes_aligned, within
from pose.metrics.mupots import AnnotatedScene, PredictedScene, mean_scores, rescale_bones

VARIANTS = ("GnTCN: rotation and scale", "TDBU: bone lengths")
FARTHEST_MM = 250.0


def procrustes_script_scores(
    annotated: Mapping[str, AnnotatedScene], predicted: Mapping[str, PredictedScene]
) -> dict[str, dict[str, float]]:
    """Variant -> r_pck_pct and a_pck_pct, the mean over sequences. Rows belong to people, for their depths alone.

    ConfigError where a sequence has not a row for each annotated person.
    """
    found: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
    for name, truth in annotated.items():
        scene = predicted.get(name)
        if scene is not None and scene.present.shape != truth.valid.shape:
            raise ConfigError(
                f"protocol=procrustes_script: {name} has {scene.present.shape[1]} people, {truth.valid.shape[1]} are "
                "annotated; number people as annotated"
            )
        if truth.valid.any():
            for variant in VARIANTS:
                hits = _hits(truth, scene, variant) if scene is not None else np.zeros((0, 2))
                percent = hits.sum(axis=0) / truth.valid.sum()
                found[variant].append({"r_pck_pct": float(percent[0]), "a_pck_pct": float(percent[1])})
    return {variant: mean_scores(scores) for variant, scores in found.items()}


def _hits(truth: AnnotatedScene, scene: PredictedScene, variant: str) -> np.ndarray:
    """(N, 2): the percentage of the joints of each pair that are right, relative and absolute."""
    poses, goals = (p - p[..., ROOT, None, :] for p in (scene.poses_3d, truth.annotation_3d))
    errors = np.full((*truth.valid.shape, scene.present.shape[1]), np.inf)  # (T, annotated, predicted)
    for person, row in np.ndindex(errors.shape[1:]):
        both = truth.valid[:, person] & scene.present[:, row]
        goal = goals[both, person]
        errors[both, person, row] = np.linalg.norm(_aligned(poses[both, row], goal) - goal, axis=2).mean(axis=1)
    frame, person = np.nonzero(truth.valid & (errors.min(axis=2) <= FARTHEST_MM))
    row = errors[frame, person].argmin(axis=1)
    pose, goal = poses[frame, row], goals[frame, person]
    pose = rescale_bones(pose, goal) if variant == VARIANTS[1] else _aligned(pose, goal)
    root = truth.annotation_3d[frame, person, ROOT]
    both = truth.valid & scene.present
    depth = _fitted(scene.poses_3d[..., ROOT, 2], truth.annotation_3d[..., ROOT, 2], both)[frame, row]
    # The script takes the annotated depth of the row that was found, whoever that is.
    ratio = depth / np.where(both, truth.annotation_3d[..., ROOT, 2], np.nan)[frame, row]
    moved = pose + (root * (ratio - 1)[:, None])[:, None]
    errors_mm = [
        joint_errors(torch.from_numpy(np.nan_to_num(p, nan=1e6)), torch.from_numpy(goal)) for p in (pose, moved)
    ]
    return np.stack([within(e[:, list(SCORED_JOINTS)]).mean(dim=1).numpy() for e in errors_mm], axis=1)


def _aligned(poses: np.ndarray, goals: np.ndarray) -> np.ndarray:
    return procrustes_aligned(torch.from_numpy(poses), torch.from_numpy(goals)).numpy()


def _fitted(depth: np.ndarray, goal: np.ndarray, both: np.ndarray) -> np.ndarray:
    """Depths by the line through (depth, goal) of all frames and people of the video."""
    middle, centre = depth[both].mean(), goal[both].mean()
    offset = depth[both] - middle
    slope = (offset * (goal[both] - centre)).sum() / max((offset**2).sum(), 1e-9)
    return slope * (depth - middle) + centre
