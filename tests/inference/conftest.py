"""A predicted scene of made-up people, for the tests of what a person looks at."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from data.synthetic.bodies import random_body
from data.synthetic.motions import procedural_motion
from data.synthetic.scenes import compose_scene, look_at, render_scene
from inference.scene import Scene
from pose.cameras import Camera
from pose.sequence import PoseSequence

CAMERA = Camera(1500.0, 1500.0, 960.0, 540.0, 1920, 1080)
KINDS = ("cross", "wave", "walk")


def make_scene(n_frames: int = 60, n_people: int = 3, seed: int = 4, fps: float = 30.0) -> Scene:
    """People who cross before a camera, as the detector of the synthetic data sees them.

    Lifted: the truth with noise of a few cm, much more of it in undetected frames. Refined: that, smoothed and
    nearer the truth. Person 1 comes late; the last one goes early and is lost for a while in between.
    """
    rng = np.random.default_rng(seed)
    view = look_at(CAMERA, np.array([0, 1600.0, 0]), np.array([0, 900.0, 4500]))
    motions = [procedural_motion(KINDS[p % 3], n_frames, fps, random_body(rng), rng) for p in range(n_people)]
    seen = render_scene(compose_scene(motions, view, rng), view, fps, rng)
    people = []
    for number, one in enumerate(seen):
        first = n_frames // 8 if number == 1 else 0
        last = n_frames - n_frames // 6 if number == n_people - 1 else n_frames
        detection, detected = one.detection.copy(), one.detected.copy()
        if number == n_people - 1:
            lost = slice(n_frames * 2 // 5, n_frames * 3 // 5)
            detection[lost], detected[lost] = 0, False
        truth = one.annotation_3d
        jitter = np.where(detected, 25.0, 60.0)[:, None, None] * rng.standard_normal(truth.shape)
        along = np.where(detected, 60.0, 250.0)[:, None, None] * rng.standard_normal((n_frames, 1, 1)) * [0, 0, 1]
        lifted = truth + jitter + gaussian_filter1d(along, 2, axis=0, mode="nearest")
        refined = gaussian_filter1d(lifted, 5, axis=0, mode="nearest") * 0.3 + truth * 0.7
        here = slice(first, last)
        people.append(
            PoseSequence(
                "three_people.mp4",
                number,
                CAMERA,
                fps,
                torch.from_numpy(detection[here, :, :2]).float(),
                torch.from_numpy(detection[here, :, 2]).float(),
                detected=torch.from_numpy(detected[here]),
                poses_3d=torch.from_numpy(refined[here]),
                lifted_3d=torch.from_numpy(lifted[here]),
                observed=torch.from_numpy((one.visible & detected[:, None])[here]),
                frame=torch.arange(n_frames)[here],
                coordinates="normal",
            )
        )
    notes = ["camera: the focal length was estimated from the people (1500 px)."]
    return Scene(people, fps, n_frames, CAMERA, "normal", "three_people.mp4", notes)


@pytest.fixture(scope="session")
def made_scene() -> Callable[..., Scene]:
    """`make_scene`: builds a scene of any length and number of people."""
    return make_scene


@pytest.fixture(scope="session")
def scene() -> Scene:
    """Three people over two seconds."""
    return make_scene()
