"""Data sets that went away: never a synthetic result in the place of a real one, nor where they were meant to be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda root: root.symlink_to("/absent/disk"), "a link to /absent/disk, which is not there; mount it"),
        (lambda root: root.write_text(""), "is a file; a folder with the data sets is expected"),
        (lambda root: (root / "mupots").mkdir(parents=True), "a folder MuPoTS is expected; rename or mount it"),
        (lambda root: root.mkdir() or (root / "MuPoTS").write_text(""), "a folder MuPoTS is expected"),
    ],
)
def test_what_stands_in_for_data_sets_is_refused(run_here, tmp_path: Path, make, said: str) -> None:
    make(tmp_path / "datasets")
    done = run_here("experiment=mupots_mm", "size=tiny", "checkpoint=builtin:mocap_normal", cwd=tmp_path)
    assert done.returncode == 2 and said in done.output and "Traceback" not in done.output, done.output


def test_rows_on_real_data_are_not_replaced_by_synthetic_ones(run_here, tmp_path: Path) -> None:
    words = ["experiment=mupots_mm", "size=tiny", "checkpoint=builtin:mocap_normal", "logger=csv"]
    for folder, more in (
        ("run", ["refinement=none"]),
        ("sweep/row", ["hydra.mode=MULTIRUN", f"hydra.sweep.dir={tmp_path}/sweep", "refinement=none,gaussian"]),
    ):
        place = tmp_path / folder
        (place / ".hydra").mkdir(parents=True)
        (place / "metrics.json").write_text(json.dumps({"data": "mupots_3d"}))
        done = run_here(*words, *more, cwd=tmp_path)
        assert done.returncode == (1 if "sweep" in folder else 2), done.output
        assert "was finished on mupots_3d, and datasets holds no data sets now; mount them" in done.output
        assert json.loads((place / "metrics.json").read_text()) == {"data": "mupots_3d"}
