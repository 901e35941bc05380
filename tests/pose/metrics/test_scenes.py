"""Gathering person sequences into scenes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from pose.errors import DataError, MismatchError
from pose.joint_sets import BODY_25, COCO_17, COCO_19, MUPOTS_17
from pose.metrics.mupots import score_scenes
from pose.metrics.scenes import predicted_scenes, scenes_from_sequences
from pose.sequence import PoseSequence


def person(sequence: str, number: int, frames: list[int], seed: int = 0, **changes) -> PoseSequence:
    generator = torch.Generator().manual_seed(1000 * seed + number)
    length = len(frames)
    made = PoseSequence(
        sequence=sequence,
        person=number,
        camera=None,
        fps=30.0,
        keypoints_2d=2000 * torch.rand(length, 19, 2, generator=generator),
        confidence=torch.ones(length, 19),
        poses_3d=1000 * torch.randn(length, 17, 3, generator=generator),
        annotation_2d=2000 * torch.rand(length, 17, 2, generator=generator),
        annotated=torch.rand(length, generator=generator) < 0.9,
        frame=torch.tensor(frames, dtype=torch.long),
        coordinates="normal",
    )
    return dataclasses.replace(made, **changes)


def test_annotated_people_stand_side_by_side():
    first, second, other = person("TS1", 0, [0, 1, 2]), person("TS1", 1, [1, 3]), person("TS2", 0, [0])
    scenes = scenes_from_sequences([second, other, first])
    assert list(scenes) == ["TS1", "TS2"]
    scene = scenes["TS1"]
    assert scene.valid.shape == (4, 2) and scenes["TS2"].valid.shape == (1, 1)
    np.testing.assert_array_equal(scene.valid[:, 0], [*first.annotated.tolist(), False])
    np.testing.assert_array_equal(scene.valid[:, 1], [False, second.annotated[0], False, second.annotated[1]])
    np.testing.assert_array_equal(scene.annotation_3d[[1, 3], 1], second.poses_3d.double().numpy())
    np.testing.assert_array_equal(scene.annotation_2d[:3, 0], first.annotation_2d.double().numpy())
    assert scene.annotation_3d.dtype == np.float64


def test_predictions_are_aligned_by_person_and_frame():
    annotated = scenes_from_sequences([person("TS1", 0, [0, 1, 2]), person("TS1", 1, [0, 1, 2])])
    poses_3d = person("TS1", 1, [0, 2]).poses_3d
    poses_3d[1] = float("nan")
    track = person("TS1", 1, [0, 2], poses_3d=poses_3d)
    scene = predicted_scenes([track], annotated)["TS1"]
    np.testing.assert_array_equal(scene.present, [[False, True], [False, False], [False, False]])
    np.testing.assert_array_equal(scene.poses_3d[0, 1], poses_3d[0].double().numpy())
    for joint in ("neck", "right_wrist", "left_ankle", "hip"):
        expected = track.keypoints_2d[0, COCO_19.index(joint)].double().numpy()
        np.testing.assert_array_equal(scene.keypoints_2d[0, 1, MUPOTS_17.index(joint)], expected)
    last = track.keypoints_2d[0, -1].double().numpy()
    np.testing.assert_array_equal(scene.keypoints_2d[0, 1, MUPOTS_17.index("spine")], last)
    assert predicted_scenes([track], annotated, with_keypoints=False)["TS1"].keypoints_2d is None


def test_more_people_than_annotated_get_rows_of_their_own():
    annotated = scenes_from_sequences([person("TS1", 0, [0])])
    scene = predicted_scenes([person("TS1", 3, [0])], annotated)["TS1"]
    np.testing.assert_array_equal(scene.present, [[False, False, False, True]])


def test_the_annotation_as_prediction_scores_full_marks():
    people = [
        person(name, number, [0, 1, 2, 3], seed=seed) for seed, name in enumerate(("TS1", "TS2")) for number in (0, 1)
    ]
    annotated = scenes_from_sequences(people)
    scores = score_scenes(annotated, predicted_scenes(people[:3], annotated), ["given"])
    assert scores["given/matched"]["metrics"]["a_pck_pct"] == 100
    assert scores["given/matched"]["metrics"]["mpjpe_mm"] == 0
    valid = annotated["TS2"].valid
    assert scores["given/all"]["per_sequence"]["TS2"]["a_pck_pct"] == pytest.approx(
        100 * valid[:, 0].sum() / valid.sum()
    )


def test_a_track_may_come_in_pieces_and_be_empty():
    annotated = scenes_from_sequences([person("TS1", 0, [0, 1, 2]), person("TS1", 1, [])])
    pieces = [person("TS1", 0, [0]), person("TS1", 0, [2]), person("TS1", 1, [])]
    scene = predicted_scenes(pieces, annotated)["TS1"]
    np.testing.assert_array_equal(scene.present, [[True, False], [False, False], [True, False]])


def test_refusals_name_the_person():
    annotated = scenes_from_sequences([person("TS1", 0, [0, 1, 2])])
    with pytest.raises(MismatchError, match=r"TS7.*TS1"):
        predicted_scenes([person("TS7", 0, [0])], annotated)
    with pytest.raises(DataError, match="TS1/0: has frame 3, the annotation has frames 0 to 2; number frames from 0"):
        predicted_scenes([person("TS1", 0, [0, 3])], annotated)
    with pytest.raises(DataError, match="TS1/0: frame 2 is given more than once"):
        predicted_scenes([person("TS1", 0, [0, 2, 2])], annotated)
    with pytest.raises(DataError, match="TS1/0: frame 1 is given more than once"):
        scenes_from_sequences([person("TS1", 0, [0, 1]), person("TS1", 0, [1])])
    for wrong in (person("TS1", -1, [0]), person("TS1", 0, [-1])):
        with pytest.raises(DataError, match="negative person or frame"):
            predicted_scenes([wrong], annotated)
    broken = person("TS1", 0, [4, 5], annotated=torch.ones(2, dtype=torch.bool))
    broken.poses_3d[1, 3] = float("nan")
    with pytest.raises(DataError, match="TS1/0: poses_3d of frame 5"):
        scenes_from_sequences([broken])
    with pytest.raises(DataError, match="TS1/0: poses_3d of frame 5"):
        predicted_scenes([broken], scenes_from_sequences([person("TS1", 0, [5])]))
    with pytest.raises(MismatchError, match="TS1/0: has no poses_3d"):
        scenes_from_sequences([person("TS1", 0, [0], poses_3d=None)])
    with pytest.raises(MismatchError, match="coordinates cannot be mixed"):
        scenes_from_sequences([person("TS1", 0, [0]), person("TS1", 1, [0], coordinates="universal")])


def test_keypoints_of_other_joint_sets():
    annotated = scenes_from_sequences([person("TS1", 0, [0])])
    points = torch.rand(1, 25, 2)
    body = person("TS1", 0, [0], keypoints_2d=points, confidence=torch.ones(1, 25), joints_2d=BODY_25)
    scene = predicted_scenes([body], annotated)["TS1"]
    np.testing.assert_array_equal(scene.keypoints_2d[0, 0, 1], points[0, BODY_25.index("neck")].double().numpy())
    coco = person("TS1", 0, [0], keypoints_2d=points[:, :17], confidence=torch.ones(1, 17), joints_2d=COCO_17)
    with pytest.raises(MismatchError, match="COCO-17 has no neck"):
        predicted_scenes([coco], annotated)
    assert predicted_scenes([coco], annotated, with_keypoints=False)["TS1"].present.all()
