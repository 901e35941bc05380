"""Gaps in a trajectory: which joints are there, and the missing ones filled in by interpolation."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor

from pose.errors import DataError
from pose.sequence import PoseSequence


def bridge(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Values (T, ...) with the rows that are not known (T,) interpolated linearly; before the first and after the last
    known row they stay at it. Nothing known: unchanged.

    >>> bridge(np.array([9.0, 1.0, 9.0, 9.0, 4.0]), np.array([False, True, False, False, True]))
    array([1., 1., 2., 3., 4.])
    """
    rows = np.flatnonzero(known)
    if len(rows) in (0, len(values)):
        return values
    at = np.interp(np.arange(len(values)), rows, np.arange(len(rows)))  # place among the known rows
    before = np.floor(at).astype(int)
    after = np.minimum(before + 1, len(rows) - 1)
    part = (at - before).reshape(-1, *(1,) * (values.ndim - 1))
    return (1 - part) * values[rows[before]] + part * values[rows[after]]


def given_joints(sequence: PoseSequence) -> Tensor:
    """(T, J) bool: joints that are not NaN. Raises for no poses and for nothing but NaN."""
    found = sequence.require("poses_3d").isfinite().all(-1)
    if len(found) and not bool(found.any()):
        raise DataError(f"{sequence.name}: poses_3d are NaN in all frames; at least one pose is needed")
    return found


def filled(sequence: PoseSequence, given: Tensor) -> PoseSequence:
    """Without NaN: root and root-relative joints interpolated, each over the frames that have it.

    Where the root alone is missing it is placed by the joints that are there.
    """
    root = sequence.joints_3d.root
    if sequence.poses_3d is None or bool(given.all()) or root is None:
        return sequence
    poses, found = sequence.poses_3d.double().cpu().numpy(), given.cpu().numpy()
    if not found[:, root].any():
        name = sequence.joints_3d.names[root]
        raise DataError(f"{sequence.name}: the root joint {name} is NaN in all frames; choose another root")
    both = found & found[:, [root]]
    relative = _bridged(poses - poses[:, [root]], both)
    placed = np.where((found & both.any(0))[..., None], poses - relative, np.nan)  # the root, as each joint has it
    usable = np.asarray(np.isfinite(placed[..., 0]).any(1))
    track = poses[:, root].copy()
    by_others = usable & ~found[:, root]
    track[by_others] = np.nanmean(placed[by_others], axis=1)
    track = bridge(track, usable)
    relative = _bridged(poses - track[:, None], found)
    poses = track[:, None] + relative
    confidence = sequence.confidence * given.any(1)[:, None]
    return dataclasses.replace(
        sequence,
        poses_3d=torch.from_numpy(poses).to(sequence.poses_3d),
        confidence=confidence,
        detected=sequence.detected & given.any(1),
    )


def _bridged(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Values (T, J, 3) of each joint interpolated where it is not known (T, J); zero if it never is."""
    values = np.where(known[..., None], values, 0.0)
    return np.stack([bridge(values[:, joint], known[:, joint]) for joint in range(values.shape[1])], axis=1)
