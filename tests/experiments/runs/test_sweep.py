"""Sweeps that survive: finished rows are skipped, failed ones stay alone, a killed one goes on; then the table."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from experiments.results.jobs import Job, sweep_table
from experiments.results.table import COLUMNS
from experiments.runs.sweep import SweepCallback, _keep_older_table
from experiments.runs.sweep_words import row_name

TERMS = ["experiment=table_refinement_terms", "size=tiny", "logger=csv"]


@pytest.fixture
def sweep(run_here, tmp_path: Path) -> Callable:
    """`python run.py WORDS` in this process; the folder of the result is that of the sweep."""

    def start(*words: str, folder: str = "sweep"):
        done = run_here(*words, f"hydra.sweep.dir={tmp_path / folder}")
        done.folder = tmp_path / folder
        return done

    return start


def first_cells(table: str) -> list[str]:
    rows = [line for line in table.splitlines() if line.startswith("|")][2:]
    return [row.split("|")[1].strip() for row in rows]


SETTINGS = {"title": "", "columns": ["mrpe_mm"], "kinds": "refined", "figure": {"kind": "none", "columns": []}}


def rows_of(folder: Path) -> list[dict]:
    return json.loads((folder / "sweep.json").read_text())["rows"]


def counts(output: str) -> tuple[int, ...]:
    """(rows, finished before, computed, failed) as the sweep says at its end."""
    found = re.findall(r"(\d+) rows: (\d+) finished before, (\d+) computed, (\d+) failed", output)
    assert len(found) == 1, output
    return tuple(map(int, found[0]))


def test_one_lifter_and_only_what_is_missing(sweep, tmp_path: Path) -> None:
    words = [*TERMS, f"paths.lifters={tmp_path / 'lifters'}"]
    first = sweep(*words, "refinement=energy_fast,published/no_hip_terms")
    assert first.returncode == 0, first.output
    assert counts(first.output) == (2, 0, 2, 0)
    assert first.output.count("training on ") == 1
    assert {path.name for path in first.folder.glob("table.*")} == {"table.md", "table.csv", "table.tex"}
    assert (first.folder / "figure.png").is_file()
    table = (first.folder / "table.md").read_text()
    assert first_cells(table) == ["energy_fast", "published/no_hip_terms"]
    assert "SYNTHETIC DATA" in table
    for name in ("energy_fast", "published/no_hip_terms"):
        found = json.loads((first.folder / row_name(f"refinement-{name}") / "metrics.json").read_text())
        assert f"{found['occlusion']['refined']['mrpe_mm']['occluded']:.1f}" in table
    assert not (first.folder / ".jobs").exists(), "the notes of the jobs are gone"

    again = sweep(*words, "refinement=energy_fast,published/no_hip_terms")
    assert again.returncode == 0, again.output
    assert counts(again.output) == (2, 2, 0, 0)
    assert again.output.count("finished before: ") == 2
    assert "training on " not in again.output and "lifting" not in again.output
    assert (again.folder / "table.md").read_text() == table

    more = sweep(*words, "refinement=published/no_hip_terms,published/geman_mcclure")
    assert counts(more.output) == (2, 1, 1, 0)
    assert first_cells((more.folder / "table.md").read_text()) == [
        "published/no_hip_terms",
        "published/geman_mcclure",
    ], "rows are the command's, not what lies in the folder"
    (earlier,) = first.folder.glob("earlier/*")
    assert (earlier / "table.md").read_text() == table, "the table of other rows is kept"
    rebuilt = sweep_table(SETTINGS, [Job.read(earlier / row["folder"], row["overrides"]) for row in rows_of(earlier)])
    assert rebuilt is not None and [row.labels[0] for row in rebuilt.rows] == ["energy_fast", "published/no_hip_terms"]

    changed = sweep(*words, "refinement=energy_fast", "trainer.log_every_n_steps=7", "fresh=true")
    assert counts(changed.output) == (1, 0, 1, 0)


def test_failed_rows_leave_the_others_and_are_tried_again(sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["-m", "experiment=mupots_mm", "size=tiny", "logger=csv", "refinement.l2_cap=1.0,-1.0", "seed=1,2"]
    words += ["refinement.max_iter=50", "data.windows_per_epoch=640"]
    done = sweep(*words)
    assert done.returncode == 1
    assert counts(done.output) == (4, 0, 2, 2)
    assert done.output.count("\n# MuPoTS-3D, errors in mm\n") == 1, "no tables of rows above that of the sweep"
    failed = sorted(path.parent.name for path in done.folder.glob("*/failed.json"))
    assert failed == [f"refinement.l2_cap--1.0_seed-{seed}" for seed in (1, 2)]
    why = json.loads((done.folder / failed[0] / "failed.json").read_text())
    assert why["error"] == "l2_cap=-1.0: must be a number > 0; square metres"
    assert "ConfigError" in why["traceback"] and "seed=1" in why["overrides"]
    table = (done.folder / "table.md").read_text()
    assert first_cells(table) == ["1.0", "1.0", "-1.0"], "lifted and refined of the one, the failed other"
    assert "FAILED" in table and " ± " in table
    runs = [json.loads(path.read_text()) for path in sorted(done.folder.glob("**/metrics.json"))]
    mean = sum(run["metrics"]["refined"]["mrpe_mm"] for run in runs) / 2
    assert f"{mean:.1f} ± " in table

    monkeypatch.setattr("refinement.published.energy.EnergySettings.__post_init__", lambda self: None)
    again = sweep(*words)
    assert again.returncode == 0, again.output
    assert counts(again.output) == (4, 2, 2, 0)
    assert not list(again.folder.glob("*/failed.json"))


def test_an_error_of_ours_stays_local_too(sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    from experiments.tasks import evaluate

    genuine, calls = evaluate.read_test_set, []

    def once_broken(cfg):
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("a bug")
        return genuine(cfg)

    monkeypatch.setattr(evaluate, "read_test_set", once_broken)
    done = sweep("-m", "experiment=mupots_mm", "size=tiny", "logger=csv", "refinement=none,interpolation")
    assert done.returncode == 1
    assert counts(done.output) == (2, 0, 1, 1)
    assert "RuntimeError: a bug" in done.output and "Traceback" in done.output
    assert "none: FAILED: RuntimeError: a bug" in (done.folder / "table.md").read_text()


def test_rows_that_share_a_folder_are_refused(sweep) -> None:
    done = sweep("-m", "experiment=mupots_mm", "size=tiny", "logger=csv", "seed=1,2", "hydra.sweep.subdir=x")
    assert done.returncode == 1
    assert "hydra.sweep.subdir" in done.output
    assert not (done.folder / "table.md").exists()


def test_an_unknown_column_ends_a_sweep_before_its_first_job(sweep) -> None:
    done = sweep("-m", "experiment=mupots_mm", "table.columns=[mpjpe]", "seed=1,2")
    assert done.returncode == 2 and "table.columns: mpjpe is not known" in done.output
    assert not done.folder.exists() or not list(done.folder.glob("*seed*"))


def test_a_sweep_over_a_key_that_is_not_used_does_not_start(sweep) -> None:
    done = sweep("-m", "experiment=mupots_mm", "checkpoint=builtin:mocap_normal", "data=both,muco_temp")
    assert done.returncode == 2 and "data=both,muco_temp: nothing is trained beside checkpoint=" in done.output
    assert not list(done.folder.glob("*data*"))


def test_killed_halfway_it_goes_on_and_ends_with_the_same_table(
    sweep, repo: Path, workdir: Path, tmp_path: Path
) -> None:
    words = [*TERMS, "refinement=energy_fast,published/no_median_filter,published/no_robust_cap"]
    whole = sweep(*words, folder="whole")
    assert whole.returncode == 0, whole.output

    folder = tmp_path / "killed"
    command = [sys.executable, str(repo / "run.py"), *words, f"hydra.sweep.dir={folder}"]
    process = subprocess.Popen(
        command, cwd=workdir, env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not list(folder.glob("**/metrics.json")):
        assert process.poll() is None and time.monotonic() < deadline, "it ended before it could be killed"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "table.md").exists(), "killed too late"
    before = len(list(folder.glob("**/metrics.json")))

    again = sweep(*words, folder="killed")
    assert again.returncode == 0, again.output
    assert counts(again.output) == (3, before, 3 - before, 0)
    for name in ("table.md", "table.csv", "table.tex"):
        assert (folder / name).read_text() == (whole.folder / name).read_text(), name


def test_tables_are_rebuilt_without_running_anything(sweep, run_here) -> None:
    made = sweep(*TERMS, "refinement=energy_fast,published/no_robust_cap")
    assert made.returncode == 0, made.output
    texts = {name: (made.folder / name).read_text() for name in ("table.md", "table.csv", "table.tex")}
    for name in (*texts, "figure.png"):
        (made.folder / name).unlink()
    rebuilt = run_here("experiment=tables", f"runs={made.folder}", folder="rebuilt")
    assert rebuilt.returncode == 0, rebuilt.output
    assert {name: (made.folder / name).read_text() for name in texts} == texts
    assert (made.folder / "figure.png").is_file()

    (made.folder / "sweep.json").unlink()
    refused = run_here("experiment=tables", f"runs={made.folder}", folder="refused")
    assert refused.returncode == 2 and "table.columns" in refused.output
    gathered = run_here("experiment=tables", f"runs={made.folder}", "table.columns=[mrpe_mm]", folder="gathered")
    assert gathered.returncode == 0, gathered.output
    expected = [name for name in ("energy_fast", "published/no_robust_cap") for _ in range(2)]
    assert first_cells((made.folder / "table.md").read_text()) == expected

    (made.folder / "sweep.json").write_text("{}")
    broken = run_here("experiment=tables", f"runs={made.folder}", folder="broken")
    assert broken.returncode == 2 and "sweep.json" in broken.output
    for words in (["experiment=tables"], ["experiment=tables", "runs=nowhere"]):
        nothing = run_here(*words, folder="nothing")
        assert nothing.returncode == 2 and "runs=" in nothing.output


def test_half_a_note_of_a_killed_job_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    callback = SweepCallback()
    callback.notes = tmp_path / ".jobs" / "0123abcd"
    callback.notes.mkdir(parents=True)
    (callback.notes / ".000000-0123abcd.json").write_text("{")
    table = {"title": "", "columns": [], "kinds": "both", "figure": {"kind": "none", "columns": []}}
    hydra = {"sweeper": {}, "overrides": {"task": []}}
    cfg = OmegaConf.create({"name": "x", "table": table, "logger": {"_target_": "none"}, "hydra": hydra})
    with caplog.at_level("INFO"):
        callback.on_multirun_end(cfg)
    assert "0 rows: 0 finished before" in caplog.text


def test_a_table_of_other_rows_is_set_aside_and_rows_stay(tmp_path: Path) -> None:
    def rows(*names: str) -> list[dict]:
        return [{"folder": name, "overrides": []} for name in names]

    (tmp_path / "table.title-a").mkdir()
    (tmp_path / "table.md").write_text("older")
    (tmp_path / "sweep.json").write_text(json.dumps({"name": "x", "table": {}, "rows": rows("table.title-a")}))
    _keep_older_table(tmp_path, rows("table.title-a", "table.title-b"))
    assert (tmp_path / "table.md").exists(), "the new table holds the older's rows"
    _keep_older_table(tmp_path, rows("table.title-b"))
    (kept,) = (tmp_path / "earlier").iterdir()
    assert (kept / "table.md").read_text() == "older" and not (tmp_path / "table.md").exists()
    assert (kept / rows_of(kept)[0]["folder"]).resolve() == tmp_path / "table.title-a"


#: For each experiment what a short sweep over both coordinates needs beside `size=tiny`; {file}: predictions.
SHORT = {
    "quickstart": [],
    "train": [],
    "mupots_pck": [],
    "mupots_mm": [],
    "mpii_3dhp": [],
    "mpii_3dhp_pck": [],
    "table_interpolation": ["refinement=one_euro,occlusion"],
    "table_training_data": ["data=muco_temp"],
    "table_refinement_terms": ["refinement=published/no_relative_terms"],
    "table_lifter": ["network=causal"],
    "table_occlusion_length": ["refinement=paper"],
    "search_refinement": ["search.trials=1"],
    "evaluate": ["predictions={file}"],
    "refine": ["predictions={file}"],
}  # fmt: skip
#: These are of one data set or video, or of several files; tests/experiments/tasks runs them.
ALONE = {"tables", "prepare", "predict", "live", "pretrain_mocap", "export", "compare"}


@pytest.fixture(scope="module")
def predictions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people of one sequence for 30 frames."""
    frames, path = 30, tmp_path_factory.mktemp("given") / "predictions.npz"
    rng = np.random.default_rng(0)
    np.savez(
        path,
        sequence=np.repeat("TS1", 2 * frames),
        frame=np.tile(np.arange(frames), 2),
        person=np.repeat([0, 1], frames),
        poses_3d=rng.normal(0, 300, (17, 3)) + rng.normal(0, 30, (2 * frames, 17, 3)) + [0, 0, 4000],
        confidence=np.ones(2 * frames),
    )
    return path


