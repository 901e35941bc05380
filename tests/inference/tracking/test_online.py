"""The tracker of streams: who goes on, who is new, and nothing that comes later matters."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from data.keypoints.detections import VideoDetections
from inference.tracking import GivenTracker, OfflineTracker, OnlineTracker
from pose.errors import ConfigError
from tests.inference.tracking.test_offline import FPS, scene


def test_two_who_pass_each_other_and_one_who_stands() -> None:
    t = np.arange(90)
    known = scene(np.stack([300 + 10 * t, 1500 - 10 * t, 700 + 0 * t], axis=1))
    tracks = OnlineTracker()(known.detections)
    assert len(tracks) == 3
    for person in range(3):
        (own,) = np.unique(tracks.identity[known.person == person])
        assert own >= 0


def test_hidden_for_a_while_or_for_too_long() -> None:
    t = np.arange(120)
    detected = np.ones((120, 1), bool)
    detected[30:60] = False
    known = scene((500 + 2 * t)[:, None], detected)
    assert len(OnlineTracker()(known.detections)) == 1
    assert len(OnlineTracker(max_gap_s=0.9)(known.detections)) == 2
    assert len(OfflineTracker()(known.detections)) == 1


def test_later_frames_change_nothing_and_dropped_ones_little() -> None:
    t = np.arange(60)
    known = scene(np.stack([300 + 10 * t, 1000 - 8 * t], axis=1))
    follow = OnlineTracker().start(FPS)
    labels = [follow(frame, frame_of(known.detections, frame)) for frame in t]
    again = OnlineTracker().start(FPS)
    assert all((again(f, frame_of(known.detections, f)) == labels[f]).all() for f in range(20))
    some = OnlineTracker().start(FPS)
    found = [some(frame, frame_of(known.detections, frame)) for frame in range(0, 60, 4)]
    assert {label for here in found for label in here.tolist()} == {0, 1}


def frame_of(detections: VideoDetections, frame: int) -> VideoDetections:
    return detections.selected(detections.frame == frame)


def test_a_second_box_of_one_person_is_not_used() -> None:
    known = scene(np.full((20, 1), 500.0))
    twice = {k: getattr(known.detections, k).repeat(2, axis=0) for k in ("frame", "keypoints_2d", "confidence")}
    score = np.tile([0.9, 0.5], 20)
    tracks = OnlineTracker()(dataclasses.replace(known.detections, **twice, box_score=score))
    assert len(tracks) == 1 and (tracks.identity[score == 0.5] == -1).all()


def test_identities_of_a_stream() -> None:
    known = scene(np.array([[300.0, 900.0]]))
    found = dataclasses.replace(known.detections, identity=np.array([7, 4]))
    assert GivenTracker().start(FPS)(0, found).tolist() == [7, 4]
    with pytest.raises(ConfigError, match="tracker=given: scene does not say who is who"):
        GivenTracker().start(FPS)(0, known.detections)


def test_what_cannot_be_used() -> None:
    with pytest.raises(ConfigError, match=r"tracker\.gate"):
        OnlineTracker(gate=0)
