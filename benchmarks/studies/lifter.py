"""What a lifter gets wrong, and where: by distance, by the camera's tilt, by joint, and where joints are missing.

    python -m benchmarks.studies.lifter FOLDER                            # the pretrained lifter, about a minute
    python -m benchmarks.studies.lifter FOLDER --checkpoint FILE --seed 1

FOLDER holds motion of people that it was not trained on, as `prepare=mocap` reads it. Each clip, on the spot, turned
about the vertical at random, stands before a SIMULATED level camera (focal length 1500 px, 2048 x 2048 px, at the hip's
height) and HR-Net-like detector, alone, lifted as `predict` does. Below that, a REAL person: the four cameras of
examples/multiview with detected and with true 2D keypoints.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks import multiview
from data.mocap.clips import read_clips
from data.synthetic.bodies import rotation
from data.synthetic.scenes import look_at, render_scene
from inference.lifting import lift_upright
from inference.pipeline import DEFAULT_LIFTER
from lightning_modules.checkpoint import load_lifter
from lightning_modules.lifter import Lifter
from pose.cameras import Camera
from pose.features import with_derived_joints
from pose.joint_sets import COCO_17, MUPOTS_17
from pose.sequence import PoseSequence

CAMERA = Camera(1500.0, 1500.0, 1024.0, 1024.0, 2048, 2048)
ROOT = MUPOTS_17.index("hip")
DISTANCES_M = (1.5, 3.0, 6.0, 10.0, 15.0, 20.0)
TILTS_DEG = (-10.0, 0.0, 15.0, 30.0, 45.0)
#: Distance, and limits of the tilt, where these are not varied.
USUAL_M, USUAL_DEG = 4.5, (0.0, 30.0)
FRAMES = 300
#: How often each clip is seen, each time from another side.
TURNS = 2


def people(
    clips: dict[str, np.ndarray], fps: float, distance_m: float, down_deg: float | None, seed: int
) -> list[PoseSequence]:
    """The clips (T, 17, 3) mm, y up, each alone, `distance_m` from a camera that looks down by `down_deg`, or any."""
    found = []
    for number, (name, clip) in enumerate(TURNS * list(clips.items())):
        rng = np.random.default_rng((seed, number))
        motion = clip[:FRAMES].astype(float) @ rotation(1, rng.uniform(0, 2 * np.pi)).T
        motion[..., [0, 2]] -= motion[:, [ROOT]][..., [0, 2]]
        middle = np.array([0.0, float(motion[:, ROOT, 1].mean()), 0.0])
        down = np.radians(rng.uniform(*USUAL_DEG) if down_deg is None else down_deg)
        view = look_at(CAMERA, middle + 1000 * distance_m * np.array([0, np.sin(down), -np.cos(down)]), middle)
        (seen,) = render_scene([motion], view, fps, rng)
        detection = torch.from_numpy(seen.detection)
        found.append(
            PoseSequence(
                name, 0, CAMERA, fps, detection[..., :2].contiguous(), detection[..., 2].contiguous(),
                torch.from_numpy(seen.detected), torch.from_numpy(seen.annotation_3d).float(), coordinates="normal",
            )
        )  # fmt: skip
    return found


def lifted_alone(lifter: Lifter, seen: Sequence[PoseSequence]) -> list[PoseSequence]:
    """Each as the only person of a video, gravity included."""
    return [found for one in seen for found in lift_upright(lifter, [one])]


def joint_errors(truth: Sequence[PoseSequence], lifted: Sequence[PoseSequence]) -> np.ndarray:
    """(17,) mm: mean error relative to the hip, over all frames."""
    errors = []
    for a, b in zip(truth, lifted, strict=True):
        apart = b.require("poses_3d") - a.require("poses_3d")
        errors.append((apart - apart[:, [ROOT]]).norm(dim=-1).numpy())
    return np.concatenate(errors).mean(0)


def depth_bias(truth: Sequence[PoseSequence], lifted: Sequence[PoseSequence]) -> float:
    """Percent by which people stand too far (above 0) or too near: mean over the people of their medians."""
    ratios = [float((b.root[:, 2] / a.root[:, 2]).median()) for a, b in zip(truth, lifted, strict=True)]
    return 100 * (float(np.mean(ratios)) - 1)


def without(seen: PoseSequence, lost: np.ndarray) -> PoseSequence:
    """Without the COCO-17 joints of lost (T, 17); hip and neck as far as they follow from the others."""
    gone = torch.from_numpy(lost)
    points = seen.keypoints_2d[:, :17].masked_fill(gone[..., None], 0.0)
    scores = seen.confidence[:, :17].masked_fill(gone, 0.0)
    keypoints_2d, confidence = with_derived_joints(points, scores)
    halves = ((11, 12), (5, 6))
    for joint, (left, right) in zip((17, 18), halves, strict=True):
        confidence[:, joint] *= (scores[:, left] > 0) & (scores[:, right] > 0)
    return dataclasses.replace(seen, keypoints_2d=keypoints_2d, confidence=confidence)


def losses(rng: np.random.Generator) -> dict[str, Callable[[int], np.ndarray]]:
    """What is lost: name -> frames -> (T, 17)."""

    def one(joint: str) -> Callable[[int], np.ndarray]:
        return lambda frames: np.tile(np.arange(17) == COCO_17.index(joint), (frames, 1))

    return {
        "5 % of joints": lambda frames: rng.uniform(size=(frames, 17)) < 0.05,
        "10 % of joints": lambda frames: rng.uniform(size=(frames, 17)) < 0.1,
        "the right wrist throughout": one("right_wrist"),
        "the right knee throughout": one("right_knee"),
        "the right hip throughout": one("right_hip"),
    }


def simulated_report(lifter: Lifter, clips: dict[str, np.ndarray], fps: float, seed: int) -> None:
    usual = people(clips, fps, USUAL_M, None, seed)
    lifted_alone(lifter, usual[:1])  # what is loaded late is loaded now
    start = time.perf_counter()
    lifted = lifted_alone(lifter, usual)
    speed = sum(map(len, usual)) / (time.perf_counter() - start)
    errors = joint_errors(usual, lifted)
    base = errors.mean()
    print(f"SIMULATED: {len(clips)} clips; MPJPE {base:.1f} mm at {USUAL_M} m, looking down by 0 to 30 degrees")
    made = [people(clips, fps, distance, 0.0, seed) for distance in DISTANCES_M]
    rows = [(seen, lifted_alone(lifter, seen)) for seen in made]
    _print_row("distance, m", [f"{distance:g}" for distance in DISTANCES_M], head=True)
    _print_row("depth bias, %", [f"{depth_bias(*row):+.1f}" for row in rows])
    _print_row("MPJPE, mm", [f"{joint_errors(*row).mean():.1f}" for row in rows])
    made = [people(clips, fps, USUAL_M, down, seed) for down in TILTS_DEG]
    _print_row("looking down by, degrees", [f"{down:g}" for down in TILTS_DEG], head=True)
    _print_row("MPJPE, mm", [f"{joint_errors(seen, lifted_alone(lifter, seen)).mean():.1f}" for seen in made])
    _print_row("missing", ["MPJPE, mm", "more, %"], head=True)
    for name, lost in losses(np.random.default_rng(seed)).items():
        now = joint_errors(usual, lifted_alone(lifter, [without(one, lost(len(one))) for one in usual])).mean()
        _print_row(name, [f"{now:.1f}", f"{100 * (now / base - 1):+.1f}"])
    kinds = [name.removeprefix("left_").removeprefix("right_") for name in MUPOTS_17.names]
    means = {
        kind: errors[[i for i, other in enumerate(kinds) if other == kind and i != ROOT]].mean()
        for kind in dict.fromkeys(kinds)
    }
    _print_row("joint", list(means), head=True)
    _print_row("error, mm", [f"{mean:.1f}" for mean in means.values()])
    print(f"\n{speed:,.0f} person-frames/s, with finding gravity, on {torch.get_num_threads()} thread")


def _print_row(name: str, values: list[str], head: bool = False) -> None:
    row = " | ".join([name, *values])
    print(f"\n| {row} |\n{'|---' * (len(values) + 1)}|" if head else f"| {row} |", flush=True)


def real_report(lifter: Lifter) -> None:
    for title, true_2d in (("detected", False), ("true", True)):
        scores = multiview.measure(lifter, multiview.FOLDER, true_2d=true_2d)
        lifted, refined = (np.mean([getattr(one, f"mpjpe_{kind}") for one in scores]) for kind in ("lifted", "refined"))
        print(f"REAL person, {title} 2D: MPJPE {lifted:.1f} mm lifted, {refined:.1f} mm refined")


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("motion", type=Path, nargs="?")
    parser.add_argument("--checkpoint", default=DEFAULT_LIFTER, help="a lifter, as checkpoint= takes it")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(words)
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    torch.set_num_threads(1)
    lifter = load_lifter(arguments.checkpoint)
    if arguments.motion is not None:
        read = read_clips(arguments.motion)
        simulated_report(lifter, {one.name: one.poses_3d for one in read}, read[0].fps, arguments.seed)
    real_report(lifter)


if __name__ == "__main__":
    main()