def test_no_experiment_is_left_out(repo: Path) -> None:
    found = {path.stem for path in (repo / "conf" / "experiment").glob("*.yaml")}
    assert found == set(SHORT) | ALONE


@pytest.mark.parametrize("experiment", SHORT)
def test_both_coordinates_of_every_experiment(sweep, predictions: Path, experiment: str) -> None:
    words = [word.format(file=predictions) for word in SHORT[experiment]]
    done = sweep("-m", f"experiment={experiment}", "coordinates=normal,universal", "size=tiny", "logger=csv", *words)
    assert done.returncode == 0, done.output
    expected = 4 if any("," in word for word in words) else 2
    assert counts(done.output) == (expected, 0, expected, 0)
    if experiment == "refine":  # leaves nothing that a table could show
        return
    table = (done.folder / "table.md").read_text()
    assert " normal " in table and " universal " in table
    found = {json.loads(path.read_text())["coordinates"] for path in done.folder.rglob("metrics.json")}
    assert found == {"normal", "universal"}


def test_a_row_whose_predictions_changed_is_computed_again(sweep, predictions: Path, tmp_path: Path) -> None:
    given = tmp_path / "given.npz"
    given.write_bytes(predictions.read_bytes())
    words = ["-m", "experiment=evaluate", f"predictions={given}", "size=tiny", "logger=csv"]
    assert counts(sweep(*words).output) == (1, 0, 1, 0)
    assert counts(sweep(*words).output) == (1, 1, 0, 0)
    with np.load(given) as found:
        arrays = dict(found)
    np.savez(given, **{**arrays, "poses_3d": arrays["poses_3d"] + 50.0})
    stale = sweep(*words)
    assert counts(stale.output) == (1, 0, 1, 0)
    assert "computed again, changed since it was finished: predictions (" in stale.output


