"""Matching detections to annotated people: by hand, and against the rule written out."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from data.prepare.detections import (
    THRESHOLD_PX,
    detect,
    detected_before,
    match_people,
    write_matched,
)
from data.sets.reader import read_detections
from pose.errors import DataError
from pose.joint_sets import COCO_17, MUPOTS_17

COMMON = [f"{side}_{j}" for side in ("left", "right") for j in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")]


def person(x: float) -> tuple[np.ndarray, np.ndarray]:
    """A pose as annotated (17, 2) and as detected (17, 3), both shifted by x; the joints not shared are wild."""
    random = np.random.default_rng(0)
    annotated, detected = random.uniform(0, 2000, (17, 2)), random.uniform(0, 2000, (17, 3))
    for name in COMMON:
        detected[COCO_17.index(name), :2] = annotated[MUPOTS_17.index(name)]
    detected[:, 2] = 0.8
    return annotated + (x, 0), detected + (x, 0, 0)


def match(people: list[float], found: list[float]) -> list[int]:
    annotated = np.stack([person(x)[0] for x in people])
    detected = np.stack([person(x)[1] for x in found]) if found else np.zeros((0, 17, 3))
    return match_people(annotated, detected).tolist()


def test_people_are_matched_by_mean_distance_below_80_px() -> None:
    assert match([0, 500], [510, 3, 2000]) == [1, 0]
    assert match([0], [79.9]) == [0]
    assert match([0], [80.1]) == [-1]
    assert match([0, 500], []) == [-1, -1]
    assert match([0, 500, 1000], [1001]) == [-1, -1, 0]
    assert match([0], [30, 20, 40]) == [1]
    assert match([0, 10], [1]) == [0, -1]  # one to one


def test_no_person_takes_a_far_partner_from_another_person() -> None:
    # Person 0 at 0, person 1 at 75. Matching both, (0, 79) and (75, -1), would cost 155 px; 0 with -1 alone costs 81.
    assert match([0, 75], [-1, 79]) == [0, 1]
    assert match([0, 78], [1, -79]) == [0, -1]


def test_assignment_is_the_cheapest_of_all() -> None:
    random = np.random.default_rng(3)
    for _ in range(20):
        people, found = random.uniform(0, 250, 3), random.uniform(0, 250, 4)
        cost = np.minimum(np.abs(people[:, None] - found), THRESHOLD_PX)
        best = min(cost[range(3), order].sum() for order in itertools.permutations(range(4), 3))
        partners = match(people.tolist(), found.tolist())
        ours = sum(cost[i, j] if j >= 0 else THRESHOLD_PX for i, j in enumerate(partners))
        assert ours == pytest.approx(best)  # of several equal ones (people in a row) either will do
        assert all(cost[i, j] < THRESHOLD_PX for i, j in enumerate(partners) if j >= 0)


def test_joints_not_found_do_not_count_and_half_are_needed() -> None:
    annotated, detected = person(0)
    for name in COMMON[:6]:
        detected[COCO_17.index(name)] = 0
    assert match_people(annotated[None], detected[None]).tolist() == [0]
    detected[COCO_17.index(COMMON[6])] = 0
    assert match_people(annotated[None], detected[None]).tolist() == [-1]


def test_an_annotation_of_nan_is_matched_to_nothing() -> None:
    annotated, detected = person(0)
    both = np.stack([np.full_like(annotated, np.nan), annotated])
    assert match_people(both, detected[None]).tolist() == [-1, 0]


def test_a_recording_is_written_as_the_reader_expects_it(tmp_path: Path) -> None:
    annotated = np.stack([[person(x)[0] for x in (0, 500)]] * 3)
    found = [np.stack([person(503)[1], person(1)[1]]), np.zeros((0, 17, 3)), person(502)[1][None]]
    write_matched(tmp_path / "a.pkl", annotated, found, "a")
    keypoints_2d, confidence, mask = read_detections(tmp_path / "a.pkl", tmp_path, frames=3, people=2)
    poses, detected = np.concatenate([keypoints_2d, confidence[..., None]], -1), mask.numpy()
    assert detected.tolist() == [[True, True], [False, False], [False, True]]
    np.testing.assert_array_equal(poses[0, 1, :17], person(503)[1].astype(np.float32))
    np.testing.assert_array_equal(poses[2, 1, :17], person(502)[1].astype(np.float32))
    assert not poses[~detected].any()
    hips = [COCO_17.index(f"{side}_hip") for side in ("left", "right")]
    np.testing.assert_allclose(poses[0, 0, 17, :2], person(1)[1][hips, :2].mean(0), rtol=1e-6)
    assert poses[0, 0, 17, 2] == pytest.approx(0.8, rel=1e-4)


class Fixed:
    name = "fixed"

    def __init__(self, *found) -> None:
        self.found = list(found)

    def __call__(self, image: np.ndarray):
        return self.found.pop(0)


def test_what_a_detector_gives_is_checked() -> None:
    images = [np.zeros((4, 4, 3), np.uint8)] * 2
    good = np.ones((2, 17, 3))
    found = list(detect(Fixed(good, []), images, "v"))
    assert [f.shape for f in found] == [(2, 17, 3), (0, 17, 3)]
    with pytest.raises(DataError, match=r"v, frame 1: detector fixed: \(N, 17, 3\) numbers are expected"):
        list(detect(Fixed(good, good[..., :2]), images, "v"))


def keypoints_json(path: Path, names: list[str]) -> Path:
    content = {name: [{"keypoints": [float(i)] * 51, "score": 1.0}] for i, name in enumerate(names)}
    path.write_text(json.dumps(content))
    return path


def frames_of(found: list[np.ndarray]) -> list[int]:
    return [int(people[0, 0, 0]) if len(people) else -1 for people in found]


def test_keypoints_json_is_spread_over_the_frames(tmp_path: Path) -> None:
    path = tmp_path / "keypoints.json"
    keypoints_json(path, ["img_1.jpg", "img_2.jpg", "img_10.jpg"])
    assert frames_of(detected_before(path, 3, first=0)) == [0, 1, 2]  # all there: their order counts
    assert frames_of(detected_before(path, 11, first=0)) == [-1, 0, 1, *[-1] * 7, 2]
    assert frames_of(detected_before(path, 10, first=1)) == [0, 1, *[-1] * 7, 2]
    assert frames_of(detected_before(path, 2, first=1, surplus=1)) == [0, 1]
    keypoints_json(path, ["img_3_000001.jpg", "img_3_000003.jpg"])
    assert frames_of(detected_before(path, 3, first=1)) == [0, -1, 1]
    for names, n_frames in ((["img_5.jpg"], 3), (["img_0.jpg"], 3), (["a.jpg"], 2), (["1.jpg", "2.jpg", "3.jpg"], 1)):
        keypoints_json(path, names)
        with pytest.raises(DataError, match=r"keypoints\.json: .* pictures with numbers from 1 are expected"):
            detected_before(path, n_frames, first=1)


def test_a_recording_without_any_match_is_refused(tmp_path: Path) -> None:
    annotated, nothing = person(0)[0][None], [np.zeros((0, 17, 3))] * 2
    with pytest.raises(DataError, match="v: nothing detected lies within 80 px of an annotated person in 2 frames"):
        write_matched(tmp_path / "a.pkl", np.stack([annotated, annotated]), nothing, "v")
    write_matched(tmp_path / "a.pkl", np.concatenate([annotated, annotated]), nothing, "v", none_is_fine=True)
    assert not read_detections(tmp_path / "a.pkl", tmp_path, frames=2)[2].any()
