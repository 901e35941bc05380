"""Skeletons of plain arrays: bones as parents or as pairs of joints -> a joint set with a root."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pose.errors import ConfigError
from pose.joint_sets import JointSet


def skeleton_from_bones(
    bones: Sequence[int] | Sequence[tuple[int, int]], root: int | None = None, like: JointSet | None = None
) -> JointSet:
    """A joint set of parents or pairs of joints, as `refine` takes them; named as `like`, or joint_0, joint_1, ...

    >>> skeleton_from_bones([(1, 0), (1, 2)], root=1).parents
    (1, 1, 1)
    """
    entries = [tuple(map(int, np.atleast_1d(np.asarray(bone)))) for bone in bones]
    if entries and all(len(entry) == 2 for entry in entries):
        parents = _parents_of_pairs(
            [(a, b) for a, b in entries], root if like is None or root is not None else like.root
        )
    elif entries and all(len(entry) == 1 for entry in entries):
        parents = [entry[0] if entry[0] != -1 else joint for joint, entry in enumerate(entries)]
    else:
        raise ConfigError(f"bones={list(bones)}: must be each joint's parent, or pairs of joints")
    roots = [joint for joint, parent in enumerate(parents) if parent == joint]
    if len(roots) != 1 or root not in (None, roots[0]) or not all(0 <= parent < len(parents) for parent in parents):
        raise ConfigError(
            f"bones: parents {parents} with root={root}: exactly one joint may be its own parent, the root"
        )
    names = tuple(f"joint_{i}" for i in range(len(parents))) if like is None else like.names
    if len(names) != len(parents):
        raise ConfigError(f"bones: {len(parents)} joints, but joints={like.name if like else ''} has {len(names)}")
    return JointSet("custom" if like is None else like.name, names, roots[0], tuple(parents))


def _parents_of_pairs(pairs: list[tuple[int, int]], root: int | None) -> list[int]:
    """Parents by walking the pairs outward from the root."""
    if root is None:
        raise ConfigError("root=None: pairs of joints need the index of the root joint; pass root=")
    count = 1 + max(max(pair) for pair in pairs)
    parents, reached = [-1] * count, [root]
    if not 0 <= root < count:
        raise ConfigError(f"root={root}: must be one of the joints 0..{count - 1} of the bones")
    parents[root] = root
    for joint in reached:  # grows while it is walked
        for a, b in pairs:
            for other, this in ((a, b), (b, a)):
                if this == joint and parents[other] == -1:
                    parents[other] = joint
                    reached.append(other)
    missing = [joint for joint, parent in enumerate(parents) if parent == -1]
    if missing:
        raise ConfigError(f"bones: joints {missing} are not connected to the root {root}")
    return parents
