"""The number that an optimising sweeper gets of a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from experiments.results.objective import check_objective, objective_of
from pose.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    scores = {"lifted": {"mrpe_mm": 200.0}, "refined": {"mrpe_mm": 100.0}}
    occlusion = {"refined": {"mrpe_mm": {"occluded": 300.0}}}
    (tmp_path / "metrics.json").write_text(json.dumps({"metrics": scores, "occlusion": occlusion}))
    (tmp_path / "lifter.json").write_text(json.dumps({"folder": str(tmp_path)}))
    (tmp_path / "done.json").write_text(json.dumps({"validation": {"metrics": {"mpjpe_mm": 50.0}}}))
    return tmp_path


@pytest.mark.parametrize(
    ("objective", "value"),
    [
        ("val/mpjpe_mm", 50.0),
        ("lifted/mrpe_mm", 200.0),
        ("refined/mrpe_mm/occluded", 300.0),
        ("refined/mpjpe_mm", None),
    ],
)
def test_it_is_read_from_what_the_run_left(folder: Path, objective: str, value: float | None) -> None:
    check_objective(objective)
    assert objective_of(OmegaConf.create({"objective": objective}), folder) == value


def test_a_run_without_numbers_has_none(tmp_path: Path) -> None:
    assert objective_of(OmegaConf.create({"objective": "val/mpjpe_mm"}), tmp_path) is None


@pytest.mark.parametrize("objective", ["mpjpe_mm", "val/mpjpe", "best/mpjpe_mm"])
def test_one_that_no_run_has_is_refused(objective: str) -> None:
    with pytest.raises(ConfigError, match=f"objective={objective}: must be val, lifted or refined"):
        check_objective(objective)
