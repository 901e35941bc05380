"""The focal length from the people themselves: upright bodies of plausible height on a common ground plane.

Where a person stands, ankles and neck are the two ends of a vertical line of about the same length for all people. How
these lines shrink toward the horizon and lean toward each other tells how the camera is tilted and, if it is tilted,
its focal length: a level camera sees only parallel verticals, and every focal length explains them equally well. So
this estimator says how certain it is, and its caller falls back to a guess where it is not.

Unknown are the focal length, the camera's pitch, roll and height and each person's neck height; the prior on these is
what is known of people and of how cameras are held. For each of a range of focal lengths the rest is fitted by robust
least squares; the costs give the focal length's posterior.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pose.joint_sets import COCO_19
from pose.sequence import PoseSequence

#: Height of the neck (between the shoulders) above the ankles, mm: 0.775 of a stature of 1.70 m.
NECK_MM = 1320.0
#: Standard deviation of the stature among people, as a fraction of it: 0.1 m of 1.70 m.
HEIGHT_STD = 0.06
#: A joint must have this score to be used.
MIN_CONFIDENCE = 0.3
#: How far the neck is from straight above the ankles, as a fraction of its height: as a habit and from place to place.
HABIT, LEAN = 0.04, 0.05
#: Error of a length in the image, as a fraction of it.
LENGTH = 0.03
#: A person who moved less than this fraction of its length in the image stands at the same place.
SAME_PLACE = 0.15
#: Lenses that are considered, degrees across the longer side of the image, and what is expected of them.
WIDEST_DEG, NARROWEST_DEG, USUAL_DEG = 100.0, 20.0, 60.0
LENS_STD = 0.35
#: Prior of how cameras are held: degrees of roll; ln of the height of the camera over the ankles, about 1.5 m.
ROLL_DEG, CAMERA_MM, CAMERA_STD = 2.0, 1500.0, 0.6
MIN_PLACES, MAX_PLACES, MAX_PEOPLE = 6, 60, 24
#: Error that no number of places averages out, as a fraction: how people lean may depend on where they walk.
SYSTEMATIC = 0.1
STEPS = 15


@dataclass(frozen=True)
class FocalEstimate:
    """px: the focal length. relative_std: its posterior's standard deviation as a fraction of it (of ln px).

    pitch_deg: how far the camera looks down. places: how many were used.
    """

    px: float
    relative_std: float
    pitch_deg: float
    places: int


@dataclass(frozen=True, eq=False)
class Places:
    """Where people stood upright: person (N,), ankles (N, 2) and neck (N, 2) in px."""

    person: np.ndarray
    ankles: np.ndarray
    neck: np.ndarray


def focal_of_fov(fov_deg: float, width: float) -> float:
    """Focal length in px of a field of view across `width` px.

    >>> round(focal_of_fov(90.0, 1920))
    960
    """
    return width / 2 / math.tan(math.radians(fov_deg) / 2)


def estimate_focal(sequences: list[PoseSequence], image_size: tuple[int, int]) -> FocalEstimate | None:
    """The focal length that explains how people stand; None where too few upright people were seen.

    sequences: COCO-19 keypoints in px of an image of `image_size` (width, height), whose centre is taken as the
    principal point and whose pixels as square; of many, the longest MAX_PEOPLE are used. A prior of usual lenses is
    part of the estimate: `relative_std` is about LENS_STD where the people say nothing.
    """
    places = standing_places(sorted(sequences, key=_own_order)[:MAX_PEOPLE])
    if len(places.person) < MIN_PLACES:
        return None
    scene = _Scene(places, image_size)
    longer = max(image_size)
    focals = np.geomspace(focal_of_fov(WIDEST_DEG, longer), focal_of_fov(NARROWEST_DEG, longer), STEPS)
    fits = scene.fits(focals)
    usual = np.log(focals / focal_of_fov(USUAL_DEG, longer)) / LENS_STD
    cost = np.array([cost for cost, _ in fits])
    worse = max(1.0, float(cost.min()) / len(places.person))  # than expected: they do not stand as assumed
    weight = np.exp(-(cost - cost.min()) / worse - usual**2 / 2)
    weight /= weight.sum()
    mean = float((weight * np.log(focals)).sum())
    relative_std = math.hypot(math.sqrt(float((weight * (np.log(focals) - mean) ** 2).sum())), SYSTEMATIC)
    _, (pitch, *_) = fits[int(np.abs(np.log(focals) - mean).argmin())]
    pitch_deg = (math.degrees(pitch) + 180) % 360 - 180
    return FocalEstimate(math.exp(mean), relative_std, pitch_deg, len(places.person))


def _own_order(person: PoseSequence) -> tuple[float, ...]:
    """Longest first, and then by what was seen: the order of the input decides nothing."""
    return -len(person), *person.frame[:1].tolist(), float(person.keypoints_2d.double().sum())


def standing_places(sequences: list[PoseSequence]) -> Places:
    """Every place where a person stood or walked upright with the feet below the body, once; at most MAX_PLACES."""
    person, ankles, neck = [], [], []
    for number, sequence in enumerate(sequences):
        points, scores = sequence.keypoints_2d.double().numpy(), sequence.confidence.numpy()
        upright = np.flatnonzero(_upright(points, scores) & sequence.detected.numpy())
        ends = np.stack([_middle(points, "ankle"), _middle(points, "shoulder")], axis=1)[upright]
        for group in _places_of(ends):
            ankle, top = np.median(ends[group], axis=0)
            person.append(number)
            ankles.append(ankle)
            neck.append(top)
    kept = np.unique(np.linspace(0, max(len(person) - 1, 0), MAX_PLACES).round().astype(int))[: len(person)]
    return Places(np.array(person, dtype=int)[kept], np.reshape(ankles, (-1, 2))[kept], np.reshape(neck, (-1, 2))[kept])


def _middle(points: np.ndarray, joint: str) -> np.ndarray:
    left, right = COCO_19.index(f"left_{joint}"), COCO_19.index(f"right_{joint}")
    return (points[:, left] + points[:, right]) / 2


def _upright(points: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(T,) bool: legs straight and together, torso over them."""
    used = [i for i, name in enumerate(COCO_19.names) if name.endswith(("shoulder", "hip", "knee", "ankle"))]
    neck, hip, knee, ankle = (_middle(points, joint) for joint in ("shoulder", "hip", "knee", "ankle"))
    feet = points[:, COCO_19.index("left_ankle")] - points[:, COCO_19.index("right_ankle")]
    length = np.maximum(np.linalg.norm(ankle - neck, axis=1), 1.0)
    torso, leg = np.linalg.norm(hip - neck, axis=1), np.linalg.norm(ankle - hip, axis=1)
    bent = np.linalg.norm(hip - knee, axis=1) + np.linalg.norm(knee - ankle, axis=1) - leg
    return (
        (scores[:, used] >= MIN_CONFIDENCE).all(axis=1)
        & (ankle[:, 1] - neck[:, 1] > 0.85 * length)
        & (np.abs(feet[:, 1]) < 0.07 * length)
        & (np.abs(feet[:, 0]) < 0.25 * length)
        & (bent < 0.03 * length)
        & (torso > 0.4 * leg)
        & (torso < 0.85 * leg)
        & (length > 40)
    )


