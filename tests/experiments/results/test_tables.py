"""The table of a sweep: gathered by setting, averaged over seeds, ranked, and written as Markdown, CSV, TeX, figure."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import statistics
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from experiments.results.jobs import Job, sweep_table
from experiments.results.scoring import score_mpi_inf_3dhp, score_mupots
from experiments.results.table import Table, column_title, text_table
from experiments.results.writers import csv_text, markdown_text, tex_text, write_table
from pose.errors import ConfigError, DataError
from pose.metrics.scenes import predicted_scenes, scenes_from_sequences
from pose.sequence import PoseSequence

SETTINGS: dict[str, Any] = {
    "title": "A title",
    "columns": ["mrpe_mm", "mrpe_mm/occluded", "a_pck_pct"],
    "kinds": "refined",
    "figure": {"kind": "bars", "columns": ["mrpe_mm", "a_pck_pct"]},
}


def metrics(mrpe: float, pck: float, kind: str = "refined", data: str = "mupots_3d") -> dict[str, Any]:
    scores = {"mrpe_mm": mrpe, "a_pck_pct": pck}
    occlusion = {"frames": {"all": 2}, kind: {"mrpe_mm": {"all": mrpe, "occluded": 2 * mrpe}}}
    return {
        "data": data, "train_data": data, "coordinates": "normal", "protocol": {"people": "all", "pairing": "given"},
        "metrics": {"lifted": {"mrpe_mm": 900.0, "a_pck_pct": 1.0}, kind: scores}, "occlusion": occlusion,
    }  # fmt: skip


def job(*overrides: str, found: dict[str, Any] | None = None, error: str | None = None) -> Job:
    return Job(Path("_".join(overrides)), list(overrides), found, error)


def the_table(jobs: list[Job], **changes: Any) -> Table:
    table = sweep_table({**SETTINGS, **changes}, jobs)
    assert table is not None
    return table


THREE = [
    job("refinement=a", "size=full", found=metrics(300.0, 10.0)),
    job("refinement=b", "size=full", found=metrics(100.0, 30.0)),
    job("refinement=c_%", "size=full", found=metrics(200.0, 20.0)),
]


def test_variants_that_share_a_name_are_not_said_to_be_one() -> None:
    found = {**metrics(300.0, 10.0), "refinement": "energy_fast"}
    for setting in ("refinement", "refinement.l2_cap"):
        assert "refinement: energy_fast" not in the_table([job(f"{setting}={v}", found=found) for v in "ab"]).notes
    assert "refinement: energy_fast" in the_table([job(f"data={v}", found=found) for v in "ab"]).notes


def test_rows_are_the_settings_that_vary_and_the_best_is_marked() -> None:
    table = the_table(THREE)
    assert table.labels == ["refinement"]
    assert [row.labels for row in table.rows] == [["a"], ["b"], ["c_%"]]
    assert "all rows: size=full" in table.notes
    assert [[table.rank(row, column) for column in table.columns] for row in table.rows] == [[0] * 3, [1] * 3, [2] * 3]
    text = markdown_text(table)
    assert "**100.0**" in text and "**200.0**" in text and "**30.0**" in text, "the largest PCK, the smallest MRPE"
    assert "<u>20.0</u>" in text
    assert "A-PCK % ↑" in text and "MRPE mm, occluded ↓" in text


def test_numbers_that_look_alike_share_their_mark_and_the_worst_has_none() -> None:
    jobs = [job(f"refinement={i}", found=metrics(mrpe, 1.0)) for i, mrpe in enumerate([100.01, 100.04, 250.0])]
    table = the_table(jobs)
    assert [table.rank(row, "mrpe_mm") for row in table.rows] == [1, 1, 0]
    assert [table.rank(row, "a_pck_pct") for row in table.rows] == [0, 0, 0], "all alike: nothing is best"


def test_runs_that_differ_by_seed_alone_are_one_row_with_its_spread() -> None:
    numbers = [100.0, 104.0, 111.0]
    jobs = [job("refinement=a", f"seed={i}", found=metrics(mrpe, 5.0)) for i, mrpe in enumerate(numbers)]
    jobs += [job("refinement=b", f"seed={i}", found=metrics(90.0, 6.0)) for i in range(2)]
    jobs += [job("refinement=b", "seed=2", error="no luck")]
    table = the_table(jobs)
    first, second = table.rows
    assert first.cells["mrpe_mm"].mean == pytest.approx(statistics.mean(numbers))
    assert first.cells["mrpe_mm"].std == pytest.approx(statistics.stdev(numbers))
    assert "105.0 ± 5.6" in markdown_text(table)
    assert r"105.0 $\pm$ 5.6" in tex_text(table)
    assert (second.runs, second.asked, second.note) == (2, 3, "1 of 3 seeds FAILED")
    assert "mean ± standard deviation over seed=0,1,2, n = 2 to 3" in table.notes
    assert table.differences is not None
    (row,) = table.differences.rows
    assert row.labels == ["b"]
    cell = row.cells["mrpe_mm"]  # -10 and -14: 12.706 is the 97.5 % point of Student's t with one degree of freedom
    assert (cell.mean, cell.interval) == (-12.0, pytest.approx((-12 - 12.706 * 2, -12 + 12.706 * 2), abs=1e-3))
    assert row.cells["a_pck_pct"].interval == (1.0, 1.0)
    assert "n = 2 seeds" in table.differences.notes[0]
    assert table.differences.title == "Difference from refinement=a, paired by seed"


def test_differences_are_within_a_seed_and_of_one_kind(tmp_path: Path) -> None:
    """The spread between seeds, 100 mm, cancels; what only one row has is left out."""
    jobs = [job("refinement=a", f"seed={i}", found=metrics(100.0 * i, 5.0)) for i in (1, 2, 3, 4)]
    jobs += [job("refinement=b", f"seed={i}", found=metrics(100.0 * i + i, 5.0)) for i in (3, 2, 1)]
    table = the_table(jobs, kinds="both")
    files = write_table(table, tmp_path)
    assert "differences.csv" in {path.name for path in files}
    rows = list(csv.DictReader(io.StringIO((tmp_path / "differences.csv").read_text())))
    assert [(row["refinement"], row["poses"]) for row in rows] == [("b", "lifted"), ("b", "refined")]
    assert float(rows[1]["mrpe_mm"]) == 2.0 and float(rows[0]["mrpe_mm"]) == 0.0
    assert float(rows[1]["mrpe_mm_low"]) == pytest.approx(2 - 4.30265 / 3**0.5, abs=1e-4)
    assert "| b          | refined | +2.0 [-0.5, +4.5]" in (tmp_path / "table.md").read_text()
    assert the_table(jobs[:5]).differences is None, "one shared seed has no interval"


def test_coordinates_are_not_ranked_against_each_other() -> None:
    other = {**metrics(50.0, 40.0), "coordinates": "universal"}
    table = the_table([*THREE[:2], job("refinement=d", "size=full", found=other)])
    assert [table.rank(row, "mrpe_mm") for row in table.rows] == [0, 1, 0]


def test_a_row_without_a_refinement_is_the_first_of_those_with_one() -> None:
    lifted = {**metrics(90.0, 9.0), "metrics": {"lifted": {"mrpe_mm": 90.0}}}
    jobs = [job("refinement=none", f"seed={i}", found=lifted) for i in (1, 2)]
    jobs += [job("refinement=a", f"seed={i}", found=metrics(70.0 + i, 9.0)) for i in (1, 2)]
    table = the_table(jobs).differences
    assert table is not None and [(row.labels, row.cells["mrpe_mm"].mean) for row in table.rows] == [(["a"], -18.5)]


def test_rows_that_differ_by_devices_are_said_to_share_a_lifter() -> None:
    table = the_table([job(f"trainer.devices={n}", found=metrics(100.0, 5.0)) for n in (1, 2)])
    assert "trainer.devices is not in a lifter's hash: rows that differ by it share one lifter" in table.notes


def test_a_failed_row_stays_and_says_so() -> None:
    table = the_table([*THREE, job("refinement=d", "size=full", error="l2_cap=-1: must be > 0")])
    assert table.failed
    assert "d: FAILED: l2_cap=-1: must be > 0" in table.notes
    (line,) = [line for line in markdown_text(table).splitlines() if line.startswith("| d")]
    assert "FAILED" in line
    assert r"d & \multicolumn{3}{c}{FAILED} \\" in tex_text(table)
    assert [row["state"] for row in csv.DictReader(io.StringIO(csv_text(table)))] == ["finished"] * 3 + ["FAILED"]


def test_lifted_and_refined_side_by_side_or_the_refined_ones_alone() -> None:
    both = the_table(THREE, kinds="both")
    assert [row.labels[1] for row in both.rows] == ["lifted", "refined"] * 3
    lifted_only = {**metrics(70.0, 9.0), "metrics": {"lifted": {"mrpe_mm": 70.0}}}
    refined = the_table([*THREE, job("refinement=none", "size=full", found=lifted_only)])
    assert refined.rows[-1].cells["mrpe_mm"].mean == 70.0


def test_csv_has_the_numbers_at_full_precision() -> None:
    table = the_table([job("refinement=a", found=metrics(100.0 / 3, 1.0)), *THREE])
    rows = list(csv.DictReader(io.StringIO(csv_text(table))))
    assert float(rows[0]["mrpe_mm"]) == 100.0 / 3
    assert float(rows[0]["mrpe_mm/occluded"]) == 200.0 / 3


def test_tex_is_booktabs_and_escaped() -> None:
    text = tex_text(the_table(THREE))
    for part in (r"\toprule", r"\midrule", r"\bottomrule", r"c\_\%", r"\textbf{100.0}", r"\underline{20.0}"):
        assert part in text, part
    assert r"\multicolumn{2}{c}{MRPE mm $\downarrow$}" in text, "the metric stands once above its parts"
    body = [line for line in text.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
    assert {line.count(" & ") for line in body} == {3}, "every row has as many cells as columns"
    assert text.count("{") == text.count("}")


def test_synthetic_data_are_marked_everywhere(tmp_path: Path) -> None:
    jobs = [job("refinement=a", found=metrics(1.0, 2.0, data="synthetic")), job("refinement=b", error="no")]
    table = the_table(jobs)
    files = write_table(table, tmp_path)
    assert [path.name for path in files] == ["table.md", "table.csv", "table.tex", "figure.png", "figure.pdf"]
    assert "**SYNTHETIC DATA" in (tmp_path / "table.md").read_text()
    assert r"\emph{SYNTHETIC DATA" in (tmp_path / "table.tex").read_text()
    assert "synthetic" in (tmp_path / "table.csv").read_text()
    assert "SYNTHETIC" not in markdown_text(the_table(THREE))


@pytest.mark.parametrize("kind", ["bars", "lengths", "differences"])
def test_figure(tmp_path: Path, kind: str) -> None:
    columns = {"bars": ["mrpe_mm", "a_pck_pct"], "lengths": ["mrpe_mm"], "differences": []}[kind]  # none: the table's
    found = metrics(100.0, 10.0)
    found["occlusion"]["refined"]["mrpe_mm"] |= {"visible": 80.0, "occluded_1_5": 90.0}
    jobs = [job(f"refinement={i}", f"seed={seed}", found=found) for i in "abc" for seed in (0, 1)]
    table = the_table(
        jobs, figure={"kind": kind, "columns": columns}, columns=["mrpe_mm", "a_pck_pct", "mrpe_mm/visible"]
    )
    assert write_table(table, tmp_path)[-1].name == "figure.pdf"
    assert (tmp_path / "figure.pdf").read_bytes().startswith(b"%PDF-")
    with Image.open(tmp_path / "figure.png") as picture:
        assert min(picture.size) > 250
        assert len(set(picture.convert("L").getdata())) > 10, "something is drawn"
    assert not list(tmp_path.glob(".*")), "no half-written file"


def test_no_figure_of_differences_without_two_seeds(tmp_path: Path) -> None:
    table = the_table(THREE, figure={"kind": "differences", "columns": ["mrpe_mm"]})
    assert write_table(table, tmp_path)[-1].name == "table.tex" and not list(tmp_path.glob("figure.*"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"columns": ["no_such_metric"]}, "no_such_metric"),
        ({"columns": ["mrpe_mm/hidden"]}, "mrpe_mm/hidden"),
        ({"columns": ["detected_pct/occluded"]}, "the parts of detected_pct are none"),
        ({"kinds": "some"}, "table.kinds=some"),
        ({"figure": {"kind": "pie", "columns": ["mrpe_mm"]}}, "table.figure.kind=pie"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        write_table(the_table(THREE, **changes), tmp_path)


def test_runs_without_metrics_give_no_table() -> None:
    assert sweep_table(SETTINGS, [job("prepare=check", found={"tracks": []})]) is None
    assert sweep_table({**SETTINGS, "columns": []}, THREE) is None


def test_a_job_is_read_as_it_stands(tmp_path: Path) -> None:
    assert Job.read(tmp_path, ["a=1"]).error == "left no metrics.json"
    assert Job.read(tmp_path, ["a=1"], ended=True).error is None
    (tmp_path / "metrics.json").write_text(json.dumps(metrics(1.0, 2.0)))
    read = Job.read(tmp_path, ["a=1", "+b=x=y", "a=2"])
    assert read.error is None and read.settings == {"a": "2", "b": "x=y"}
    (tmp_path / "failed.json").write_text(json.dumps({"error": "first line\nsecond"}))
    assert Job.read(tmp_path, []).error == "first line"
    (tmp_path / "failed.json").write_text("{")
    with pytest.raises(DataError, match=r"failed\.json"):
        Job.read(tmp_path, [])


@pytest.mark.parametrize(
    "content",
    [
        '{"metrics": 3}',
        '{"metrics": {"lifted": {"a": "x"}}, "data": "x"}',
        '{"metrics": {}}',
        '{"occlusion": []}',
        "[]",
        "{",
    ],
)
def test_damaged_metrics_are_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(DataError, match=r"metrics\.json: .* remove it"):
        Job.read(tmp_path, [])


def test_titles_of_columns() -> None:
    assert column_title("mpjpe_mm") == ("MPJPE mm", "↓")
    assert column_title("a_pck_pct/visible") == ("A-PCK %, visible", "↑")
    assert column_title("mrpe_mm/occluded_over_60") == ("MRPE mm, occluded > 60", "↓")
    assert column_title("mpjpe_mm/joint:left_wrist") == ("MPJPE mm, left wrist", "↓")
    assert column_title("mpjpe_mm/joints:occluded_1_5") == ("MPJPE mm, joints occluded 1-5", "↓")


def test_a_table_of_text() -> None:
    text = markdown_text(text_table("People", [{"person": 0, "moved_mm": 1.23456}], ["a note"]))
    assert text.splitlines() == [
        "# People", "", "- a note", "", "| person | moved_mm |", "|--------|----------|", "| 0      | 1.235    |",
    ]  # fmt: skip


# --- the errors by occlusion -----------------------------------------------------------------------------------------


def person(
    frames: int, hidden: list[int], undetected: list[int], error: torch.Tensor, name: str = "TS1"
) -> tuple[PoseSequence, ...]:
    """A person 3 m away whose whole prediction is `error` (T,) mm too deep, and that prediction."""
    visible, detected = torch.ones(frames, 17, dtype=torch.bool), torch.ones(frames, dtype=torch.bool)
    visible[hidden, :9] = False
    detected[undetected] = False
    poses = torch.zeros(frames, 17, 3) + torch.tensor([0.0, 0.0, 3000.0])
    truth = PoseSequence(
        name, 0, None, 30.0, torch.zeros(frames, 19, 2), torch.ones(frames, 19), detected, poses,
        visible=visible, coordinates="normal",
    )  # fmt: skip
    return truth, truth.with_poses(poses + error[:, None, None] * torch.tensor([0.0, 0.0, 1.0]), "normal")


def scored(*people: tuple[PoseSequence, ...]) -> dict[str, Any]:
    truth = scenes_from_sequences([own for own, _ in people])
    scenes = {"lifted": predicted_scenes([found for _, found in people], truth)}
    return score_mupots(truth, {"given": scenes}, "all", "given")


def test_errors_are_split_by_frames_in_sight_and_pooled_over_sequences() -> None:
    one = person(10, [2, 3], [7], torch.tensor([10.0] * 2 + [40.0] * 2 + [10.0] * 3 + [70.0] + [10.0] * 2))
    two = person(10, list(range(10)), [], torch.full((10,), 100.0), "TS2")
    scores = scored(one, two)["occlusion"]
    expected = {"all": 20, "visible": 7, "occluded": 13, "occluded_1_5": 3, "occluded_6_15": 10}
    assert scores["frames"] == expected
    assert scores["seconds"] == {
        "occluded": [0.033, 0.333],
        "occluded_1_5": [0.033, 0.067],
        "occluded_6_15": [0.333, 0.333],
    }
    mrpe = scores["lifted"]["mrpe_mm"]
    assert mrpe["visible"] == pytest.approx(10.0)
    assert mrpe["occluded_1_5"] == pytest.approx((40 + 40 + 70) / 3)
    assert mrpe["occluded"] == pytest.approx((40 + 40 + 70 + 10 * 100) / 13)
    assert "occluded_16_30" not in mrpe
    assert scores["lifted"]["mpjpe_mm"]["all"] == 0.0, "relative poses are right"
    assert scores["lifted"]["a_pck_raw_pct"]["all"] == 100.0
    joints = scores["lifted"]["a_mpjpe_mm"]
    assert joints["joint:left_wrist"] == pytest.approx(mrpe["all"])
    assert joints["joints:occluded"] == pytest.approx((40 + 40 + 10 * 100) / 12), (
        "joints that are hidden, detected or not"
    )


def test_tables_say_what_their_parts_count() -> None:
    found = metrics(300.0, 10.0)
    found["occlusion"] |= {"frames": {"all": 9, "occluded_1_5": 2}, "seconds": {"occluded_1_5": [0.017, 0.167]}}
    notes = the_table([job("refinement=a", found=found)]).notes
    assert "occluded: undetected, or with under half of the joints in sight" in notes
    assert (
        "people in frames, occluded ones by how many frames it lasts: all: 9; occluded 1-5: 2 (0.02 to 0.17 s)" in notes
    )
    assert any("means over all its poses together" in note for note in notes)
    assert not any(
        "people in frames" in note for note in the_table([job("a=b", found=found)], columns=["mrpe_mm"]).notes
    )


def test_no_annotated_frame_has_no_errors_by_occlusion() -> None:
    truth, guess = person(4, [], [], torch.zeros(4))
    truth = dataclasses.replace(truth, annotated=torch.zeros(4, dtype=torch.bool))
    assert scored((truth, guess))["occlusion"] == {"frames": {}}


def test_a_sequence_without_a_frame_that_counts_is_skipped_and_named(caplog: pytest.LogCaptureFixture) -> None:
    good, bad = person(4, [], [], torch.full((4,), 30.0)), person(4, [], [0, 1, 2, 3], torch.zeros(4), "TS2")
    scores = score_mpi_inf_3dhp([good[0], bad[0]], {"lifted": [good[1], bad[1]]})
    assert list(scores["per_sequence"]) == ["TS1"] and "TS2" in caplog.text
    assert scores["metrics"]["lifted"]["mrpe_mm"] == pytest.approx(30.0)
    assert "r_pck_pct" not in scores["metrics"]["lifted"]
    assert scores["occlusion"]["frames"] == {"all": 8, "visible": 4, "occluded": 4, "occluded_1_5": 4}
    with pytest.raises(DataError, match="no frame has both a valid annotation and a"):
        score_mpi_inf_3dhp([bad[0]], {"lifted": [bad[1]]})
