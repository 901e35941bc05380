"""Detections like those of HR-Net: COCO keypoints with scores, worse where a joint is hidden, none in heavy occlusion.

The errors of a real detector grow with the person's size in the image and last for several frames; its scores are
high (about 0.8 to 0.95) on what it sees and low on what it guesses. A guess is off by several times more, and now and
then it lies on the same joint of the person in front. Levels follow HR-Net's scores on MuPoTS-3D TS1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from scipy.special import ndtri

from data.synthetic.occlusion import Cover
from pose.cameras import Camera
from pose.features import with_derived_joints
from pose.joint_sets import COCO_17, MUPOTS_17

_FACE = 5
_BODY = [MUPOTS_17.index(name) for name in COCO_17.names[_FACE:]]
_HEAD = MUPOTS_17.index("head")

#: Score of a part in plain sight, and its error as a multiple of the usual one.
_PARTS = {
    "nose": (0.93, 0.7),
    "eye": (0.92, 0.7),
    "ear": (0.90, 0.8),
    "shoulder": (0.88, 1.0),
    "elbow": (0.89, 1.0),
    "wrist": (0.90, 1.1),
    "hip": (0.82, 1.4),
    "knee": (0.88, 1.0),
    "ankle": (0.88, 1.1),
}
_SCORE, _SPREAD = np.array([_PARTS[name.split("_")[-1]] for name in COCO_17.names]).T


@dataclass(frozen=True)
class SimulatedDetector:
    """How well a detector sees. Errors are per axis, as parts of the person's height in pixels.

    lasting, momentary: of what is in sight, the former for about 0.2 s. guess: of what is hidden. offset: constant for
    each joint of each person, as detectors and capture systems place joints differently. tail: spread of the errors'
    logarithm over time, 0 for Gaussian errors. score: factor on the scores of what is in sight; spread: of these.
    guess_score, guess_spread: scores of what is hidden. swaps: how often left and right of arms or legs that lie close
    together in the image are exchanged, as part of that time; turns: part of the time in which the whole body's sides
    are. lapses: fraction of frames in which a person is undetected for no reason. absent: fraction of a person's joints
    and frames that are not found, for about 0.3 s each; never: of those joints that are not found in the whole scene.
    without: joints that it does not know. below: joints of a lower score are not found. pixel: error in px, whatever
    the person's size. every: only each so many frames is looked at, what lies between is interpolated. The values of
    HR-Net are the defaults.
    """

    lasting: float = 0.006
    momentary: float = 0.0025
    guess: float = 0.03
    offset: float = 0.0
    tail: float = 0.0
    score: float = 1.0
    spread: float = 0.035
    guess_score: float = 0.27
    guess_spread: float = 0.14
    swaps: float = 0.0
    turns: float = 0.0
    lapses: float = 0.0
    absent: float = 0.0
    never: float = 0.0
    without: tuple[str, ...] = ()
    below: float = 0.0
    pixel: float = 0.0
    every: float = 1.0


HRNET = SimulatedDetector()

#: Height of the person that sizes are measured with, mm.
_HEIGHT = 1700.0
#: The own body hides a joint less thoroughly than another person does.
_SELF_SEVERITY = 0.55
#: A person is undetected where more of the twelve limb joints than this are hidden by others (varied over time).
_MISSED_HIDDEN = 0.72


def autoregressive(shape: tuple[int, ...], axis: int, frames: float, rng: np.random.Generator) -> np.ndarray:
    """Stationary AR(1) noise of unit variance along `axis`, correlation falling to 1/e within `frames` frames."""
    from scipy.signal import lfilter  # takes a second to import

    rho = float(np.exp(-1 / frames))
    noise = np.moveaxis(rng.standard_normal(shape), axis, 0)
    noise[1:] *= np.sqrt(1 - rho**2)
    return np.moveaxis(np.asarray(lfilter([1.0], [1.0, -rho], noise, axis=0)), 0, axis)


def coco_points(poses_3d: np.ndarray) -> np.ndarray:
    """True places (..., 17, 3) of the COCO-17 keypoints of MuPoTS-17 poses (..., 17, 3), mm.

    The twelve limb joints are the poses' own; nose, eyes and ears sit on a head that looks where the chest does.
    """

    def joint(name: str) -> np.ndarray:
        return poses_3d[..., MUPOTS_17.index(name), :]

    up = joint("head_top") - joint("neck")
    length = np.linalg.norm(up, axis=-1, keepdims=True)
    up = up / length
    left = joint("left_shoulder") - joint("right_shoulder")
    left = left - (left * up).sum(-1, keepdims=True) * up
    left /= np.linalg.norm(left, axis=-1, keepdims=True)
    forward = np.cross(left, up)
    # Offsets from the head joint as parts of the neck to head top length: up, forward, left.
    face = ((0.0, 0.38, 0.0), (0.12, 0.3, 0.12), (0.12, 0.3, -0.12), (0.05, 0.0, 0.28), (0.05, 0.0, -0.28))
    points = [joint("head") + length * (u * up + f * forward + s * left) for u, f, s in face]
    return np.concatenate([np.stack(points, axis=-2), poses_3d[..., _BODY, :]], axis=-2)


def detect(
    poses_3d: np.ndarray,
    covers: list[Cover],
    cameras: list[Camera],
    fps: float,
    rng: np.random.Generator,
    detector: SimulatedDetector = HRNET,
) -> tuple[np.ndarray, np.ndarray]:
    """Detections of the P people of a scene: keypoints (P, T, 19, 3) float32 x, y px, score, and detected (P, T).

    poses_3d (P, T, 17, 3) mm, camera coordinates. A person who is not found is all zeros.
    """
    truth_3d = coco_points(poses_3d)
    pixels = np.stack([c.project(torch.from_numpy(p)).numpy() for c, p in zip(cameras, truth_3d, strict=True)])
    by_others = np.stack([cover.by_others for cover in covers])
    by_self = np.stack([cover.by_self for cover in covers])
    image = np.array([[c.width, c.height] for c in cameras], dtype=float)[:, None, None]
    outside = np.any((pixels < 0) | (pixels > image), axis=-1) | (truth_3d[..., 2] <= 0)
    severity = np.maximum(by_others, _SELF_SEVERITY * by_self)
    severity = np.concatenate([np.repeat(severity[..., _HEAD, None], _FACE, axis=-1), severity[..., _BODY]], axis=-1)
    severity[..., :_FACE] = np.maximum(severity[..., :_FACE], _turned_away(truth_3d))
    severity = gaussian_filter1d(np.where(outside, 1.0, severity), 0.04 * fps, axis=1, mode="nearest")

    focal = np.array([c.fy for c in cameras])[:, None, None]
    height_px = focal * _HEIGHT / poses_3d[..., MUPOTS_17.index("hip"), 2][..., None]
    keypoints = pixels + (height_px * _SPREAD)[..., None] * _unit_errors(severity, fps, rng, detector)
    if detector.pixel:
        keypoints += detector.pixel * rng.standard_normal(keypoints.shape)
    keypoints, confused = _some_on_the_occluder(keypoints, covers, fps, rng)
    scores = _scores(severity, confused, fps, rng, detector)
    if detector.swaps:
        _exchange_sides(keypoints, scores, height_px[..., 0], fps, rng, detector.swaps)
    if detector.turns:
        _exchange_bodies(keypoints, scores, fps, rng, detector.turns)
    keypoints = np.clip(keypoints, 0, image)
    if detector.every > 1:
        _interpolate(keypoints, scores, detector.every)
    _lose_joints(keypoints, scores, fps, rng, detector)

    hidden = gaussian_filter1d(by_others[..., _BODY].mean(-1), 0.04 * fps, axis=1, mode="nearest")
    missed = hidden > _MISSED_HIDDEN + 0.1 * autoregressive(hidden.shape, 1, 0.5 * fps, rng)
    detected = ~missed & (outside[..., _FACE:].mean(-1) < 0.6)
    if detector.lapses:
        detected &= autoregressive(hidden.shape, 1, 0.2 * fps, rng) < -ndtri(detector.lapses)
    scores[~detected], keypoints[~detected] = 0, 0
    derived = with_derived_joints(torch.from_numpy(keypoints), torch.from_numpy(scores))
    return torch.cat([derived[0], derived[1][..., None]], dim=-1).numpy().astype(np.float32), detected


def _turned_away(truth_3d: np.ndarray) -> np.ndarray:
    """Severity (P, T, 5) for the face: a point on the far side of the head is guessed, and rather well."""
    centre = truth_3d[..., 3:5, :].mean(-2, keepdims=True)
    outward = truth_3d[..., :_FACE, :] - centre
    away = (outward * centre).sum(-1) / np.linalg.norm(outward, axis=-1) / np.linalg.norm(centre, axis=-1)
    return 0.45 * np.clip(0.5 + 2 * away, 0, 1)


def _unit_errors(severity: np.ndarray, fps: float, rng: np.random.Generator, detector: SimulatedDetector) -> np.ndarray:
    """Errors (P, T, 17, 2) as parts of the person's height."""
    shape = (*severity.shape, 2)
    errors = detector.lasting * autoregressive(shape, 1, 0.2 * fps, rng)
    errors += detector.momentary * rng.standard_normal(shape)
    if detector.tail:
        errors *= np.exp(detector.tail * autoregressive(severity.shape, 1, 0.3 * fps, rng))[..., None]
    guess = detector.guess * autoregressive(shape, 1, 0.25 * fps, rng)
    if detector.offset:
        errors += detector.offset * rng.standard_normal((shape[0], 1, *shape[2:]))
    return errors + severity[..., None] * guess


