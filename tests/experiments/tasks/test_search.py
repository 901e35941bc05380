"""A search compares trials on one part of the data, reports on the other, and goes on where it ended."""

from __future__ import annotations

import re
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


def test_search_reports_the_best_on_the_other_part_and_goes_on(run_here, repo: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="needs extra sweeps")
    words = ["experiment=search_refinement", *WORDS, f"paths.lifters={tmp_path}/l"]
    first = run_here(*words, "search.trials=2")
    assert first.returncode == 0, first.output
    assert "2 trials, 0 finished before" in first.output
    more = run_here(*words, "search.trials=3")
    assert more.returncode == 0, more.output
    assert "3 trials, 2 finished before" in more.output and more.output.count("] - trial ") == 1
    found = more.metrics["search"]
    assert found["trials"] == 3 and found["objective"] <= first.metrics["search"]["objective"]

    best = OmegaConf.load(more.folder / "best.yaml")
    own = OmegaConf.load(repo / "conf" / "refinement" / "energy_fast.yaml")
    assert set(best) == set(own), "an option as it stands"
    assert best.smoothness_weight_hip == pytest.approx(found["best"]["smoothness_weight_hip"])
    text = (more.folder / "table.md").read_text()
    assert "SYNTHETIC DATA" in text
    tuned, reported = (part.splitlines() for part in text.split("the part that is ")[1:])
    sequences = [set(re.findall(r"TS\d+", "".join(lines))) for lines in (tuned, reported)]
    assert len(sequences[0]) == len(sequences[1]) == 10 and not sequences[0] & sequences[1]
    assert set(more.metrics["per_sequence"]) == sequences[1], (
        "the numbers of the run are of the part that is reported on"
    )
    (row,) = [line for line in tuned if line.startswith("| the best found")]
    mpjpe, _, mrpe = (float(cell.strip(" *<u>/")) for cell in row.split("|")[2:5])
    assert (mpjpe + mrpe) / 2 == pytest.approx(found["objective"], abs=0.06)

    other = run_here(*words, "search.trials=1", "search.tune_every=4")
    assert "1 trials, 0 finished before" in other.output, "another problem starts its own search"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["refinement=none"], "refinement=none: has nothing to search for"),
        (["search.metrics=[r_pck_pct]"], "search.metrics=['r_pck_pct']: must be some of"),
        (["refinement=gaussian"], "search.space.pose_loss: is no setting of this refinement"),
    ],
)
def test_a_search_that_cannot_be_is_refused(run_here, words: list[str], said: str) -> None:
    done = run_here("experiment=search_refinement", *WORDS, *words)
    assert done.returncode == 2
    assert said in done.output
