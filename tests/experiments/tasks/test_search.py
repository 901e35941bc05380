"""A search compares trials on one part of the data and reports on the other, and is taken up where it ended."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from experiments.tasks.search import REPORTED, TUNED, deal
from pose.errors import ConfigError

WORDS = ["size=tiny", "data=synthetic", "test=synthetic", "data.windows_per_epoch=64", "logger=csv"]


def people(*names: str):
    """Two people of each of these sequences, as far as `deal` looks at them."""
    return [SimpleNamespace(sequence=name, person=person) for name in names for person in (0, 1)]


def test_sequences_are_dealt_whole() -> None:
    parts = deal(people("TS1", "TS2", "TS3", "TS4", "TS5"), 2)  # type: ignore[arg-type]
    assert [person.sequence for person in parts[TUNED]] == ["TS1", "TS1", "TS3", "TS3", "TS5", "TS5"]
    assert [person.sequence for person in parts[REPORTED]] == ["TS2", "TS2", "TS4", "TS4"]
    assert {person.sequence for person in deal(people("a", "b", "c", "d"), 3)[TUNED]} == {"a", "d"}  # type: ignore[arg-type]


@pytest.mark.parametrize(("names", "every"), [(["TS1"], 2), (["TS1", "TS2"], 1), (["TS1", "TS2"], "two")])
def test_both_parts_must_hold_something(names: list[str], every) -> None:
    with pytest.raises(ConfigError, match=f"search.tune_every={every}: must be"):
        deal(people(*names), every)  # type: ignore[arg-type]


def test_search_keeps_the_best_and_takes_up_finished_trials(run_here, repo: Path, tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="needs extra sweeps")
    folder = tmp_path / "search"
    words = ["experiment=search_refinement", *WORDS, f"hydra.sweep.dir={folder}", f"paths.lifters={tmp_path}/l"]
    first = run_here(*words, "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=2")
    assert first.returncode == 0, first.output
    more = run_here(*words, "hydra.sweeper.n_trials=3", "hydra.sweeper.n_jobs=2")
    assert more.returncode == 0, more.output
    assert "3 rows: 2 finished before, 1 computed, 0 failed" in more.output
    assert more.output.count("reusing the lifter") == 1

    trials = {path.parent.name: json.loads(path.read_text()) for path in folder.glob("trial_*/metrics.json")}
    assert set(trials) == {"trial_0", "trial_1", "trial_2"}
    for metrics in trials.values():
        tuned, reported = (set(metrics["search"][part]["sequences"]) for part in ("tuned on", "reported on"))
        assert len(tuned) == len(reported) == 10
        assert not tuned & reported
        assert set(metrics["per_sequence"]) == tuned, "the table of trials shows the part that is tuned on"
        scores = metrics["metrics"]["refined"]
        assert metrics["search"]["objective"] == pytest.approx((scores["mpjpe_mm"] + scores["mrpe_mm"]) / 2)
    best = json.loads((folder / "best.json").read_text())
    least = min(trials, key=lambda name: trials[name]["search"]["objective"])
    assert (best["trial"], best["best"]) == (least, trials[least]["search"])
    found, value = (OmegaConf.load(folder / name) for name in ("best.yaml", "optimization_results.yaml"))
    assert value.best_value == pytest.approx(best["best"]["objective"]), "what Optuna was told"
    assert found.smoothness_weight_hip == pytest.approx(value.best_params["refinement.smoothness_weight_hip"])
    assert set(found) == set(OmegaConf.load(repo / "conf" / "refinement" / "energy_fast.yaml")), (
        "an option as it stands"
    )
    text = (folder / "best.md").read_text()
    assert "SYNTHETIC STAND-IN" in text
    own = best["own"]["reported on"]["refined"]["mrpe_mm"]
    assert f" {own:.1f} " in text.partition("reported on:")[2]
    assert own != best["best"]["reported on"]["refined"]["mrpe_mm"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["refinement=none"], "refinement=none: has nothing to search for"),
        (["search.metrics=[r_pck_pct]"], "search.metrics=['r_pck_pct']: must be some of"),
    ],
)
def test_a_search_that_cannot_be_is_refused(run_here, words: list[str], said: str) -> None:
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="needs extra sweeps")
    done = run_here("experiment=search_refinement", *WORDS, "hydra.mode=RUN", *words)
    assert done.returncode == 2
    assert said in done.output
