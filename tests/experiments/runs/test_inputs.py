"""A finished row of a sweep is computed again where a file that it read, or the code, is another."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from experiments.runs import inputs
from experiments.runs.inputs import changes, inputs_of


@pytest.fixture
def cfg(tmp_path: Path):
    for name in ("given.npz", "lifter/weights.pt", "test/annot.mat", "train/annot.mat"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("first")
    return OmegaConf.create(
        {
            "predictions": str(tmp_path / "given.npz"),
            "checkpoint": str(tmp_path / "lifter"),
            "test": {"folder": str(tmp_path / "test")},
            "data": {"folder": str(tmp_path / "train")},
            "paths": {"synthetic": "nowhere"},
            "plugins": ["my_refinement"],
            "refinement": {"_target_": "my_refinement.Mine"},
        }
    )


@pytest.mark.parametrize(
    ("file", "named"),
    [
        ("given.npz", "predictions"),
        ("lifter/weights.pt", "checkpoint"),
        ("test/annot.mat", "test.folder"),
        ("train/annot.mat", "data.folder"),
        ("my_refinement.py", "code of my_refinement"),
    ],
)
def test_each_changed_file_is_named(cfg, tmp_path: Path, monkeypatch, file: str, named: str) -> None:
    (tmp_path / "my_refinement.py").write_text("first")
    monkeypatch.syspath_prepend(tmp_path)
    before = inputs_of(cfg)
    assert changes(before, inputs_of(cfg)) == []
    (tmp_path / file).write_text("other")  # as long as before
    assert changes(before, inputs_of(cfg)) == [named]


def test_a_change_of_our_own_code_is_named(cfg, monkeypatch: pytest.MonkeyPatch) -> None:
    before = inputs_of(cfg)
    monkeypatch.setattr(inputs, "_code", lambda: "other")
    assert changes(before, inputs_of(cfg)) == ["code"]
