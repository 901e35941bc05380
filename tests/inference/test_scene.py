from __future__ import annotations

import numpy as np
import pytest

from inference.scene import PredictedPerson
from pose.cameras import Camera
from pose.joint_sets import COCO_19, MUPOTS_17

CAMERA = Camera(1000.0, 1000.0, 500.0, 500.0, 1000, 1000)


def test_offset_of_the_middle_of_the_hips_by_hand():
    poses_3d = np.zeros((3, 17, 3), dtype=np.float32) + [0, -100, 2000]
    poses_3d[:, MUPOTS_17.index("left_hip")] = [110, 0, 2000]
    poses_3d[:, MUPOTS_17.index("right_hip")] = [-90, 0, 2000]  # the middle: (10, 0, 2000) mm, seen at (505, 500) px
    keypoints_2d, scores = np.zeros((3, 19, 2)), np.full((3, 19), 0.9)
    hip = COCO_19.index("hip")
    keypoints_2d[:, hip] = [[505, 500], [502, 504], [0, 0]]
    scores[2, hip] = 0.05
    person = PredictedPerson(
        person=0,
        frame=np.arange(3),
        poses_3d=poses_3d,
        poses_3d_plain=poses_3d,
        observed=np.ones((3, 17), dtype=bool),
        confidence=np.ones(3),
        keypoints_2d=keypoints_2d,
        scores=scores,
    )
    offset = person.hip_offset_px(CAMERA)
    assert offset[:2] == pytest.approx([0, 5], abs=1e-3)
    assert np.isnan(offset[2])
