"""What the tracker compares between detections: place, apparent height, facing, and the distance of two poses.

Lengths are in units of the person's height in the image ("heights"), so one threshold serves near and far people.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from data.keypoints.detections import VideoDetections
from pose.joint_sets import COCO_17

_INDEX = {name: i for i, name in enumerate(COCO_17.names)}
_FACE = 5

#: How much a joint tells about identity: five points of one head count as two joints, restless wrists as half of one.
_JOINT_WEIGHT = np.ones(len(COCO_17))
_JOINT_WEIGHT[:_FACE] = 0.4
_JOINT_WEIGHT[[_INDEX["left_wrist"], _INDEX["right_wrist"]]] = 0.5

#: Lengths of body parts as fractions of the height (the usual proportions of adults).
_TORSO, _LEG = 0.29, 0.485
#: Exponent of the mean of part lengths; parts with a lower score say nothing about the height.
_LENGTH_EXPONENT, _MIN_PART_SCORE = 4, 0.1
#: A joint counts as no farther away than this, in heights.
MAX_DISTANCE = 0.3
#: Frames of at most so many people are compared together.
_FEW = 32
#: Boxes of a frame are compared in a table of at most so many numbers.
_TABLE = 4 * 64**2
#: Beyond every picture, px.
_FAR = 1e9


@dataclass(frozen=True, eq=False)
class Appearance:
    """N detections as the tracker sees them.

    frame (N,) int, score (N,) of the whole, joints (N, 17, 2) px and weight (N, 17), centre (N, 2) px: the middle of
    the torso, height (N,) px: of the upright person at that distance, whatever the posture, and its weight (N,) 0..1.
    facing (N, 2), in heights: how far the left shoulder is right of the right one (positive: seen from the front) and
    how far the nose is right of the neck (positive: turned to the right of the image), and its weight (N, 2).
    """

    frame: np.ndarray
    score: np.ndarray
    joints: np.ndarray
    weight: np.ndarray
    centre: np.ndarray
    height: np.ndarray
    height_weight: np.ndarray
    facing: np.ndarray
    facing_weight: np.ndarray

    @classmethod
    def of(cls, detections: VideoDetections) -> Appearance:
        joints = detections.keypoints_2d[:, : len(COCO_17)].astype(float)
        score = detections.confidence[:, : len(COCO_17)].astype(float)
        height, height_weight = _height(joints, score)
        nose, left, right = (joints[:, _INDEX[name]] for name in ("nose", "left_shoulder", "right_shoulder"))
        shoulders = score[:, [_INDEX["left_shoulder"], _INDEX["right_shoulder"]]].min(1)
        return cls(
            frame=detections.frame,
            score=detections.box_score,
            joints=joints,
            weight=score * _JOINT_WEIGHT,
            centre=_centre(joints, score, height),
            height=height,
            height_weight=height_weight,
            facing=np.stack([left[:, 0] - right[:, 0], nose[:, 0] - (left[:, 0] + right[:, 0]) / 2], axis=1)
            / height[:, None],
            facing_weight=np.stack([shoulders, np.minimum(shoulders, score[:, _INDEX["nose"]])], axis=1) ** 2,
        )

    def __len__(self) -> int:
        return len(self.frame)

    @cached_property
    def boxes(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper corners (N, 2) px of the box of each row's joints."""
        there = self.weight[..., None] > 0
        return np.where(there, self.joints, _FAR).min(1), np.where(there, self.joints, -_FAR).max(1)

    def pairs(self, place: tuple[np.ndarray, np.ndarray], reach: float) -> Iterator[tuple[np.ndarray, ...]]:
        """Pairs of rows of one frame that are near, once: (M,) and (M,), and the larger height (M,).

        place: corners (N, 2) and (N, 2) of each row's box. reach: boxes farther apart than that many of the larger
        height are not near.
        """
        low, high, wider = *place, (reach * self.height)[:, None]
        _, number, count = np.unique(self.frame, return_inverse=True, return_counts=True)
        crowd = count[number] > _FEW
        few, step = np.flatnonzero(~crowd), 1
        while len(first := np.flatnonzero(self.frame[few[step:]] == self.frame[few[:-step]])):  # sorted by frame
            a, b = few[first], few[first + step]
            far = np.maximum(wider[a], wider[b])
            near = ((low[a] - far <= high[b]) & (low[b] - far <= high[a])).all(1)
            yield self._with_height(a[near], b[near])
            step += 1
        rows = np.flatnonzero(crowd)
        for here in np.split(rows, np.flatnonzero(np.diff(self.frame[rows])) + 1) if len(rows) else ():
            a, b = overlapping(low[here] - wider[here], high[here] + wider[here], low[here], high[here])
            a, b = np.unique(np.sort(np.stack([a, b])[:, a != b], axis=0), axis=1)
            yield self._with_height(here[a], here[b])

    def _with_height(self, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, ...]:
        return a, b, np.maximum(self.height[a], self.height[b])


