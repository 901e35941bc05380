"""A real person with 3D truth: each camera of examples/multiview alone through `predict`, its intrinsics given.

    python -m benchmarks.multiview
    python -m benchmarks.multiview --checkpoint outputs/lifters/0123456789ab
    python -m benchmarks.multiview --hide 35 65 --refinement paper     # the person is not detected in these frames

Printed per camera, lifted and refined, over the frames with truth: MPJPE over the twelve joints common to COCO and
MuPoTS-17 (shoulders, elbows, wrists, hips, knees, ankles), relative to the middle of the hips, and the error of that
middle in the room. The truth is the triangulated world points brought into each camera by its extrinsics. The keypoints
are freed of the lens's distortion first, because the pipeline takes cameras without. With `--hide` the person's
detections are taken away in the frames from the first number up to the second, and errors are those of these frames: an
occlusion whose truth is known, of a real person in motion.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.studies.refinement import option
from data.keypoints import read_detections
from data.keypoints.detections import VideoDetections
from experiments.results.table import text_table
from experiments.results.writers import markdown_text
from inference.cameras.camera import CameraSettings
from inference.pipeline import DEFAULT_LIFTER, Pipeline
from inference.scene import array_of
from lightning_modules.checkpoint import load_lifter
from lightning_modules.lifter import Lifter
from pose.joint_sets import COCO_17, MUPOTS_17
from pose.sequence import PoseSequence
from refinement import Refiner
from refinement.occlusion.model import OcclusionRefinement

FOLDER = Path(__file__).resolve().parents[1] / "examples" / "multiview"
JOINTS = COCO_17.names[5:]
_HIPS = [JOINTS.index(f"{side}_hip") for side in ("left", "right")]
_OF_COCO = [COCO_17.index(name) for name in JOINTS]
_OF_MUPOTS = [MUPOTS_17.index(name) for name in JOINTS]


@dataclass(frozen=True)
class CameraScore:
    """Errors in mm of one camera; people: tracks found; track: frames of the person's; frames: of these with truth."""

    camera: str
    people: int
    track: int
    frames: int
    mpjpe_lifted: float
    mpjpe_refined: float
    hip_lifted: float
    hip_refined: float


def measure(
    lifter: Lifter,
    folder: Path,
    refinement: Refiner | None = None,
    true_2d: bool = False,
    hide: range = range(0),
) -> list[CameraScore]:
    """Every camera's score; the person is the track that covers most of the frames in which he was matched.

    true_2d: the person's twelve joints are put where the truth is seen, where it is known. hide: frames in which the
    person is taken for not detected, the only ones that are then scored.
    """
    truth = dict(np.load(folder / "truth.npz"))
    width, height = (int(side) for side in np.ravel(truth["image_size"])[:2])
    world = truth["poses_3d_world"][:, 0][:, _OF_COCO]
    scores = []
    for number, (K, extrinsics) in enumerate(zip(truth["K"], truth["extrinsics"], strict=True)):
        found = read_detections(
            folder / f"cam{number + 1}_keypoints.json", fps=float(truth["fps"]), image_size=(width, height)
        )
        pixels = without_distortion(found.keypoints_2d.astype(float), K, truth["distortion"][number])
        seen = found.confidence[..., None] > 0
        found = dataclasses.replace(found, keypoints_2d=np.where(seen, pixels, 0.0).astype(np.float32))
        target = world @ extrinsics[:, :3].T + extrinsics[:, 3]
        matched = truth["detection"].reshape(len(world), -1, len(truth["K"]))[:, 0, number]
        if true_2d:
            found = _with_keypoints(found, matched, target @ K.T)
        given, hidden = found, np.isin(np.arange(len(matched)), hide)
        if len(hide):
            starts, rows = np.searchsorted(found.frame, np.arange(len(matched))), np.ones(len(found), dtype=bool)
            rows[(starts + matched)[hidden & (matched >= 0)]] = False
            given, matched = found.selected(rows), np.where(hidden, -1, matched)
        camera = CameraSettings(K[0, 0], K[1, 1], K[0, 2], K[1, 2], image_size=(width, height))
        method = refinement or OcclusionRefinement()
        people = Pipeline(lifter=lifter, camera=camera, refinement=method).run(given).scene.people
        person = _the_person(people, found, matched)
        scores.append(_score(f"cam{number + 1}", len(people), person, target, hidden if len(hide) else ~hidden))
    return scores


