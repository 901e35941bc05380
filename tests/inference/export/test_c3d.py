"""C3D files, read by ezc3d and by the `c3d` package."""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inference.export.c3d import C3dExporter
from inference.scene import Scene, array_of
from pose.errors import ConfigError, DataError
from pose.joint_sets import MUPOTS_17

N = len(MUPOTS_17)
LABELS = [f"P{person}_{joint}" for person in (0, 1) for joint in MUPOTS_17.names]


def expected(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Positions (frames, points, 3), NaN where missing, and residuals (frames, points)."""
    places = np.full((scene.n_frames, 2 * N, 3), np.nan)
    residuals = np.full((scene.n_frames, 2 * N), -1.0)
    for person in scene.people:
        points = slice(N * person.person, N * (person.person + 1))
        poses, observed = array_of(person, "poses_3d"), array_of(person, "observed")
        for i, frame in enumerate(person.frame.tolist()):
            places[frame, points] = poses[i] * [1, -1, -1]
            residuals[frame, points] = np.where(np.isfinite(poses[i]).all(1), observed[i], -1)
    return places, residuals


def test_ezc3d_reads_it(scene_with_nan: Scene, tmp_path: Path) -> None:
    ezc3d = pytest.importorskip("ezc3d")
    (path,) = C3dExporter().write(scene_with_nan, tmp_path)
    found = ezc3d.c3d(str(path))
    point = found["parameters"]["POINT"]
    assert point["LABELS"]["value"] == LABELS and point["UNITS"]["value"] == ["mm"]
    assert point["RATE"]["value"][0] == pytest.approx(29.97, abs=1e-5)
    assert (point["X_SCREEN"]["value"], point["Y_SCREEN"]["value"]) == (["+X"], ["+Y"])
    places, residuals = expected(scene_with_nan)
    np.testing.assert_allclose(found["data"]["points"][:3].transpose(2, 1, 0), places, atol=1e-3)
    np.testing.assert_array_equal(found["data"]["meta_points"]["residuals"][0].T, residuals)
    masks = found["data"]["meta_points"]["camera_masks"]
    np.testing.assert_array_equal(masks[0].T[residuals >= 0], residuals[residuals >= 0] == 1)
    assert {int(r) for r in np.unique(residuals)} == {-1, 0, 1}


def test_another_library_reads_it(scene: Scene, tmp_path: Path) -> None:
    c3d = pytest.importorskip("c3d", reason="pip install c3d")
    pytest.importorskip("ezc3d")
    (path,) = C3dExporter().write(scene, tmp_path)
    with open(path, "rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are no analog data
        reader = c3d.Reader(file)
        assert [label.strip() for label in reader.point_labels] == LABELS
        assert reader.point_rate == pytest.approx(29.97, abs=1e-5)
        assert (reader.first_frame, reader.last_frame) == (1, scene.n_frames)
        points = np.stack([points for _, points, _ in reader.read_frames()])
    places, residuals = expected(scene)
    known = residuals >= 0
    np.testing.assert_allclose(points[..., :3][known], places[known], atol=1e-3)
    np.testing.assert_array_equal(points[..., 3], residuals)


def test_observed_only(scene: Scene, tmp_path: Path) -> None:
    ezc3d = pytest.importorskip("ezc3d")
    (path,) = C3dExporter(observed_only=True).write(scene, tmp_path)
    data = ezc3d.c3d(str(path))["data"]
    _, residuals = expected(scene)
    np.testing.assert_array_equal(data["meta_points"]["residuals"][0].T, np.where(residuals == 1, 1, -1))
    np.testing.assert_array_equal(np.isfinite(data["points"][0]).T, residuals == 1)


def test_more_frames_than_the_format_counts(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="65536 frames, a C3D file holds 65535"):
        C3dExporter().write(replace(scene, n_frames=65_536), tmp_path)


def test_without_ezc3d(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ezc3d", None)
    with pytest.raises(ConfigError, match="pip install ezc3d"):
        C3dExporter().write(scene, tmp_path)


def test_a_file_that_breaks_off_is_not_kept(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ezc3d says nothing of a full disk."""
    ezc3d = pytest.importorskip("ezc3d")
    monkeypatch.setattr(ezc3d.c3d, "write", lambda self, path: Path(path).write_bytes(bytes(4096)))
    with pytest.raises(DataError, match=r"scene\.c3d: cannot be written \(No space left on device\)"):
        C3dExporter().write(scene, tmp_path)
    assert not list(tmp_path.iterdir())
