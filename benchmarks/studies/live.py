"""`experiment=live` at the stream's real rate, and its files against those of `predict`, in one run:

    python -m benchmarks.studies.live                      # 20 s of a real clip's keypoints, two people, 60 a second
    python -m benchmarks.studies.live --fps 30 --every 2   # the same at half the rate
    python -m benchmarks.studies.live --words refinement.lag=30

The clip is camera 2 of examples/multiview, played forth and back. Printed: frames per second, the lag from when a frame
was there until its refined poses were, dropped frames; and the median distance of all joints of all people and frames
from `predict` on every frame of the clip, in the room and relative to the hip.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.multiview import FOLDER
from data.keypoints import read_detections
from data.predictions import read_predictions
from inference.cameras.camera import CameraSettings
from inference.pipeline import predict
from inference.scene import array_of
from pose.joint_sets import MUPOTS_17
from pose.sequence import PoseSequence

REPO = Path(__file__).resolve().parents[2]
CLIP_FPS, SIZE = 60.0, (1088, 1920)
CAMERA = CameraSettings(fx=1674.0, cx=534.0, cy=963.0, image_size=SIZE)
_HIP = MUPOTS_17.index("hip")


def forth_and_back(every: int, count: int) -> list[list[dict[str, Any]]]:
    """The people of `count` frames: each `every`-th of the clip, played forth and back."""
    clip = json.loads((FOLDER / "cam2_keypoints.json").read_text())
    frames = [clip[name] for name in sorted(clip)][::every]
    both = [*frames, *frames[-2:0:-1]]
    return [both[number % len(both)] for number in range(count)]


def distances(people: list[PoseSequence], expected: list[PoseSequence]) -> tuple[float, float]:
    """Median distance, mm, of people's joints from those of the nearest other person, and relative to the hip."""
    apart, relative = [], []
    for person in people:
        best = None
        for other in expected:
            _, own, theirs = np.intersect1d(array_of(person, "frame"), array_of(other, "frame"), return_indices=True)
            a, b = array_of(person, "poses_3d")[own], array_of(other, "poses_3d")[theirs]
            off = np.linalg.norm(a - b, axis=-1)
            turned = np.linalg.norm((a - a[:, [_HIP]]) - (b - b[:, [_HIP]]), axis=-1)
            if len(own) and (best is None or np.median(off) < np.median(best[0])):
                best = off, turned
        if best is not None:
            apart.append(best[0].ravel())
            relative.append(best[1].ravel())
    return float(np.median(np.concatenate(apart))), float(np.median(np.concatenate(relative)))


def main(words: list[str] | None = None) -> dict[str, Any]:
    """Run what the words of the command line ask for, print it, return it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--fps", type=float, default=CLIP_FPS, help="rate of the stream")
    parser.add_argument("--every", type=int, default=1, help="each so many frames of the clip")
    parser.add_argument("--words", nargs="*", default=[], help="further words for experiment=live")
    given = parser.parse_args(words)
    frames = forth_and_back(given.every, round(given.seconds * given.fps))
    with tempfile.TemporaryDirectory() as folder:
        stream, clip, run = Path(folder) / "stream.jsonl", Path(folder) / "clip.json", Path(folder) / "run"
        lines = [{"frame": number, "people": people} for number, people in enumerate(frames)]
        stream.write_text("\n".join(map(json.dumps, lines)))
        clip.write_text(json.dumps({f"{number:06d}.jpg": people for number, people in enumerate(frames)}))
        camera = [f"camera.{key}={getattr(CAMERA, key)}" for key in ("fx", "cx", "cy")]
        camera.append(f"camera.image_size=[{SIZE[0]},{SIZE[1]}]")
        command = [sys.executable, str(REPO / "run.py"), "experiment=live", "input=-", f"fps={given.fps}", *camera]
        command += ["pictures=false", "exporter=npz", "live.port=0", f"hydra.run.dir={run}", *given.words]
        with open(stream) as file:
            subprocess.run(command, stdin=file, cwd=folder, check=True, capture_output=True)
        live = json.loads((run / "summary.json").read_text())["live"]
        people = read_predictions(run / "predictions.npz")
        found = read_detections(clip, fps=given.fps, image_size=SIZE)
    off_mm, turned_mm = distances(people, predict(found, camera=CAMERA).people)
    print(f"{given.seconds:g} s at {given.fps:g} frames/s, {len(people)} people")
    print(
        f"  taken {live['frames_per_s']:.1f} frames/s, dropped {live['dropped']} of {live['taken'] + live['dropped']}"
    )
    print(f"  lag {live['lag_s']:.3f} s, of 95 % at most {live['lag_95_s']:.3f} s")
    print(f"  median distance from predict {off_mm:.0f} mm, relative to the hip {turned_mm:.0f} mm")
    return {**live, "off_mm": off_mm, "relative_off_mm": turned_mm}


if __name__ == "__main__":
    main()
