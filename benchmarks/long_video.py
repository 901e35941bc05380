"""Keypoints of three people over many frames through `predict`: seconds of each stage, and peak memory.

`python -m benchmarks.long_video [--frames 10000]`. The scene is the stand-in's, so only its cost says anything.
"""

from __future__ import annotations

import argparse
import logging
import resource
import time

import numpy as np

from data.synthetic.bodies import random_body
from data.synthetic.motions import procedural_motion
from data.synthetic.scenes import compose_scene, look_at, render_scene
from inference.camera import CameraSettings
from inference.detections import VideoDetections
from inference.pipeline import Pipeline
from pose.cameras import Camera

FPS = 30


def detections(frames: int, people: int = 3, seed: int = 0) -> VideoDetections:
    """What a detector finds of so many people, rows of a frame in random order."""
    rng = np.random.default_rng(seed)
    camera = Camera(1500.0, 1500.0, 960.0, 540.0, 1920, 1080)
    view = look_at(camera, np.array([0, 1800.0, 0]), np.array([0, 900.0, 5500]))
    motions = [procedural_motion("mixed", frames, FPS, random_body(rng), rng) for _ in range(people)]
    seen = render_scene(compose_scene(motions, view, rng, behind=0.25), view, FPS, rng)
    found = np.stack([person.detected for person in seen], axis=1)  # (T, P)
    points = np.stack([person.detection for person in seen], axis=1)  # (T, P, 19, 3)
    order = rng.permuted(np.tile(np.arange(people), (frames, 1)), axis=1)
    found, points = np.take_along_axis(found, order, 1), np.take_along_axis(points, order[..., None, None], 1)
    rows = points[found].astype(np.float64)
    scores = rows[..., 2].clip(0, 1)
    return VideoDetections(
        np.nonzero(found)[0], rows[..., :2], scores, scores.mean(1), frames, FPS, (1920, 1080), "simulated video"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--people", type=int, default=3)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    source = detections(arguments.frames, arguments.people)
    start = time.perf_counter()
    prediction = Pipeline(camera=CameraSettings()).run(source)
    seconds = time.perf_counter() - start
    stages = ", ".join(f"{name} {value:.1f}" for name, value in prediction.stage_seconds.items())
    poses = sum(map(len, prediction.scene.people))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{arguments.people} people, {arguments.frames} frames: {len(source)} detections, {poses} poses of tracks")
    print(f"{seconds:.1f} s ({stages}), peak memory {memory:.2f} GiB")


if __name__ == "__main__":
    main()
