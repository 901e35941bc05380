"""PCK and AUC of groups of joints as the MATLAB script of MuPoTS-3D prints them: percent per sequence.

Unlike the parts of `occlusion`, which pool the found poses of all sequences, these follow the protocol: a mean over
sequences, and with `all` the joints of unpaired people count as wrong. Source: docs/method.md §9.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from pose.metrics.joint_errors import SCORED_JOINTS, Errors

#: Joints of each group, by their place in SCORED_JOINTS (which are MuPoTS-17's first).
JOINT_GROUPS: dict[str, tuple[int, ...]] = {
    "head": (0,),
    "neck": (1,),
    "shoulders": (2, 5),
    "elbows": (3, 6),
    "wrists": (4, 7),
    "hips": (8, 11),
    "knees": (9, 12),
    "ankles": (10, 13),
}
#: Scores that are split by them.
GROUPED = tuple(f"{of}_{what}{raw}_pct" for of in ("r", "a") for what in ("pck", "auc") for raw in ("", "_raw"))
#: Every part that `group_scores` can have.
GROUP_NAMES = (*(f"group:{name}" for name in JOINT_GROUPS), "group:visible_joints", "group:occluded_joints")


def group_scores(
    errors: Mapping[str, Errors], valid: np.ndarray, visible: np.ndarray | None, everybody: bool
) -> dict[str, dict[str, float]]:
    """Of one sequence: key -> part -> percent.

    errors: what its scores average (`joint_errors.sequence_errors`, and the keys of the rescaled poses). valid (T, P):
    the annotated people; visible (T, P, 17): their joints, None if not known. everybody: who is not among the errors
    counts as wrong. A part without joints is absent.
    """
    every = np.ones((*valid.shape, 1), bool)
    counted = {f"group:{name}": every & np.isin(SCORED_JOINTS, joints) for name, joints in JOINT_GROUPS.items()}
    if visible is not None:
        seen = visible[..., list(SCORED_JOINTS)]
        counted |= {"group:visible_joints": seen, "group:occluded_joints": ~seen}
    found = {}
    for key in GROUPED:
        none = Errors(torch.zeros(0, len(SCORED_JOINTS)), SCORED_JOINTS, torch.zeros(0, dtype=torch.long))
        values, _, rows = errors.get(key, none)
        found[key] = {}
        for part, mask in counted.items():
            own = mask.reshape(-1, len(SCORED_JOINTS))[rows.numpy()]
            if total := (mask[valid] if everybody else own).sum():
                found[key][part] = float((values.numpy() * own).sum() / total)
    return found
