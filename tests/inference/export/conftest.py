"""A scene as `predict` makes it: two people of different lengths, gaps in what was seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from data.synthetic.bodies import random_body
from data.synthetic.motions import procedural_motion
from inference.scene import Scene
from pose.cameras import Camera
from pose.joint_sets import COCO_19, MUPOTS_17
from pose.sequence import PoseSequence

FPS = 29.97
N_FRAMES = 60
CAMERA = Camera(1500.0, 1500.0, 960.0, 540.0, 1920, 1080)


def make_person(number: int, first: int, length: int, seed: int, with_std: bool = True) -> PoseSequence:
    """A walking person before the camera from frame `first` on; nothing is seen of frames 5 to 8, no wrist ever."""
    rng = np.random.default_rng(seed)
    world = procedural_motion("walk", length, FPS, random_body(rng), rng)
    poses = world * [1.0, -1.0, -1.0] + [0.0, 1000.0, 5000.0 + 1000.0 * number]
    poses += rng.normal(0, 5, poses.shape)  # bones of a prediction change their lengths
    observed = np.ones((length, len(MUPOTS_17)), dtype=bool)
    observed[:, MUPOTS_17.index("left_wrist")] = False
    observed[5:9] = False
    detected = observed.any(axis=1)
    names = [name if name in MUPOTS_17.names else "head" for name in COCO_19.names]
    pixels = CAMERA.project(torch.from_numpy(poses))[:, [MUPOTS_17.index(name) for name in names]].numpy()
    return PoseSequence(
        "café.mp4",
        number,
        CAMERA,
        FPS,
        keypoints_2d=torch.from_numpy(pixels * detected[:, None, None]),
        confidence=torch.from_numpy(0.8 * np.repeat(detected[:, None], len(COCO_19), axis=1)),
        detected=torch.from_numpy(detected),
        poses_3d=torch.from_numpy(poses),
        lifted_3d=torch.from_numpy(poses + 10.0),
        observed=torch.from_numpy(observed),
        std_mm=torch.from_numpy(np.where(observed, 20.0, 80.0)) if with_std else None,
        frame=torch.arange(first, first + length),
        coordinates="normal",
    )


@pytest.fixture
def scene() -> Scene:
    people = [make_person(0, 0, N_FRAMES, seed=1), make_person(1, 12, 30, seed=2)]
    notes = ["The camera was guessed."]
    return Scene(people, FPS, N_FRAMES, CAMERA, "normal", "café.mp4", notes, level="camera")


@pytest.fixture
def scene_with_nan(scene: Scene) -> Scene:
    """The same with the head of person 1 unknown in its third frame."""
    person = scene.people[1]
    poses = person.require("poses_3d").clone()
    poses[2, MUPOTS_17.index("head")] = torch.nan
    return replace(scene, people=[scene.people[0], replace(person, poses_3d=poses)])
