"""Errors of 3D poses against annotated ones, as torch functions that follow the device and dtype of their input.

Poses are MuPoTS-17, (..., 17, 3) in mm in camera coordinates; prediction and target have the same shape. The result
is a scalar tensor over everything given, so one call covers one sequence with all its people. `sequence_errors` keeps
poses and joints apart; every protocol and every split averages what it returns. Source: docs/method.md §9, and the
places named below.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pose.errors import ShapeError, check_shape
from pose.joint_sets import MUPOTS_17

ROOT = MUPOTS_17.index("hip")

#: The joints that PCK and AUC count: all but hip, spine and head.
SCORED_JOINTS: tuple[int, ...] = tuple(range(14))

#: All but the hip, which is zero in relative poses.
LIMB_JOINTS: tuple[int, ...] = tuple(joint for joint in range(len(MUPOTS_17)) if joint != ROOT)

PCK_THRESHOLD = 150.0
AUC_THRESHOLDS: tuple[float, ...] = tuple(float(mm) for mm in range(0, 151, 5))
ROOT_AP_THRESHOLD = 250.0


def _check_pair(poses_3d: Tensor, target_3d: Tensor) -> None:
    check_shape("poses_3d", poses_3d, ("...", len(MUPOTS_17), 3))
    check_shape("target_3d", target_3d, tuple(poses_3d.shape))


def joint_errors(poses_3d: Tensor, target_3d: Tensor) -> Tensor:
    """Distance of each joint: two (..., 17, 3) in mm -> (..., 17) mm.

    >>> joint_errors(torch.ones(60, 2, 17, 3), torch.ones(60, 2, 17, 3)).shape
    torch.Size([60, 2, 17])
    """
    _check_pair(poses_3d, target_3d)
    return (poses_3d - target_3d).norm(dim=-1)


def root_relative(poses_3d: Tensor, root: int = ROOT) -> Tensor:
    """Poses (..., J, 3) with the root joint moved to the origin."""
    return poses_3d - poses_3d[..., root, None, :]


def sequence_scale(poses_3d: Tensor, target_3d: Tensor) -> Tensor:
    """The one factor for everything given that brings the prediction closest: <pred, target> / <pred, pred>.

    Two (..., 17, 3) in mm, absolute coordinates -> scalar.

    >>> target = torch.ones(4, 17, 3)
    >>> sequence_scale(target * 2, target)
    tensor(0.5000)
    """
    _check_pair(poses_3d, target_3d)
    return (poses_3d * target_3d).sum() / poses_3d.square().sum()


def procrustes_aligned(poses_3d: Tensor, target_3d: Tensor) -> Tensor:
    """Each pose moved, turned and scaled onto its target by least squares, never mirrored: (..., 17, 3) mm.

    A pose whose joints all coincide is moved only.
    """
    _check_pair(poses_3d, target_3d)
    return similarity_aligned(poses_3d, target_3d, poses_3d)


def similarity_aligned(fitted: Tensor, target: Tensor, points: Tensor) -> Tensor:
    """`points` (..., M, 3) moved, turned and scaled as brings `fitted` nearest to `target`, two (..., N, 3)."""
    centre, middle = target.mean(dim=-2, keepdim=True), fitted.mean(dim=-2, keepdim=True)
    source, goal = fitted - middle, target - centre
    u, singular, vh = torch.linalg.svd((source.mT @ goal).nan_to_num())  # NaN poses stay NaN by their size
    sign = torch.ones_like(singular)
    sign[..., 2] = torch.where(torch.linalg.det(u @ vh) < 0, -1.0, 1.0)
    size = source.square().sum(dim=(-2, -1)).clamp_min(torch.finfo(source.dtype).tiny)
    scale = ((singular * sign).sum(dim=-1) / size)[..., None, None]
    return scale * (points - middle) @ ((u * sign[..., None, :]) @ vh) + centre


def acceleration_errors(poses_3d: Tensor, target_3d: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Errors of the second difference over time, and which of them count.

    Two (T, ..., 17, 3) in mm, time first; mask (T, ...) true where a frame counts. Returns errors (T-2, ..., 17) in
    mm/frame^2 at frames 1..T-2 and counts (T-2, ...): three frames in a row that count. Coordinates are taken as they
    are: pass `root_relative` poses for the usual root-free number.

    >>> target = torch.zeros(4, 17, 3)
    >>> jump = target.clone()
    >>> jump[1:, :, 0] = 6.0  # |second difference| is 6 at frame 1, 0 at frame 2
    >>> acceleration_errors(jump, target, torch.ones(4, dtype=torch.bool))[0][:, 0]
    tensor([6., 0.])
    """
    _check_pair(poses_3d, target_3d)
    if poses_3d.ndim < 3:
        raise ShapeError("poses_3d", ("T", "...", len(MUPOTS_17), 3), poses_3d.shape)
    difference = poses_3d - target_3d
    errors = (difference[2:] - 2 * difference[1:-1] + difference[:-2]).norm(dim=-1)
    check_shape("mask", mask, tuple(poses_3d.shape[:-2]))
    counts = mask[2:] & mask[1:-1] & mask[:-2]
    return errors, counts


