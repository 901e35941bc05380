from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from benchmarks.studies.tracking import Known, conformance, score, shuffled
from data.keypoints import read_detections
from data.keypoints.detections import VideoDetections
from inference.tracking import OfflineTracker, Tracks, appearance, sequences
from inference.tracking.appearance import Appearance, pose_distance
from inference.tracking.duplicates import duplicate_boxes, excess
from inference.tracking.linking import assign
from inference.tracking.tracklets import _clear, _clear_pairs
from pose.errors import ConfigError
from pose.features import with_derived_joints

FPS, SIZE = 30.0, (1920, 1080)

#: An upright person of 400 px, COCO-17, about the middle of the torso.
BODY = 4.0 * np.array(
    [(0, -33), (2, -35), (-2, -35), (4, -34), (-4, -34), (10, -17), (-10, -17), (14, 0), (-14, 0), (15, 14), (-15, 14)]
    + [(7, 12), (-7, 12), (8, 36), (-8, 36), (8, 60), (-8, 60)],
    dtype=float,
)


def scene(x: np.ndarray, detected: np.ndarray | None = None, scale: tuple[float, ...] = (1.0, 0.8, 0.9)) -> Known:
    """People of several sizes at image places `x` (T, P), with the noise of a detector."""
    rng = np.random.default_rng(0)
    sizes = np.array(scale)[: x.shape[1], None, None]
    points = (
        BODY * sizes + np.stack([x, np.full_like(x, 500)], axis=-1)[:, :, None] + rng.normal(0, 2, (*x.shape, 17, 2))
    )
    points, scores = with_derived_joints(torch.from_numpy(points), torch.full((*x.shape, 17), 0.9, dtype=torch.float64))
    found = np.concatenate([points.numpy(), scores.numpy()[..., None]], axis=-1)
    return shuffled(found, np.ones(x.shape, dtype=bool) if detected is None else detected, FPS, SIZE, "scene", rng)


def tracked(known: Known) -> tuple[Tracks, bool]:
    """Tracks, and whether each person is one track and each track one person."""
    tracks = OfflineTracker()(known.detections)
    result = score(known.person, tracks.identity)
    return tracks, (result.switches, result.swaps, result.idfp, result.idfn) == (0, 0, 0, 0)


def crossing(frames: int = 120) -> np.ndarray:
    way = np.linspace(-300, 300, frames)
    return 960 + np.stack([way, -way], axis=1)


def crowd(people: int, frames: int = 30) -> VideoDetections:
    """As dense, however many, each moving a little and missed now and then."""
    rng, side = np.random.default_rng(0), 250 * people**0.5
    x = rng.uniform(0, side, people) + np.outer(np.arange(frames), rng.normal(0, 1, people))
    known = scene(x, rng.random((frames, people)) < 0.95, tuple(rng.uniform(0.3, 0.5, people)))
    points = known.detections.keypoints_2d.copy()
    points[..., 1] += rng.uniform(0, side, people)[known.person][:, None]
    return dataclasses.replace(known.detections, keypoints_2d=points)


@pytest.mark.parametrize("kind", ["noise", "outliers"])
def test_the_people_of_a_bad_detector_are_kept(kind: str) -> None:
    """Joints that jitter by a sixteenth of the height, or one in ten anywhere within three quarters of it."""
    known, rng = scene(960 + np.array([[-500.0, 500.0]]) + np.zeros((90, 1))), np.random.default_rng(1)
    points = known.detections.keypoints_2d.copy()
    jump = rng.normal(0, 25, points.shape) if kind == "noise" else rng.uniform(-300, 300, points.shape)
    wrong = np.ones(points.shape[:2], dtype=bool) if kind == "noise" else rng.random(points.shape[:2]) < 0.1
    points[wrong] += jump[wrong].astype(points.dtype)
    tracks = OfflineTracker()(dataclasses.replace(known.detections, keypoints_2d=points))
    result = score(known.person, tracks.identity)
    assert len(tracks) == 2 and result.idfn <= 5  # of 180
    assert (result.switches, result.swaps, result.idfp) == (0, 0, 0)


def test_time_grows_about_as_people_in_a_frame() -> None:
    """5 times the people: 25 times the pairs, nearly all of them far apart."""
    seconds = []
    for people in (50, 250):
        detections, times = crowd(people), []
        for _ in range(2):
            start = time.process_time()
            tracks = OfflineTracker()(detections)
            times.append(time.process_time() - start)
        assert len(tracks) == people
        seconds.append(min(times))
    assert seconds[1] < 9 * seconds[0], seconds


