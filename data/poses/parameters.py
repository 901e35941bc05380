"""Body parameters, made joints by the user's body model: WHAM, GVHMR, TRAM, PromptHMR, in camera coordinates.

WHAM and TRAM estimate SMPL's parameters, GVHMR and PromptHMR those of SMPL-X, all in metres.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from data.poses.body_model import BodyModel, read_body_model
from data.poses.rows import REMEDY, Options, PoseRows
from fileio.arrays import require
from pose.errors import DataError

_INCAM = {"global_orient": 3, "body_pose": 63, "betas": 10, "transl": 3}


def _people(content: Any, *keys: str) -> bool:
    """Whether `content` is person -> a dict with these keys."""
    first = next(iter(content.values()), None) if isinstance(content, dict) else None
    return isinstance(first, dict) and set(keys) <= set(first)


def is_wham(content: Any) -> bool:
    """Person -> pose and betas, or vertices, of frame_ids."""
    return _people(content, "frame_ids", "trans")


def read_wham(content: Any, path: Path, options: Options) -> PoseRows:
    """SMPL: pose (T, 72) and betas (T, 10) at trans (T, 3), else verts (T, 6890, 3), in the frames frame_ids (T,)."""
    model = read_body_model(options.body_model, "SMPL", "WHAM", path)
    rows = []
    for name, person in content.items():
        sizes: dict[str, int] = {}
        frame = _array(person, "frame_ids", ("T",), sizes, path).astype(int)
        if {"pose", "betas"} <= set(person):
            place, pose = (_array(person, key, ("T", n), sizes, path) for key, n in (("trans", 3), ("pose", 72)))
            poses = model.posed(_turned(pose), _array(person, "betas", ("T", "B"), sizes, path), place)
        else:
            verts = _array(person, "verts", ("T", model.regressor.shape[1], 3), sizes, path)
            poses = np.einsum("jv,tvc->tjc", model.regressor, verts)
        rows.append((frame, poses, name))
    return _rows("WHAM", model, rows, options)


def is_gvhmr(content: Any) -> bool:
    """One person's smpl_params_incam."""
    return isinstance(content, dict) and isinstance(content.get("smpl_params_incam"), Mapping)


def read_gvhmr(content: Any, path: Path, options: Options) -> PoseRows:
    """SMPL-X in every frame: the four of _INCAM, (T, n) each; K_fullimg (T, 3, 3) px."""
    model = read_body_model(options.body_model, "SMPL-X", "GVHMR", path)
    sizes: dict[str, int] = {}
    given = content["smpl_params_incam"]
    orient, pose, betas, place = (_array(given, key, ("T", n), sizes, path) for key, n in _INCAM.items())
    poses = model.posed(_turned(np.concatenate([orient, pose], axis=1)), betas, place)
    K = _array(content, "K_fullimg", ("T", 3, 3), sizes, path)
    return _rows("GVHMR", model, [(np.arange(len(poses)), poses, 0)], options, K[0, 0, 0], K[0, :2, 2])


def is_tram(content: Any) -> bool:
    """One person's pred_rotmat and pred_trans."""
    return isinstance(content, dict) and {"pred_rotmat", "pred_trans", "frame"} <= set(content)


def read_tram(content: Any, path: Path, options: Options) -> PoseRows:
    """SMPL: pred_rotmat (T, 24, 3, 3), pred_shape (T, 10), pred_trans (T, 1, 3), in the frames `frame` (T,)."""
    model = read_body_model(options.body_model, "SMPL", "TRAM", path)
    sizes: dict[str, int] = {}
    frame = _array(content, "frame", ("T",), sizes, path).astype(int)
    turned = _array(content, "pred_rotmat", ("T", 24, 3, 3), sizes, path)
    betas, place = (
        _array(content, key, shape, sizes, path)
        for key, shape in (("pred_shape", ("T", "B")), ("pred_trans", ("T", 1, 3)))
    )
    return _rows("TRAM", model, [(frame, model.posed(turned, betas, place[:, 0]), 0)], options)


def is_prompthmr(content: Any) -> bool:
    """people: each with smplx_cam."""
    return isinstance(content, dict) and _people(content.get("people"), "smplx_cam", "frames")


def read_prompthmr(content: Any, path: Path, options: Options) -> PoseRows:
    """SMPL-X in the frames `frames` (T,): pose (T, 66 or more), shape (T, 10), trans (T, 3); camera's img_focal, px."""
    model = read_body_model(options.body_model, "SMPL-X", "PromptHMR", path)
    rows = []
    for name, person in content["people"].items():
        sizes: dict[str, int] = {}
        frame = _array(person, "frames", ("T",), sizes, path).astype(int)
        given = person["smplx_cam"]
        pose, betas, place = (
            _array(given, key, ("T", n), sizes, path) for key, n in (("pose", "P"), ("shape", "B"), ("trans", 3))
        )
        rows.append((frame, model.posed(_turned(pose[:, :66]), betas, place), name))
    camera = content.get("camera", {})
    focal, centre = (_array(camera, key, shape, {}, path) for key, shape in (("img_focal", ()), ("img_center", (2,))))
    return _rows("PromptHMR", model, rows, options, float(focal), centre)


def _array(given: Any, key: str, pattern: tuple[Any, ...], sizes: dict[str, int], path: Path) -> np.ndarray:
    value: Any = given.get(key) if isinstance(given, Mapping) else None
    value = value.detach().numpy() if hasattr(value, "detach") else value  # a tensor
    return np.asarray(require(value, path, key, pattern, sizes, REMEDY), float)


def _turned(pose: np.ndarray) -> np.ndarray:
    """(T, 3 J) rotation vectors -> (T, J, 3, 3)."""
    return Rotation.from_rotvec(pose.reshape(-1, 3)).as_matrix().reshape(len(pose), -1, 3, 3)


def _rows(
    program: str,
    model: BodyModel,
    people: list[tuple[np.ndarray, np.ndarray, Any]],
    options: Options,
    focal: float | None = None,
    centre: np.ndarray | None = None,
) -> PoseRows:
    """Rows of (frame (T,), poses (T, J, 3) m, name). focal, centre: px of the image that the program saw, centred."""
    if not people:
        raise DataError(f"{program}: lists no people; {REMEDY}")
    frame, poses = (np.concatenate([person[i] for person in people]) for i in (0, 1))
    size = options.image_size
    if focal is not None and centre is not None:
        own = (round(2 * float(centre[0])), round(2 * float(centre[1])))
        focal, size = (focal * size[0] / own[0], size) if size else (focal, own)  # it may have made the image smaller
    return PoseRows(
        program, model.joints, frame, poses * 1000, "camera",
        identity=np.repeat(np.arange(len(people)), [len(person[0]) for person in people]),
        focal_px=None if focal is None else np.full(len(frame), focal), image_size=size,
    )  # fmt: skip
