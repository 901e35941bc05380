"""Whole runs on data sets in the genuine formats, against the numbers of an independent implementation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from data.sets.mupots_3d import MuPoTS3D

#: Our keys of their millimetre metrics.
MM = {
    "test_err": "a_mpjpe_mm",
    "test_rel_error": "mpjpe_mm",
    "test_mrpe": "mrpe_mm",
    "test_n_mrpe": "n_mrpe_mm",
    "test_n_rel_err": "n_mpjpe_mm",
}


@pytest.fixture
def expected(conformance: Path) -> dict:
    return json.loads((conformance / "expected/metrics.json").read_text())


def check_mm(ours: dict[str, float], theirs: dict[str, float]) -> None:
    for key, name in MM.items():
        assert ours[name] == pytest.approx(theirs[key], abs=0.02), name


def check_pck(metrics: dict, theirs: dict, annotation: str, kind: str = "lifted") -> None:
    for protocol, kinds in metrics["protocols"].items():
        pairing, people = protocol.split("/")
        for prefix, coordinates in (("r", "relative"), ("a", "absolute")):
            scores = theirs[f"{annotation}/{coordinates}/{people}/{pairing}"]
            assert kinds[kind][f"{prefix}_pck_pct"] == pytest.approx(np.mean(scores["pck"]), abs=0.03)
            assert kinds[kind][f"{prefix}_auc_pct"] == pytest.approx(np.mean(scores["auc"]), abs=0.05)
            if protocol == "/".join((metrics["protocol"]["pairing"], metrics["protocol"]["people"])):
                for value, sequence in zip(scores["pck"], metrics["per_sequence"].values(), strict=True):
                    assert sequence[kind][f"{prefix}_pck_pct"] == pytest.approx(value, abs=0.25)


def test_published_checkpoint_on_mupots(run_here, golden: Path, conformance: Path, expected: dict) -> None:
    done = run_here("experiment=mupots_mm", f"paths.datasets={conformance}", f"checkpoint={golden / 'checkpoint'}")
    assert done.returncode == 0, done.output
    assert done.metrics["data"] == "mupots_3d"
    check_mm(done.metrics["metrics"]["lifted"], expected["model"]["stacked_valid"])
    check_pck(done.metrics, expected["model"], "annot3")


def write_noisy(conformance: Path, path: Path) -> None:
    stacked = np.load(conformance / "expected/mupots_stacked.npz")
    people = MuPoTS3D(conformance / "MuPoTS", fps=30).sequences("normal")
    np.savez(
        path,
        sequence=np.array([f"TS{number}" for number in stacked["seq_num"]]),
        frame=stacked["frame"],
        person=stacked["person"],
        poses_3d=np.load(conformance / "expected/noisy_pred.npz")["pred"],
        keypoints_2d=torch.cat([person.keypoints_2d for person in people]),
        confidence=torch.cat([person.confidence for person in people]),
    )


@pytest.mark.parametrize(
    ("coordinates", "annotation", "pairing", "people"),
    [
        ("normal", "annot3", "given", "all"),
        ("normal", "annot3", "by2d", "matched"),
        ("universal", "univ_annot3", "given", "matched"),
        ("universal", "univ_annot3", "by2d", "all"),
    ],
)
def test_given_predictions(
    run_here,
    conformance: Path,
    expected: dict,
    tmp_path: Path,
    coordinates: str,
    annotation: str,
    pairing: str,
    people: str,
) -> None:
    write_noisy(conformance, tmp_path / "noisy.npz")
    done = run_here(
        "experiment=evaluate", f"predictions={tmp_path / 'noisy.npz'}", f"paths.datasets={conformance}",
        f"coordinates={coordinates}", f"protocol.pairing={pairing}", f"protocol.people={people}",
    )  # fmt: skip
    assert done.returncode == 0, done.output
    check_pck(done.metrics, expected["noisy"], annotation)
    if coordinates == "normal" and pairing == "given":
        check_mm(done.metrics["metrics"]["lifted"], expected["noisy"]["stacked_valid"])


def test_refine_lowers_the_errors_of_given_predictions(run_here, conformance: Path, tmp_path: Path) -> None:
    write_noisy(conformance, tmp_path / "noisy.npz")
    written = run_here("experiment=refine", f"predictions={tmp_path / 'noisy.npz'}", "fps=30", folder="refined")
    assert written.returncode == 0, written.output
    file = written.folder / "predictions.npz"
    done = run_here("experiment=evaluate", f"predictions={file}", f"paths.datasets={conformance}")
    lifted, refined = (done.metrics["metrics"][kind] for kind in ("lifted", "refined"))
    assert refined["mrpe_mm"] < lifted["mrpe_mm"] - 1
    assert refined["mpjpe_mm"] < lifted["mpjpe_mm"] - 5
