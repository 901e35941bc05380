"""The noise model's statistics: scores, errors, their growth and duration, misses, joints of the wrong person."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from data.synthetic.bodies import random_body
from data.synthetic.detections import HRNET, SimulatedDetector, autoregressive, coco_points, detect
from data.synthetic.motions import procedural_motion
from data.synthetic.occlusion import Cover
from data.synthetic.scenes import SeenPerson, compose_scene, look_at, render_scene
from pose.cameras import Camera
from pose.features import with_derived_joints
from pose.joint_sets import COCO_17, COCO_19, MUPOTS_17

CAMERA = Camera(1500.0, 1500.0, 1024.0, 1024.0, 2048, 2048)
VIEW = look_at(CAMERA, np.array([0, 1300.0, 0]), np.array([0, 1000.0, 4000]))
FPS = 30
LIMBS = COCO_17.names[5:]
COCO = [COCO_19.index(name) for name in LIMBS]
MUPOTS = [MUPOTS_17.index(name) for name in LIMBS]


@pytest.fixture(scope="module")
def people() -> list[SeenPerson]:
    found = []
    for seed in range(24):
        rng = np.random.default_rng(seed)
        motions = [procedural_motion(kind, 150, FPS, random_body(rng), rng) for kind in ("mixed", "cross", "walk")]
        found += render_scene(compose_scene(motions, VIEW, rng), VIEW, FPS, rng)
    return found


def errors_px(person: SeenPerson) -> np.ndarray:
    """Distances (T, 12) of the limb joints' detections from the annotation."""
    return np.linalg.norm(person.detection[:, COCO, :2] - person.annotation_2d[:, MUPOTS], axis=-1)


