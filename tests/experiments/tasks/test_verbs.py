"""Each verb really run, on synthetic data at `size=tiny`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from data.predictions import read_predictions
from tests.cases import assert_same_people

LEFT_BY_EVERY_RUN = {"config.yaml", "run.json", "run.log", "metrics.json", "table.md"}
KEYS = {"r_pck_pct", "r_auc_pct", "a_pck_pct", "a_auc_pct", "r_pck_raw_pct", "a_pck_raw_pct"} | {
    "mpjpe_mm", "a_mpjpe_mm", "mrpe_mm", "n_mrpe_mm", "n_mpjpe_mm", "pa_mpjpe_mm", "detected_pct", "ap_root_25cm_pct",
    "accel_mm", "accel_m_s2", "a_accel_mm", "a_accel_m_s2",
}  # fmt: skip


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_quickstart_leaves_tables_and_pictures(run_here) -> None:
    done = run_here("size=tiny")
    assert done.returncode == 0, done.output
    assert names(done.folder) >= LEFT_BY_EVERY_RUN | {"predictions.npz", "trajectory.png", "scene.gif", "lifter.json"}
    metrics = done.metrics
    assert (metrics["data"], metrics["train_data"], metrics["coordinates"]) == ("synthetic", "synthetic", "normal")
    assert (metrics["refinement"], metrics["protocol"]) == ("occlusion", {"people": "all", "pairing": "given"})
    assert set(metrics["metrics"]) == {"lifted", "refined"}
    assert set(metrics["metrics"]["lifted"]) >= KEYS
    assert set(metrics["protocols"]) == {"given/all", "given/matched", "by2d/all", "by2d/matched"}
    assert metrics["protocols"]["given/all"] == metrics["metrics"]
    assert list(metrics["per_sequence"]) == [f"TS{n}" for n in range(1, 21)]
    mean = np.mean([scores["refined"]["mrpe_mm"] for scores in metrics["per_sequence"].values()])
    assert metrics["metrics"]["refined"]["mrpe_mm"] == pytest.approx(mean)
    table = (done.folder / "table.md").read_text()
    assert "SYNTHETIC DATA" in table
    assert f"{metrics['metrics']['lifted']['mpjpe_mm']:.1f}" in table
    about = json.loads((done.folder / "run.json").read_text())
    assert about["seed"] == 0
    assert "size=tiny" in about["overrides"]


def test_every_metric_can_be_a_column(run_here) -> None:
    made = run_here("experiment=mupots_mm", "size=tiny", folder="made")
    columns = ["accel_mm", "accel_m_s2", "ap_root_25cm_pct", "detected_pct", "pa_mpjpe_mm"]
    parts = ["mpjpe_mm/joint:left_wrist", "mpjpe_mm/joints:visible", "mpjpe_mm/joints:occluded", "mrpe_mm/occluded"]
    words = [f"predictions={made.folder / 'predictions.npz'}", f"table.columns=[{','.join([*columns, *parts])}]"]
    for experiment, given in (("evaluate", words), ("mpii_3dhp", words[1:])):
        done = run_here(f"experiment={experiment}", "size=tiny", *given, folder=experiment)
        assert done.returncode == 0, done.output
        scores = done.metrics["metrics"]["refined"]
        assert scores["accel_m_s2"] > 0 and 0 <= scores["ap_root_25cm_pct"] <= 100
        table = (done.folder / "table.md").read_text().split("\n## ")[0]
        (row,) = [line for line in table.splitlines() if line.startswith("| refined") and "given" in line][:1]
        cells = [cell.strip() for cell in row.split("|")[4:-1]]
        assert cells[:5] == [f"{scores[key]:.1f}" for key in columns]
        parts_of = done.metrics["occlusion"]["refined"]
        expected = [parts_of[key].get(part) for key, part in (column.split("/") for column in parts)]
        assert cells[5:] == ["" if value is None else f"{value:.1f}" for value in expected]
        assert experiment == "mpii_3dhp" or "" not in cells
    refused = run_here("experiment=mupots_mm", "size=tiny", "table.columns=[mpjpe_mm/joint:tail]", folder="refused")
    assert refused.returncode == 2 and "table.columns: mpjpe_mm/joint:tail is not known" in refused.output
    assert "training" not in refused.output and "lifting" not in refused.output, "before anything runs"


@pytest.mark.parametrize(
    ("experiment", "coordinates"), [("mupots_pck", "universal"), ("mupots_mm", "normal"), ("mpii_3dhp", "normal")]
)
def test_table_experiments_fall_back_to_marked_synthetic_data(run_here, experiment: str, coordinates: str) -> None:
    done = run_here(f"experiment={experiment}", "size=tiny")
    assert done.returncode == 0, done.output
    assert "SYNTHETIC DATA" in done.output
    metrics = done.metrics
    assert (metrics["data"], metrics["train_data"], metrics["coordinates"]) == ("synthetic", "synthetic", coordinates)
    shown = "r_pck_raw_pct" if experiment == "mpii_3dhp" else "r_pck_pct"
    assert shown in metrics["metrics"]["refined"]
    expected = 6 if experiment == "mpii_3dhp" else 20
    assert len(metrics["per_sequence"]) == expected
    assert ("POTR-3D" in (done.folder / "table.md").read_text()) == (experiment == "mupots_pck")


def test_train_then_reuse_then_fresh(run_here, tmp_path: Path) -> None:
    words = [
        "experiment=train",
        "size=tiny",
        "data.windows_per_epoch=640",
        "seed=11",
        f"paths.lifters={tmp_path / 'lifters'}",
    ]
    first = run_here(*words, folder="first")
    assert first.returncode == 0, first.output
    assert "training:" in first.output
    (folder,) = (tmp_path / "lifters").iterdir()
    assert {"spec.json", "last.ckpt", "lifter.ckpt", "done.json"} <= names(folder)
    second = run_here(*words, "logger=csv", "trainer.log_every_n_steps=5", folder="second")
    assert "reusing the lifter" in second.output
    assert "training:" not in second.output
    assert second.metrics == first.metrics
    again = run_here(*words, "fresh=true", folder="again")
    assert "training:" in again.output
    assert again.metrics == first.metrics, "the same seed gives the same lifter"
    for checkpoint in (folder, folder / "lifter.ckpt", tmp_path / "first"):
        words = ["experiment=mupots_mm", "size=tiny", "refinement=none", f"checkpoint={checkpoint}"]
        used = run_here(*words, folder=f"used_{checkpoint.name}")
        assert used.returncode == 0, used.output
        assert "training:" not in used.output


def test_checkpoint_of_the_other_coordinates_is_refused(run_here, tmp_path: Path) -> None:
    lifters = f"paths.lifters={tmp_path / 'lifters'}"
    words = ["experiment=train", "size=tiny", "data.windows_per_epoch=640", "coordinates=universal", lifters]
    trained = run_here(*words, folder="trained")
    assert trained.returncode == 0, trained.output
    refused = run_here("experiment=mupots_mm", "size=tiny", f"checkpoint={tmp_path / 'trained'}")
    assert refused.returncode == 2
    assert "universal" in refused.output
    assert "normal" in refused.output
    assert "Traceback" not in refused.output


@pytest.mark.parametrize("refinement", ["occlusion", "paper"])
def test_own_predictions_refined_again_score_the_same(run_here, refinement: str) -> None:
    """Camera, rates, coordinates, detections: nothing that a refinement looks at gets lost in the file."""
    made = run_here("experiment=mupots_mm", "size=tiny", f"refinement={refinement}", folder="made")
    assert made.returncode == 0, made.output
    file = made.folder / "predictions.npz"
    refined = run_here("experiment=refine", f"predictions={file}", f"refinement={refinement}", folder="refined")
    assert refined.returncode == 0, refined.output
    again = refined.folder / "predictions.npz"
    assert_same_people(read_predictions(again), read_predictions(file))
    for number, given in enumerate((file, again)):
        scored = run_here("experiment=evaluate", "size=tiny", f"predictions={given}", folder=f"scored_{number}")
        assert scored.returncode == 0, scored.output
        for kind in ("lifted", "refined"):
            for key, value in made.metrics["metrics"][kind].items():
                assert scored.metrics["metrics"][kind][key] == pytest.approx(value, abs=0.1), (given, kind, key)


def test_predictions_with_gaps_through_refine_and_evaluate(run_here) -> None:
    made = run_here("experiment=mupots_mm", "size=tiny", folder="made")
    assert made.returncode == 0, made.output
    file = made.folder / "predictions.npz"
    rows = dict(np.load(file))
    by_hand = {key: rows[key] for key in ("sequence", "frame", "person", "confidence", "keypoints_2d")}
    by_hand["poses_3d"] = rows["lifted_3d"]
    kept = ~((by_hand["frame"] >= 10) & (by_hand["frame"] < 14))
    np.savez(made.folder / "gaps.npz", **{key: value[kept] for key, value in by_hand.items()})
    refined = run_here("experiment=refine", f"predictions={made.folder / 'gaps.npz'}", folder="refined")
    assert refined.returncode == 0, refined.output
    assert "30 frames per second are assumed" in refined.output
    out = np.load(refined.folder / "predictions.npz")
    np.testing.assert_array_equal(out["frame"], rows["frame"], "frames missing inside a track are filled")
    np.testing.assert_array_equal(out["detected"], kept)
    assert not out["observed"][~kept].any() and not out["confidence"][~kept].any()
    assert np.isfinite(out["poses_3d"]).all()
    scored = run_here(
        "experiment=evaluate", "size=tiny", f"predictions={refined.folder / 'predictions.npz'}", folder="scored"
    )
    assert scored.returncode == 0, scored.output
    by2d = run_here(
        "experiment=evaluate", "size=tiny", f"predictions={file}", "protocol.pairing=by2d", "protocol.people=matched",
        folder="by2d",
    )  # fmt: skip
    assert by2d.returncode == 0, by2d.output
    assert by2d.metrics["protocol"] == {"people": "matched", "pairing": "by2d"}
    assert by2d.metrics["metrics"] == by2d.metrics["protocols"]["by2d/matched"]


@pytest.mark.parametrize("experiment", ["evaluate", "refine"])
@pytest.mark.parametrize(("held", "wanted"), [("universal", "normal"), ("normal", "universal")])
def test_predictions_of_the_other_coordinates_are_refused(
    run_here, tmp_path: Path, experiment: str, held: str, wanted: str
) -> None:
    poses_3d = np.random.default_rng(0).normal(0, 100, (24, 17, 3)) + [0, 0, 4000]
    np.savez(
        tmp_path / "given.npz", sequence=np.repeat("TS1", 24), frame=np.arange(24), person=np.zeros(24, int),
        poses_3d=poses_3d, confidence=np.ones(24), coordinates=held,
    )  # fmt: skip
    words = [f"experiment={experiment}", "size=tiny", f"predictions={tmp_path / 'given.npz'}", f"coordinates={wanted}"]
    done = run_here(*words)
    assert done.returncode == 2, done.output
    assert f"coordinates={wanted}: " in done.output and f"given.npz holds {held} poses" in done.output
    assert "Traceback" not in done.output


def test_frame_numbers_that_cannot_be_right_are_refused(run_here, tmp_path: Path) -> None:
    """Frames that are missing are filled, but not the memory."""
    frame = np.append(np.arange(23), 10**12)
    np.savez(
        tmp_path / "given.npz", sequence=np.repeat("TS1", 24), frame=frame, person=np.zeros(24, int),
        poses_3d=np.ones((24, 17, 3)), confidence=np.ones(24),
    )  # fmt: skip
    done = run_here("experiment=refine", f"predictions={tmp_path / 'given.npz'}")
    assert done.returncode == 2, done.output
    assert "given.npz: 24 rows over 1000000000001 frames" in done.output


def test_refine_writes_back_all_that_it_was_given(run_here, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    given = {
        "sequence": np.repeat("TS1", 48), "frame": np.tile(np.arange(24), 2), "person": np.repeat([0, 1], 24),
        "poses_3d": rng.normal(0, 100, (48, 17, 3)).astype(np.float32) + np.float32([0, 0, 4000]),
        "keypoints_2d": rng.random((48, 19, 2), np.float32), "confidence": rng.random((48, 19), np.float32),
        "detected": rng.random(48) > 0.2, "observed": rng.random((48, 17)) > 0.2,
        "std_mm": rng.random((48, 17), np.float32),
        "fps": np.repeat([25.0, 50.0], 24), "coordinates": "universal",
        "joints_2d": "COCO-19", "joints_3d": "MuPoTS-17",
        "K": np.array([[1500.0, 0, 900], [0, 1400, 500], [0, 0, 1]]), "image_size": np.array([1920, 1080]),
        "n_frames": 30, "notes": np.array(["Guessed."]),
    }  # fmt: skip
    np.savez(tmp_path / "given.npz", **given)
    words = [f"predictions={tmp_path / 'given.npz'}", "coordinates=universal", "refinement=none"]
    done = run_here("experiment=refine", *words)
    assert done.returncode == 0, done.output
    found = np.load(done.folder / "predictions.npz")
    assert set(found.files) == {*given, "lifted_3d", "version"}
    for key, value in given.items():
        np.testing.assert_array_equal(found[key], value, key)