def within(errors: Tensor) -> Tensor:
    """100 where an error (...) in mm is strictly below PCK_THRESHOLD, else 0: the values that PCK averages."""
    return 100.0 * (errors < PCK_THRESHOLD).to(errors.dtype)


def fraction_of_thresholds(errors: Tensor) -> Tensor:
    """Percent of AUC's 31 thresholds 0, 5, ..., 150 mm strictly above each error (...): the values that AUC averages.

    >>> fraction_of_thresholds(torch.tensor([0.0, 147.0, 150.0])) * 31 / 100
    tensor([30.,  1.,  0.])
    """
    thresholds = torch.tensor(AUC_THRESHOLDS, dtype=errors.dtype, device=errors.device)
    not_above = torch.searchsorted(thresholds, errors.contiguous(), right=True)
    return 100.0 * (len(AUC_THRESHOLDS) - not_above).to(errors.dtype) / len(AUC_THRESHOLDS)


def root_ap(
    roots: Tensor,
    present: Tensor,
    target_roots: Tensor,
    annotated: Tensor,
    score: Tensor | None = None,
) -> Tensor:
    """Average precision of the root position (AP25: within 250 mm), in percent.

    roots (F, R, 3) mm and present (F, R): the predictions of F frames (frames of several sequences may be
    concatenated); target_roots (F, P, 3) mm and annotated (F, P); score (F, R), higher is surer. NaN where no person is
    annotated.

    As RootNet (Moon et al. 2019) defines it: frames without an annotated person are left out; predictions are ranked
    by score over all frames; one is right if its nearest annotated root lies closer than 250 mm and no
    higher-ranked prediction has taken it. The AP is the sum over ranks of precision times the gain in recall (no
    interpolation; their code leaves out the gain of the very first rank, which we count). Predictions of equal score
    enter together, so their order does not matter; without scores all enter at once, and the AP is
    precision times recall.

    >>> roots, target = torch.zeros(1, 2, 3), torch.zeros(1, 1, 3)
    >>> roots[0, 1, 0] = 300.0  # a right one and a wrong one: recall 1, precision 1/2
    >>> both, one = torch.ones(1, 2, dtype=torch.bool), torch.ones(1, 1, dtype=torch.bool)
    >>> root_ap(roots, both, target, one)
    tensor(50.)
    >>> root_ap(roots, both, target, one, score=torch.tensor([[0.9, 0.2]]))
    tensor(100.)
    """
    check_shape("roots", roots, ("F", "R", 3), sizes := {})
    check_shape("present", present, ("F", "R"), sizes)
    check_shape("target_roots", target_roots, ("F", "P", 3), sizes)
    check_shape("annotated", annotated, ("F", "P"), sizes)
    score = torch.zeros_like(roots[..., 0]) if score is None else score
    check_shape("score", score, ("F", "R"), sizes)
    if not bool(annotated.any()):
        return roots.new_tensor(float("nan"))
    frame, row = (present & annotated.any(dim=1)[:, None]).nonzero(as_tuple=True)
    order = score[frame, row].argsort(descending=True, stable=True)
    frame, row = frame[order], row[order]
    distance = (roots[frame, row, None] - target_roots[frame]).norm(dim=-1)
    nearest, person = distance.masked_fill(~annotated[frame], float("inf")).min(dim=1)
    close = nearest < ROOT_AP_THRESHOLD
    rank = torch.arange(len(order), device=roots.device)
    first = torch.full((annotated.numel(),), len(order), device=roots.device)
    place = frame * annotated.shape[1] + person
    first = first.scatter_reduce(0, place[close], rank[close], "amin")
    right = (close & (first[place] == rank)).to(roots.dtype).cumsum(0)
    ranked = score[frame, row]
    last_of_its_score = torch.ones_like(close)
    last_of_its_score[:-1] = ranked[1:] != ranked[:-1]
    right, seen = right[last_of_its_score], (rank + 1)[last_of_its_score]
    gain = right.diff(prepend=right.new_zeros(1)) / annotated.sum()
    return 100.0 * (right / seen * gain).sum()


