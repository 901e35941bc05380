"""What holds for every exporter: its configuration, its files, scenes that it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from inference.export.base import Exporter, to_y_up
from inference.scene import Scene
from pose.errors import ConfigError, DataError

FILES = {
    "npz": ["predictions.npz"],
    "json": ["predictions.json"],
    "csv": ["predictions.csv"],
    "trc": ["person_0.trc", "person_1.trc"],
    "c3d": ["scene.c3d"],
    "bvh": ["person_0.bvh", "person_1.bvh"],
    "glb": ["scene.glb"],
    "mot": ["person_0.mot", "person_1.mot"],
}


def configured(repo: Path, name: str) -> Exporter:
    if name == "c3d":
        pytest.importorskip("ezc3d", reason="C3D files are written by ezc3d")
    return instantiate(OmegaConf.load(repo / "conf" / "exporter" / f"{name}.yaml"))


def test_every_configuration_is_known(repo: Path) -> None:
    assert {path.stem for path in (repo / "conf" / "exporter").glob("*.yaml")} == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_files(name: str, repo: Path, scene: Scene, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    exporter = configured(repo, name)
    assert exporter.write(scene, folder) == [folder / file for file in FILES[name]]
    first = {path: path.read_bytes() for path in folder.iterdir()}
    (folder / "other.txt").write_text("stays")
    exporter.write(scene, folder)
    assert {path.name for path in folder.iterdir()} == {*FILES[name], "other.txt"}
    if name not in ("npz", "c3d"):  # whose containers may hold the time of writing
        assert {path: path.read_bytes() for path in first} == first


@pytest.mark.parametrize("name", FILES)
def test_scenes_that_are_refused(name: str, repo: Path, scene: Scene, tmp_path: Path) -> None:
    exporter = configured(repo, name)
    with pytest.raises(DataError, match=r"café\.mp4: no person"):
        exporter.write(replace(scene, people=[]), tmp_path)
    with pytest.raises(ConfigError, match="fps=0: must be"):
        exporter.write(replace(scene, fps=0), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["npz", "bvh", "glb", "mot"])
def test_formats_without_missing_values_refuse_nan(
    name: str, repo: Path, scene_with_nan: Scene, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="NaN"):
        configured(repo, name).write(scene_with_nan, tmp_path)
    assert not list(tmp_path.glob(f"*1.{name}")) and not list(tmp_path.glob(".*"))


def test_y_up_is_a_rotation() -> None:
    turn = to_y_up(np.eye(3)).T
    assert np.linalg.det(turn) == 1
    np.testing.assert_array_equal(turn @ turn.T, np.eye(3))
    np.testing.assert_array_equal(turn @ [0, 1, 0], [0, -1, 0])
