"""The protocol on sequences: each by itself, then their mean; the frames that count; what is skipped and refused."""

from __future__ import annotations

import dataclasses
import logging

import pytest
import torch

from pose.cameras import Camera
from pose.errors import DataError, MismatchError
from pose.metrics.mpi_inf_3dhp import mean_sequence_scores, official_scores, scored_sequences
from pose.sequence import PoseSequence


def person(name: str = "TS1", frames: int = 40, coordinates: str = "normal") -> PoseSequence:
    """Random poses; frames 2 and 3 are undetected."""
    poses_3d = 300 * torch.randn(frames, 17, 3, generator=torch.Generator().manual_seed(frames)) + 4000
    detected = torch.ones(frames, dtype=torch.bool)
    detected[2:4] = False
    camera, empty = Camera(1500.0, 1400.0, 1000.0, 500.0, 1920, 1080), torch.zeros(frames, 19, 2)
    return PoseSequence(name, 0, camera, 25.0, empty, empty[..., 0], detected, poses_3d, coordinates=coordinates)  # type: ignore[arg-type]


def test_the_mean_is_over_sequences_not_frames() -> None:
    long, short = person("TS1", 40), person("TS2", 10)
    shift = torch.tensor([0.0, 0.0, 1.0])
    predicted = [
        long.with_poses(long.poses_3d + 10 * shift, "normal"),
        short.with_poses(short.poses_3d + 40 * shift, "normal"),
    ]
    scores, per_sequence = mean_sequence_scores(predicted, [long, short])
    assert scores["mrpe_mm"] == pytest.approx(25, abs=1e-2)
    assert scores["a_mpjpe_mm"] == pytest.approx(25, abs=1e-2)
    assert scores["mpjpe_mm"] == pytest.approx(0, abs=1e-2)
    assert scores["a_pck_raw_pct"] == pytest.approx(100)
    assert {name: found["mrpe_mm"] for name, found in per_sequence.items()} == pytest.approx({"TS1": 10, "TS2": 40})


def test_only_annotated_and_detected_frames_count() -> None:
    truth = person("TS1", 6)
    annotated = torch.tensor([True, True, True, True, True, False])
    poses_3d = truth.poses_3d.clone()
    poses_3d[5] = torch.nan
    truth = dataclasses.replace(truth, annotated=annotated, poses_3d=poses_3d)
    predicted = poses_3d.clone()
    predicted[[2, 3, 5]] = 1e6
    assert mean_sequence_scores([truth.with_poses(predicted, "normal")], [truth])[0]["a_mpjpe_mm"] == pytest.approx(0)


def test_a_sequence_without_such_frames_is_skipped_and_named(caplog: pytest.LogCaptureFixture) -> None:
    good, bad = person("TS1"), person("TS2")
    bad = dataclasses.replace(bad, annotated=torch.zeros(len(bad), dtype=torch.bool))
    with caplog.at_level(logging.WARNING):
        scores, per_sequence = mean_sequence_scores([good, bad], [good, bad])
    assert scores["mpjpe_mm"] == pytest.approx(0) and list(per_sequence) == ["TS1"]
    assert "not scored" in caplog.text and "TS2/0" in caplog.text and "TS1" not in caplog.text
    assert scored_sequences([good, bad]) == [good]
    with pytest.raises(DataError, match="no frame has both a valid annotation and a valid detection"):
        mean_sequence_scores([bad], [bad])


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(MismatchError, match=r"annotation of TS1/0: coordinates=universal given, coordinates=normal"):
        mean_sequence_scores([person()], [person(coordinates="universal")])
    with pytest.raises(MismatchError, match="TS1/0: has no poses_3d"):
        mean_sequence_scores([person()], [dataclasses.replace(person(), poses_3d=None)])


def test_official_scores_pool_all_valid_frames_by_scene_and_activity() -> None:
    """By hand: TS1 has 40 frames of which two are undetected and four not valid, TS5 ten frames, all 200 mm off."""
    first, other = person("TS1", 40, "universal"), person("TS5", 10, "universal")
    annotated = torch.ones(40, dtype=torch.bool)
    annotated[:4] = False
    first = dataclasses.replace(first, annotated=annotated)
    poses = other.poses_3d.clone()
    poses[:, 7, 0] += 200.0  # the left wrist, one of 14 joints
    labels = {"TS1": torch.tensor([0] * 4 + [1] * 26 + [6] * 10), "TS5": torch.full((10,), 6)}
    found = official_scores([first, other.with_poses(poses, "universal")], [first, other], labels)
    assert {part: scores["frames"] for part, scores in found.items()} == {
        "all": 46, "green_screen": 36, "outdoor": 10, "activity:standing_walking": 26, "activity:sports": 20,
        "TS1": 36, "TS5": 10,
    }  # fmt: skip
    assert found["TS5"]["official_pck_pct"] == pytest.approx(100 * 13 / 14)
    assert found["all"]["official_pck_pct"] == pytest.approx(100 * (46 * 14 - 10) / (46 * 14))
    assert found["activity:sports"]["official_pck_pct"] == pytest.approx(100 * (20 * 14 - 10) / (20 * 14))
    assert found["all"]["official_mpjpe_mm"] == pytest.approx(200 * 10 / (46 * 17), abs=1e-3)
    assert found["TS1"]["official_auc_pct"] == pytest.approx(100 * 30 / 31)
    assert list(official_scores([first], [first])) == ["all", "green_screen", "TS1"]


def test_official_scores_count_frames_without_a_pose_as_wrong_and_are_of_universal_poses_only() -> None:
    truth = person("TS3", 10, "universal")
    poses = truth.poses_3d.clone()
    poses[:4] = torch.nan
    found = official_scores([truth.with_poses(poses, "universal")], [truth])["no_green_screen"]
    assert (found["official_pck_pct"], found["official_mpjpe_mm"]) == pytest.approx((60, 0))
    with pytest.raises(MismatchError, match="official MPI-INF-3DHP scores of TS3/0"):
        official_scores([person("TS3")], [person("TS3")])
