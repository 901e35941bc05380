"""The MuPoTS-3D protocol against the numbers of an independent implementation (../shared/conformance).

tests/golden/metrics.npz holds three of its sequences (annotations in both variants, the noisy predictions, their 2D
points in MuPoTS-17 order) with their expected PCK and AUC under all switches.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat

from pose.joint_sets import COCO_19, MUPOTS_17, remap_index_or_last
from pose.metrics.mupots import AnnotatedScene, PredictedScene, score_scenes

COORDINATES = ("annot3", "univ_annot3")
MM_KEYS = {
    "test_mrpe": "mrpe_mm",
    "test_rel_error": "mpjpe_mm",
    "test_err": "a_mpjpe_mm",
    "test_n_mrpe": "n_mrpe_mm",
    "test_n_rel_err": "n_mpjpe_mm",
}


def golden_scenes(golden: Path, field: str) -> tuple[dict, dict, dict]:
    """Three sequences of the conformance data with the noisy predictions and their expected scores."""
    with np.load(golden / "metrics.npz") as file:
        arrays = {key: file[key] for key in file.files}
    names = sorted({key.split(".")[0] for key in arrays})
    annotated = {
        n: AnnotatedScene(arrays[f"{n}.annotation_2d"], arrays[f"{n}.{field}"], arrays[f"{n}.valid"]) for n in names
    }
    predicted = {}
    for n in names:
        poses_3d = arrays[f"{n}.poses_3d"]
        predicted[n] = PredictedScene(poses_3d, np.ones(poses_3d.shape[:2], bool), arrays[f"{n}.keypoints_2d"])
    return annotated, predicted, arrays


@pytest.mark.parametrize("field", COORDINATES)
def test_golden_scores(golden, field):
    annotated, predicted, arrays = golden_scenes(golden, field)
    results = score_scenes(annotated, predicted)
    assert set(results) == {"given/all", "given/matched", "by2d/all", "by2d/matched"}
    for switches, result in results.items():
        pairing, people = switches.split("/")
        for coordinates in ("relative", "absolute"):
            for metric, tolerance in (("pck", 0.25), ("auc", 0.05)):
                for name in annotated:
                    expected = arrays[f"{name}.expected.{field}/{coordinates}/{people}/{pairing}/{metric}"]
                    got = result["per_sequence"][name][f"{coordinates[0]}_{metric}_pct"]
                    assert got == pytest.approx(float(expected), abs=tolerance), (switches, coordinates, name, metric)


@pytest.fixture(scope="module")
def conformance_annotations(conformance) -> dict[str, dict[str, AnnotatedScene]]:
    def field(cells, name):
        return np.array([[cell[name][0, 0].T for cell in row] for row in cells], dtype=np.float64)

    scenes: dict[str, dict[str, AnnotatedScene]] = {coordinates: {} for coordinates in COORDINATES}
    for number in range(1, 21):
        path = conformance / "MuPoTS" / "MultiPersonTestSet" / f"TS{number}" / "annot.mat"
        cells = loadmat(path)["annotations"]
        valid = field(cells, "isValidFrame")[..., 0, 0] != 0
        for coordinates in COORDINATES:
            scenes[coordinates][f"TS{number}"] = AnnotatedScene(
                field(cells, "annot2"), field(cells, coordinates), valid
            )
    return scenes


def conformance_predictions(conformance: Path, rows: np.ndarray, annotated: dict) -> dict[str, PredictedScene]:
    """Stacked rows, perhaps only the first of them, as scenes."""
    predicted = {}
    with np.load(conformance / "expected" / "mupots_stacked.npz") as file:
        stacked = {key: file[key][: len(rows)] for key in ("poses2d", "seq_num", "frame", "person")}
    order = remap_index_or_last(COCO_19, MUPOTS_17)
    for number in np.unique(stacked["seq_num"]):
        mine = stacked["seq_num"] == number
        place = stacked["frame"][mine], stacked["person"][mine]
        shape = annotated[f"TS{number}"].valid.shape
        poses_3d, keypoints_2d = np.zeros((*shape, 17, 3)), np.zeros((*shape, 17, 2))
        poses_3d[place], keypoints_2d[place] = rows[mine], stacked["poses2d"][mine][:, order, :2]
        predicted[f"TS{number}"] = PredictedScene(poses_3d, np.ones(shape, bool), keypoints_2d)
    return predicted


@pytest.mark.parametrize(
    ("name", "file", "key"),
    [("noisy", "noisy_pred.npz", "pred"), ("model", "predict.npz", "pred")]
    + [(f"refined_{kind}", "refined.npz", kind) for kind in ("paper", "gm", "euc", "small_cap", "raw_visibility")],
)
def test_conformance(conformance, conformance_annotations, name, file, key):
    expected = json.loads((conformance / "expected" / "metrics.json").read_text())[name]
    with np.load(conformance / "expected" / file) as arrays:
        predicted = conformance_predictions(conformance, arrays[key], conformance_annotations["annot3"])
    complete = len(predicted) == 20  # refined.npz holds TS1..5
    for annotation, annotated in conformance_annotations.items():
        results = score_scenes({n: annotated[n] for n in predicted}, predicted)
        for switches, result in results.items():
            pairing, people = switches.split("/")
            for coordinates in ("relative", "absolute"):
                for metric, tolerance, mean_tolerance in (("pck", 0.25, 0.03), ("auc", 0.05, 0.05)):
                    want = expected[f"{annotation}/{coordinates}/{people}/{pairing}"][metric]
                    scores = f"{coordinates[0]}_{metric}_pct"
                    got = [result["per_sequence"][n][scores] for n in predicted]
                    np.testing.assert_allclose(got, want[: len(got)], rtol=0, atol=tolerance)
                    if complete:
                        assert result["metrics"][scores] == pytest.approx(np.mean(want), abs=mean_tolerance)
        if complete and annotation == "annot3":
            # The expected mm numbers are means over the sequences, all valid people of a sequence pooled.
            for theirs, ours in MM_KEYS.items():
                got = results["given/all"]["metrics"][ours]
                assert got == pytest.approx(expected["stacked_valid"][theirs], abs=0.02), theirs
