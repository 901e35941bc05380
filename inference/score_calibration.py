"""Scores of any detector on the scale that lifter and refinement know: HR-Net's, by how far off its joints are.

What a score means differs: detectron2's end at 0.15, RTMW's at 10, and MoveNet's joints of 0.3 are nearly as exact as
its joints of 0.8. A file shows by itself how exact a joint of some score is, since noise makes it jitter from frame to
frame. So each score is replaced by the score that HR-Net gives a joint of that expected error. A joint that was not
found (0) stays so. Jitter shows no lasting error, so low scores are raised to a limit only.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from pose.features import with_derived_joints
from pose.joint_sets import COCO_17
from pose.sequence import PoseSequence

#: What HR-Net's joints of these scores jitter, in heights of the person in the image (MuPoTS-3D TS1, 30 fps, three
#: people): the distance to the middle between the frames before and after.
REFERENCE_SCORES = np.array([0.03, 0.25, 0.42, 0.53, 0.71, 0.85, 0.93])
REFERENCE_JITTER = np.array([0.065, 0.0275, 0.02, 0.0135, 0.0087, 0.0063, 0.005])
#: Error that does not change from frame to frame, in heights; annotators of such joints disagree by as much.
LASTING_ERROR = 0.01
#: A score is at most raised to this multiple of its fraction of the file's high scores (their 90th percentile).
MOST_RAISED = 2.0
#: Nor is it lowered below this multiple: few frames tell little.
LEAST_LOWERED = 0.5
#: With fewer joints seen in three frames in a row nothing is calibrated.
MIN_SAMPLES = 300
_RESOLUTION = 5e-4  # of pixels in a person: smaller jitter is no less error
_PER_KNOT, _MAX_KNOTS = 40, 12
_BODY = slice(5, len(COCO_17))


@dataclasses.dataclass(frozen=True)
class ScoreCalibration:
    """knots (M,) rising scores as detected, values (M,) what they become; linear between them, 0 stays 0."""

    knots: np.ndarray
    values: np.ndarray

    def __call__(self, sequence: PoseSequence) -> PoseSequence:
        """The sequence (COCO-19) with calibrated scores; those of hip and neck follow from the hips' and shoulders'."""
        n = len(COCO_17)
        raw = sequence.confidence[:, :n].double().cpu().numpy()
        values = np.interp(raw, np.r_[0.0, self.knots], np.r_[0.0, self.values])
        confidence = torch.from_numpy(np.where(raw > 0, np.maximum(values, 1e-3), 0.0)).to(sequence.confidence)
        _, derived = with_derived_joints(sequence.keypoints_2d[:, :n], confidence)
        return dataclasses.replace(sequence, confidence=torch.where(sequence.confidence > 0, derived, 0.0))

    def __str__(self) -> str:
        some = np.unique(np.linspace(0, len(self.knots) - 1, 4).astype(int))
        return ", ".join(f"{self.knots[i]:.2f} -> {self.values[i]:.2f}" for i in some)


def fit_scores(sequences: list[PoseSequence]) -> ScoreCalibration | None:
    """The calibration of a file's tracks (COCO-19); None where they are too few frames to tell."""
    score, jitter, joint = _samples(sequences)
    if len(score) < MIN_SAMPLES:
        return None
    order, count = np.argsort(score, kind="stable"), int(np.clip(len(score) // _PER_KNOT, 1, _MAX_KNOTS))
    # Equal scores stay together: how they are ordered in time says nothing.
    cuts = np.searchsorted(score[order], score[order][[len(order) * part // count for part in range(1, count)]])
    parts = [part for part in np.split(order, np.unique(cuts)) if len(part)]
    knots = np.array([np.median(score[part]) for part in parts])
    weights = np.array([len(part) for part in parts], dtype=float)
    level = np.log(jitter + _RESOLUTION)
    own = np.zeros(joint.max() + 1)  # fast joints jitter more at any score
    for _ in range(10):
        medians = np.array([np.median((level - own[joint])[part]) for part in parts])
        falling = _falling(medians, weights)
        expected = np.interp(score, knots, falling - falling[-1])
        own = np.array([np.median((level - expected)[joint == j]) for j in range(len(own))])
    ratio = np.exp(falling - falling[-1])
    reference = np.hypot(LASTING_ERROR, REFERENCE_JITTER)[::-1], REFERENCE_SCORES[::-1]
    absolute = np.interp(np.hypot(LASTING_ERROR, np.exp(np.median(own)) * ratio), *reference)
    # What moves fast or is filmed slowly jitters however exact it is: then only the ratio to the surest joints tells.
    relative = np.interp(np.hypot(LASTING_ERROR, REFERENCE_JITTER[-1] * ratio), *reference)
    high = np.quantile(
        np.concatenate([s.confidence[:, _BODY][s.confidence[:, _BODY] > 0].numpy() for s in sequences]), 0.9
    )
    values = np.minimum(np.maximum(absolute, relative), MOST_RAISED * knots / high)
    values = np.maximum(values, LEAST_LOWERED * np.minimum(knots / high, 1))
    keep = np.r_[True, np.diff(knots) > 1e-6]
    return ScoreCalibration(knots[keep], np.maximum.accumulate(values[keep]))


def _samples(sequences: list[PoseSequence]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each joint of each track: lowest score of three frames in a row, jitter in heights, number of the joint."""
    scores, jitters, joints = [], [], []
    for sequence in sequences:
        points = sequence.keypoints_2d[:, _BODY].double().cpu().numpy()
        score = sequence.confidence[:, _BODY].double().cpu().numpy()
        seen = score > 0
        whole = seen.sum(1) >= 6
        if whole.sum() < 10:
            continue
        box = np.where(seen[..., None], points, np.nan)
        height = np.median((np.nanmax(box[whole], 1) - np.nanmin(box[whole], 1)).max(1))
        jitter = np.linalg.norm(points[1:-1] - (points[:-2] + points[2:]) / 2, axis=-1) / max(height, 1.0)
        lowest = np.minimum(np.minimum(score[1:-1], score[:-2]), score[2:])
        good = lowest > 0
        scores.append(lowest[good])
        jitters.append(jitter[good])
        joints.append((np.arange(seen.shape[1]) + seen.shape[1] * len(joints) + 0 * lowest.astype(int))[good])
    if not scores:
        return np.zeros(0), np.zeros(0), np.zeros(0, dtype=int)
    _, joint = np.unique(np.concatenate(joints), return_inverse=True)
    return np.concatenate(scores), np.concatenate(jitters), joint


def _falling(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The nearest sequence that never rises, by pooling neighbours (isotonic regression)."""
    from scipy.optimize import isotonic_regression

    return np.asarray(isotonic_regression(values, weights=weights, increasing=False).x)