def _scores(
    severity: np.ndarray, confused: np.ndarray, fps: float, rng: np.random.Generator, detector: SimulatedDetector
) -> np.ndarray:
    """Scores (P, T, 17), not yet zero for the undetected."""
    guess = detector.guess_score + detector.guess_spread * autoregressive(severity.shape, 1, 0.2 * fps, rng)
    seen = detector.score * _SCORE + detector.spread * autoregressive(severity.shape, 1, 0.2 * fps, rng)
    mixed = seen * (1 - severity) + np.where(confused, 0.15, 0.0) + guess * severity
    return np.clip(mixed, 0.02, 0.99)


#: Left joints of the limbs whose sides a detector mistakes together; the right ones are their mirror images.
_ARM = [COCO_17.index(f"left_{joint}") for joint in ("elbow", "wrist")]
_LEG = [COCO_17.index(f"left_{joint}") for joint in ("knee", "ankle")]
#: Sides are mistaken only where they lie within this part of the person's height of each other.
_MISTAKEN_WITHIN = 0.12


def _exchange_sides(
    keypoints: np.ndarray, scores: np.ndarray, height_px: np.ndarray, fps: float, rng: np.random.Generator, part: float
) -> None:
    """In place: for spells of about 0.3 s left and right limbs (P, T, 17, 2) change places; scores (P, T, 17) sink."""
    for left in (_ARM, _LEG):
        right = [COCO_17.flip[joint] for joint in left]
        apart = np.linalg.norm(keypoints[:, :, left] - keypoints[:, :, right], axis=-1).mean(-1)
        spell = autoregressive(apart.shape, 1, 0.3 * fps, rng) > -ndtri(part)
        person, frame = np.nonzero(spell & (apart < _MISTAKEN_WITHIN * height_px))
        for a, b in zip(left, right, strict=True):
            for values in (keypoints, scores):
                values[person, frame, a], values[person, frame, b] = values[person, frame, b], values[person, frame, a]
        for joint in left + right:
            scores[person, frame, joint] *= 0.8


