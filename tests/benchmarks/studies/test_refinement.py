from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.studies import refinement as benchmark
from benchmarks.studies.error_sources import (
    make_scenes,
    procedural_motions,
)
from benchmarks.studies.refinement_coverage import coverage_counts, coverage_rows
from benchmarks.studies.refinement_page import motion_table


def test_a_quick_run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "DOCS", tmp_path / "results.md")
    monkeypatch.setattr(benchmark, "REPO", tmp_path)
    words = f"--quick --data procedural --write-docs --json {tmp_path / 'all.json'}"
    benchmark.main(words.split())
    printed, page = capsys.readouterr().out, (tmp_path / "results.md").read_text()
    results = json.loads((tmp_path / "all.json").read_text())
    assert set(results["procedural"]) == {"lifter", "clean", "wrong", "scale"}
    options = results["procedural"]["clean"]["options"]
    assert {"none", "interpolation", "one_euro", "savitzky_golay", "gaussian", "kalman_rts", "paper"} <= set(options)
    for row in options.values():
        for metric in ("mrpe_mm", "mpjpe_mm"):
            low, high = row[metric]["all"]["interval"]
            assert 0 < low <= row[metric]["all"]["mean"] <= high or len(options) == 0
    assert options["none"]["mrpe_mm"]["visible_against_none_pct"]["mean"] == 0
    for line in printed.splitlines():
        assert line.strip() in page
    assert "synthetic data" in page
    assert (tmp_path / "images/refinement.png").stat().st_size > 5_000, "the picture that the page shows"


def test_errors_by_hand() -> None:
    (scene,) = make_scenes(procedural_motions, 1, seed=0, frames=30)
    person = dataclasses.replace(
        scene[0],
        detected=torch.arange(30) >= 4,
        visible=torch.ones(30, 17, dtype=torch.bool),
        annotated=torch.arange(30) != 20,
    )
    assert person.poses_3d is not None
    moved = person.poses_3d + torch.tensor([0.0, 3.0, 4.0])
    moved[:4] += torch.tensor([0.0, 30.0, 40.0]) - torch.tensor([0.0, 3.0, 4.0])
    moved[:, 0] += torch.tensor([17.0, 0.0, 0.0])
    moved[20] += 1e6
    found = benchmark.means(benchmark.scene_sums([person], [person.with_poses(moved, "normal")])[None])
    values = dict(zip(benchmark.COLUMNS, found.T.tolist(), strict=True))
    assert values["visible"] == pytest.approx([5, 1], rel=1e-3)
    assert values["occluded"] == values["occluded_1_5"] == pytest.approx([50, 1], rel=1e-3)
    assert values["all"] == pytest.approx([(25 * 5 + 4 * 50) / 29, 1], rel=1e-3)
    assert np.isnan(values["occluded_6_15"]).all()


def test_coverage_by_hand() -> None:
    (scene,) = make_scenes(procedural_motions, 1, seed=0, frames=30)
    person = dataclasses.replace(
        scene[0],
        detected=torch.arange(30) >= 10,
        visible=torch.ones(30, 17, dtype=torch.bool),
        annotated=torch.arange(30) != 20,
    )
    assert person.poses_3d is not None
    guess = person.with_poses(person.poses_3d + 10.0, "normal")
    std, observed = torch.full((30, 17), 11.0), torch.ones(30, 17, dtype=torch.bool)
    std[:, 14], observed[:10] = 6.0, False
    std[:10, 0] = 4.0
    counts = coverage_counts([person], [dataclasses.replace(guess, std_mm=std, observed=observed)])
    assert counts[0].tolist() == [[19, 0, 19], [10, 0, 10]]
    assert counts[1].tolist() == [[19 * 16] * 3, [0, 0, 0]]
    assert counts[2].tolist() == [[0, 0, 0], [160, 150, 150]]
    rows = coverage_rows(counts)
    assert rows[0] == ["hip", "0, 100", "0, 100", "0, 100"]
    assert rows[1][3] == "" and rows[2][1] == "94, 94"


def test_the_table_of_motion_leaves_out_what_an_option_does_not_tell() -> None:
    lines = motion_table({"none": {"acc": 3.0}, "occlusion": {"acc": 2.25, "slide": 1.5}})
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "|" in line]
    assert rows[0][1:] == ["none", "occlusion"]
    assert ["acceleration error, m/s²", "3", "2.25"] in rows
    assert ["feet that rest move, mm a frame", "", "1.5"] in rows
