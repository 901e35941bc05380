"""`experiment=compare`: several files in one table, with intervals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.sets.mupots_3d import MuPoTS3D
from pose.metrics.scenes import scenes_from_sequences


@pytest.fixture
def compare(run_here, conformance: Path, tmp_path: Path):
    """Runs it on three files: noise of 30 and of 60 mm, and the latter without TS5."""
    rng, scenes = np.random.default_rng(0), scenes_from_sequences(MuPoTS3D(conformance / "MuPoTS").sequences("normal"))
    files = {"good": 30, "bad": 60, "partial": 60}
    for name, noise in files.items():
        poses = {
            key: scene.annotation_3d + rng.normal(0, noise, scene.annotation_3d.shape) for key, scene in scenes.items()
        }
        poses = {key: np.where(scenes[key].valid[..., None, None], value, np.nan) for key, value in poses.items()}
        np.savez(
            tmp_path / f"{name}.npz",
            **{key: value for key, value in poses.items() if (name, key) != ("partial", "TS5")},
        )

    def start(*words: str, names: tuple[str, ...] = tuple(files), folder: str = "run"):
        given = ",".join(str(tmp_path / f"{name}.npz") for name in names)
        words = (f"predictions=[{given}]", f"paths.datasets={conformance}", "fps=30", *words)
        return run_here("experiment=compare", *words, folder=folder)

    return start


def test_table_intervals_and_differences(compare) -> None:
    done = compare()
    assert done.returncode == 0, done.output
    content = done.metrics
    assert list(content["metrics"]) == ["good", "bad", "partial"]
    by_sequence = content["per_sequence"]
    expected = np.mean(
        [by_sequence["bad"][name]["mpjpe_mm"] - by_sequence["good"][name]["mpjpe_mm"] for name in by_sequence["good"]]
    )
    found = content["differences"]["bad"]["mpjpe_mm"]
    assert found["mean"] == pytest.approx(expected) and found["sequences"] == 20
    assert found["low"] < expected < found["high"] and found["high"] - found["low"] < 5 and found["low"] > 30
    assert content["differences"]["partial"]["mpjpe_mm"]["sequences"] == 19
    table = (done.folder / "table.md").read_text()
    first, differences, *each = table.split("\n## ")
    good, bad, partial = (
        next(line for line in first.splitlines() if line.startswith(f"| {n}")) for n in content["metrics"]
    )
    assert good.count("**") == 16 and "**" not in bad + partial, "the best of eight columns are bold"
    assert "19 of 20 " in partial and "20 of 20 " in good
    assert "warning: partial: predictions of 19 of 20 sequences" in first
    assert f"**{expected:+.1f} [{found['low']:+.1f}, {found['high']:+.1f}]**" in differences
    assert "each minus good, over the sequences that both have" in differences
    assert [text.splitlines()[0] for text in each] == ["bad minus good, by sequence", "partial minus good, by sequence"]
    assert (done.folder / "figure.png").stat().st_size > 10_000, "the intervals are drawn"


def test_what_cannot_be_compared(compare, run_here, tmp_path: Path) -> None:
    for names, words, says in (
        (("good",), (), "give two or more files"),
        (("good", "good"), (), "give two or more files"),
        (
            ("good", "bad"),
            ("refinement=gaussian",),
            "refinement=gaussian: is not used by this experiment (task: compare)",
        ),
        (("good", "bad"), ("table.columns=[mpjpe_mm/all]",), "experiment=compare has no parts of metrics"),
    ):
        done = compare(*words, names=names, folder="refused")
        assert done.returncode == 2 and says in done.output, done.output
    done = run_here("experiment=evaluate", f"predictions=[{tmp_path}/good.npz,{tmp_path}/bad.npz]", folder="evaluate")
    assert done.returncode == 2 and "give one file; experiment=compare takes several" in done.output
