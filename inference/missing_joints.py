"""Joints that a detector did not find in a detected person get a place before lifting.

A lifter has learnt from whole bodies: at the constant place for missing joints a single one moves a person by
decimetres. So each missing joint of the body gets a place and half the score of one that was found: over a short gap
from its own track, over a long one carried along by the joints around it, and where it was never found from the other
side and usual proportions. Only the lifter sees these; refinement and `observed` keep the detector's zeros.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from pose.features import with_derived_joints
from pose.joint_sets import COCO_17, COCO_19
from pose.sequence import PoseSequence

#: A gap of at most so many seconds is bridged by the joint's own track alone.
SHORT_GAP_S = 0.5
#: A body that carries a missing joint along is scaled by at most this factor.
MAX_SCALE = 2.0
#: Distance of the hips as a fraction of that of the shoulders, in detections of people who face the camera.
HIPS_PER_SHOULDERS = 0.62
#: Length of the torso, neck to hips, in distances between the shoulders of a person who faces the camera.
TORSO_PER_SHOULDERS = 1.4
#: Each limb's parent and its length as a fraction of the torso.
LIMBS = {
    "elbow": ("shoulder", 0.55),
    "wrist": ("elbow", 0.5),
    "knee": ("hip", 0.85),
    "ankle": ("knee", 0.8),
}
#: Score of a joint that was never found in a person without any score.
USUAL_SCORE = 0.5
#: What is made up here has this fraction of the score it would have if found. On simulated scenes of people that the
#: pretrained lifter had learnt from, half was better than all or a fifth of it for most joints missing throughout.
FILLED = 0.5
_BODY = tuple(name for name in COCO_17.names if name.split("_")[-1] in {"shoulder", "hip", *LIMBS})
_INDEX = [COCO_19.index(name) for name in _BODY]
_AT = {name: place for place, name in enumerate(_BODY)}


def with_all_joints(sequence: PoseSequence) -> PoseSequence:
    """The sequence (COCO-19) with a place and a score for each joint of the body in each detected frame.

    Frames without a detection, joints that were found, and those of the face stay as they are. Hip and neck are made
    again where a hip or a shoulder was missing.
    """
    body = _Body.of(sequence)
    missing = body.detected[:, None] & ~body.known
    if not missing.any():
        return sequence
    body.bridge(max(1, round(SHORT_GAP_S * sequence.fps)))
    body.carry()
    body.guess()
    keypoints_2d, confidence = sequence.keypoints_2d.clone(), sequence.confidence.clone()
    frames, joints = np.nonzero(missing & body.known)
    at = np.array(_INDEX)[joints]
    keypoints_2d[frames, at] = torch.from_numpy(body.points[frames, joints]).to(keypoints_2d)
    confidence[frames, at] = torch.from_numpy(FILLED * body.scores[frames, joints]).to(confidence)
    changed, found = torch.from_numpy(missing.any(1)), len(COCO_17)
    derived = with_derived_joints(keypoints_2d[changed, :found], confidence[changed, :found])
    keypoints_2d[changed], confidence[changed] = derived
    return dataclasses.replace(sequence, keypoints_2d=keypoints_2d, confidence=confidence)


@dataclasses.dataclass(eq=False)
class _Body:
    """The twelve joints of shoulders, arms, hips and legs over T frames, filled in place.

    points (T, 12, 2) px, scores (T, 12), known (T, 12): has a place by now; detected (T,).
    """

    points: np.ndarray
    scores: np.ndarray
    known: np.ndarray
    detected: np.ndarray

    @classmethod
    def of(cls, sequence: PoseSequence) -> _Body:
        detected = sequence.detected.cpu().numpy()
        scores = sequence.confidence[:, _INDEX].double().cpu().numpy()
        known = (scores > 0) & detected[:, None]
        return cls(sequence.keypoints_2d[:, _INDEX].double().cpu().numpy(), scores, known, detected)

    def bridge(self, longest: int) -> None:
        """Gaps of at most `longest` frames between two frames that have the joint: linearly, place and score."""
        for joint in range(len(_BODY)):
            rows = np.flatnonzero(self.known[:, joint])
            if len(rows) < 2:
                continue
            frames = np.flatnonzero(self.detected & ~self.known[:, joint])
            after = np.searchsorted(rows, frames)
            inside = (after > 0) & (after < len(rows))
            frames, after = frames[inside], after[inside]
            frames = frames[rows[after] - rows[after - 1] <= longest + 1]
            for values in (self.points[..., 0], self.points[..., 1], self.scores):
                values[frames, joint] = np.interp(frames, rows, values[rows, joint])
            self.known[frames, joint] = True

    def carry(self) -> None:
        """From the nearest frames before and after that have the joint, moved and scaled as the joints of both."""
        given = self.known.copy()
        for joint in range(len(_BODY)):
            rows = np.flatnonzero(given[:, joint])
            for frame in np.flatnonzero(self.detected & ~given[:, joint]).tolist() if len(rows) else ():
                place = np.searchsorted(rows, frame)
                beside = rows[max(0, place - 1) : place + 1].tolist()
                near = [other for other in beside if (given[frame] & given[other]).sum() > 1]
                if near:
                    weights = 1 / np.abs(frame - np.array(near))
                    places = [self._carried(joint, other, frame, given) for other in near]
                    self.points[frame, joint] = np.average(places, axis=0, weights=weights)
                    self.scores[frame, joint] = np.average(self.scores[near, joint], weights=weights)
                    self.known[frame, joint] = True

    def _carried(self, joint: int, source: int, frame: int, given: np.ndarray) -> np.ndarray:
        common = given[frame] & given[source]
        there, here = self.points[source, common], self.points[frame, common]
        sizes = [np.linalg.norm(points - points.mean(0)) for points in (here, there)]
        scale = np.clip(sizes[0] / max(sizes[1], 1e-6), 1 / MAX_SCALE, MAX_SCALE)
        return here.mean(0) + scale * (self.points[source, joint] - there.mean(0))

    def guess(self) -> None:
        """Joints that have no place anywhere near: from the other side, then from usual proportions, straight down."""
        points, known = self.points, self.known
        usual = np.median(self.scores[known]) if known.any() else USUAL_SCORE
        shoulders, hips = ([_AT[f"{side}_{name}"] for side in ("left", "right")] for name in ("shoulder", "hip"))
        across = np.where(
            known[:, shoulders].all(axis=1, keepdims=True), points[:, shoulders[1]] - points[:, shoulders[0]], 0.0
        )
        width = np.linalg.norm(across, axis=1)
        wide = np.quantile(width[width > 0], 0.9) if (width > 0).any() else self._width_of_limbs()
        for sign, this, other in ((1, 1, 0), (-1, 0, 1)):
            self._put(hips[this], points[:, hips[other]] + sign * HIPS_PER_SHOULDERS * across, [hips[other]], usual)
            between = (points[:, hips[1]] - points[:, hips[0]]) / HIPS_PER_SHOULDERS
            self._put(shoulders[this], points[:, shoulders[other]] + sign * between, [shoulders[other], *hips], usual)
            self._put(shoulders[this], points[:, shoulders[other]], [shoulders[other]], usual)
        neck, down = points[:, shoulders].mean(1), np.array([0.0, 1.0])
        knees, to_hips = [_AT["left_knee"], _AT["right_knee"]], 1 / (1 + LIMBS["knee"][1])
        # Half-way between straight down, as of people who sit, and the line to the knees, as of people who bend.
        bent = (neck + TORSO_PER_SHOULDERS * wide * down + neck + to_hips * (points[:, knees].mean(1) - neck)) / 2
        for sign, this in ((-0.5, 0), (0.5, 1)):
            self._put(hips[this], bent + sign * HIPS_PER_SHOULDERS * across, [*shoulders, *knees], usual)
            below = neck + TORSO_PER_SHOULDERS * wide * down + sign * HIPS_PER_SHOULDERS * across
            self._put(hips[this], below, shoulders, usual)
        torso = np.linalg.norm(points[:, hips].mean(1) - neck, axis=1)
        torso[~known[:, [*shoulders, *hips]].all(1)] = TORSO_PER_SHOULDERS * wide
        for limb, (parent, fraction) in LIMBS.items():
            for side, opposite in (("left", "right"), ("right", "left")):
                this, root = _AT[f"{side}_{limb}"], _AT[f"{side}_{parent}"]
                other, other_root = _AT[f"{opposite}_{limb}"], _AT[f"{opposite}_{parent}"]
                mirrored = points[:, root] + points[:, other] - points[:, other_root]
                self._put(this, mirrored, [root, other, other_root], usual)
                self._put(this, points[:, root] + (fraction * torso)[:, None] * down, [root], usual)

    def _width_of_limbs(self) -> float:
        """The shoulders' width that goes with the longest limbs seen, px; 1 without any."""
        widths = [1.0]
        for limb, (parent, fraction) in LIMBS.items():
            for side in ("left", "right"):
                ends = [_AT[f"{side}_{limb}"], _AT[f"{side}_{parent}"]]
                both = self.points[self.known[:, ends].all(1)][:, ends]
                if len(both):
                    length = np.quantile(np.linalg.norm(both[:, 0] - both[:, 1], axis=1), 0.9)
                    widths.append(float(length) / fraction / TORSO_PER_SHOULDERS)
        return max(widths)

    def _put(self, joint: int, places: np.ndarray, needed: list[int], score: float) -> None:
        """Where the joint has no place and those needed for it have one."""
        frames = self.detected & ~self.known[:, joint] & self.known[:, needed].all(1)
        self.points[frames, joint] = places[frames]
        self.scores[frames, joint] = score
        self.known[frames, joint] = True
