"""Errors of people's paths as world-frame methods measure them: W-MPJPE, WA-MPJPE, root error, foot slide.

Stretches of 100 frames are aligned by their first two frames, or as a whole. Definitions, sources: docs/method.md §9.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pose.errors import check_shape
from pose.joint_sets import MUPOTS_17
from pose.metrics.joint_errors import ROOT, Errors, joint_errors, similarity_aligned

#: Frames of a stretch, and how many of them must count.
STRETCH, FEWEST = 100, 3
#: An annotated ankle that is slower stands; mm/s.
STANDING_MM_S = 300.0
_ANKLES = [MUPOTS_17.index("left_ankle"), MUPOTS_17.index("right_ankle")]


def trajectory_errors(poses_3d: Tensor, target_3d: Tensor, scored: Tensor, fps: float) -> dict[str, Errors]:
    """w_mpjpe_mm, wa_mpjpe_mm, w_root_mm and foot_slide_mm_s of one sequence, as `joint_errors.sequence_errors`.

    Two (T, P, 17, 3) in mm, scored (T, P) true where a pose counts. A key without a value is absent.

    >>> target = torch.randn(1, 1, 17, 3).expand(60, 1, 17, 3) * 300 + torch.tensor([0.0, 0.0, 4000.0])
    >>> drift = torch.arange(60.0)[:, None, None, None] * torch.tensor([1.0, 0.0, 0.0])  # 1 mm per frame
    >>> errors = trajectory_errors(target + 500 + drift, target, torch.ones(60, 1, dtype=torch.bool), fps=30.0)
    >>> {key: round(value.mean) for key, value in errors.items()}
    {'w_mpjpe_mm': 29, 'wa_mpjpe_mm': 15, 'w_root_mm': 29, 'foot_slide_mm_s': 30}
    """
    check_shape("poses_3d", poses_3d, ("T", "P", len(MUPOTS_17), 3), sizes := {})
    check_shape("target_3d", target_3d, tuple(poses_3d.shape))
    check_shape("scored", scored, ("T", "P"), sizes)
    frames, people = scored.shape
    rows, first, whole = [], [], []
    for person in range(people):
        counted = scored[:, person].nonzero()[:, 0]
        for start in range(0, frames, STRETCH):
            own = counted[(counted >= start) & (counted < start + STRETCH)]
            if len(own) < FEWEST:
                continue
            pose, target = poses_3d[own, person], target_3d[own, person]
            for fitted, errors in ((slice(0, 2), first), (slice(None), whole)):
                aligned = similarity_aligned(
                    pose[fitted].reshape(-1, 3), target[fitted].reshape(-1, 3), pose.reshape(-1, 3)
                )
                errors.append(joint_errors(aligned.reshape(pose.shape), target))
            rows.append(own * people + person)
    found = {}
    if rows:
        every, row = tuple(range(len(MUPOTS_17))), torch.cat(rows)
        found["w_mpjpe_mm"] = Errors(torch.cat(first), every, row)
        found["wa_mpjpe_mm"] = Errors(torch.cat(whole), every, row)
        found["w_root_mm"] = Errors(torch.cat(first)[:, [ROOT]], (ROOT,), row)
    speed, true_speed = (fps * p[:, :, _ANKLES].diff(dim=0).norm(dim=-1) for p in (poses_3d, target_3d))
    stands = (true_speed < STANDING_MM_S) & (scored[1:] & scored[:-1])[..., None]
    feet = stands.sum(-1)
    if bool(feet.any()):
        of_pose = (speed.nan_to_num() * stands).sum(-1) / feet.clamp_min(1)
        row = people + (feet > 0).flatten().nonzero()[:, 0]
        found["foot_slide_mm_s"] = Errors(of_pose[feet > 0][:, None], (ROOT,), row)
    return found