def _exchange_bodies(
    keypoints: np.ndarray, scores: np.ndarray, fps: float, rng: np.random.Generator, part: float
) -> None:
    """In place: for spells of about half a second a person's left (P, T, 17, 2) and right are exchanged."""
    person, frame = np.nonzero(autoregressive(scores.shape[:2], 1, 0.5 * fps, rng) > -ndtri(part))
    swap = list(COCO_17.flip)
    keypoints[person, frame] = keypoints[person, frame][:, swap]
    scores[person, frame] = scores[person, frame][:, swap]


def _interpolate(keypoints: np.ndarray, scores: np.ndarray, every: float) -> None:
    """In place: frames between those that a slower camera takes are interpolated from them."""
    length = keypoints.shape[1]
    taken = np.unique(np.clip(np.round(np.arange(0, length + every, every)).astype(int), 0, length - 1))
    at = np.arange(length)
    low = np.clip(np.searchsorted(taken, at, side="right") - 1, 0, len(taken) - 2) if len(taken) > 1 else None
    if low is None:
        return
    part = (at - taken[low]) / (taken[low + 1] - taken[low])
    for values, weight in ((keypoints, part[:, None, None]), (scores, part[:, None])):
        values[:] = values[:, taken[low]] * (1 - weight) + values[:, taken[low + 1]] * weight


def _lose_joints(
    keypoints: np.ndarray, scores: np.ndarray, fps: float, rng: np.random.Generator, detector: SimulatedDetector
) -> None:
    """In place: joints that are not found are zeros, as most detectors write them."""
    lost = scores < detector.below
    if detector.absent:
        lost |= autoregressive(scores.shape, 1, 0.3 * fps, rng) > -ndtri(detector.absent)
    if detector.never:
        lost |= rng.uniform(size=(len(scores), 1, scores.shape[2])) < detector.never
    lost[..., [COCO_17.index(name) for name in detector.without]] = True
    keypoints[lost], scores[lost] = 0, 0


def _some_on_the_occluder(
    keypoints: np.ndarray, covers: list[Cover], fps: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints (P, T, 17, 2), some of those hidden by another person on that person's same joint; (P, T, 17): which.

    It happens for spells of about half a second.
    """
    moved = keypoints.copy()
    spell = autoregressive(keypoints.shape[:-1], 1, 0.5 * fps, rng) > 1.0
    frames = np.arange(keypoints.shape[1])
    for person, cover in enumerate(covers):
        spell[person, :, :_FACE] = False
        for joint, mupots in enumerate(_BODY, start=_FACE):
            spell[person, :, joint] &= cover.by_others[:, mupots] > 0.8
            at = frames[spell[person, :, joint]]
            moved[person, at, joint] = keypoints[cover.occluder[at, mupots], at, joint]
    return moved, spell
