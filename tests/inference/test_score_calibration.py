"""Scores of other detectors on HR-Net's scale: made ones whose meaning is known, and real ones."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from data.keypoints import read_detections
from inference.score_calibration import fit_scores
from inference.tracking import OfflineTracker, sequences
from pose.sequence import PoseSequence


def people(path: Path, fps: float, size: tuple[int, int], count: int | None = None) -> list[PoseSequence]:
    found = read_detections(path, fps=fps, image_size=size)
    return sequences(found, OfflineTracker()(found), None, fps, count)


@pytest.fixture(scope="module")
def ts1(golden: Path) -> list[PoseSequence]:
    return people(golden / "detections" / "ts1_keypoints.json", 30.0, (2048, 2048), 3)


def test_the_reference_detector_keeps_its_scores(ts1: list[PoseSequence]) -> None:
    calibration = fit_scores(ts1)
    assert calibration is not None
    np.testing.assert_allclose(calibration.values, calibration.knots, atol=0.06)


@pytest.mark.parametrize("scale", [0.15, 0.5])
def test_scores_on_another_scale_come_out_as_on_the_first(ts1: list[PoseSequence], scale: float) -> None:
    squeezed = [dataclasses.replace(person, confidence=person.confidence * scale) for person in ts1]
    calibration, reference = fit_scores(squeezed), fit_scores(ts1)
    assert calibration is not None and reference is not None
    for person, own in zip(squeezed, ts1, strict=True):
        torch.testing.assert_close(calibration(person).confidence, reference(own).confidence, atol=0.02, rtol=0)


def test_low_scores_of_a_steady_detector_are_raised_and_missing_ones_stay(multiview: Path) -> None:
    """MoveNet's 0.4 is nearly as exact as its 0.8 (benchmarks/multiview.py has the truth)."""
    tracks = people(multiview / "cam3_keypoints.json", 60.0, (1088, 1920))
    calibration = fit_scores(tracks)
    assert calibration is not None
    assert np.interp(0.43, calibration.knots, calibration.values) > 0.8
    assert (np.diff(calibration.values) >= 0).all()
    given = tracks[0].confidence.clone()
    given[:10, 5] = 0.0
    found = calibration(dataclasses.replace(tracks[0], confidence=given))
    assert not found.confidence[:10, 5].any()
    assert torch.equal(found.confidence > 0, given > 0)


def test_a_few_frames_say_nothing(ts1: list[PoseSequence]) -> None:
    assert fit_scores([ts1[0].selected(torch.arange(len(ts1[0])) < 12)]) is None