def test_more_people_than_there_can_be_are_bounded_and_said(caplog: pytest.LogCaptureFixture) -> None:
    points = np.random.default_rng(0).uniform(0, 9000, (1300, 1, 2)) + np.ones((1, 19, 1)) * BODY.mean(0)
    score = np.linspace(0, 1, 1300)
    frame = np.repeat([0, 1], [1200, 100])
    detections = VideoDetections(frame, points, np.full((1300, 19), 0.5), score, 2, FPS, (9000, 9000))
    assert np.flatnonzero(excess(detections)).tolist() == list(range(200)), "those of the lowest scores"
    identity = OfflineTracker()(detections).identity
    assert (identity[:200] == -1).all()
    assert "200 detections of the lowest scores are not used, in frames of more than 1000 people" in caplog.text


def test_people_apart_are_assigned_as_all_together() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        table = np.where(rng.random((12, 10)) < 0.15, rng.uniform(0, 0.1, (12, 10)), 1e3)
        a, b = np.nonzero(table < 1)
        index, chosen, ended = _clear_pairs(a, b, table[a, b], 12, 10, 0.03)
        expected = _clear(table, 0.03)
        assert sorted(zip(index, chosen, strict=True)) == sorted(zip(*expected[:2], strict=True))
        np.testing.assert_array_equal(ended, expected[2])


def test_a_crossing_in_plain_sight() -> None:
    tracks, right = tracked(scene(crossing()))
    assert right
    assert tracks.frames_covered == (120, 120)


