"""Other programs' files and nonsense through the whole command."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from data.sets.mupots_3d import MuPoTS3D
from data.sets.writers import write_mpi_test_annotations
from fileio.pickle_reader import write_pickle
from pose.joint_sets import MUPOTS_17
from pose.metrics.scenes import scenes_from_sequences

HIP = MUPOTS_17.index("hip")


@pytest.fixture(scope="module")
def scenes(conformance: Path):
    return scenes_from_sequences(MuPoTS3D(conformance / "MuPoTS").sequences("normal"))


@pytest.fixture(scope="module")
def predicted(scenes) -> dict[str, np.ndarray]:
    """Sequence -> poses (T, P, 17, 3), NaN where nobody is annotated."""
    rng = np.random.default_rng(0)
    noisy = {name: scene.annotation_3d + rng.normal(0, 40, scene.annotation_3d.shape) for name, scene in scenes.items()}
    return {name: np.where(scenes[name].valid[..., None, None], poses, np.nan) for name, poses in noisy.items()}


@pytest.fixture
def evaluate(run_here, conformance: Path, tmp_path: Path):
    def start(path: Path | str, *words: str, folder: str = "run"):
        return run_here(
            "experiment=evaluate",
            f"predictions={path}",
            f"paths.datasets={conformance}",
            "fps=30",
            *words,
            folder=folder,
        )

    return start


def table(done) -> str:
    return (done.folder / "table.md").read_text()


def test_the_official_scripts_files_are_paired_by_2d(evaluate, scenes, predicted, tmp_path: Path) -> None:
    images: dict[str, dict] = {"3d": {}, "2d": {}}
    for name, poses in predicted.items():
        for frame in range(len(poses)):
            if len(found := np.flatnonzero(scenes[name].valid[frame])[::-1]):
                images["3d"][f"{name}_img_{frame:06d}"] = poses[frame, found]
                images["2d"][f"{name}_img_{frame:06d}"] = scenes[name].annotation_2d[frame, found]
    for axes, content in images.items():
        scipy.io.savemat(tmp_path / f"preds_{axes}_kpt_mupots.mat", content)
    done = evaluate(tmp_path / "preds_3d_kpt_mupots.mat")
    assert done.returncode == 0, done.output
    assert done.metrics["protocol"] == {"people": "all", "pairing": "by2d"}
    assert set(done.metrics["protocols"]) == {"by2d/all", "by2d/matched"}
    assert "people have no identities: paired by their 2D joints" in done.output and "no identities" in table(done)
    assert done.metrics["metrics"]["lifted"]["mrpe_mm"] < 90
    assert "| 100.0 %, 100.0 %, 20 of 20 " in table(done)


def test_root_relative_pickles_have_no_absolute_errors(evaluate, predicted, tmp_path: Path) -> None:
    (tmp_path / "pred").mkdir()
    for name, poses in predicted.items():
        relative = np.nan_to_num(poses - poses[:, :, HIP, None]) / 520  # as GnTCN's, of no unit
        with open(tmp_path / "pred" / f"{name.removeprefix('TS')}.pkl", "wb") as file:
            pickle.dump(relative.transpose(0, 1, 3, 2).astype(np.float32), file)
    done = evaluate(tmp_path / "pred")
    assert done.returncode == 0, done.output
    assert set(done.metrics["metrics"]["lifted"]) == {
        "detected_pct", "frames_pct", "r_pck_pct", "r_auc_pct", "pa_mpjpe_mm"
    }  # fmt: skip
    assert not any(key.startswith(("a_", "mrpe")) for key in done.metrics["occlusion"]["lifted"])
    assert "warning: every hip is at 0" in table(done) and "errors without bone rescaling are left out" in table(done)
    assert done.metrics["metrics"]["lifted"]["r_pck_pct"] > 85


def test_some_sequences_say_over_which_the_mean_is(evaluate, predicted, tmp_path: Path) -> None:
    poses = {name: predicted[name].copy() for name in ("TS3", "TS11")}
    poses["TS3"][:5] = 0
    poses["TS11"][:, 1] = np.nan
    np.savez(tmp_path / "some.npz", **poses)
    done = evaluate(tmp_path / "some.npz")
    assert done.returncode == 0, done.output
    said = "predictions of 2 of 20 sequences (TS3, TS11): millimetres are means over these, PCK and AUC over all 20"
    assert said in done.output and said in table(done) and any(said in text for text in done.metrics["warnings"])
    assert "poses are zeros: taken as undetected" in done.output
    covered = done.metrics["coverage"]["given"]["lifted"]
    assert covered["sequences"] == ["TS3", "TS11"] and len(covered["annotated_sequences"]) == 20
    assert 0 < covered["people"] < covered["annotated_people"] / 5
    shown = f"{100 * covered['people'] / covered['annotated_people']:.1f} %, "
    row = next(line for line in table(done).splitlines() if "all, given" in line)
    assert f"| {shown}" in row and "2 of 20 " in row
    (occluded,) = [part for part in table(done).split("## ") if part.startswith("Visible and occluded")]
    assert f"- found people, frames, sequences: {shown}" in occluded
    matched = evaluate(tmp_path / "some.npz", "protocol.people=matched", folder="matched")
    assert "means over these, so are PCK and AUC" in matched.output
    assert matched.metrics["metrics"]["lifted"]["r_pck_pct"] > 5 * done.metrics["metrics"]["lifted"]["r_pck_pct"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda p: p / 1000, "poses_3d are in metres, mm are expected; multiply them by 1000"),
        (lambda p: p * [1, -1, -1], "y points up, down is expected; negate y and z"),
        (lambda p: p * [-1, 1, -1], "people are behind the camera"),
        (lambda p: p[:, :, np.roll(np.arange(17), 3)], None),
    ],
)
def test_nonsense_is_one_line(evaluate, predicted, tmp_path: Path, change, says: str | None) -> None:
    np.savez(tmp_path / "odd.npz", **{name: change(poses) for name, poses in predicted.items()})
    done = evaluate(tmp_path / "odd.npz")
    if says is None:
        assert done.returncode == 0 and "bones are not those of people" in table(done)
        return
    assert done.returncode == 2, done.output
    assert says in done.output and "odd.npz: " in done.output and "Traceback" not in done.output


def test_a_file_without_a_frame_rate_has_that_of_its_sequences(
    run_here, conformance, predicted, tmp_path: Path
) -> None:
    np.savez(tmp_path / "some.npz", **{name: predicted[name] for name in ("TS1", "TS6")})
    words = ["experiment=evaluate", f"predictions={tmp_path / 'some.npz'}", f"paths.datasets={conformance}"]
    done, other = run_here(*words), run_here(*words, "fps=25", folder="other")
    assert done.returncode == 0 and "assumed" not in done.output, done.output
    found = np.load(done.folder / "predictions.npz")
    assert dict(zip(found["sequence"].tolist(), found["fps"].tolist(), strict=True)) == {"TS1": 30.0, "TS6": 60.0}
    assert np.load(other.folder / "predictions.npz")["fps"] == 25


def test_without_the_detections_of_the_test_set(run_here, conformance, predicted, tmp_path: Path) -> None:
    """Whoever has predictions needs what MuPoTS-3D itself consists of, and no other's detections."""
    np.savez(tmp_path / "all.npz", **predicted)
    (tmp_path / "sets/MuPoTS").mkdir(parents=True)
    (tmp_path / "sets/MuPoTS/MultiPersonTestSet").symlink_to((conformance / "MuPoTS/MultiPersonTestSet").resolve())
    words = [f"predictions={tmp_path / 'all.npz'}", f"paths.datasets={tmp_path / 'sets'}"]
    refused = run_here("experiment=evaluate", *words, folder="refused")
    assert refused.returncode == 2 and "test.detections=false" in refused.output
    done = run_here("experiment=evaluate", *words, "test.detections=false")
    assert done.returncode == 0, done.output
    assert "occluded frames are by the annotation's labels alone" in table(done)
    whole = run_here("experiment=evaluate", words[0], f"paths.datasets={conformance}", folder="whole")
    assert done.metrics["metrics"] == whole.metrics["metrics"]
    lifts = run_here("experiment=mupots_mm", words[1], "test.detections=false", "checkpoint=builtin:mocap_normal")
    assert lifts.returncode == 2 and "test.detections=false: this experiment lifts the detections" in lifts.output


