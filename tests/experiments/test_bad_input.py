"""What a user can get wrong ends as one line that names file or key, with exit code 2 and no traceback."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from data.synthetic.generate import ensure_synthetic
from data.synthetic.settings import SyntheticSettings

TINY = SyntheticSettings(seed=5, mpi_frames=24, muco_frames=24, test_frames=24, mupots_frames=24, muco_videos=1)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure_synthetic(tmp_path_factory.mktemp("made"), TINY)


@pytest.fixture
def datasets(made: Path, tmp_path: Path) -> Path:
    """A copy of genuine-format data sets that a test may break."""
    shutil.copytree(made, tmp_path / "datasets")
    return tmp_path / "datasets"


@pytest.fixture
def predictions(tmp_path: Path) -> dict[str, np.ndarray]:
    frames = 24
    return {
        "sequence": np.repeat("TS1", frames),
        "frame": np.arange(frames),
        "person": np.zeros(frames, int),
        "poses_3d": np.random.default_rng(0).normal(0, 100, (frames, 17, 3)) + [0, 0, 4000],
        "confidence": np.ones(frames),
    }


def the_error(output: str) -> str:
    """The one line that tells what is wrong."""
    assert "Traceback" not in output, output
    lines = [line for line in output.splitlines() if "[ERROR]" in line]
    assert len(lines) == 1, output
    return lines[0]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


class Evil:
    def __reduce__(self):
        return os.system, ("echo this must never run",)


def poison(path: Path) -> None:
    path.write_bytes(pickle.dumps({"pose": Evil(), "valid_pose": np.ones((1, 1), bool)}, protocol=2))


def drop_frames(path: Path) -> None:
    content = pickle.loads(path.read_bytes(), encoding="latin1")
    path.write_bytes(pickle.dumps({key: value[:-3] for key, value in content.items()}, protocol=2))


def not_a_number(path: Path) -> None:
    content = pickle.loads(path.read_bytes(), encoding="latin1")
    content["pose"][4, 0, 3, 0] = np.nan
    path.write_bytes(pickle.dumps(content, protocol=2))


def other_shape(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        values = file["annot3"][()]
        del file["annot3"]
        file["annot3"] = values[:, :, :5]


MUPOTS, MPI = "MuPoTS/MultiPersonTestSet/TS3/annot.mat", "Mpi3DHP/mpi_inf_3dhp_test_set/TS2/annot_data.mat"
DETECTIONS = "MuPoTS/hrnet_pose2d/TS2.pkl"


@pytest.mark.parametrize(
    ("file", "damage", "says"),
    [
        (MUPOTS, truncate, "damaged"),
        (MUPOTS, lambda path: path.write_text("not a MATLAB file"), "MATLAB"),
        ("MuPoTS/MultiPersonTestSet/TS4/occlusion.mat", truncate, "damaged"),
        (DETECTIONS, truncate, "damaged"),
        (DETECTIONS, poison, "system"),
        (DETECTIONS, drop_frames, "21"),
        (DETECTIONS, not_a_number, "NaN"),
        (MPI, truncate, "damaged"),
        (MPI, other_shape, "annot3"),
    ],
)
def test_damaged_file_of_a_data_set(
    run_here, datasets: Path, golden: Path, file: str, damage: Callable, says: str
) -> None:
    damage(datasets / file)
    experiment = "mpii_3dhp" if file == MPI else "mupots_mm"
    done = run_here(f"experiment={experiment}", f"paths.datasets={datasets}", f"checkpoint={golden / 'checkpoint'}")
    assert done.returncode == 2, done.output
    error = the_error(done.output)
    assert Path(file).name in error
    assert says in error
    assert "this must never run" not in done.output
    assert not (done.folder / "metrics.json").exists()


def test_missing_files_are_listed_with_their_source(run_here, datasets: Path, golden: Path) -> None:
    (datasets / DETECTIONS).unlink()
    (datasets / MUPOTS).unlink()
    done = run_here("experiment=mupots_mm", f"paths.datasets={datasets}", f"checkpoint={golden / 'checkpoint'}")
    assert done.returncode == 2
    assert "2 files are missing" in the_error(done.output)
    assert "TS2.pkl" in done.output and "\\n" not in the_error(done.output), "a folder in each line"
    assert "TS3: annot.mat" in done.output
    assert "vcai.mpi-inf.mpg.de" in done.output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["experiment=mupots_mm", "paths.datasets=nowhere"], "nowhere"),
        (["experiment=mupots_mm", "data.require_real=true"], "files are missing"),
        (["experiment=quickstart", "data.require_real=true"], "data.require_real=true"),
        (["experiment=mupots_mm", "size=tiny", "checkpoint=nothing_here"], "checkpoint=nothing_here"),
        (["experiment=mupots_mm", "size=tiny", "protocol.people=some"], "protocol.people=some"),
        (["experiment=evaluate"], "predictions=null"),
        (["experiment=mupots_mm", "size=tiny", "seed=-1"], "seed=-1: must be a whole number >= 0"),
        (["experiment=mupots_mm", "size=tiny", "seed=one"], "seed=one: must be a whole number >= 0"),
        (["experiment=mupots_mm", "predictions=some.npz"], "predictions=some.npz"),
        (["experiment=mupots_mm", "size=tiny", "data.batch_size=100000"], "batch_size=100000"),
        (["experiment=mupots_mm", "size=tiny", "refinement.smoothness_weight_hip=-1"], "smoothness_weight_hip=-1"),
        (["experiment=mupots_mm", "size=tiny", "model.network.filter_widths=[2]"], "filter_widths=[2]"),
        (
            ["experiment=mupots_mm", "size=tiny", "table.columns=[mpjpe]"],
            "table.columns: mpjpe is not known; known are",
        ),
        (
            ["experiment=quickstart", "size=tiny", "+refinement.x=1"],
            "refinement.x: refinement=occlusion has no such setting; its settings are root_side_",
        ),
        (
            ["experiment=quickstart", "size=tiny", "+refinement.l2_cap=3"],
            "refinement.l2_cap: refinement=occlusion has no",
        ),
        (
            ["experiment=predict", f"input={__file__}", "+tracker.foo=1"],
            "tracker.foo: tracker=offline has no such setting",
        ),
        (
            ["experiment=predict", f"input={__file__}", "+exporter.bvh.x=1"],
            "exporter.bvh.x: exporter.bvh has no such setting",
        ),
        (["experiment=prepare", "prepare=mupots_3d", "detector=plugin"], "detector.name"),
        (["experiment=train", "size=tiny", "refinement=paper"], "refinement=paper: is not used by this experiment"),
        (["experiment=quickstart", '+metrics.x={function: no_such.f, heading: "x ↓"}'], "metrics.x.function=no_such.f"),
        (
            ["experiment=train", "size=tiny", "data=synthetic", "~data.settings"],
            "data.settings: data=synthetic needs this",
        ),
        (
            ["experiment=train", "size=tiny", "data=synthetic", "+model.optimizer.speed=1"],
            "model.optimizer: Adam.__init__() got an unexpected keyword argument 'speed'; change or leave out",
        ),
        (
            ["experiment=train", "size=tiny", "data=synthetic", "+trainer.max_epoch=3"],
            "trainer.max_epoch: trainer=auto has no such setting",
        ),
        (
            ["experiment=train", "size=tiny", "data=synthetic", "+data.y=1"],
            "data.y: data=synthetic has no such setting",
        ),
    ],
)
def test_values_that_cannot_be_used(run_here, words: list[str], says: str) -> None:
    done = run_here(*words)
    assert done.returncode == 2, done.output
    assert says in the_error(done.output)


def test_a_test_set_without_training_data_is_an_error(run_here, datasets: Path) -> None:
    shutil.rmtree(datasets / "MucoTemp")
    done = run_here("experiment=mupots_mm", f"paths.datasets={datasets}")
    assert done.returncode == 2
    assert "sequence_meta.pkl" in done.output
    assert "vid_6.pkl" in done.output
    found_by_default = run_here("experiment=mupots_mm", cwd=datasets.parent, folder="default")
    assert found_by_default.returncode == 2, "a partial ./datasets is no reason to fall back"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda rows: rows.pop("poses_3d"), "has no poses_3d"),
        (lambda rows: rows.update(poses_3d=rows["poses_3d"][:, :16]), "(24, 16, 3)"),
        (lambda rows: rows["poses_3d"].__setitem__((3, 4, 1), np.nan), "frame 3"),
        (lambda rows: rows.update(person=rows["person"][:-1]), "person"),
        (lambda rows: rows.update({key: value[:0] for key, value in rows.items()}), "at least one row"),
        (lambda rows: rows["frame"].__setitem__(5, 4), "again"),
    ],
)
@pytest.mark.parametrize("experiment", ["evaluate", "refine"])
def test_unusable_predictions(run_here, predictions: dict, tmp_path: Path, experiment: str, change, says: str) -> None:
    change(predictions)
    np.savez(tmp_path / "given.npz", **predictions)
    done = run_here(f"experiment={experiment}", "size=tiny", f"predictions={tmp_path / 'given.npz'}")
    assert done.returncode == 2, done.output
    error = the_error(done.output)
    assert says in error
    assert "given.npz" in error


def test_predictions_that_are_no_npz_or_lack_confidence(run_here, predictions: dict, tmp_path: Path) -> None:
    np.savez(tmp_path / "whole.npz", **predictions)
    (tmp_path / "half.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:900])
    done = run_here("experiment=refine", f"predictions={tmp_path / 'half.npz'}")
    assert done.returncode == 2
    assert "half.npz" in the_error(done.output)
    np.savez(tmp_path / "unseen.npz", **{key: value for key, value in predictions.items() if key != "confidence"})
    done = run_here("experiment=refine", f"predictions={tmp_path / 'unseen.npz'}", folder="second")
    assert done.returncode == 2
    assert "has no confidence" in the_error(done.output)


def test_short_and_single_frame_tracks_are_refined(run_here, predictions: dict, tmp_path: Path) -> None:
    predictions["person"] = np.repeat([0, 1, 2], [1, 3, 20])
    np.savez(tmp_path / "short.npz", **predictions)
    done = run_here("experiment=refine", f"predictions={tmp_path / 'short.npz'}", "fps=30")
    assert done.returncode == 0, done.output
    refined = np.load(done.folder / "predictions.npz")["poses_3d"]
    assert np.isfinite(refined).all()
    np.testing.assert_allclose(refined[0], predictions["poses_3d"][0], rtol=1e-6)


def test_sequences_shorter_than_the_receptive_field_are_lifted(run_here) -> None:
    done = run_here(
        "experiment=mupots_mm", "data=synthetic", "test=synthetic", "size=tiny", "test.settings.mupots_frames=5"
    )
    assert done.returncode == 0, done.output
    assert done.metrics["metrics"]["refined"]["mpjpe_mm"] > 0


def test_what_hydra_refuses_is_left_to_hydra(run_here) -> None:
    unknown = run_here("experiment=mupots_pkc")
    assert unknown.returncode == 1
    assert "Could not find 'experiment/mupots_pkc'" in unknown.output
    unknown = run_here("sise=tiny", folder="second")
    assert unknown.returncode == 1
    assert "Could not override 'sise'" in unknown.output


def test_debug_shows_the_traceback(run_here) -> None:
    done = run_here("experiment=mupots_mm", "size=tiny", "checkpoint=nothing_here", "debug=true")
    assert done.returncode != 0
    assert "DataError" in done.output
