"""Other programs' 3D poses (data/poses) through tracking, placing and refinement: a `Prediction`, as of a video.

Nothing is lifted here. People are tracked by their joints in the image, the file's or its 3D joints seen by the camera.
Bodies without a place are put where their 2D joints and the camera have them. Refinement sees only 2D joints that the
file brought: projections of its own 3D would count the same evidence twice.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from scipy.ndimage import median_filter

from data.keypoints.coco19 import RawDetections, to_detections
from data.keypoints.detections import VideoDetections
from data.poses.joints import BONES_MM, CHAIN, to_mupots
from data.poses.rows import PoseRows
from inference.cameras.camera import CameraEstimate, CameraSettings
from inference.cameras.motion import CameraMotion, of_people
from inference.pipeline import DEFAULT_FPS, Prediction, without_floor
from inference.scene import Scene
from inference.tracking import Tracker, sequences
from inference.tracking.given import GivenTracker
from pose.cameras import Camera
from pose.joint_sets import MUPOTS_17
from pose.sequence import PoseSequence
from refinement import OcclusionRefinement
from refinement.gaps import filled, given_joints
from refinement.refiner import Refiner

#: A made-up camera: its image, px, its field of view across, and how far before everybody it stands, mm at least.
SIZE, FOV_DEG, AWAY_MM = (1920, 1080), 60.0, 4000.0
#: Frames over which a body without a scale has one.
SCALE_FRAMES = 31
#: A joint with this standard deviation, mm, has full score; with the exponent, the default refinement, which weighs a
#: score thrice (of the joint, its frame and the frames around), then weighs by the variance.
FULL_SCORE_MM, SCORE_EXPONENT = 25.0, 1 / 3
_FARTHEST_PX = 1e5
#: Longer focal lengths than so many times the image are no camera's that films people.
LONGEST = 8.0


def predict_from(
    rows: PoseRows,
    source: str,
    settings: CameraSettings,
    tracker: Tracker,
    refinement: Refiner,
    fps: float | None = None,
    people: int | None = None,
) -> Prediction:
    """Everybody of a file, refined. tracker: for people without identities. fps: goes before the file's.

    Raises DataError if nobody is found, ConfigError and MismatchError for settings and joints that do not fit.
    """
    notes = [f"Input: 3D poses of {rows.program}, {rows.joints.name}; nothing was lifted.", *rows.notes]
    bodies, made = to_mupots(rows.poses_3d, rows.joints)
    if made.any():
        names = ", ".join(name for name, is_made in zip(MUPOTS_17.names, made, strict=True) if is_made)
        notes.append(f"Joints: put by proportions, since the file lacks them, and counted as inferred: {names}.")
    bodies, joints, estimate = _placed(rows, bodies, settings, notes)
    notes.append(estimate.note)
    rate = float(fps or rows.fps or DEFAULT_FPS)
    if not (fps or rows.fps):
        notes.append(f"Rate: not known, {DEFAULT_FPS:g} frames per second are assumed; give fps= if it is another.")
    found, order = _detections(rows, joints, estimate.camera, source, rate)
    tracks = (GivenTracker() if found.identity is not None else tracker)(found)
    seen = sequences(found, tracks, None, rate, people)
    numbers = [np.flatnonzero(tracks.identity == person.person) for person in seen]
    tracked = [
        _person(person, order[own], bodies, rows, estimate.camera) for person, own in zip(seen, numbers, strict=True)
    ]
    motion = CameraMotion() if estimate.how == "made up" else of_people(seen, rate)
    if motion.moves:
        refinement = without_floor(refinement)
    if rows.space != "camera" and estimate.how == "made up" and isinstance(refinement, OcclusionRefinement):
        # Sizes along the rays of a camera that was not there mean nothing.
        refinement = dataclasses.replace(refinement, ground="off")
    given = [given_joints(person) for person in tracked]
    result = refinement([filled(person, joints) for person, joints in zip(tracked, given, strict=True)])
    notes += result.notes
    refined = [
        dataclasses.replace(
            one,
            camera=estimate.camera,
            keypoints_2d=person.keypoints_2d,
            observed=one.require("observed") & joints & ~torch.from_numpy(made),
        )
        for one, person, joints in zip(result.sequences, seen, given, strict=True)
    ]
    ground = next((one for one in result.ground or () if one is not None), None)
    tilt, roll = settings.tilt_deg, settings.roll_deg
    if rows.space == "world":
        tilt, roll = 0.0 if tilt is None else tilt, 0.0 if roll is None else roll
    scene = Scene(
        refined,
        rate,
        found.n_frames,
        estimate.camera,
        "normal",
        source,
        notes,
        tilt_deg=tilt,
        ground=ground,
        roll_deg=roll,
        motion=motion,
    )
    return Prediction(scene, estimate, {})


def _placed(
    rows: PoseRows, bodies: np.ndarray, settings: CameraSettings, notes: list[str]
) -> tuple[np.ndarray, np.ndarray, CameraEstimate]:
    """MuPoTS-17 and the file's own joints, mm in camera coordinates, and the camera."""
    joints = rows.poses_3d
    if not rows.in_mm:
        factor = _scale(bodies, rows.frame)[:, None, None]
        bodies, joints = bodies * factor, joints * factor
        notes.append("Scale: the file has none; everybody got a stature of about 1.7 m.")
    estimate = _camera(rows, settings)
    if rows.space == "camera":
        if rows.focal_px is not None:  # the same picture at another focal length is at another distance
            factor = estimate.camera.fx / rows.focal_px
            move = bodies[:, [MUPOTS_17.index("hip")]] * [0.0, 0.0, 1.0] * (factor - 1)[:, None, None]
            bodies, joints = bodies + move, joints + move
        return bodies, joints, estimate
    if rows.space == "body" and rows.keypoints_2d is not None:
        move = _place(joints, rows.keypoints_2d, estimate.camera)[:, None]
        return bodies + move, joints + move, estimate
    if rows.space == "body":
        notes.append("Places: the file has neither places nor 2D joints; everybody stands on one spot.")
    low, high = (np.nanquantile(joints, q, axis=(0, 1)) for q in (0.005, 0.995))
    middle, half = (low + high) / 2, (high - low) / 2
    camera = estimate.camera
    away = max(AWAY_MM, 2.4 * half[0] * camera.fx / camera.width, 2.4 * half[1] * camera.fy / camera.height)
    move = np.array([0.0, 0.0, half[2] + away]) - middle
    return bodies + move, joints + move, estimate


