"""Keypoints of three people over many frames through `predict`: seconds of each stage, and peak memory.

`python -m benchmarks.long_video [--frames 10000]`. The scene is synthetic, so only its cost says anything.
"""

from __future__ import annotations

import argparse
import logging
import resource
import time
from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.figure import Figure
from benchmarks.memory import PeakMemory
from data.keypoints.detections import VideoDetections
from data.synthetic.bodies import random_body
from data.synthetic.motions import procedural_motion
from data.synthetic.scenes import SeenPerson, compose_scene, look_at, render_scene
from inference.cameras.camera import CameraSettings
from inference.pipeline import Pipeline
from pose.cameras import Camera

SIZES = (0.01, 0.1, 1.0)
FPS, FRAMES, PEOPLE = 30, 10_000, 3


def scene(frames: int, people: int = PEOPLE, seed: int = 0) -> tuple[Camera, list[SeenPerson]]:
    """A camera and what it and a detector see of so many people."""
    return _scene(frames, people, np.random.default_rng(seed))


def _scene(frames: int, people: int, rng: np.random.Generator) -> tuple[Camera, list[SeenPerson]]:
    camera = Camera(1500.0, 1500.0, 960.0, 540.0, 1920, 1080)
    view = look_at(camera, np.array([0, 1800.0, 0]), np.array([0, 900.0, 5500]))
    motions = [procedural_motion("mixed", frames, FPS, random_body(rng), rng) for _ in range(people)]
    return camera, render_scene(compose_scene(motions, view, rng, behind=0.25), view, FPS, rng)


def detections(frames: int, people: int = PEOPLE, seed: int = 0) -> VideoDetections:
    """What a detector finds of so many people, rows of a frame in random order."""
    rng = np.random.default_rng(seed)
    _, seen = _scene(frames, people, rng)
    found = np.stack([person.detected for person in seen], axis=1)  # (T, P)
    points = np.stack([person.detection for person in seen], axis=1)  # (T, P, 19, 3)
    order = rng.permuted(np.tile(np.arange(people), (frames, 1)), axis=1)
    found, points = np.take_along_axis(found, order, 1), np.take_along_axis(points, order[..., None, None], 1)
    rows = points[found].astype(np.float64)
    scores = rows[..., 2].clip(0, 1)
    return VideoDetections(
        np.nonzero(found)[0], rows[..., :2], scores, scores.mean(1), frames, FPS, (1920, 1080), "simulated video"
    )


def figures(sizes: Sequence[float], frames: int = FRAMES) -> Iterator[Figure]:
    """Frames per second from keypoints to refined trajectories, in all and of each stage, against real time."""
    pipeline = Pipeline(camera=CameraSettings())
    pipeline.run(detections(100))  # imports what is imported late
    for size in sizes:
        count = max(30, round(frames * size))
        source = detections(count)
        with PeakMemory() as peak:
            start = time.perf_counter()
            stages = pipeline.run(source).stage_seconds
            taken = {"keypoints to trajectories": time.perf_counter() - start}
        taken |= {name: stages[name] for name in ("tracking", "lifting", "refinement")}
        for number, (name, seconds) in enumerate(taken.items()):
            yield Figure(
                f"predict/{name}", size, count, f"frames of {PEOPLE} people", count / seconds, "frames/s",
                f"video at {FPS} frames/s", FPS, count / seconds / FPS, peak.mib if number == 0 else None,
            )  # fmt: skip


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