def test_people_in_another_order(evaluate, predicted, tmp_path: Path) -> None:
    np.savez(tmp_path / "turned.npz", **{name: poses[:, ::-1] for name, poses in predicted.items()})
    done = evaluate(tmp_path / "turned.npz")
    assert done.returncode == 0, done.output
    assert "people are not in the annotation's order" in done.output and "TS12 as [1, 0]" in table(done)
    comparable, other = table(done).split("\n## ")[1:3]
    assert "MeTRAbs EffV2-L 2023" in comparable and "90.6" in comparable and "GnTCN" not in comparable
    assert "not to be compared with those above" in other and "GnTCN 2021" in other and "TDBU 2021" in other
    assert len([line for line in other.splitlines() if line.startswith("| ")]) == 3


def test_groups_of_joints_are_columns(evaluate, predicted, tmp_path: Path) -> None:
    np.savez(tmp_path / "all.npz", **predicted)
    columns = (
        "table.columns=[r_pck_pct/group:wrists,a_auc_pct/group:occluded_joints,mpjpe_mm/joint:left_knee,frames_pct]"
    )
    done = evaluate(tmp_path / "all.npz", columns)
    assert done.returncode == 0, done.output
    parts = done.metrics["occlusion"]["lifted"]
    cells = [f"{parts['r_pck_pct']['group:wrists']:.1f}", f"{parts['a_auc_pct']['group:occluded_joints']:.1f}"]
    assert all(cell in table(done) for cell in cells)
    assert "R-PCK %, wrists ↑" in table(done)
    matched = next(line for line in table(done).splitlines() if "matched, given" in line).split("|")
    assert not matched[4].strip() and matched[6].strip(), "of groups only what follows the chosen people"
    refused = evaluate(tmp_path / "all.npz", "table.columns=[mpjpe_mm/group:wrists]", folder="refused")
    assert refused.returncode == 2 and "mpjpe_mm/group:wrists is not known" in refused.output


