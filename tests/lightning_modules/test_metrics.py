"""Validation scores: per sequence, then their mean; the frames that count; what is refused."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from lightning_modules.metrics import mean_sequence_scores
from pose.errors import DataError, MismatchError


def test_the_mean_is_over_sequences_not_frames(make_person) -> None:
    long, short = make_person("TS1", 40), make_person("TS2", 10)
    shift = torch.tensor([0.0, 0.0, 1.0])
    predicted = [
        long.with_poses(long.poses_3d + 10 * shift, "normal"),
        short.with_poses(short.poses_3d + 40 * shift, "normal"),
    ]
    scores = mean_sequence_scores(predicted, [long, short])
    assert scores["mrpe_mm"] == pytest.approx(25, abs=1e-2)
    assert scores["a_mpjpe_mm"] == pytest.approx(25, abs=1e-2)
    assert scores["mpjpe_mm"] == pytest.approx(0, abs=1e-2)
    assert scores["a_pck_raw_pct"] == pytest.approx(100)


def test_only_annotated_and_detected_frames_count(make_person) -> None:
    truth = make_person("TS1", 6)  # frames 2 and 3 are undetected
    annotated = torch.tensor([True, True, True, True, True, False])
    poses_3d = truth.poses_3d.clone()
    poses_3d[5] = torch.nan
    truth = dataclasses.replace(truth, annotated=annotated, poses_3d=poses_3d)
    predicted = poses_3d.clone()
    predicted[[2, 3, 5]] = 1e6
    assert mean_sequence_scores([truth.with_poses(predicted, "normal")], [truth])["a_mpjpe_mm"] == pytest.approx(0)


def test_a_sequence_without_such_frames_is_left_out_but_not_all(make_person) -> None:
    good, bad = make_person("TS1"), make_person("TS2")
    bad = dataclasses.replace(bad, annotated=torch.zeros(len(bad), dtype=torch.bool))
    assert mean_sequence_scores([good, bad], [good, bad])["mpjpe_mm"] == pytest.approx(0)
    with pytest.raises(DataError, match="no frame is both annotated and detected"):
        mean_sequence_scores([bad], [bad])


def test_variants_must_agree(make_person) -> None:
    with pytest.raises(MismatchError, match=r"annotation of TS1/0: coordinates=universal given, coordinates=normal"):
        mean_sequence_scores([make_person()], [make_person(coordinates="universal")])
    with pytest.raises(DataError, match="TS1/0: has no 3D poses"):
        mean_sequence_scores([make_person()], [dataclasses.replace(make_person(), poses_3d=None)])
