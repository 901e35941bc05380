"""A stream's poses against `predict`'s of the whole clip; what came later, and dropped frames."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from data.keypoints import read_detections
from data.keypoints.detections import VideoDetections
from inference.cameras.camera import CameraSettings
from inference.live.stream import LivePose, LiveStream
from inference.pipeline import predict
from inference.tracking import OnlineTracker
from lightning_modules.checkpoint import load_lifter
from pose.cameras import Camera
from pose.errors import ConfigError
from pose.joint_sets import MUPOTS_17
from pose.level import up_of
from pose.sequence import PoseSequence
from refinement import OcclusionRefinement

CAMERA, FPS, LAG = Camera(1500.0, 1500.0, 1024.0, 1024.0, 2048, 2048), 30.0, 6
HIP = MUPOTS_17.index("hip")


@pytest.fixture(scope="module")
def clip(golden: Path) -> VideoDetections:
    """A second and a half of three people."""
    found = read_detections(golden / "detections" / "ts1_keypoints.json", fps=FPS, image_size=(2048, 2048))
    return cut(found, found.frame < 48, 48)


def cut(found: VideoDetections, rows: np.ndarray, n_frames: int) -> VideoDetections:
    return dataclasses.replace(found.selected(rows), n_frames=n_frames)


def make(lag: int = LAG, **settings) -> LiveStream:
    lifter = load_lifter("builtin:mocap_normal_causal")
    return LiveStream(lifter, OcclusionRefinement(lag=lag), OnlineTracker().start(FPS), CAMERA, FPS, **settings)


def through(stream: LiveStream, clip: VideoDetections, frames) -> dict[int, list[LivePose]]:
    return dict(stream(frame, cut(clip, clip.frame == frame, 48)) for frame in frames)


@pytest.fixture(scope="module")
def whole(clip: VideoDetections) -> tuple[dict[int, list[LivePose]], list[PoseSequence]]:
    stream = make()
    return through(stream, clip, range(48)), stream.people()


def relative(person: PoseSequence) -> np.ndarray:
    poses = person.require("poses_3d").numpy()
    return poses - poses[:, [HIP]]


def test_the_recording_is_near_what_predict_makes_of_the_clip(clip: VideoDetections, whole) -> None:
    _, people = whole
    expected = predict(clip, camera=CameraSettings(fx=1500.0)).people
    assert len(people) == len(expected) == 3
    for person in people:
        assert person.frame.tolist() == list(range(48)) and bool(person.detected.all())
        assert bool((person.require("std_mm") > 0).all()) and person.coordinates == "normal"
        hips = [(person.root - one.root).norm(dim=-1).median() for one in expected]
        same = expected[int(np.argmin(hips))]
        off = np.linalg.norm(relative(person) - relative(same), axis=-1)
        assert np.median(off) < 60, "another person's pose"
        assert (person.keypoints_2d == same.keypoints_2d).float().mean() > 0.9, "another person"


def test_what_is_shown_is_what_is_recorded_and_comes_lag_frames_late(whole) -> None:
    shown, people = whole
    assert sorted(shown) == [-1, *range(48 - LAG)], "one frame for each that came"
    assert len(shown[47 - LAG]) == 3
    for one in shown[47 - LAG]:
        poses = [person.require("poses_3d")[47 - LAG].numpy() for person in people]
        assert min(np.abs(pose - one.pose).max() for pose in poses) < 0.1


def test_nothing_that_comes_later_than_the_lag_matters(clip: VideoDetections, whole) -> None:
    shown, _ = whole
    changed = clip.keypoints_2d.copy()
    changed[clip.frame > 40] += 300
    again = through(make(), dataclasses.replace(clip, keypoints_2d=changed), range(48))
    for number in range(41 - LAG):
        assert len(again[number]) == len(shown[number])
        for one, other in zip(again[number], shown[number], strict=True):
            assert one.person == other.person and np.array_equal(one.pose, other.pose)


def test_dropped_frames_lie_between_and_count_as_inferred(clip: VideoDetections, whole) -> None:
    stream = make()
    taken = [0, *range(2, 48, 3)]
    shown = through(stream, clip, taken)
    assert set(shown) <= {-1, *taken}, "only frames that somebody looked at are shown"
    people = stream.people()
    assert len(people) == 3
    for person in people:
        assert len(person) == 48, "the frames between are there"
        was_taken = torch.isin(person.frame, torch.tensor(taken))
        assert bool((person.detected == was_taken).all()) and not bool(person.require("observed")[~was_taken].any())
        assert bool((person.confidence[~was_taken] == 0).all()) and bool(person.require("observed")[was_taken].any())
        near = min(np.median(np.linalg.norm(relative(person) - relative(one), axis=-1)) for one in whole[1])
        assert near < 40
        steps = person.require("poses_3d")[1:] - person.require("poses_3d")[:-1]
        assert float(steps.norm(dim=-1).max()) < 250


def test_out_of_sight_and_noise(clip: VideoDetections) -> None:
    """Nobody is in the picture for a while: people are inferred up to `hidden_s`, and nothing is kept of that."""
    stream = make(lag=0, hidden_s=0.4)
    through(stream, clip, range(20))
    nobody = cut(clip, np.zeros(len(clip), bool), 48)
    there = [len(stream(frame, nobody)[1]) for frame in range(20, 40)]
    assert there[0] == 3 and there[-1] == 0
    stream(40, cut(clip, clip.frame == 40, 48))
    people = stream.people()
    assert [int(person.frame[-1]) for person in people] == [19, 19, 19], "a single frame is nobody"


def test_up_is_learnt_or_given(clip: VideoDetections) -> None:
    stream = make()
    assert stream.world.how == "camera"
    through(stream, clip, range(35))
    assert stream.world.how == "people"
    given = make(up=up_of(10.0, 0.0))
    through(given, clip, range(35))
    assert given.world.angles_deg[0] == pytest.approx(10.0)


def test_parts_that_look_at_later_frames_are_refused() -> None:
    follow, refinement = OnlineTracker().start(FPS), OcclusionRefinement(lag=3)
    with pytest.raises(ConfigError, match="looks at later frames; live needs a causal one"):
        LiveStream(load_lifter("builtin:mocap_normal"), refinement, follow, CAMERA, FPS)
    lifter = load_lifter("builtin:mocap_normal_causal")
    with pytest.raises(ConfigError, match=r"live needs refinement=occlusion with refinement\.lag=FRAMES"):
        LiveStream(lifter, OcclusionRefinement(), follow, CAMERA, FPS)
    with pytest.raises(ConfigError, match="live needs at least 5 frames per second"):
        LiveStream(lifter, refinement, follow, CAMERA, 4.0)