@pytest.mark.parametrize("hidden", [5, 20, 45])
def test_a_full_occlusion_at_a_crossing(hidden: int) -> None:
    detected = np.ones((120, 2), dtype=bool)
    detected[60 - hidden // 2 : 60 + hidden // 2, 1] = False
    tracks, right = tracked(scene(crossing(), detected))
    assert right
    assert len(tracks) == 2


def test_both_are_lost_at_the_crossing() -> None:
    detected = np.ones((120, 2), dtype=bool)
    detected[50:70] = False
    _, right = tracked(scene(crossing(), detected, scale=(1.0, 1.0)))
    assert right


def test_two_who_meet_and_turn_back_keep_their_sizes() -> None:
    way = 200 * np.abs(np.linspace(-1, 1, 120))
    detected = np.ones((120, 2), dtype=bool)
    detected[52:68, 1] = False
    _, right = tracked(scene(960 + np.stack([way, -way], axis=1), detected))
    assert right


def test_what_cannot_be_told_apart_is_not_joined() -> None:
    """Twins stand side by side, vanish and are back between their old places: a new identity each, not a guess."""
    x = np.full((120, 2), 960.0) + [-60, 60]
    x[60:] = 960.0 + np.array([-2, 2]) * 60
    x[60:, 0] = 960.0 - 20
    x[60:, 1] = 960.0 + 20
    detected = np.ones((120, 2), dtype=bool)
    detected[35:85] = False
    known = scene(x, detected, scale=(1.0, 1.0))
    careful = OfflineTracker()(known.detections)
    assert score(known.person, careful.identity).swaps == 0
    assert len(careful) == 4
    bold = OfflineTracker(link_ambiguity_margin=0)(known.detections)
    assert len(bold) == 2


def test_a_duplicate_box_starts_no_track_and_takes_no_identity() -> None:
    known = scene(crossing())
    d = known.detections
    extra = np.flatnonzero((d.frame % 10 == 3) & (known.person == 0))
    rng = np.random.default_rng(1)
    order = np.argsort(np.concatenate([d.frame, d.frame[extra]]), kind="stable")

    def both(values: np.ndarray, change=lambda v: v) -> np.ndarray:
        return np.concatenate([values, change(values[extra])])[order]

    doubled = dataclasses.replace(
        d,
        frame=both(d.frame),
        keypoints_2d=both(d.keypoints_2d, lambda v: v + rng.normal(0, 6, v.shape)),
        confidence=both(d.confidence, lambda v: 0.7 * v),
        box_score=both(d.box_score, lambda v: 0.7 * v),
    )
    person = np.concatenate([known.person, np.full(len(extra), -1)])[order]
    tracks = OfflineTracker()(doubled)
    assert tracks.frames_covered == (120, 120)
    assert (tracks.identity[person < 0] == -1).all()
    assert score(person, tracks.identity).swaps == 0


def test_a_person_leaves_and_comes_back() -> None:
    x = crossing(240)
    away = np.ones((240, 2), dtype=bool)
    away[100:160, 0] = False  # two seconds out of sight, then where the walk goes on
    _, right = tracked(scene(x, away))
    assert right
    away[100:] = True
    away[60:230, 0] = False  # longer than max_gap_s: a new identity
    tracks, _ = tracked(scene(x, away))
    assert len(tracks) == 3


def test_no_detections_one_frame_and_an_unknown_rate() -> None:
    known = scene(crossing())
    nothing = np.zeros(0, dtype=int)
    empty = VideoDetections(nothing, np.zeros((0, 19, 2)), np.zeros((0, 19)), np.zeros(0), 50)
    assert len(OfflineTracker()(empty)) == 0
    assert sequences(empty, OfflineTracker()(empty), None, 30.0) == []
    d = known.detections
    single = VideoDetections(d.frame[:2] * 0, d.keypoints_2d[:2], d.confidence[:2], d.box_score[:2], 1)
    assert sorted(OfflineTracker()(single).identity) == [0, 1]
    unknown = dataclasses.replace(d, fps=None, image_size=None)
    assert (OfflineTracker()(unknown).identity == OfflineTracker()(d).identity).all()


def test_detections_without_a_joint_are_survived() -> None:
    d = scene(crossing()).detections
    confidence = d.confidence.copy()
    confidence[::7] = 0
    tracks = OfflineTracker()(dataclasses.replace(d, confidence=confidence))
    assert len(tracks) >= 2


def noise(rng: np.random.Generator, frame: np.ndarray, n_frames: int) -> VideoDetections:
    """A small person anywhere in the picture for each of `frame`."""
    centre = rng.uniform((100, 300), (1800, 800), (len(frame), 1, 2))
    points = np.concatenate([BODY * 0.5 + centre, centre, centre], axis=1)
    score = np.full((len(frame), 19), 0.5)
    return VideoDetections(frame, points, score, score[:, 0], n_frames, FPS, SIZE)


def test_single_false_boxes_are_not_used() -> None:
    known = scene(crossing())
    d, extra = known.detections, noise(np.random.default_rng(3), np.arange(0, 120, 12), 120)
    order = np.argsort(np.concatenate([d.frame, extra.frame]), kind="stable")
    names = ("frame", "keypoints_2d", "confidence", "box_score")
    mixed = {name: np.concatenate([getattr(d, name), getattr(extra, name)])[order] for name in names}
    tracks = OfflineTracker()(dataclasses.replace(d, **mixed))
    assert tracks.frames_covered == (120, 120)
    person = np.concatenate([known.person, np.full(10, -1)])[order]
    assert (tracks.identity[person < 0] == -1).all()


def test_a_video_of_nothing_but_noise_stays_affordable() -> None:
    started = time.process_time()
    tracks = OfflineTracker()(noise(np.random.default_rng(0), np.repeat(np.arange(300), 20), 300))
    assert time.process_time() - started < 20
    assert tracks.frames_covered[0] < 100


def test_options_are_validated_and_agree_with_the_configuration(repo: Path) -> None:
    with pytest.raises(ConfigError, match=r"tracker.gate=0: must be a number > 0"):
        OfflineTracker(gate=0)
    with pytest.raises(ConfigError, match=r"tracker.link_ambiguity_margin=-1: must be a number >= 0"):
        OfflineTracker(link_ambiguity_margin=-1)
    with pytest.raises(ConfigError, match=r"tracker.max_gap_s=nan"):
        OfflineTracker(max_gap_s=float("nan"))
    options = yaml.safe_load((repo / "conf" / "tracker" / "offline.yaml").read_text())
    assert options.pop("_target_") == "inference.tracking.OfflineTracker"
    assert options == dataclasses.asdict(OfflineTracker())


# --- parts -----------------------------------------------------------------------------------------------------------


def test_height_and_centre_of_an_upright_person() -> None:
    people = Appearance.of(scene(np.full((30, 1), 700.0)).detections)
    np.testing.assert_allclose(people.height, 400, rtol=0.06)
    np.testing.assert_allclose(people.centre, np.broadcast_to([700, 490], (30, 2)), atol=6)
    assert (people.facing[:, 0] > 0.1).all()


def test_pose_distance_by_hand() -> None:
    a, weight = np.zeros((17, 2)), np.ones(17)
    b = a.copy()
    b[5] = [30, 40]  # 50 px are 0.125 of 400, one joint of 17
    assert pose_distance(a, weight, b, weight, np.array(400.0)) == pytest.approx(0.125 / 17)
    b[5] = [3000, 0]  # capped
    assert pose_distance(a, weight, b, weight, np.array(400.0)) == pytest.approx(0.3 / 17)
    assert pose_distance(a, 0 * weight, b, weight, np.array(400.0)) == 0.3


def test_of_two_boxes_the_less_confident_one_is_the_duplicate() -> None:
    d = scene(np.full((2, 1), 700.0)).detections
    twice = dataclasses.replace(d, frame=np.array([0, 0]), box_score=np.array([0.4, 0.6]), n_frames=1)
    assert duplicate_boxes(Appearance.of(twice), 0.03).tolist() == [True, False]
    assert duplicate_boxes(Appearance.of(d), 0.03).tolist() == [False, False]


def test_assignment_is_the_cheapest_and_leaves_alone_what_is_too_dear() -> None:
    a, b = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 0, 1, 1])
    cost = np.array([-5.0, -4.0, -4.5, 1.0, 9.0])
    assert assign(a, b, cost, np.full(3, 6.0)).tolist() == [False, True, True, False, False]
    assert not assign(a, b, cost + 20, np.full(3, 6.0)).any()
    assert not assign(a[:0], b[:0], cost[:0], np.zeros(0)).any()


