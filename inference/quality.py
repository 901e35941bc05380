"""What a user should look at in a result: figures of each person, and warnings."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from inference.cameras.camera import stature
from inference.scene import Scene, array_of, hip_offset_px
from pose.coordinates import Coordinates
from pose.joint_sets import MUPOTS_17
from pose.sequence import PoseSequence

#: Below or above these a warning is given: percent of observed joints, percent of the image's width, mm.
OBSERVED_PCT, HIPS_OFF_PCT, SHORTEST_MM, TALLEST_MM = 50.0, 5.0, 1200.0, 2100.0
#: A person is out of the image in a frame where at most this fraction of its joints lies inside; this fraction of such
#: frames is worth a warning.
INSIDE_FRACTION, OUTSIDE_FRAMES = 2 / 3, 0.03


@dataclass(frozen=True)
class PersonFigures:
    """observed_pct: of all joints. distance_m: of the hip, median. stature_m: None in universal coordinates.

    hips_off_pct: the largest of `hip_offset_px` in percent of the image's width, None if the hips were never detected.
    outside_frames: those in which the person is partly or wholly out of the image.
    """

    observed_pct: float
    distance_m: float
    stature_m: float | None
    hips_off_pct: float | None
    outside_frames: int


def figures_of(person: PoseSequence, scene: Scene) -> PersonFigures:
    """The figures of one person of a scene."""
    poses, observed = array_of(person, "poses_3d"), array_of(person, "observed")
    offset = hip_offset_px(person, scene.camera).numpy()
    return PersonFigures(
        observed_pct=round(100 * float(observed.mean()), 1),
        distance_m=round(float(np.median(poses[:, MUPOTS_17.index("hip"), 2])) / 1000, 2),
        stature_m=stature_m(person, scene.coordinates),
        hips_off_pct=None if np.isnan(offset).all() else round(100 * float(np.nanmax(offset)) / scene.camera.width, 2),
        outside_frames=_frames_outside(person, scene),
    )


def stature_m(person: PoseSequence, coordinates: Coordinates) -> float | None:
    """Metres, to the centimetre; None in universal coordinates and without a whole pose."""
    metres = stature(array_of(person, "poses_3d"), array_of(person, "observed")) / 1000
    return round(metres, 2) if coordinates == "normal" and math.isfinite(metres) else None


def scene_warnings(scene: Scene) -> list[str]:
    """What is doubtful about a scene and each of its people, one sentence each."""
    found = [scene.motion.note] if scene.motion.note else []
    return found + [line for person in scene.people for line in warnings_of(person, figures_of(person, scene))]


def warnings_of(person: PoseSequence, figures: PersonFigures) -> list[str]:
    """What is doubtful about a person, one sentence each."""
    found = []
    if figures.observed_pct < OBSERVED_PCT:
        found.append(f"only {figures.observed_pct:.0f} % of the joints were observed, the others are inferred")
    if figures.hips_off_pct is not None and figures.hips_off_pct > HIPS_OFF_PCT:
        found.append(
            f"the hips are up to {figures.hips_off_pct:.0f} % of the image's width from where they were detected"
        )
    if figures.stature_m is not None and not SHORTEST_MM <= 1000 * figures.stature_m <= TALLEST_MM:
        found.append(
            f"a stature of {figures.stature_m:.2f} m; the focal length or the detections may be wrong, heights= fixes "
            "the scale"
        )
    if figures.outside_frames > OUTSIDE_FRAMES * len(person):
        found.append(f"out of the image, wholly or in part, in {figures.outside_frames} of {len(person)} frames")
    return [f"Warning: person {person.person}: {sentence}." for sentence in found]


def _frames_outside(person: PoseSequence, scene: Scene) -> int:
    points = person.require("poses_3d")
    points = torch.where(points[..., 2:] > 1, points, torch.nan)  # what is behind the camera is outside
    pixels = scene.camera.project(points).numpy()
    with np.errstate(invalid="ignore"):
        inside = ((pixels >= 0) & (pixels <= [scene.camera.width, scene.camera.height])).all(axis=-1)
    return int((inside.mean(axis=1) < INSIDE_FRACTION).sum())
