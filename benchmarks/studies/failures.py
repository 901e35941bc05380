"""What can go wrong, a picture and the program's own words of each: `python -m benchmarks.studies.failures`.

Simulated people whose true places are known move before simulated cameras. Draws docs/images/failure_*.png and prints
what `predict` says of each, for docs/what_can_go_wrong.md.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from data.keypoints.detections import VideoDetections
from data.synthetic.bodies import random_body
from data.synthetic.motions import procedural_motion
from data.synthetic.scenes import look_at, render_scene
from inference.cameras.camera import CameraSettings
from inference.pipeline import predict
from inference.quality import scene_warnings
from inference.scene import Scene, array_of
from inference.tracking import OfflineTracker, sequences
from inference.tracking.side_swaps import without_side_swaps
from pose.cameras import Camera
from pose.joint_sets import COCO_19, MUPOTS_17

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "images"
FPS, FRAMES, SIZE = 30.0, 150, (1920, 1080)
_HIP = MUPOTS_17.index("hip")
#: Left and right of arms and legs exchanged.
_EXCHANGED = [*range(5), *COCO_19.flip[5:]]
_TRUTH, _COLOURS = "#999999", ("#0072B2", "#D55E00", "#009E73")


def filmed(
    acts: list[str], places_m: list[tuple[float, float]], focal: float, seed: int
) -> tuple[VideoDetections, np.ndarray]:
    """People (x, z) metres before a level camera of that focal length in px: detections, true hips (P, T, 3) in m."""
    rng = np.random.default_rng(seed)
    camera = Camera(focal, focal, SIZE[0] / 2, SIZE[1] / 2, *SIZE)
    view = look_at(camera, np.array([0.0, 1000, 0]), np.array([0.0, 1000, 1000]))
    motions = [procedural_motion(act, FRAMES, FPS, random_body(rng), rng) for act in acts]
    moved = [
        motion + [1000 * x - motion[:, _HIP, 0].mean(), 0, 1000 * z - motion[:, _HIP, 2].mean()]
        for motion, (x, z) in zip(motions, places_m, strict=True)
    ]
    people = render_scene(moved, view, FPS, rng)
    found = np.stack([person.detection for person in people], axis=1).astype(float)
    frame, who = np.nonzero(np.stack([person.detected & person.in_image for person in people], axis=1))
    rows = found[frame, who]
    detections = VideoDetections(
        frame, rows[..., :2], rows[..., 2], rows[..., 2].mean(axis=1), FRAMES, FPS, SIZE, "clip"
    )
    return detections, np.stack([person.annotation_3d[:, _HIP] for person in people]) / 1000


def unknown_focal_length(figure: Any) -> list[str]:
    detections, truth = filmed(["walk", "walk", "stand"], [(-1.5, 8), (1.5, 9.5), (0.3, 11)], 2600.0, 0)
    guessed = predict(detections)
    given = predict(detections, camera=CameraSettings(fx=2600.0))
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    from_above(left, guessed, truth, f"guessed, {guessed.camera.fx:.0f} px")
    from_above(right, given, truth, "camera.fx=2600, as it is")
    return said(guessed)


def moving_camera(figure: Any) -> list[str]:
    still, truth = filmed(["stand", "wave", "reach"], [(-1.2, 5), (0.2, 6), (1.2, 5.5)], 1500.0, 1)
    shift = np.where(still.confidence[..., None] > 0, 4.0 * (still.frame[:, None, None] - FRAMES / 2) * [1, 0], 0)
    panned = dataclasses.replace(still, keypoints_2d=still.keypoints_2d + shift)
    moving, settled = (predict(one, camera=CameraSettings(fx=1500.0)) for one in (panned, still))
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    from_above(left, moving, truth, "the camera turns by 4 px a frame")
    from_above(right, settled, truth, "the same, on a tripod")
    return said(moving)


def far_person(figure: Any) -> list[str]:
    detections, truth = filmed(["walk", "walk"], [(-0.5, 5), (4, 25)], 1500.0, 2)
    scene = predict(detections, camera=CameraSettings(fx=1500.0))
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.3])
    from_above(left, scene, truth, "from above")
    for person, colour in zip(scene.people, _COLOURS, strict=False):
        depth = array_of(person, "poses_3d")[:, _HIP, 2] / 1000
        true = truth[np.abs(truth[:, :, 2].mean(1) - depth.mean()).argmin(), :, 2][array_of(person, "frame")]
        std = array_of(person, "std_mm")[:, _HIP] / 1000
        seconds = array_of(person, "frame") / FPS
        right.fill_between(seconds, depth - true - std, depth - true + std, color=colour, alpha=0.25, linewidth=0)
        right.plot(seconds, depth - true, color=colour)
    right.axhline(0, color=_TRUTH)
    right.set(title="error in depth, and std_mm", xlabel="s", ylabel="m")
    return said(scene)


def exchanged_sides(figure: Any) -> list[str]:
    right_way, _ = filmed(["walk"], [(0, 5)], 1500.0, 4)
    wrong = (right_way.frame >= 60) & (right_way.frame < 90)
    arrays = {key: getattr(right_way, key).copy() for key in ("keypoints_2d", "confidence")}
    for array in arrays.values():
        array[wrong] = array[wrong][:, _EXCHANGED]
    detections = dataclasses.replace(right_way, **arrays)
    person = sequences(detections, OfflineTracker()(detections), None, FPS, 1)[0]
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    for panel, one, title in ((left, person, "as detected"), (right, without_side_swaps(person)[0], "as repaired")):
        for joint, colour in zip(("left_ankle", "right_ankle"), _COLOURS, strict=False):
            x = np.where(one.confidence > 0, one.keypoints_2d[..., 0], np.nan)[:, COCO_19.index(joint)]
            panel.plot(array_of(one, "frame") / FPS, x, color=colour, label=joint.replace("_", " "))
        panel.axvspan(60 / FPS, 90 / FPS, color="#E3E3E3", linewidth=0)
        panel.set(title=title, xlabel="s")
    left.set_ylabel("x, px")
    left.legend(frameon=False, fontsize=8)
    return said(predict(detections, camera=CameraSettings(fx=1500.0)))


def long_occlusion(figure: Any) -> list[str]:
    whole, truth = filmed(["walk"], [(0, 5)], 1500.0, 4)
    hidden = (whole.frame >= 40) & (whole.frame < 130)
    detections = whole.selected(~hidden)
    scene = predict(detections, camera=CameraSettings(fx=1500.0))
    left, right = figure.subplots(1, 2)
    from_above(left, scene, truth, "from above; dotted: inferred")
    person = scene.people[0]
    frame = array_of(person, "frame")
    error = np.linalg.norm(array_of(person, "poses_3d")[:, _HIP] / 1000 - truth[0, frame], axis=1)
    right.axvspan(40 / FPS, 130 / FPS, color="#E3E3E3", linewidth=0)
    right.plot(frame / FPS, error, color=_COLOURS[0], label="error of the hip")
    right.plot(frame / FPS, np.sqrt(3) * array_of(person, "std_mm")[:, _HIP] / 1000, "--k", label="stated by std_mm")
    right.set(title="hidden for 3 s", xlabel="s", ylabel="m", ylim=(0, None))
    right.legend(frameon=False, fontsize=8)
    return said(scene)


CASES: dict[str, Callable[[Any], list[str]]] = {
    case.__name__: case for case in (unknown_focal_length, moving_camera, far_person, exchanged_sides, long_occlusion)
}


def from_above(panel: Any, scene: Scene, truth: np.ndarray, title: str) -> None:
    """Paths of the hips, x to the right and z away from the camera: grey as they are, coloured as predicted."""
    for hips in truth:
        panel.plot(*hips[:, [0, 2]].T, color=_TRUTH, linewidth=4, solid_capstyle="round")
    for person, colour in zip(scene.people, _COLOURS, strict=False):
        hips = array_of(person, "poses_3d")[:, _HIP] / 1000
        seen = array_of(person, "observed")[:, _HIP, None]
        panel.plot(*np.where(seen, hips, np.nan)[:, [0, 2]].T, color=colour)
        panel.plot(*np.where(seen, np.nan, hips)[:, [0, 2]].T, ":", color=colour)
    panel.plot(0, 0, "k^")
    panel.set(title=title, xlabel="x, m", ylabel="distance z, m")


def said(scene: Scene) -> list[str]:
    """Warnings first, then the notes."""
    return scene_warnings(scene) + scene.notes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all by default")
    parser.add_argument("--folder", type=Path, default=PICTURES)
    arguments = parser.parse_args()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    for name in arguments.cases or CASES:
        figure = Figure(figsize=(7, 2.9), layout="constrained")
        FigureCanvasAgg(figure)
        messages = CASES[name](figure)
        for panel in figure.axes:
            panel.spines[["top", "right"]].set_visible(False)
            panel.title.set_fontsize(10)
        figure.savefig(arguments.folder / f"failure_{name}.png", dpi=80)
        print(f"{name}\n  " + "\n  ".join(messages))


if __name__ == "__main__":
    main()