def test_several_experiments_are_one_table_and_two_checkpoints_two_rows(sweep, golden: Path) -> None:
    lifters = f"checkpoint=builtin:mocap_normal,{golden / 'checkpoint'}"
    words = ["-m", "experiment=mupots_mm,mpii_3dhp", "size=tiny", "logger=csv", "refinement=none", "coordinates=normal"]
    done = sweep(*words, lifters)
    assert counts(done.output) == (4, 0, 4, 0), done.output
    table = (done.folder / "table.md").read_text()
    assert table.startswith("# mupots_mm, mpii_3dhp\n")
    assert "A-AUC raw % ↑" in table and "experiment" in table and "builtin:mocap_normal" in table
    mrpe = {json.loads(path.read_text())["metrics"]["lifted"]["mrpe_mm"] for path in done.folder.glob("*/metrics.json")}
    assert len(mrpe) == 4


def test_what_a_sweeper_gets_of_each_run(sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    from experiments.runs import runner

    got, genuine = [], runner.run
    monkeypatch.setattr(runner, "run", lambda cfg: got.append(genuine(cfg)) or got[-1])
    words = ["-m", "experiment=mupots_mm", "size=tiny", "logger=csv", "refinement=interpolation"]
    words += ["protocol.people=all,some", "objective=refined/mrpe_mm"]
    done = sweep(*words)
    sweep(*words)
    expected = json.loads((done.folder / "protocol.people-all" / "metrics.json").read_text())
    assert got[0] == got[2] == expected["metrics"]["refined"]["mrpe_mm"], "of a finished row too"
    assert np.isnan(got[1]), "a failed one is no number"


def test_a_file_may_have_a_reference_in_its_name(sweep, predictions: Path, tmp_path: Path) -> None:
    given = tmp_path / "run_${seed}_${no.such}.npz"
    given.write_bytes(predictions.read_bytes())
    words = ["-m", "experiment=evaluate", f"predictions={given}", "size=tiny", "logger=csv"]
    first, again = sweep(*words), sweep(*words)
    assert first.returncode == 0, first.output
    assert (counts(first.output), counts(again.output)) == ((1, 0, 1, 0), (1, 1, 0, 0)), again.output


def test_the_refinements_of_a_file_are_rows_with_numbers_of_their_own(sweep, predictions: Path) -> None:
    words = ["-m", "experiment=evaluate", f"predictions={predictions}", "size=tiny", "logger=csv"]
    done = sweep(*words, "refinement=none,gaussian", "table.kinds=refined")
    assert counts(done.output) == (2, 0, 2, 0)
    none, gaussian = (
        json.loads((done.folder / f"refinement-{name}" / "metrics.json").read_text())["metrics"]
        for name in ("none", "gaussian")
    )
    assert gaussian["lifted"] == none["lifted"]
    assert gaussian["refined"]["mpjpe_mm"] != none["lifted"]["mpjpe_mm"]


def test_a_metric_of_ones_own_is_a_column_of_a_sweep_and_of_its_table_made_again(
    sweep, run_here, predictions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.results.table.COLUMNS", dict(COLUMNS))
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "counted.py").write_text("def people(truth, predicted) -> float:\n    return float(len(predicted))\n")
    words = ["--config-dir", str(mine), "-m", "experiment=evaluate", f"predictions={predictions}", "size=tiny"]
    own = '+metrics.n_people={function: counted.people, heading: "people found, each ↑"}'
    done = sweep(*words, "logger=csv", "refinement=none,gaussian", own, "table.columns=[mrpe_mm,n_people]")
    assert done.returncode == 0 and counts(done.output) == (2, 0, 2, 0), done.output
    text = (done.folder / "table.md").read_text()
    assert "people found, each ↑" in text and "| 2.0 " in text
    monkeypatch.setattr("experiments.results.table.COLUMNS", dict(COLUMNS))  # a new process knows only ours
    again = run_here("experiment=tables", f"runs={done.folder}", folder="again")
    assert again.returncode == 0, again.output
    assert (done.folder / "table.md").read_text() == text
    for wrong in (own.replace(" ↑", ""), "+metrics.n_people={function: counted.people}", "+metrics.n_people=counted"):
        refused = sweep(*words, "refinement=none,gaussian", wrong, folder="wrong")
        assert refused.returncode == 2 and "metrics.n_people" in refused.output, refused.output