def overlapping(
    low: np.ndarray, high: np.ndarray, other_low: np.ndarray, other_high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (a, b): which boxes of n overlap which of m, by their corners (n, 2) and (m, 2). Time grows as n log n
    where people stand side by side."""
    if low.size * other_low.size < _TABLE:  # of so few a table is faster
        a, b = np.nonzero(np.all((low[:, None] <= other_high[None]) & (other_low[None] <= high[:, None]), axis=-1))
        return a, b
    widest = (other_high - other_low)[:, 0].max()
    a, b = pairs_within(low[:, 0] - widest, high[:, 0], other_low[:, 0])
    both = np.all((low[a] <= other_high[b]) & (other_low[b] <= high[a]), axis=-1)
    return a[both], b[both]


def pairs_within(low: np.ndarray, high: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (a, b) with low[a] <= values[b] <= high[a], in order of a and then of the values."""
    order = np.argsort(values, kind="stable")
    first = np.searchsorted(values[order], low, side="left")
    last = np.searchsorted(values[order], high, side="right")
    counts = np.maximum(last - first, 0)
    offset = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(np.arange(len(low)), counts), order[np.repeat(first, counts) + offset]


def _pair(joints: np.ndarray, score: np.ndarray, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Middle (N, 2) of a left and right joint, weighted by score, and the higher score (N,)."""
    both = [_INDEX[f"left_{part}"], _INDEX[f"right_{part}"]]
    weight = score[:, both] + 1e-9
    return (joints[:, both] * weight[..., None]).sum(1) / weight.sum(1)[:, None], score[:, both].max(1)


def _centre(joints: np.ndarray, score: np.ndarray, height: np.ndarray) -> np.ndarray:
    """The middle of neck and hip (N, 2); where only one was detected, the other is taken as if upright."""
    neck, neck_score = _pair(joints, score, "shoulder")
    hip, hip_score = _pair(joints, score, "hip")
    down = np.stack([np.zeros_like(height), _TORSO * height], axis=1)
    detected = [(neck_score > 0.05)[:, None], (hip_score > 0.05)[:, None]]
    everything = (joints * (score[..., None] + 1e-9)).sum(1) / (score + 1e-9).sum(1)[:, None]
    return np.select(
        [detected[0] & detected[1], *detected], [(neck + hip) / 2, neck + down / 2, hip - down / 2], everything
    )


def _height(joints: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Height (N,) px from torso and legs, and its weight (N,) in 0..1; from the box where none of them was detected.

    A mean that favours confident parts and, as foreshortening only shortens, long ones.
    """
    neck, neck_score = _pair(joints, score, "shoulder")
    hip, hip_score = _pair(joints, score, "hip")
    lengths, scores = [np.linalg.norm(neck - hip, axis=-1) / _TORSO], [np.minimum(neck_score, hip_score)]
    for side in ("left", "right"):
        leg = [_INDEX[f"{side}_{part}"] for part in ("hip", "knee", "ankle")]
        lengths.append(np.linalg.norm(np.diff(joints[:, leg], axis=1), axis=-1).sum(1) / _LEG)
        scores.append(score[:, leg].min(1))
    weight, power = np.stack(scores) ** 3, np.stack(lengths) ** _LENGTH_EXPONENT
    found = ((weight * power).sum(0) / np.maximum(weight.sum(0), 1e-9)) ** (1 / _LENGTH_EXPONENT)
    present = score[..., None] > 0
    box = np.where(present, joints, -np.inf).max(1) - np.where(present, joints, np.inf).min(1)
    undetected = weight.max(0) < _MIN_PART_SCORE**3
    return np.maximum(np.where(undetected, box.max(1, initial=1), found), 1.0), weight.max(0)


def pose_distance(
    joints_a: np.ndarray, weight_a: np.ndarray, joints_b: np.ndarray, weight_b: np.ndarray, height: np.ndarray
) -> np.ndarray:
    """Mean distance of the joints that both have, in heights, 0 to 0.3; arrays broadcast, (..., 17, 2) -> (...).

    Joints count by the scores of both; two detections without a common joint are at the largest distance.
    """
    difference = joints_a - joints_b
    distance = np.sqrt(difference[..., 0] ** 2 + difference[..., 1] ** 2) / height[..., None]
    weight = np.sqrt(weight_a * weight_b)
    total = weight.sum(-1)
    mean = (weight * np.minimum(distance, MAX_DISTANCE)).sum(-1) / np.maximum(total, 1e-9)
    return np.where(total > 0.2, mean, MAX_DISTANCE)


#: Left and right exchanged, and what that costs beside the distance of the joints, in heights.
_EXCHANGED, _EXCHANGE = list(COCO_17.flip), 0.02


def pose_distance_either_side(
    joints_a: np.ndarray, weight_a: np.ndarray, joints_b: np.ndarray, weight_b: np.ndarray, height: np.ndarray
) -> np.ndarray:
    """As `pose_distance`, but detectors exchange left and right for a while: the better of both labellings counts."""
    same = pose_distance(joints_a, weight_a, joints_b, weight_b, height)
    exchanged = pose_distance(joints_a, weight_a, joints_b[..., _EXCHANGED, :], weight_b[..., _EXCHANGED], height)
    return np.minimum(same, exchanged + _EXCHANGE)
