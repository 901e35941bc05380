"""Identities and whole predictions: the same each time, in any order of rows, in the mirror, at any image size."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.keypoints.detections import VideoDetections
from inference.cameras.camera import CameraSettings
from inference.cameras.focal import estimate_focal
from inference.pipeline import predict
from inference.scene import Scene, array_of
from inference.tracking import OfflineTracker
from pose.features import flip_2d, flip_3d
from pose.joint_sets import COCO_19
from pose.sequence import PoseSequence
from tests.cases import assert_same_people, cases
from tests.inference.conftest import make_scene

WIDTH, HEIGHT = 1920, 1080
CAMERA = CameraSettings(fx=1500.0, image_size=(WIDTH, HEIGHT))


def detections(seed: int, n_frames: int = 60, false_alarms: float = 0.2) -> VideoDetections:
    """Three people who cross, their rows in any order, and now and then somebody who is not there."""
    rng, rows = np.random.default_rng(seed), []
    for person in make_scene(n_frames, seed=seed % 10).people:
        keys = ("frame", "keypoints_2d", "confidence")
        frame, points, scores = (array_of(person.selected(person.detected), key) for key in keys)
        rows += zip(frame, points, np.clip(scores, 0, 1), strict=True)
    for frame in np.flatnonzero(rng.random(n_frames) < false_alarms):
        rows.append((frame, rng.normal(900, 200, 2) + rng.normal(0, 100, (19, 2)), 0.4 * rng.random(19)))
    order = rng.permutation(len(rows))
    frame, points, scores = (np.array(column) for column in zip(*[rows[i] for i in order], strict=True))
    order = np.argsort(frame, kind="stable")
    frame, points, scores = frame[order], points[order], scores[order]
    return VideoDetections(frame, points, scores, scores.mean(1), n_frames, 30.0, (WIDTH, HEIGHT))


def shuffled(found: VideoDetections, seed: int) -> tuple[VideoDetections, np.ndarray]:
    """The rows of each frame in another order, and which row is which of before."""
    order = np.lexsort((np.random.default_rng(seed).random(len(found)), found.frame))
    rows = {key: getattr(found, key)[order] for key in ("keypoints_2d", "confidence", "box_score")}
    return dataclasses.replace(found, **rows), order


def mirrored(found: VideoDetections) -> VideoDetections:
    points = found.keypoints_2d[:, list(COCO_19.flip)]
    points = np.stack([WIDTH - points[..., 0], points[..., 1]], axis=-1)
    return dataclasses.replace(found, keypoints_2d=points, confidence=found.confidence[:, list(COCO_19.flip)])


def groups(identity: np.ndarray) -> set[frozenset[int]]:
    """Who belongs together, whatever the numbers."""
    return {frozenset(np.flatnonzero(identity == number).tolist()) for number in set(identity.tolist()) - {-1}}


@given(seed=st.integers(0, 10_000))
@cases(0.2)
def test_identities_depend_on_neither_rows_nor_mirror_nor_pixels(seed: int) -> None:
    found, tracker = detections(seed), OfflineTracker()
    expected = tracker(found).identity
    assert len(groups(expected)) >= 3
    np.testing.assert_array_equal(tracker(found).identity, expected)
    other, order = shuffled(found, seed)
    identity = np.empty(len(found), dtype=int)
    identity[order] = tracker(other).identity
    assert groups(identity) == groups(expected)
    np.testing.assert_array_equal(tracker(mirrored(found)).identity, expected)
    larger = dataclasses.replace(found, keypoints_2d=2 * found.keypoints_2d, image_size=(2 * WIDTH, 2 * HEIGHT))
    np.testing.assert_array_equal(tracker(larger).identity, expected)


def by_place(scene: Scene) -> list[PoseSequence]:
    """People in an order of their own: of tracks of equal length the first row's has the lower number."""
    return sorted(scene.people, key=lambda person: float(person.keypoints_2d.sum()))


@pytest.fixture(scope="module")
def found() -> VideoDetections:
    return detections(3)


@pytest.fixture(scope="module")
def scene(found: VideoDetections) -> Scene:
    return predict(found, camera=CAMERA)


def test_a_prediction_is_the_same_bit_for_bit(found: VideoDetections, scene: Scene) -> None:
    again = predict(found, camera=CAMERA)
    assert len(scene.people) >= 3 and len(again.people) == len(scene.people)
    for one, two in zip(scene.people, again.people, strict=True):
        assert_same_people([one], [two])


def test_the_order_of_a_frames_rows_does_not_matter(found: VideoDetections, scene: Scene) -> None:
    other = predict(shuffled(found, 1)[0], camera=CAMERA)
    for one, two in zip(by_place(scene), by_place(other), strict=True):
        np.testing.assert_array_equal(one.frame, two.frame)
        np.testing.assert_allclose(one.poses_3d, two.poses_3d, rtol=0, atol=0.1)


def test_the_mirrored_video_is_the_mirrored_scene() -> None:
    """Of people found in every frame: the zeros of a missing detection are not mirrored (docs/method.md §4, §7)."""
    made = [person for seed in (1, 3) for person in make_scene(40, n_people=4, seed=seed).people]
    whole = [person for person in made if bool(person.detected.all())]
    assert len(whole) == 2
    order = np.argsort(np.concatenate([person.frame for person in whole]), kind="stable")
    frame, points, scores = (
        np.concatenate([getattr(person, key) for person in whole])[order]
        for key in ("frame", "keypoints_2d", "confidence")
    )
    found = VideoDetections(frame, points, scores.clip(0, 1), scores.mean(1), 40, 30.0, (WIDTH, HEIGHT))
    scenes = [predict(rows, camera=CAMERA) for rows in (found, mirrored(found))]
    assert len(scenes[0].people) == len(whole)
    for one, two in zip(*(scene.people for scene in scenes), strict=True):
        back = flip_3d(two.require("poses_3d"))
        np.testing.assert_allclose(back, one.poses_3d, rtol=0, atol=0.1)


def test_the_focal_length_is_in_pixels_and_knows_neither_mirror_nor_order() -> None:
    tracks = [
        PoseSequence(
            "video",
            person.person,
            None,
            30.0,
            person.keypoints_2d,
            person.confidence.clamp(max=1),
            person.detected,
        )
        for person in make_scene(150, seed=3).people
    ]

    def mirror(track: PoseSequence) -> PoseSequence:
        points, scores = flip_2d(track.keypoints_2d, track.confidence, WIDTH)
        return dataclasses.replace(track, keypoints_2d=points * track.detected[:, None, None], confidence=scores)

    def focal(people: list[PoseSequence], size: int = 1) -> float:
        estimate = estimate_focal(people, (size * WIDTH, size * HEIGHT))
        assert estimate is not None
        return estimate.px

    expected = focal(tracks)
    larger = [dataclasses.replace(track, keypoints_2d=2 * track.keypoints_2d) for track in tracks]
    assert focal(larger, size=2) == pytest.approx(2 * expected, rel=1e-6)
    assert focal([mirror(track) for track in tracks]) == pytest.approx(expected, rel=1e-6)
    assert focal(tracks[::-1]) == pytest.approx(expected, rel=1e-6)