def test_fourteen_joints_by_count_and_others_by_name(evaluate, predicted, tmp_path: Path) -> None:
    np.savez(tmp_path / "14.npz", **{name: poses[:, :, :14] for name, poses in predicted.items()})
    done = evaluate(tmp_path / "14.npz")
    assert done.returncode == 0, done.output
    assert "joints of MuPoTS-14: inferred from their neighbours are hip, spine, head" in table(done)
    json.dumps(done.metrics)
    refused = evaluate(tmp_path / "14.npz", "input_options.joint_set=Human3.6M-17", folder="refused")
    assert refused.returncode == 2 and "14 joints, Human3.6M-17 has 17" in refused.output


def test_the_procrustes_script_has_a_table_of_its_own(evaluate, predicted, tmp_path: Path) -> None:
    np.savez(tmp_path / "all.npz", **predicted)
    done = evaluate(tmp_path / "all.npz", "protocol=procrustes_script", "protocol.people=matched")
    assert done.returncode == 0, done.output
    scores = done.metrics["procrustes_script"]["lifted"]["GnTCN: rotation and scale"]
    assert scores["r_pck_pct"] > done.metrics["metrics"]["lifted"]["r_pck_pct"] + 5
    (own,) = [part for part in table(done).split("## ") if part.startswith("By the Procrustes script")]
    assert f"{scores['r_pck_pct']:.1f}" in own and "R-PCK % ↑ (Procrustes script)" in own
    assert done.metrics["protocol"] == {"people": "matched", "pairing": "given"}


# --- MPI-INF-3DHP ----------------------------------------------------------------------------------------------------


@pytest.fixture
def mpi(tmp_path: Path, golden: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """A test set of two sequences below `tmp_path`: their universal poses and valid frames."""
    found, clip = {}, np.load(golden / "conformance/expected/noisy_pred.npz")["pred"].astype(float)
    for number in (1, 5):
        poses, valid, detected = clip[30 * number : 30 * number + 30], np.arange(30) % 5 > 0, np.arange(30) % 3 > 0
        folder = tmp_path / "datasets/Mpi3DHP/mpi_inf_3dhp_test_set" / f"TS{number}"
        folder.mkdir(parents=True)
        activity = np.where(np.arange(30) < 20, 1, 3)
        write_mpi_test_annotations(folder / "annot_data.mat", poses[..., :2], 0.9 * poses, poses, valid, activity)
        write_pickle(folder / "hrnet.pkl", {"poses": np.ones((30, 19, 3)), "is_valid": detected})
        found[f"TS{number}"] = poses, valid
    return found


@pytest.mark.parametrize("valid_only", [True, False])
def test_files_by_both_protocols_of_mpi_inf_3dhp(run_here, mpi, tmp_path: Path, valid_only: bool) -> None:
    """As PoseFormer and others write inference_data.mat: (3, 17, 1, T) of valid frames, relative to the hip; or all."""
    content = {}
    for name, (poses, valid) in mpi.items():
        relative = poses - poses[:, HIP, None]
        relative[valid.nonzero()[0][:2], 4, 2] += 200  # a wrist, in two valid frames
        content[name] = (relative[valid] if valid_only else relative).transpose(2, 1, 0)[:, :, None]
    scipy.io.savemat(tmp_path / "inference_data.mat", content)
    words = (f"predictions={tmp_path / 'inference_data.mat'}", f"paths.datasets={tmp_path / 'datasets'}", "fps=25")
    words = (*words, "test=mpi_inf_3dhp", "+test.numbers=[1,5]", "coordinates=universal")
    done = run_here("experiment=evaluate", *words, "table.columns=[official_pck_pct,official_pck_pct/activity:sitting]")
    assert done.returncode == 0, done.output
    scores, parts = done.metrics["metrics"]["lifted"], done.metrics["occlusion"]["lifted"]["official_pck_pct"]
    assert scores["official_pck_pct"] == pytest.approx(100 * (48 * 14 - 4) / (48 * 14))
    # The 2020 code's: valid and detected frames, of which the detector misses one of the two wrong ones.
    assert scores["r_pck_raw_pct"] == pytest.approx(100 * (16 * 14 - 2) / (16 * 14))
    assert set(parts) == {"all", "green_screen", "outdoor", "activity:standing_walking", "activity:sitting"}
    assert parts["activity:sitting"] == 100 and parts["activity:standing_walking"] < 100
    assert not any(key.startswith(("a_", "mrpe")) for key in scores)
    text = table(done)
    assert "- frames: valid and detected, as the 2020 code; of the columns marked official all valid ones" in text
    assert "every valid frame of univ_annot3, pooled" in text and "sitting (16)" in text and "outdoor (24)" in text
    assert ("as many poses as valid frames in TS1, TS5: taken as of these" in text) == valid_only
