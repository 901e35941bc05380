from __future__ import annotations

import numpy as np
import pytest
import torch

from data.keypoints.detections import VideoDetections
from inference.tracking import Tracks, sequences
from pose.cameras import Camera
from pose.errors import ConfigError, MismatchError, ShapeError

CAMERA = Camera(1000.0, 1000.0, 960.0, 540.0, 1920, 1080)


def detections(frames: list[int], n_frames: int = 10) -> VideoDetections:
    points = np.arange(len(frames), dtype=float)[:, None, None] + np.ones((len(frames), 19, 2))
    scores = np.full((len(frames), 19), 0.5)
    return VideoDetections(np.array(frames), points, scores, scores[:, 0], n_frames, 30.0, (1920, 1080), "clip")


def test_identities_are_numbered_by_length_and_then_by_time() -> None:
    tracks = Tracks.numbered(np.array([7, -1, 3, 9, 3, 9, 3, -5]))
    assert tracks.identity.tolist() == [2, -1, 0, 1, 0, 1, 0, -1]
    assert tracks.frames_covered == (3, 2, 1)
    assert len(tracks) == 3
    assert repr(tracks) == "Tracks(3 people, 2 of 8 rows unused)"


def test_no_tracks() -> None:
    tracks = Tracks.numbered(np.full(4, -1))
    assert len(tracks) == 0
    assert len(Tracks.numbered(np.zeros(0, dtype=int))) == 0
    assert sequences(detections([0, 1, 2, 3]), tracks, CAMERA, 30.0) == []


def test_tracks_must_be_numbered() -> None:
    with pytest.raises(ConfigError, match="longest first"):
        Tracks(np.array([0, 1, 1]), (1, 2))
    with pytest.raises(ConfigError, match="longest first"):
        Tracks(np.array([0, 0, 1]), (2, 2))
    with pytest.raises(ConfigError, match="longest first"):
        Tracks(np.array([0, 0, 1]), (2,))
    with pytest.raises(ShapeError):
        Tracks(np.zeros((3, 1), dtype=int), (3,))


def test_a_sequence_runs_from_the_first_to_the_last_detection() -> None:
    found = detections([2, 2, 4, 5, 5])
    first, second = sequences(found, Tracks.numbered(np.array([4, 8, 4, 4, -1])), CAMERA, 25.0)
    assert (first.name, second.name) == ("clip/0", "clip/1")
    assert first.frame.tolist() == [2, 3, 4, 5]
    assert first.detected.tolist() == [True, False, True, True]
    assert first.keypoints_2d[:, 0, 0].tolist() == [1, 0, 3, 4]
    assert first.confidence[:, 18].tolist() == [0.5, 0, 0.5, 0.5]
    assert first.keypoints_2d.dtype == torch.float32
    assert (first.fps, first.camera, first.poses_3d) == (25.0, CAMERA, None)
    assert second.frame.tolist() == [2]


def test_people_keeps_the_longest() -> None:
    found, tracks = detections([0, 0, 1, 1, 2]), Tracks.numbered(np.array([5, 3, 5, 3, 3]))
    (only,) = sequences(found, tracks, None, 30.0, people=1)
    assert only.person == 0
    assert len(only) == 3
    assert len(sequences(found, tracks, None, 30.0, people=7)) == 2
    with pytest.raises(ConfigError, match="people=0: must be a whole number >= 1"):
        sequences(found, tracks, None, 30.0, people=0)


def test_tracks_of_another_video_are_refused() -> None:
    with pytest.raises(MismatchError, match="3 rows do not belong to"):
        sequences(detections([0, 1]), Tracks.numbered(np.zeros(3, dtype=int)), None, 30.0)
    with pytest.raises(MismatchError, match="two detections in one frame"):
        sequences(detections([0, 0]), Tracks.numbered(np.zeros(2, dtype=int)), None, 30.0)
