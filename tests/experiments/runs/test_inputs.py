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
            "model": {"parts": [{"_target_": "my_package.deep.inner.Part"}], "loss": {"_target_": "torch.nn.L1Loss"}},
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
        ("my_maths.py", "code of my_refinement"),
        ("my_package/deep/inner.py", "code of my_package"),
        ("TS1/annot.mat", "data sets"),
    ],
)
def test_each_changed_file_is_named(cfg, tmp_path: Path, monkeypatch, file: str, named: str) -> None:
    for name in (
        "my_refinement.py",
        "my_maths.py",
        "my_package/deep/inner.py",
        "my_package/__init__.py",
        "TS1/annot.mat",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("first")
    (tmp_path / "my_refinement.py").write_text("import my_maths")
    monkeypatch.syspath_prepend(tmp_path)
    data = [tmp_path / "TS1" / "annot.mat"]
    before = inputs_of(cfg, data)
    assert changes(before, inputs_of(cfg, data)) == []
    (tmp_path / file).write_text("import my_maths # other" if file == "my_refinement.py" else "other")  # as long
    assert changes(before, inputs_of(cfg, data)) == [named]


def test_each_of_several_files_counts(cfg, tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("given.npz", "test/annot.mat")]
    cfg.predictions = files
    before = inputs_of(cfg)
    (tmp_path / "given.npz").write_text("other")
    assert changes(before, inputs_of(cfg)) == [f"predictions {files[0]}"]


def test_a_change_of_our_own_code_is_named(cfg, monkeypatch: pytest.MonkeyPatch) -> None:
    before = inputs_of(cfg)
    assert [key for key in before if "torch" in key] == []
    monkeypatch.setattr(inputs, "code_digest", lambda *_: "other")
    assert changes(before, inputs_of(cfg)) == ["code"]


def test_a_lifters_hash_follows_the_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loss = tmp_path / "lightning_modules" / "losses.py"
    loss.parent.mkdir()
    monkeypatch.setattr(inputs, "_ROOT", tmp_path)
    found = []
    for text in ("abs", "sum", "abs"):
        loss.write_text(text)
        found.append(inputs.code_digest.__wrapped__())
    assert found[0] == found[2] != found[1]
