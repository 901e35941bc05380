"""The examples of docs/exports.md give what the page says, run among the files of a scene."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from inference.export.bvh import BvhExporter
from inference.export.c3d import C3dExporter
from inference.export.glb import GlbExporter
from inference.export.json_csv import CsvExporter, JsonExporter
from inference.export.mot import MotExporter
from inference.export.npz import NpzExporter
from inference.export.trc import TrcExporter
from inference.scene import Scene


def test_exports(repo: Path, scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("ezc3d", "trc", "bvh", "trimesh"):
        pytest.importorskip(library)
    files = (NpzExporter, JsonExporter, CsvExporter, TrcExporter, C3dExporter, BvhExporter, GlbExporter, MotExporter)
    for exporter in files:
        exporter().write(scene, tmp_path)
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testfile(
        str(repo / "docs" / "exports.md"),
        module_relative=False,
        globs={"scene_of_predict": scene},
        optionflags=doctest.ELLIPSIS,
    )
    assert tried > 20
    assert failed == 0
