"""The two videos of `predict`, of three people at 960 px without a video beneath: frames of both per second.

`python -m benchmarks.run --only pictures`. Each is drawn while its last frames are encoded, so this takes two cores.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.figure import Figure
from benchmarks.long_video import FPS, detections
from inference.cameras.camera import CameraSettings
from inference.pipeline import Pipeline
from inference.render.animation import write_animation
from inference.render.overlay import write_overlay

SIZES = (0.01, 0.1)
FRAMES, PEOPLE, WIDTH = 10_000, 3, 960


def figures(sizes: Sequence[float], frames: int = FRAMES) -> Iterator[Figure]:
    """Frames per second of each video and of both, one after the other, against real time."""
    for size in sizes:
        count = max(30, round(frames * size))
        scene, taken = Pipeline(camera=CameraSettings()).run(detections(count, PEOPLE)).scene, {}
        with tempfile.TemporaryDirectory() as folder:
            for name in ("overlay", "animation"):
                start, path = time.perf_counter(), Path(folder) / f"{name}.mp4"
                write_overlay(scene, None, path, WIDTH) if name == "overlay" else write_animation(scene, path)
                taken[name] = time.perf_counter() - start
        for name, seconds in {**taken, "both videos": sum(taken.values())}.items():
            yield Figure(
                f"pictures/{name}", size, count, f"frames of {PEOPLE} people", count / seconds, "frames/s",
                f"video at {FPS} frames/s", FPS, count / seconds / FPS,
            )  # fmt: skip
