"""Errors split by visible and occluded joints and by the length of the occlusion.

A method that smooths through occlusions should be judged on them: a mean over all joints hides what happens in the few
that are hidden, and a gap of three frames is another problem than one of two seconds.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pose.errors import check_shape
from pose.joint_sets import MUPOTS_17
from pose.metrics import joint_errors as err

#: Name of a part -> shortest and longest occlusion in frames. 0 is visible.
PARTS: dict[str, tuple[int, int | None]] = {
    "visible": (0, 0),
    "occluded": (1, None),
    "occluded_1_5": (1, 5),
    "occluded_6_15": (6, 15),
    "occluded_16_30": (16, 30),
    "occluded_31_60": (31, 60),
    "occluded_over_60": (61, None),
}


def occlusion_lengths(visible: Tensor) -> Tensor:
    """Number of frames of the occlusion that each entry lies in, 0 where it is visible.

    visible (T, ...) bool, time first, everything behind it (people, joints) on its own: (T,), (T, J) or (T, P, J).
    Rows are taken as consecutive frames; an occlusion cut off by the start or end counts with the frames it has.

    >>> occlusion_lengths(torch.tensor([False, True, False, False, True]))
    tensor([1, 0, 2, 2, 0])
    """
    hidden = ~visible.reshape(len(visible), math.prod(visible.shape[1:])).T  # one row per track
    starts = hidden.clone()
    starts[:, 1:] &= ~hidden[:, :-1]
    run = starts.flatten().cumsum(0)  # number of the occlusion, from 1, meaningful where hidden
    lengths = torch.bincount(run[hidden.flatten()], minlength=int(starts.sum()) + 1)
    return torch.where(hidden.flatten(), lengths[run], 0).reshape(hidden.shape).T.reshape(visible.shape)


def split_errors(values: Tensor, lengths: Tensor) -> dict[str, float]:
    """Mean of the values in each of PARTS; a part without values is absent.

    values (...): one error (mm) or PCK / AUC value (percent) per entry. lengths (...): `occlusion_lengths` of the same
    entries.

    >>> split_errors(torch.tensor([10.0, 40.0, 60.0]), torch.tensor([0, 2, 2]))
    {'visible': 10.0, 'occluded': 50.0, 'occluded_1_5': 50.0}
    """
    check_shape("lengths", lengths, tuple(values.shape))
    means = {}
    for part, (shortest, longest) in PARTS.items():
        chosen = lengths >= shortest
        if longest is not None:
            chosen &= lengths <= longest
        if bool(chosen.any()):
            means[part] = float(values[chosen].mean())
    return means


def errors_by_occlusion(
    poses_3d: Tensor,
    target_3d: Tensor,
    visible: Tensor,
    scored: Tensor | None = None,
    frame: Tensor | None = None,
) -> dict[str, dict[str, float]]:
    """Every error of one sequence, split: metric key -> part -> mean.

    Two (T, ..., 17, 3) in mm, time first, such as (T, P, 17, 3); visible (T, ..., 17), or (T, ...) where a person is
    visible or not as a whole; scored (T, ...), true where a prediction counts (annotated and paired); frame (T,).
    Root errors go by the hip's visibility, acceleration by that of the middle frame; PCK and AUC are without
    bone rescaling. Scales of the N- metrics are those of the whole sequence. Nothing scored: no keys.

    >>> target = torch.zeros(60, 17, 3) + torch.tensor([0.0, 0.0, 4000.0])
    >>> poses_3d, visible = target.clone(), torch.ones(60, dtype=torch.bool)
    >>> visible[20:30], poses_3d[20:30, :, 0] = False, 90.0  # behind somebody for ten frames, and 90 mm off there
    >>> errors_by_occlusion(poses_3d, target, visible)["mrpe_mm"]
    {'visible': 0.0, 'occluded': 90.0, 'occluded_6_15': 90.0}
    """
    scored = torch.ones(poses_3d.shape[:-2], dtype=torch.bool, device=poses_3d.device) if scored is None else scored
    check_shape("scored", scored, tuple(poses_3d.shape[:-2]))
    if visible.ndim == poses_3d.ndim - 2:
        visible = visible[..., None].expand(poses_3d.shape[:-1])
    check_shape("visible", visible, tuple(poses_3d.shape[:-1]))
    if not bool(scored.any()):
        return {}
    lengths = occlusion_lengths(visible)
    acceleration, counts = err.acceleration_errors(poses_3d, target_3d, scored, frame)

    poses_3d, target_3d, inner = poses_3d[scored], target_3d[scored], lengths[1:-1][counts]
    lengths = lengths[scored]
    relative = err.joint_errors(err.root_relative(poses_3d), err.root_relative(target_3d))
    absolute = err.joint_errors(poses_3d, target_3d)
    scaled = poses_3d * err.sequence_scale(poses_3d, target_3d)
    n_relative = err.joint_errors(err.root_relative(scaled), err.root_relative(target_3d))
    aligned = err.joint_errors(err.procrustes_aligned(poses_3d, target_3d), target_3d)
    pck_joints = list(err.SCORED_JOINTS)
    others = [joint for joint in range(len(MUPOTS_17)) if joint != err.ROOT]
    pck_lengths, root_lengths = lengths[:, pck_joints], lengths[:, err.ROOT]
    return {
        "mpjpe_mm": split_errors(relative, lengths),
        "a_mpjpe_mm": split_errors(absolute, lengths),
        "mrpe_mm": split_errors(absolute[:, err.ROOT], root_lengths),
        "n_mrpe_mm": split_errors(err.joint_errors(scaled, target_3d)[:, err.ROOT], root_lengths),
        "n_mpjpe_mm": split_errors(n_relative[:, others], lengths[:, others]),
        "pa_mpjpe_mm": split_errors(aligned, lengths),
        "acceleration_mm_per_frame2": split_errors(acceleration[counts], inner),
        "r_pck_raw_pct": split_errors(err.within(relative[:, pck_joints]), pck_lengths),
        "r_auc_raw_pct": split_errors(err.share_of_thresholds(relative[:, pck_joints]), pck_lengths),
        "a_pck_raw_pct": split_errors(err.within(absolute[:, pck_joints]), pck_lengths),
        "a_auc_raw_pct": split_errors(err.share_of_thresholds(absolute[:, pck_joints]), pck_lengths),
    }
