"""From joint rotations to joint positions, all frames at once.

Both file formats say the same thing in two ways: a tree of joints, a vector and a rotation for each. In ASF a bone's
vector turns with the bone's own rotation, in BVH with its parent's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from pose.errors import DataError

#: Joints in a skeleton, and joints times frames in a file; more than any recording has, and still fits into memory.
MAX_JOINTS = 1000
MAX_POSITIONS = 20_000_000


@dataclass(frozen=True, eq=False)
class Motion:
    """What a file holds, in its own units and frame: joint names, and positions (T, len(names), 3), float64."""

    names: tuple[str, ...]
    positions: np.ndarray


def check_size(path: Path | str, joints: int, frames: int = 1) -> None:
    """Raise DataError for a file whose positions would not fit into memory."""
    if joints > MAX_JOINTS or joints * frames > MAX_POSITIONS:
        raise DataError(
            f"{path}: {joints} joints in {frames} frames; at most {MAX_JOINTS} joints and {MAX_POSITIONS} positions "
            "are expected; split the file"
        )


def rotations(axes: str, degrees: np.ndarray) -> np.ndarray:
    """Turns about the moving axes, in this order: axes "ZXY" and degrees (..., 3) -> Rz @ Rx @ Ry, (..., 3, 3).

    One to three axes of XYZ, no two alike.
    """
    degrees = np.asarray(degrees, dtype=np.float64)
    turned = Rotation.from_euler(axes, degrees.reshape(-1, len(axes)), degrees=True)
    return turned.as_matrix().reshape(*degrees.shape[:-1], 3, 3)


def forward(
    parents: Sequence[int], local: Sequence[np.ndarray | None], vectors: Sequence[np.ndarray], own: bool
) -> np.ndarray:
    """Positions (T, J, 3) of J joints, parents before children.

    parents: -1 for a root. local: rotation relative to the parent, (T, 3, 3) or (3, 3), None for none. vectors: from
    the parent joint to this one, (3,) or (T, 3); a root's is its position and does not turn, and at least one is
    (T, 3). own: vectors turn with the joint's own rotation (ASF) instead of its parent's (BVH).
    """
    world: list[np.ndarray] = []
    places: list[np.ndarray] = []
    for parent, turn, vector in zip(parents, local, vectors, strict=True):
        above = np.eye(3) if parent < 0 else world[parent]
        world.append(above if turn is None else above @ turn)
        if parent < 0:
            places.append(vector)
        else:
            frame = world[-1] if own else above
            places.append(places[parent] + (frame @ vector[..., None])[..., 0])
    return np.stack(np.broadcast_arrays(*places), axis=1)