def pooled(people: list[SeenPerson], seen: bool) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and errors as a part of a standing person's height, over found people's visible or hidden joints."""
    scores, errors = [], []
    for person in people:
        chosen = person.detected[:, None] & (person.visible[:, MUPOTS] == seen)
        height = 1500 * 1700 / person.annotation_3d[:, MUPOTS_17.index("hip"), 2]
        errors.append((errors_px(person) / height[:, None])[chosen])
        scores.append(person.detection[:, COCO, 2][chosen])
    return np.concatenate(scores), np.concatenate(errors)


def test_hidden_joints_score_less_and_err_more(people: list[SeenPerson]) -> None:
    seen_scores, seen_errors = pooled(people, True)
    hidden_scores, hidden_errors = pooled(people, False)
    assert 0.8 < np.median(seen_scores) < 0.95
    assert np.percentile(seen_scores, 10) > 0.65
    assert np.median(hidden_scores) < 0.65
    assert np.percentile(hidden_scores, 10) < 0.4
    assert 0.005 < np.median(seen_errors) < 0.015
    assert np.median(hidden_errors) > 2 * np.median(seen_errors)
    assert np.percentile(hidden_errors, 95) > 4 * np.percentile(seen_errors, 95) * 0.8


def test_whole_people_are_missed_when_mostly_hidden_and_then_all_zeros(people: list[SeenPerson]) -> None:
    detected = np.concatenate([person.detected for person in people])
    hidden = np.concatenate([(~person.visible).mean(1) for person in people])
    assert 0.03 < (~detected).mean() < 0.25
    assert hidden[~detected].mean() > 0.6
    assert detected[hidden < 0.3].mean() > 0.98
    for person in people:
        assert not person.detection[~person.detected].any()
        assert (person.detection[person.detected][..., 2] > 0).all()
        assert np.isfinite(person.detection).all()


def test_hip_and_neck_are_derived(people: list[SeenPerson]) -> None:
    found = torch.from_numpy(people[0].detection[people[0].detected])
    points, scores = with_derived_joints(found[:, :17, :2], found[:, :17, 2])
    torch.testing.assert_close(found[..., :2], points)
    torch.testing.assert_close(found[..., 2], scores)


def test_errors_last(people: list[SeenPerson]) -> None:
    wrist = MUPOTS.index(MUPOTS_17.index("left_knee"))
    errors = np.stack([p.detection[:, COCO[wrist], :2] - p.annotation_2d[:, MUPOTS[wrist]] for p in people])
    steady = np.array([p.visible[:, MUPOTS[wrist]].mean() > 0.95 and p.detected.all() for p in people])
    x = errors[steady][..., 0] - errors[steady][..., 0].mean(1, keepdims=True)
    assert steady.sum() >= 5
    assert 0.4 < (x[:, 1:] * x[:, :-1]).mean() / (x**2).mean() < 0.95


def free(n_frames: int, n_people: int = 1) -> list[Cover]:
    nothing = np.zeros((n_frames, 17))
    return [Cover(nothing, nothing, nothing.astype(int)) for _ in range(n_people)]


def one_person(n_frames: int = 300) -> np.ndarray:
    rng = np.random.default_rng(0)
    return VIEW.to_camera(procedural_motion("wave", n_frames, FPS, random_body(rng), rng) + [0, 0, 4000])[None]


def test_errors_grow_with_the_size_in_the_image() -> None:
    poses = one_person()
    sizes = []
    for focal in (500.0, 1000.0):
        camera = Camera(focal, focal, 1024.0, 1024.0, 2048, 2048)
        keypoints, _ = detect(poses, free(300), [camera], FPS, np.random.default_rng(1))
        truth = coco_points(poses)[..., :2] / coco_points(poses)[..., 2:] * focal + 1024
        sizes.append(np.linalg.norm(keypoints[0, :, :17, :2] - truth[0], axis=-1).mean())
    assert sizes[1] / sizes[0] == pytest.approx(2, rel=1e-3)


def test_some_hidden_joints_land_on_the_person_in_front() -> None:
    front = one_person(600)
    poses = np.concatenate([front, front * 1.2 + [120, 0, 0]])
    hidden = Cover(np.full((600, 17), 0.9), np.zeros((600, 17)), np.zeros((600, 17), int))
    keypoints, detected = detect(poses, [*free(600), hidden], [CAMERA, CAMERA], FPS, np.random.default_rng(1))
    assert detected[0].all()
    assert detected[1].mean() < 0.2, "all limbs hidden: seldom found"
    half = Cover(np.where(np.arange(17) % 2, 0.9, 0.0) * np.ones((600, 1)), hidden.by_self, hidden.occluder)
    keypoints, detected = detect(poses, [*free(600), half], [CAMERA, CAMERA], FPS, np.random.default_rng(1))
    assert detected[1].mean() > 0.9
    same = (np.abs(keypoints[1] - keypoints[0])[:, COCO, :2] < 1e-3).all(-1)
    odd = np.array(MUPOTS) % 2 == 1
    assert not same[:, ~odd][detected[1]].any()
    assert 0.05 < same[:, odd][detected[1]].mean() < 0.35


def test_outside_the_image_people_are_cut_and_missed() -> None:
    poses = one_person()
    hip = poses[..., MUPOTS_17.index("hip"), :]
    poses[..., 0] += (hip[..., 2] * 1024 / 1500 - hip[..., 0])[..., None]  # half of the body is beyond the border
    keypoints, detected = detect(poses, free(300), [CAMERA], FPS, np.random.default_rng(0))
    outside = poses[0, :, MUPOTS, 0].T / poses[0, :, MUPOTS, 2].T * 1500 + 1024 > 2048
    assert 0.2 < outside.mean() < 0.8
    assert keypoints[..., 0].max() <= 2048
    found = detected[0]
    if found.any():
        assert np.median(keypoints[0, :, COCO, 2].T[found][outside[found]]) < 0.5
    keypoints, detected = detect(poses + [1500, 0, 0], free(300), [CAMERA], FPS, np.random.default_rng(0))
    assert not detected.any()
    assert not keypoints.any()


def test_faces_are_placed_on_the_head() -> None:
    points = coco_points(one_person())[0]
    pose = one_person()[0]
    head = (pose[:, MUPOTS_17.index("neck")] + pose[:, MUPOTS_17.index("head_top")]) / 2
    assert np.linalg.norm(points[:, :5] - head[:, None], axis=-1).max() < 250
    chest_left = pose[:, MUPOTS_17.index("left_shoulder")] - pose[:, MUPOTS_17.index("right_shoulder")]
    for part in ("eye", "ear"):
        left, right = (points[:, COCO_17.index(f"{side}_{part}")] for side in ("left", "right"))
        assert (((left - right) * chest_left).sum(1) > 0).all()


def test_autoregressive_noise_is_stationary_and_lasts_as_long_as_asked() -> None:
    noise = autoregressive((400, 300), 1, 5.0, np.random.default_rng(0))
    assert noise[:, 0].std() == pytest.approx(1, abs=0.1)
    assert noise[:, -1].std() == pytest.approx(1, abs=0.1)
    assert (noise[:, 5:] * noise[:, :-5]).mean() == pytest.approx(np.exp(-1), abs=0.05)


def scene_seen_by(detector: SimulatedDetector, **options) -> list[SeenPerson]:
    rng = np.random.default_rng(5)
    motions = [procedural_motion(kind, 300, FPS, random_body(rng), rng) for kind in ("mixed", "cross", "walk")]
    return render_scene(compose_scene(motions, VIEW, rng, **options), VIEW, FPS, rng, detector)


def test_a_detector_that_lapses_misses_people_for_spells() -> None:
    found = np.stack([person.detected for person in scene_seen_by(SimulatedDetector(lapses=0.2))])
    usual = np.stack([person.detected for person in scene_seen_by(SimulatedDetector())])
    assert 0.1 < usual.mean() - found.mean() < 0.3
    changes = np.abs(np.diff(found.astype(int), axis=1)).sum()
    assert changes < (~found).sum()  # of misses independent from frame to frame there would be 1.5 changes each


def test_a_detector_that_mistakes_sides_does_so_where_legs_are_close() -> None:
    # No noise at all, so that whatever is far from its own place lies on its mirror image's.
    exact = {"lasting": 0.0, "momentary": 0.0, "guess": 0.0}
    people = scene_seen_by(SimulatedDetector(**exact, swaps=0.3))
    left, right = COCO_19.index("left_knee"), COCO_19.index("right_knee")
    exchanged, close = [], []
    for person in people:
        truth = person.annotation_2d[:, [MUPOTS_17.index("left_knee"), MUPOTS_17.index("right_knee")]]
        seen = person.detection[:, [left, right], :2]
        wrong = np.linalg.norm(seen - truth[:, ::-1], axis=-1).max(1) < 1
        exchanged.append(wrong & (np.linalg.norm(seen - truth, axis=-1).max(1) > 2) & person.detected)
        close.append(person.detected)
    assert 0.02 < np.concatenate(exchanged)[np.concatenate(close)].mean() < 0.3
    assert not any(np.array_equal(a.detection, b.detection) for a, b in zip(people, scene_seen_by(HRNET), strict=True))


def test_offsets_stay_with_a_person_and_tails_make_errors_heavy() -> None:
    calm = {"lasting": 0.0, "momentary": 0.0, "guess": 0.0}
    person = scene_seen_by(SimulatedDetector(**calm, offset=0.02))[0]
    height = 1500 * 1700 / person.annotation_3d[:, MUPOTS_17.index("hip"), 2]
    sure = person.detected & (person.detection[:, COCO, 2].min(1) > 0.6)
    error = (person.detection[:, COCO, :2] - person.annotation_2d[:, MUPOTS])[sure] / height[sure, None, None]
    assert error.std(0).max() < 0.001 < np.abs(error.mean(0)).max()
    heavy, usual = (
        np.concatenate(
            [errors_px(p)[p.detected].ravel() for p in scene_seen_by(SimulatedDetector(guess=0.0, tail=tail))]
        )
        for tail in (0.9, 0.0)
    )
    assert np.quantile(heavy, 0.99) / np.median(heavy) > 1.3 * np.quantile(usual, 0.99) / np.median(usual)


def test_no_person_stands_behind_another_for_long_where_that_is_a_fault() -> None:
    def longest_hidden(behind: float) -> float:
        fractions = []
        for seed in range(8):
            rng = np.random.default_rng(seed)
            motions = [procedural_motion("stand", 100, FPS, random_body(rng), rng) for _ in range(3)]
            people = render_scene(compose_scene(motions, VIEW, rng, behind=behind), VIEW, FPS, rng)
            fractions.append(max(1 - person.visible.mean() for person in people))
        return float(np.mean(fractions))

    assert longest_hidden(0.25) < 0.6 * longest_hidden(1.0)


def test_a_scene_is_as_far_away_as_asked() -> None:
    rng = np.random.default_rng(0)
    motions = [procedural_motion("stand", 20, FPS, random_body(rng), rng)]
    (near,) = compose_scene(motions, VIEW, rng, farthest=(2500, 2600))
    assert 2300 < VIEW.to_camera(near)[:, MUPOTS_17.index("hip"), 2].mean() < 2800
