"""What a user should look at in a result: figures of each person, and warnings."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from inference.cameras.camera import stature
from inference.scene import Scene, array_of, hip_offset_px
from pose.cameras import Camera
from pose.coordinates import Coordinates
from pose.features import MIN_SCORE
from pose.joint_sets import COCO_17, COCO_19, MUPOTS_17
from pose.sequence import PoseSequence

#: Below or above these a warning is given: percent of observed joints, percent of the image's width, mm.
OBSERVED_PCT, HIPS_OFF_PCT, SHORTEST_MM, TALLEST_MM = 50.0, 5.0, 1200.0, 2100.0
#: A person is out of the image in a frame where at most this fraction of its joints lies inside; this fraction of such
#: frames is worth a warning.
INSIDE_FRACTION, OUTSIDE_FRAMES = 2 / 3, 0.03
#: What a whole scene tells takes so many frames of people; NEARLY_ALL of them lie, REPEATED of them are copies. The
#: upper left corner is this fraction of the image's sides.
SOME_FRAMES, NEARLY_ALL, REPEATED, CORNER = 10, 0.8, 0.1, 0.4

#: Fields of view across the longer side, degrees, and how far the centre is from the image's middle, a fraction of it:
#: those beyond are hardly of a camera that films people.
NARROWEST_DEG, WIDEST_DEG, OFF_CENTRE = 10.0, 105.0, 0.25
#: Joints that every detector looks for.
_EVERYWHERE = tuple(name for name in COCO_17.names if name in MUPOTS_17.names)


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
    doubts = (_odd_camera(scene.camera), _turned(scene), _in_a_corner(scene), _repeated(scene), _alone(scene))
    found += [f"Warning: {said}" for said in doubts if said]
    return found + [line for person in scene.people for line in warnings_of(person, figures_of(person, scene))]


def _odd_camera(camera: Camera) -> str | None:
    """Whether the intrinsics are those of pictures of another size."""
    width, height = camera.width, camera.height
    fov_deg = math.degrees(2 * math.atan(max(width, height) / 2 / camera.fx))
    away = max(abs(camera.cx / width - 0.5), abs(camera.cy / height - 0.5))
    said = []
    if not NARROWEST_DEG <= fov_deg <= WIDEST_DEG:
        said.append(f"fx={camera.fx:.0f} px sees {fov_deg:.0f} degrees")
    if away > OFF_CENTRE:
        said.append(f"the centre ({camera.cx:.0f}, {camera.cy:.0f}) is not in the middle")
    if not said:
        return None
    return (
        f"of pictures of {width} x {height} px {' and '.join(said)}: fx, fy, cx and cy are perhaps those of another "
        "size or crop; give them for this one."
    )


def _turned(scene: Scene) -> str | None:
    """Whether nearly everybody lies or stands head down in the picture, where nothing says that it is turned."""
    if scene.roll_deg is not None and abs(scene.roll_deg) > 45:
        return None
    ends = [[COCO_19.index(f"{side}_{end}") for side in ("left", "right")] for end in ("shoulder", "hip")]
    up = [np.zeros(0)]
    for person in scene.people:
        points, seen = person.keypoints_2d.numpy(), (person.confidence >= MIN_SCORE).numpy()
        trunk = (points[:, ends[0]] - points[:, ends[1]]).mean(axis=1)[seen[:, ends[0] + ends[1]].all(axis=1)]
        up.append(-trunk[:, 1] / np.maximum(np.linalg.norm(trunk, axis=1), 1e-6))
    upward = np.concatenate(up)
    if len(upward) < SOME_FRAMES or (upward < 0.5).mean() < NEARLY_ALL:
        return None
    if np.median(upward) < -0.5:
        return (
            "people stand on their heads in the picture. If they don't, it is turned by 180 degrees or y points up: "
            "turn video and keypoints."
        )
    return (
        "people lie in the picture. If they don't, it is turned by 90 degrees or the keypoints are y before x: turn "
        "video and keypoints, or swap them."
    )


def _in_a_corner(scene: Scene) -> str | None:
    """Whether all keypoints lie in the upper left corner, as where the image is said to be larger than it is."""
    seen = [person.keypoints_2d[person.confidence >= MIN_SCORE] for person in scene.people]
    points = np.concatenate([one.numpy() for one in seen] or [np.zeros((0, 2))])
    if len(points) < SOME_FRAMES * len(COCO_19):
        return None
    across, down = np.quantile(points, 0.99, axis=0) / [scene.camera.width, scene.camera.height]
    if max(across, down) > CORNER:
        return None
    return (
        f"all keypoints lie in the upper left {across:.0%} x {down:.0%} of {scene.camera.width} x "
        f"{scene.camera.height} px. If the people do not, they are of a smaller picture, and everybody is too far "
        "away: give its camera.image_size=[WIDTH,HEIGHT], and fx of that size."
    )


def _repeated(scene: Scene) -> str | None:
    """Whether many frames repeat the one before, so that fewer a second were seen than are counted."""
    same = steps = 0
    for person in scene.people:
        both = (person.detected[1:] & person.detected[:-1]).numpy()
        still = (person.keypoints_2d[1:] == person.keypoints_2d[:-1]).all(dim=-1).all(dim=-1).numpy()
        same, steps = same + int((both & still).sum()), steps + int(both.sum())
    if steps < SOME_FRAMES or same < REPEATED * steps:
        return None
    return (
        f"in {same / steps:.0%} of the frames people are exactly where they were in the one before: frames were "
        "doubled, and speeds, contacts and fps may be wrong. Leave the copies out and give the rate without them."
    )


def _alone(scene: Scene) -> str | None:
    """Whether no two of several people were detected in one frame, as by a detector that finds one."""
    frames = np.concatenate([array_of(one, "frame")[one.detected.numpy()] for one in scene.people] or [np.zeros(0)])
    if len(scene.people) < 2 or len(frames) < SOME_FRAMES or len(np.unique(frames)) < len(frames):
        return None
    return (
        f"no two of the {len(scene.people)} people were detected in one frame. If they did not come one after another, "
        "the detector finds one person, such as MediaPipe, and leaves the others out: detector=rtmpose finds all."
    )


def warnings_of(person: PoseSequence, figures: PersonFigures) -> list[str]:
    """What is doubtful about a person, one sentence each."""
    found = []
    if figures.observed_pct < OBSERVED_PCT:
        found.append(f"only {figures.observed_pct:.0f} % of the joints were observed, the others are inferred")
    observed = array_of(person, "observed")
    never = [name.replace("_", " ") for name in _EVERYWHERE if not observed[:, MUPOTS_17.index(name)].any()]
    if 0 < len(never) < len(_EVERYWHERE):
        found.append(f"never observed: {', '.join(never)}; they are inferred from the other joints")
    if figures.hips_off_pct is not None and figures.hips_off_pct > HIPS_OFF_PCT:
        found.append(
            f"the hips are up to {figures.hips_off_pct:.0f} % of the image's width from where they were detected"
        )
    told = person.stature_mm is not None
    if figures.stature_m is not None and not told and not SHORTEST_MM <= 1000 * figures.stature_m <= TALLEST_MM:
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