# --- reference data --------------------------------------------------------------------------------------------------


def read(path: Path, fps: float, size: tuple[int, int]) -> tuple[VideoDetections, np.ndarray]:
    """Detections of a keypoints.json and the index of each row in its frame."""
    found = read_detections(path, fps=fps, image_size=size)
    counts = np.bincount(found.frame, minlength=found.n_frames)
    return found, np.concatenate([np.arange(count) for count in counts])


def test_three_people_of_ts1_are_three_tracks_and_the_fourth_box_is_separate(golden: Path) -> None:
    found, _ = read(golden / "detections" / "ts1_keypoints.json", 30.0, (2048, 2048))
    tracks = OfflineTracker()(found)
    assert tracks.frames_covered[:3] == (201, 201, 201)
    assert (tracks.identity >= 3).sum() + (tracks.identity == -1).sum() == 4
    for person in sequences(found, tracks, None, 30.0, people=3):
        # A swap would jump by the distance of two people; they walk, so less than 40 px a frame.
        assert person.keypoints_2d[:, 17].diff(dim=0).abs().max() < 40


def test_the_moving_person_of_each_camera_is_one_track(multiview: Path) -> None:
    with np.load(multiview / "truth.npz") as truth:
        detection = truth["detection"][:, 0]
    for camera in range(4):
        found, index = read(multiview / f"cam{camera + 1}_keypoints.json", 60.0, (1088, 1920))
        tracks = OfflineTracker()(found)
        true = np.flatnonzero(detection[found.frame, camera] == index)
        identity, counts = np.unique(tracks.identity[true], return_counts=True)
        # The true box may be the less confident one of two on the same person; then it is unused, never another person.
        assert len(identity[identity >= 0]) == 1
        assert counts[identity >= 0] >= 0.94 * len(true)
        assert tracks.frames_covered[identity.max()] >= 98


def test_conformance_people_keep_their_identities(golden: Path) -> None:
    for known in conformance(np.random.default_rng(0)):
        result = score(known.person, OfflineTracker()(known.detections).identity)
        assert (result.swaps, result.switches) == (0, 0), known.detections.source
        assert result.idf1_pct >= 98, known.detections.source


def test_pairs_of_boxes_are_those_of_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    low, other = rng.uniform(0, 500, (2, 150, 2))
    high, other_high = low + rng.uniform(0, 60, (150, 2)), other + rng.uniform(0, 60, (150, 2))
    low[3], high[3] = -np.inf, np.inf  # within reach of everybody
    other[5], other_high[5] = appearance._FAR, -appearance._FAR  # no joint was found
    found = []
    for most in (0, 1 << 30):
        monkeypatch.setattr(appearance, "_TABLE", most)
        found.append(
            set(zip(*(one.tolist() for one in appearance.overlapping(low, high, other, other_high)), strict=True))
        )
    assert found[0] == found[1] and (3, 5) in found[0] and len(found[0]) > 300
