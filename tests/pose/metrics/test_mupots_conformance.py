"""The MuPoTS-3D protocol against the numbers of an independent implementation, under all switches."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat

from data.sets.mupots_3d import MuPoTS3D
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


def noisy_predictions(conformance: Path, annotated: dict) -> dict[str, PredictedScene]:
    """Stacked rows as scenes, with the detections as their 2D points."""
    rows = np.load(conformance / "expected" / "noisy_pred.npz")["pred"]
    stacked = np.load(conformance / "expected" / "mupots_stacked.npz")
    people = MuPoTS3D(conformance / "MuPoTS", fps=30).sequences("normal")
    order = remap_index_or_last(COCO_19, MUPOTS_17)
    points = np.concatenate([person.keypoints_2d.numpy() for person in people])[:, order]
    predicted = {}
    for number in np.unique(stacked["seq_num"]):
        mine = stacked["seq_num"] == number
        place = stacked["frame"][mine], stacked["person"][mine]
        shape = annotated[f"TS{number}"].valid.shape
        poses_3d, keypoints_2d = np.zeros((*shape, 17, 3)), np.zeros((*shape, 17, 2))
        poses_3d[place], keypoints_2d[place] = rows[mine], points[mine]
        predicted[f"TS{number}"] = PredictedScene(poses_3d, np.ones(shape, bool), keypoints_2d)
    return predicted


def test_conformance(conformance, conformance_annotations):
    expected = json.loads((conformance / "expected" / "metrics.json").read_text())["noisy"]
    predicted = noisy_predictions(conformance, conformance_annotations["annot3"])
    for annotation, annotated in conformance_annotations.items():
        results = score_scenes(annotated, predicted)
        assert set(results) == {"given/all", "given/matched", "by2d/all", "by2d/matched"}
        for switches, result in results.items():
            pairing, people = switches.split("/")
            for coordinates in ("relative", "absolute"):
                for metric, tolerance, mean_tolerance in (("pck", 0.25, 0.03), ("auc", 0.05, 0.05)):
                    want = expected[f"{annotation}/{coordinates}/{people}/{pairing}"][metric]
                    scores = f"{coordinates[0]}_{metric}_pct"
                    got = [result["per_sequence"][n][scores] for n in predicted]
                    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance)
                    assert result["metrics"][scores] == pytest.approx(np.mean(want), abs=mean_tolerance)
        if annotation == "annot3":
            # The expected mm numbers are means over the sequences, all valid people of a sequence pooled.
            for theirs, ours in MM_KEYS.items():
                got = results["given/all"]["metrics"][ours]
                assert got == pytest.approx(expected["stacked_valid"][theirs], abs=0.02), theirs