def _with_keypoints(found: VideoDetections, matched: np.ndarray, seen: np.ndarray) -> VideoDetections:
    """matched (T,): the row of a frame that is the person, -1 none; seen (T, 12, 3): homogeneous px, NaN unknown."""
    keypoints_2d, starts = found.keypoints_2d.copy(), np.searchsorted(found.frame, np.arange(len(matched)))
    for frame in np.flatnonzero(matched >= 0):
        own, points = keypoints_2d[starts[frame] + matched[frame]], seen[frame, :, :2] / seen[frame, :, 2:]
        own[5:17] = np.where(np.isfinite(points), points, own[5:17])
        own[17], own[18] = own[[11, 12]].mean(0), own[[5, 6]].mean(0)
    return dataclasses.replace(found, keypoints_2d=keypoints_2d)


def without_distortion(pixels: np.ndarray, K: np.ndarray, distortion: np.ndarray) -> np.ndarray:
    """Where a lens without distortion would see pixels (..., 2). distortion: k1 k2 p1 p2 k3, OpenCV's model."""
    k1, k2, p1, p2, k3 = distortion
    seen = (pixels - K[:2, 2]) / K[[0, 1], [0, 1]]
    ideal = seen
    for _ in range(8):
        x, y = ideal[..., 0], ideal[..., 1]
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        tangential = np.stack([2 * p1 * x * y + p2 * (r2 + 2 * x * x), p1 * (r2 + 2 * y * y) + 2 * p2 * x * y], axis=-1)
        ideal = (seen - tangential) / radial[..., None]
    return ideal * K[[0, 1], [0, 1]] + K[:2, 2]


def _the_person(people: Sequence[PoseSequence], found: VideoDetections, matched: np.ndarray) -> PoseSequence:
    """matched (T,): which of a frame's detections is the person, -1 none."""
    starts = np.searchsorted(found.frame, np.arange(len(matched)))
    frames = np.flatnonzero(matched >= 0)
    hips = {frame: found.keypoints_2d[starts[frame] + matched[frame], 17] for frame in frames.tolist()}

    def covered(person: PoseSequence) -> int:
        return sum(
            np.array_equal(own, hips[frame])
            for frame, own in zip(person.frame.tolist(), array_of(person, "keypoints_2d")[:, 17], strict=True)
            if frame in hips
        )

    return max(people, key=covered)


def _score(camera: str, people: int, person: PoseSequence, target: np.ndarray, frames: np.ndarray) -> CameraScore:
    here = target[array_of(person, "frame")]
    good = np.isfinite(here[:, _HIPS]).all(axis=(1, 2)) & frames[array_of(person, "frame")]
    errors = []
    for poses in (array_of(person, "lifted_3d"), array_of(person, "poses_3d")):
        own, want = poses[good][:, _OF_MUPOTS], here[good]
        own_hip, want_hip = (points[:, _HIPS].mean(axis=1, keepdims=True) for points in (own, want))
        relative = np.linalg.norm((own - own_hip) - (want - want_hip), axis=-1)
        poses_mm = np.nanmean(relative, axis=1)  # joints that were not triangulated are left out
        errors.append((float(poses_mm.mean()), float(np.linalg.norm(own_hip - want_hip, axis=-1).mean())))
    (mpjpe_lifted, hip_lifted), (mpjpe_refined, hip_refined) = errors
    with_truth = int(good.sum())
    return CameraScore(camera, people, len(person), with_truth, mpjpe_lifted, mpjpe_refined, hip_lifted, hip_refined)


def table(scores: Sequence[CameraScore]) -> str:
    """A Markdown table with the mean of the cameras below."""
    rows = [dataclasses.asdict(one) for one in scores]
    means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0] if key.endswith(("lifted", "refined"))}
    return markdown_text(text_table("Errors in mm", [*rows, {**dict.fromkeys(rows[0], ""), **means, "camera": "mean"}]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default=DEFAULT_LIFTER, help="a lifter, as checkpoint= takes it")
    parser.add_argument("--hide", nargs=2, type=int, default=[0, 0], metavar=("FIRST", "END"), help="frames, see above")
    parser.add_argument("--refinement", default="occlusion", help="as refinement= takes it")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    lifter, method = load_lifter(arguments.checkpoint), option(arguments.refinement)
    print(table(measure(lifter, FOLDER, method, hide=range(*arguments.hide))))


if __name__ == "__main__":
    main()
