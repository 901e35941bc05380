"""2D keypoints through `predict`, without files and pictures: many people, and one person over many frames.

    python -m benchmarks.run --only long_video

crowd     60 people side by side in 300 frames, and fewer
frames    one person in 100,000 frames, and fewer
tracking  the default tracker alone, 300 people in a frame, and fewer

The scenes are synthetic, so only their cost says anything.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.figure import Figure, timed
from benchmarks.memory import PeakMemory
from data.keypoints.detections import VideoDetections
from data.synthetic.bodies import random_body
from data.synthetic.motions import procedural_motion
from data.synthetic.scenes import compose_scene, look_at, render_scene
from inference.cameras.camera import CameraSettings
from inference.pipeline import Pipeline
from inference.tracking import OfflineTracker
from pose.cameras import Camera

SIZES = (0.25, 0.5, 1.0)
FPS, IMAGE = 30, (1920, 1080)
#: People and frames at size 1, and which of them grows.
CROWD, LONG, TRACKED = (60, 300), (1, 100_000), (300, 30)


def detections(frames: int, people: int = 3, seed: int = 0) -> VideoDetections:
    """What a detector finds of so many people who hide each other, rows of a frame in random order."""
    rng = np.random.default_rng(seed)
    view = look_at(Camera(1500.0, 1500.0, 960.0, 540.0, *IMAGE), np.array([0, 1800.0, 0]), np.array([0, 900.0, 5500]))
    motions = [procedural_motion("mixed", frames, FPS, random_body(rng), rng) for _ in range(people)]
    seen = render_scene(compose_scene(motions, view, rng, behind=0.25), view, FPS, rng)
    found = np.stack([person.detected for person in seen], axis=1)  # (T, P)
    points = np.stack([person.detection for person in seen], axis=1)  # (T, P, 19, 3)
    order = rng.permuted(np.tile(np.arange(people), (frames, 1)), axis=1)
    found, points = np.take_along_axis(found, order, 1), np.take_along_axis(points, order[..., None, None], 1)
    rows = points[found].astype(np.float64)
    scores = rows[..., 2].clip(0, 1)
    frame = np.nonzero(found)[0]
    return VideoDetections(frame, rows[..., :2], scores, scores.mean(1), frames, FPS, IMAGE, "simulated video")


def crowd(frames: int, people: int) -> VideoDetections:
    """So many people side by side in rows, each as one who is alone, made smaller; neighbours touch now and then."""
    columns = math.ceil(math.sqrt(people * IMAGE[0] / IMAGE[1]))
    apart, alone = np.array(IMAGE) / columns, [detections(frames, 1, seed) for seed in range(people)]
    places = [np.array(divmod(number, columns))[::-1] * apart for number in range(people)]
    order = np.argsort(np.concatenate([one.frame for one in alone]), kind="stable")
    pixels = [one.keypoints_2d / columns + place for one, place in zip(alone, places, strict=True)]
    rows = {
        key: np.concatenate([getattr(one, key) for one in alone])[order] for key in ("frame", "confidence", "box_score")
    }
    return dataclasses.replace(alone[0], keypoints_2d=np.concatenate(pixels)[order], **rows)


def figures(
    sizes: Sequence[float],
    crowded: tuple[int, int] = CROWD,
    long: tuple[int, int] = LONG,
    tracked: tuple[int, int] = TRACKED,
) -> Iterator[Figure]:
    """Seconds of each, against the length of the video."""
    pipeline, tracker = Pipeline(camera=CameraSettings(fx=1500.0)), OfflineTracker()
    pipeline.run(detections(100))  # what is loaded once
    for size in sizes:
        people, frames = round(size * crowded[0]), round(size * long[1])
        yield _figure(
            "predict/crowd", size, f"frames of each of {crowded[0]} people", crowd(crowded[1], people), pipeline.run
        )
        yield _figure("predict/frames", size, "frames of one person", detections(frames, long[0]), pipeline.run)
        many = crowd(tracked[1], round(size * tracked[0]))
        yield _figure("predict/tracking", size, f"detections, {tracked[0]} people in a frame", many, tracker)


def _figure(name: str, size: float, of: str, source: VideoDetections, work) -> Figure:
    with PeakMemory() as peak:
        seconds = timed(lambda: work(source))
    video = source.n_frames / FPS
    return Figure(
        name, size, len(source), of, seconds, "s", f"the video at {FPS} frames/s", video, video / seconds, peak.mib
    )
