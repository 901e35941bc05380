"""The front of public names: each is the library's own, and another module of a package's name is refused."""

from __future__ import annotations

import types
from pathlib import Path

import numpy as np
import pytest
import torch

import temporal_smoothing


def test_every_name_is_the_library_s_own() -> None:
    from pose.metrics.mupots import score_scenes
    from refinement import refine

    assert all(callable(getattr(temporal_smoothing, name)) for name in temporal_smoothing.__all__)
    assert temporal_smoothing.refine is refine and temporal_smoothing.score is score_scenes
    assert dir(temporal_smoothing) == sorted(temporal_smoothing.__all__)
    with pytest.raises(AttributeError, match=r"no attribute 'refin'; it has Camera, .*refine"):
        temporal_smoothing.refin  # noqa: B018


@pytest.mark.parametrize(("package", "name"), [("data", "read_predictions"), ("pose", "Camera"), ("fileio", "predict")])
def test_another_module_of_a_package_s_name_is_refused(monkeypatch, package: str, name: str) -> None:
    other = types.ModuleType(package)
    other.__file__ = f"/home/user/{package}.py"
    monkeypatch.delitem(vars(temporal_smoothing), name, raising=False)
    monkeypatch.setitem(__import__("sys").modules, package, other)
    with pytest.raises(ImportError, match=rf"^[^\n]*`{package}`[^\n]*/home/user/{package}\.py first: rename [^\n]*$"):
        getattr(temporal_smoothing, name)


def test_filled_gaps_are_written_and_read(tmp_path: Path) -> None:
    poses_3d = np.zeros((20, 17, 3)) + [0, 0, 4000] + 100 * np.arange(17)[:, None]
    poses_3d[8:11] = np.nan
    refined = temporal_smoothing.refine(poses_3d, fps=25)
    temporal_smoothing.write_predictions(tmp_path / "predictions.npz", [refined])
    (read,) = temporal_smoothing.read_predictions(tmp_path / "predictions.npz")
    assert len(read) == 20 and read.lifted_3d is None
    torch.testing.assert_close(read.poses_3d, refined.poses_3d)
    assert read.observed is not None and not read.observed[9].any()