def _scale(bodies: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """(N,) mm per unit of one person's bodies, which are as large as in the picture: bones keep their length."""
    at = {name: bodies[:, place] for place, name in enumerate(MUPOTS_17.names)}
    length = np.sum([np.linalg.norm(at[a] - at[b], axis=-1) for a, b in CHAIN], axis=0)
    order = np.argsort(frame)
    length[order] = median_filter(length[order], SCALE_FRAMES, mode="nearest")
    return BONES_MM / length


def _camera(rows: PoseRows, settings: CameraSettings) -> CameraEstimate:
    """As given, as the file has it, or made up to look at everybody, which its note says."""
    size = settings.image_size or rows.image_size
    if size is None and settings.cx is not None and settings.cy is not None:
        size = (round(2 * settings.cx), round(2 * settings.cy))
    if settings.fx is not None or settings.fov_deg is not None:
        return settings.resolve(settings.size(size, rows.program), [])
    if rows.focal_px is not None:
        focal = float(np.median(rows.focal_px))
        width, height = settings.size(size, rows.program)
        if focal > LONGEST * max(width, height):  # a convention of its program, and so are the distances
            guess = settings.resolve((width, height), [])
            note = f"The file's own, {focal:.0f} px, is a convention; people were moved along their rays. {guess.note}"
            return dataclasses.replace(guess, note=note)
        note = f"Camera: the file's focal length, {focal:.0f} px."
        return CameraEstimate(Camera(focal, focal, width / 2, height / 2, width, height), "file", note)
    if rows.space == "body" and rows.keypoints_2d is not None:
        return settings.resolve(settings.size(size, rows.program), [])
    width, height = size or SIZE
    focal = width / 2 / np.tan(np.radians(FOV_DEG) / 2)
    note = f"Camera: the file has none; the pictures' is made up, {width} x {height} px, {FOV_DEG:g} degrees across."
    return CameraEstimate(Camera(focal, focal, width / 2, height / 2, width, height), "made up", note)


def _place(joints: np.ndarray, pixels: np.ndarray, camera: Camera) -> np.ndarray:
    """Where (N, 3) bodies (N, J, 3) mm are, so that their joints lie at pixels (N, J, 2): least squares of the rays."""
    rays = (pixels - [camera.cx, camera.cy]) / [camera.fx, camera.fy]
    known = np.asarray(np.isfinite(rays).all(-1) & np.isfinite(joints).all(-1))
    places = np.full((len(joints), 3), np.nan)
    for row, (body, ray, there) in enumerate(zip(joints, rays, known, strict=True)):
        if there.sum() >= 3:
            body, ray = body[there], ray[there]
            left = np.zeros((len(body), 2, 3))
            left[:, 0, 0] = left[:, 1, 1] = 1.0
            left[:, :, 2] = -ray
            right = ray * body[:, 2:] - body[:, :2]
            places[row] = np.linalg.lstsq(left.reshape(-1, 3), right.ravel(), rcond=None)[0]
    return np.where(places[:, 2:] > 0, places, np.nan)


def _detections(
    rows: PoseRows, joints: np.ndarray, camera: Camera, source: str, fps: float
) -> tuple[VideoDetections, np.ndarray]:
    """What was seen of each row in the image, in COCO-19, and the rows' numbers in the order of these detections."""
    with np.errstate(all="ignore"):
        flat = joints[..., :2] / np.where(joints[..., 2:] > 1, joints[..., 2:], np.nan)
        pixels = (
            flat * [camera.fx, camera.fy] + [camera.cx, camera.cy] if rows.keypoints_2d is None else rows.keypoints_2d
        )
        seen = np.isfinite(joints).all(-1) & (np.abs(pixels) < _FARTHEST_PX).all(-1)
    score = np.ones(seen.shape) if rows.score is None else rows.score
    if rows.std_mm is not None:
        score = score * np.minimum(1.0, FULL_SCORE_MM / np.maximum(rows.std_mm, 1e-6)) ** SCORE_EXPONENT
    score = np.where(seen & (score > 0), score, 0.0)
    order = np.argsort(rows.frame, kind="stable")
    order = order[(score[order] > 0).any(axis=1)]
    raw = RawDetections(
        number=rows.frame[order], keypoints=pixels[order], confidence=score[order],
        box_score=np.full(len(order), np.nan), joints=rows.joints, listed=np.arange(int(rows.frame.max()) + 1), first=0,
        fps=fps, image_size=(camera.width, camera.height),
        identity=None if rows.identity is None else rows.identity[order],
    )  # fmt: skip
    found = to_detections(raw, source)
    if rows.identity is not None and found.identity is None:  # a single frame of each person tells people apart, too
        found = dataclasses.replace(found, identity=rows.identity[order])
    return found, order


def _person(seen: PoseSequence, own: np.ndarray, bodies: np.ndarray, rows: PoseRows, camera: Camera) -> PoseSequence:
    """A track with the 3D poses of its rows, NaN where it has none; without 2D joints unless the file brought them."""
    at = torch.from_numpy(rows.frame[own]) - seen.frame[0]
    poses = torch.full((len(seen), bodies.shape[1], 3), torch.nan)
    poses[at] = torch.from_numpy(bodies[own]).float()
    real: dict[str, Any] = (
        {"camera": camera} if rows.keypoints_2d is not None else {"keypoints_2d": torch.zeros_like(seen.keypoints_2d)}
    )
    return dataclasses.replace(seen, poses_3d=poses, coordinates="normal", **real)