class Errors(NamedTuple):
    """What one score averages. values (N, j): mm, percent, mm/frame^2 or m/s^2. joints (j,): the joints they are of.
    rows (N,): the poses they are of, as indices of the flattened axes before the joints."""

    values: Tensor
    joints: tuple[int, ...]
    rows: Tensor

    @property
    def mean(self) -> float:
        return float(self.values.mean())


def sequence_errors(
    poses_3d: Tensor,
    target_3d: Tensor,
    scored: Tensor | None = None,
    fps: float | None = None,
) -> dict[str, Errors]:
    """Every error of one sequence, joint by joint, by the key of the score that is their mean.

    Two (T, ..., 17, 3) in mm, time first; scored (T, ...), true where a pose counts, default all; fps: without it
    no acceleration in m/s^2. Keys without a prefix are relative to the hip, `a_` are absolute, `n_` after
    `sequence_scale`, `pa_` after `procrustes_aligned`; PCK and AUC are without bone rescaling. mpjpe_mm counts the
    hip's own zero, n_mpjpe_mm does not. A key without a value is absent.

    >>> target = torch.zeros(60, 17, 3) + torch.tensor([0.0, 0.0, 4000.0])
    >>> errors = sequence_errors(target + 100.0, target)
    >>> errors["mrpe_mm"].values.shape, round(errors["a_mpjpe_mm"].mean, 1), errors["accel_mm"].values.shape
    (torch.Size([60, 1]), 173.2, torch.Size([58, 17]))
    """
    _check_pair(poses_3d, target_3d)
    scored = torch.ones(poses_3d.shape[:-2], dtype=torch.bool, device=poses_3d.device) if scored is None else scored
    check_shape("scored", scored, tuple(poses_3d.shape[:-2]))
    rows, every = scored.flatten().nonzero()[:, 0], tuple(range(len(MUPOTS_17)))
    if not len(rows):
        return {}
    pose, target = poses_3d[scored], target_3d[scored]
    scaled = pose * sequence_scale(pose, target)
    absolute, relative = both_errors(pose, target)
    n_absolute, n_relative = both_errors(scaled, target)
    values: dict[str, tuple[Tensor, tuple[int, ...]]] = {
        "mpjpe_mm": (relative, every),
        "a_mpjpe_mm": (absolute, every),
        "mrpe_mm": (absolute, (ROOT,)),
        "n_mrpe_mm": (n_absolute, (ROOT,)),
        "n_mpjpe_mm": (n_relative, LIMB_JOINTS),
        "pa_mpjpe_mm": (joint_errors(procrustes_aligned(pose, target), target), every),
        **{f"{key}_raw_pct": value for key, value in pck_values(absolute, relative).items()},
    }
    errors = {key: Errors(value[:, list(joints)], joints, rows) for key, (value, joints) in values.items()}
    for prefix, pair in (("", (root_relative(poses_3d), root_relative(target_3d))), ("a_", (poses_3d, target_3d))):
        acceleration, counts = acceleration_errors(*pair, scored)
        if bool(counts.any()):
            middle = counts.flatten().nonzero()[:, 0] + counts[0].numel()
            errors[f"{prefix}accel_mm"] = Errors(acceleration[counts], every, middle)
            if fps is not None:
                errors[f"{prefix}accel_m_s2"] = Errors(acceleration[counts] * (fps**2 / 1000), every, middle)
    return errors


def both_errors(poses_3d: Tensor, target_3d: Tensor) -> tuple[Tensor, Tensor]:
    """Absolute and hip-relative `joint_errors`."""
    relative = joint_errors(root_relative(poses_3d), root_relative(target_3d))
    return joint_errors(poses_3d, target_3d), relative


def pck_values(absolute: Tensor, relative: Tensor) -> dict[str, tuple[Tensor, tuple[int, ...]]]:
    """What PCK and AUC average, of `joint_errors` (N, 17) in mm: r_pck, r_auc, a_pck, a_auc -> (N, 17) percent and the
    joints that count."""
    return {
        f"{prefix}_{key}": (measure(errors), SCORED_JOINTS)
        for prefix, errors in (("r", relative), ("a", absolute))
        for key, measure in (("pck", within), ("auc", fraction_of_thresholds))
    }
