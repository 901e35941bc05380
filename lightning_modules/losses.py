"""Losses of `model.loss`: (predicted (B, O), targets (B, O), standardiser of the targets) -> a number to minimise."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from pose.features import N_TARGETS, Standardiser

#: Errors in mm are divided by this to be about as large as standardised ones.
_MM = 150.0


def l1(predicted: Tensor, targets: Tensor, standardiser: Standardiser) -> Tensor:
    """Mean absolute difference of standardised targets, as published: every column counts the same."""
    return functional.l1_loss(predicted, targets)


def mpjpe(predicted: Tensor, targets: Tensor, standardiser: Standardiser) -> Tensor:
    """Mean distance of the relative joints in mm, which is what MPJPE counts, and `l1` of the root's three columns.

    For targets whose first 48 columns are the joints other than the hip in mm, as all features here have them.
    """
    difference = (predicted - targets).float()
    relative, root = difference[:, : N_TARGETS - 3] * standardiser.std[: N_TARGETS - 3], difference[:, N_TARGETS - 3 :]
    joints = relative.unflatten(1, (-1, 3)).norm(dim=-1).mean() / _MM
    return ((N_TARGETS - 3) * joints + 3 * root.abs().mean()) / N_TARGETS
