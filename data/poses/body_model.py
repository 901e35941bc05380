"""The user's own file of SMPL or SMPL-X, as far as joints need it: rest joints, their change with shape, the chain.

The surface's skinning, and so most of the file, is not needed: a joint turns about its parent. None is shipped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fileio.arrays import read_npz, require
from fileio.limits import reading
from fileio.pickle_reader import Sparse, read_pickle
from pose.errors import ConfigError, DataError
from pose.joint_sets import SMPL_24, JointSet

_KEYS = ("J_regressor", "v_template", "shapedirs", "kintree_table")
#: Joints and vertices of each, what its makers call its file, and the joints that are used. SMPL-X's further ones are
#: of the face and fingers; its first 22 are SMPL's.
_MODELS = {
    "SMPL": (24, 6890, "SMPL_NEUTRAL.pkl", SMPL_24),
    "SMPL-X": (55, 10475, "SMPLX_NEUTRAL.npz", JointSet("SMPL-X", SMPL_24.names[:22], SMPL_24.root)),
}


class BodyModel(NamedTuple):
    """joints: the J that are used. rest (J, 3) m of no shape. shape (J, 3, B) m for a unit of each shape number.
    parents (J,), the first one -1. regressor (J, V): joints of vertices."""

    joints: JointSet
    rest: np.ndarray
    shape: np.ndarray
    parents: np.ndarray
    regressor: np.ndarray

    def posed(self, rotations: np.ndarray, betas: np.ndarray, place: np.ndarray) -> np.ndarray:
        """(N, J, 3) m of rotations (N, J or more, 3, 3) within the parents' frames, betas (N, B), place (N, 3).

        Raises DataError for more shape numbers than the model has.
        """
        count = betas.shape[-1]
        if count > self.shape.shape[-1]:
            raise DataError(f"{count} shape numbers, body_model= knows {self.shape.shape[-1]}; give the model used")
        rest = self.rest + np.einsum("nb,jcb->njc", betas, self.shape[..., :count])
        turned, found = [rotations[:, 0]], [rest[:, 0]]
        for joint in range(1, len(self.parents)):
            parent = self.parents[joint]
            bone = rest[:, joint] - rest[:, parent]
            found.append(found[parent] + np.einsum("nij,nj->ni", turned[parent], bone))
            turned.append(turned[parent] @ rotations[:, joint])
        return np.stack(found, axis=1) + place[:, None]


def read_body_model(path: Path | str | None, kind: str, program: str, source: Path) -> BodyModel:
    """The file `body_model=` of kind SMPL or SMPL-X. ConfigError without one, DataError for another or damage."""
    count, vertices, file, joints = _MODELS[kind]
    if path is None:
        raise ConfigError(
            f"{source}: {program} writes the parameters of a body, not joints; give body_model={file}, your own file "
            f"of {kind} (.pkl or .npz; none is shipped)"
        )
    remedy = f"body_model= is {kind}'s own file ({file}), a pkl cleaned of chumpy or an npz"
    held = _content(Path(path), remedy)
    if lacking := [key for key in _KEYS if key not in held]:
        raise DataError(f"{path}: has no {', '.join(lacking)}; {remedy}")
    sizes = {"J": count, "V": vertices}
    with reading(path, f"a file of {kind}", remedy):
        sparse = held["J_regressor"]
        held["J_regressor"] = sparse.array() if isinstance(sparse, Sparse) else sparse
    patterns: dict[str, tuple[str | int, ...]] = {
        "J_regressor": ("J", "V"), "v_template": ("V", 3), "shapedirs": ("V", 3, "B"), "kintree_table": (2, "J"),
    }  # fmt: skip
    regressor, template, shapes, tree = (require(held[key], path, key, patterns[key], sizes, remedy) for key in _KEYS)
    used = len(joints)
    parents, regressor = tree[0].astype(np.int64)[:used], regressor[:used].astype(float)
    parents[0] = -1  # 4294967295 in some files
    if (parents[1:] < 0).any() or (parents[1:] >= np.arange(1, used)).any():
        raise DataError(f"{path}: kintree_table: parents before their children are expected; {remedy}")
    return BodyModel(joints, regressor @ template, np.tensordot(regressor, shapes, 1), parents, regressor)


def _content(path: Path, remedy: str) -> dict[str, Any]:
    with reading(path, "a body model", remedy), open(path, "rb") as file:
        start = file.read(2)
    if start == b"PK":
        return read_npz(path, _KEYS)
    try:
        held = read_pickle(path)
    except DataError as error:
        if "chumpy" not in str(error):
            raise
        raise DataError(
            f"{path}: holds chumpy's arrays, which are programs; save it without, as smplx's tools/clean_ch.py does, "
            "and give that file"
        ) from error
    return held if isinstance(held, dict) else {}