def _places_of(ends: np.ndarray) -> list[np.ndarray]:
    """Runs of rows of `ends` (N, 2, 2) during which a person stayed about where the run began."""
    groups, start = [], 0
    for row in range(1, len(ends) + 1):
        size = np.linalg.norm(ends[start, 1] - ends[start, 0])
        if row == len(ends) or np.linalg.norm(ends[row] - ends[start], axis=1).max() > SAME_PLACE * size:
            groups.append(np.arange(start, row))
            start = row
    return groups


class _Scene:
    """The fit at one focal length.

    Parameters: pitch and roll in radians, ln of the camera's height; for each person ln of the neck's height, and the
    fraction of it by which it is habitually to the right and ahead, as the camera looks.
    """

    def __init__(self, places: Places, image_size: tuple[int, int]):
        centre = np.array(image_size) / 2
        self.ankles, self.neck = places.ankles - centre, places.neck - centre
        _, self.person = np.unique(places.person, return_inverse=True)
        self.length = np.linalg.norm(self.neck - self.ankles, axis=1)
        people = int(self.person.max()) + 1
        self.start = np.r_[0.1, 0.0, math.log(CAMERA_MM), np.full(people, math.log(NECK_MM)), np.zeros(2 * people)]

    def fits(self, focals: np.ndarray) -> list[tuple[float, np.ndarray]]:
        """(cost, parameters) at each focal length: half the sum of squared, robust residuals in standard deviations."""
        middle = len(focals) // 2
        level, tilted = (self._fit(np.r_[pitch, self.start[1:]], focals[middle]) for pitch in (0.0, 0.4))
        found = {middle: min(level, tilted, key=lambda fit: fit[0])}
        for step in (1, -1):  # from there on each starts where its neighbour ended
            for index in range(middle + step, len(focals) if step > 0 else -1, step):
                found[index] = self._fit(found[index - step][1], focals[index])
        return [found[index] for index in range(len(focals))]

    def _fit(self, start: np.ndarray, focal: float) -> tuple[float, np.ndarray]:
        from scipy.optimize import least_squares  # takes half a second, and most cameras are given

        result = least_squares(
            self._residuals, start, args=(focal,), loss="soft_l1", max_nfev=40, ftol=1e-4, xtol=1e-4, gtol=1e-4
        )
        return float(result.cost), result.x

    def _residuals(self, parameters: np.ndarray, focal: float) -> np.ndarray:
        pitch, roll, log_camera = parameters[:3]
        log_height, right, ahead = parameters[3:].reshape(3, -1)
        up = np.array([math.sin(roll) * math.cos(pitch), -math.cos(roll) * math.cos(pitch), -math.sin(pitch)])
        forward = np.array([math.sin(roll) * math.sin(pitch), -math.cos(roll) * math.sin(pitch), math.cos(pitch)])
        rays = np.column_stack([self.ankles / focal, np.ones(len(self.ankles))])
        down = np.maximum(-rays @ up, 1e-3)  # feet above the horizon stand very far away
        body = up + right[:, None] * np.cross(up, forward) + ahead[:, None] * forward
        top = rays * (math.exp(log_camera) / down)[:, None] + (np.exp(log_height)[:, None] * body)[self.person]
        seen = focal * top[:, :2] / np.maximum(top[:, 2:], 1.0)
        off = (seen - self.neck) / self.length[:, None]
        along = (self.neck - self.ankles) / self.length[:, None]
        lengthwise = (off * along).sum(axis=1) / LENGTH
        sideways = (off[:, 0] * along[:, 1] - off[:, 1] * along[:, 0]) / LEAN
        prior = np.r_[
            roll / math.radians(ROLL_DEG),
            (log_camera - math.log(CAMERA_MM)) / CAMERA_STD,
            (log_height - math.log(NECK_MM)) / HEIGHT_STD,
            right / HABIT,
            ahead / HABIT,
        ]
        return np.r_[lengthwise, sideways, prior]
