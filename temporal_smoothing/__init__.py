"""The library's public names in one place, for scripts and notebooks.

    import temporal_smoothing as ts

    people = ts.predict("keypoints.json", fps=30, camera=...).people  # 2D detections of a video -> 3D people
    smooth = ts.refine(poses_3d, score, fps=25).poses_3d              # gaps filled, noise smoothed: (T, J, 3) mm

    refine              trajectories of any skeleton, with gaps, to whole and smooth ones
    predict             a video or a file of 2D keypoints to every person's 3D trajectory
    load_lifter, lift   a lifter by name or path; sequences of 2D detections to 3D poses
    score               predictions against annotations by the MuPoTS-3D protocol
    read_predictions, write_predictions   predictions.npz and its list of PoseSequence
    PoseSequence, Camera   a person over time; pinhole intrinsics

A name is imported when it is first used. To add one: `__all__`, `_MODULES` and the imports for type checkers.
Where Python finds another `data`, `pose`, ... than ours, the ImportError says which file to rename.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data.predictions import read_predictions, write_predictions
    from inference.pipeline import predict
    from lightning_modules.checkpoint import load_lifter
    from lightning_modules.prediction import lift
    from pose.cameras import Camera
    from pose.metrics.mupots import score_scenes as score
    from pose.sequence import PoseSequence
    from refinement.api import refine

__all__ = [
    "Camera",
    "PoseSequence",
    "lift",
    "load_lifter",
    "predict",
    "read_predictions",
    "refine",
    "score",
    "write_predictions",
]

_MODULES = {
    "Camera": "pose.cameras",
    "PoseSequence": "pose.sequence",
    "lift": "lightning_modules.prediction",
    "load_lifter": "lightning_modules.checkpoint",
    "predict": "inference.pipeline",
    "read_predictions": "data.predictions",
    "refine": "refinement.api",
    "score": "pose.metrics.mupots",
    "write_predictions": "data.predictions",
}
#: What each package imports of ours, itself included.
_NEEDS = {package: ("pose", "fileio", package) for package in ("lightning_modules", "refinement", "data")}
_NEEDS |= {"pose": ("pose",), "inference": ("pose", "fileio", "data", "lightning_modules", "refinement", "inference")}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    module = _MODULES[name]
    for package in _NEEDS[module.split(".")[0]]:
        _check_ours(package)
    value = getattr(import_module(module), "score_scenes" if name == "score" else name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


def _check_ours(package: str) -> None:
    """ImportError if `package` is, or would be, another module than ours beside this one."""
    ours, loaded = Path(__file__).resolve().parents[1] / package / "__init__.py", sys.modules.get(package)
    spec = find_spec(package) if loaded is None else None
    found = getattr(loaded, "__file__", None) or (spec and spec.origin)
    if found is None or Path(found).resolve() != ours:
        raise ImportError(
            f"temporal_smoothing needs its package `{package}` ({ours.parent}), but Python finds "
            f"{found or 'none'} first: rename that file or folder, or start Python from another folder"
        )
