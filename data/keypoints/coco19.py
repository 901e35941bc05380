"""From people in any joint set to COCO-19 detections: the one way from every input and detector to `VideoDetections`.

Joints are found by name. Hip and neck are always derived from the hips and the shoulders, also where the source has
joints of these names, so that all inputs agree. A joint that the source lacks or missed has score 0 and x = y = 0.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import numpy as np
import torch

from data.keypoints.detections import VideoDetections
from pose.errors import DataError, MismatchError
from pose.features import with_derived_joints
from pose.joint_sets import COCO_17, COCO_19, JointSet

log = logging.getLogger(__name__)

#: HR-Net's heat maps reach 1.03; joint scores up to here count as 1, larger ones are of another scale.
MAX_SCORE = 1.2
#: AlphaPose documents joint scores of 0..6 for its COCO models; above 1 they count as 1.
ALPHAPOSE_MAX_SCORE = 6.0
#: Scores of SimCC heads and of some heat maps are not normalised: MMPose gives a clear joint 1.1 to 1.3
#: (github.com/open-mmlab/mmpose issues 884, 3122), which counts as 1. RTMW's reach 10 and are refused.
MMPOSE_MAX_SCORE = 1.5
#: No camera has so many pixels: coordinates beyond are damaged.
MAX_COORDINATE = 1e6
#: Ten hours at 100 frames per second. What follows holds arrays over all frames of a video.
MAX_FRAMES = 3_600_000

_FACE = {"nose", "left_eye", "right_eye", "left_ear", "right_ear"}
_DERIVED = {"hip": ("left_hip", "right_hip"), "neck": ("left_shoulder", "right_shoulder")}


@dataclass(frozen=True, eq=False)
class RawDetections:
    """N people as a file or a detector lists them, in any joint set.

    number (N,): frame numbers as the file counts, keypoints (N, K, 2) px, confidence (N, K), in the order of `joints`
    (any further joints after those are left out). box_score (N,), NaN where there is none.
    listed: the numbers of all frames that the file lists, those without people included; complete: whether it lists
    every frame of the video. max_score: larger joint scores are refused.
    """

    number: np.ndarray
    keypoints: np.ndarray
    confidence: np.ndarray
    box_score: np.ndarray
    joints: JointSet
    listed: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    complete: bool = False
    fps: float | None = None
    image_size: tuple[int, int] | None = None
    n_frames: int | None = None
    max_score: float = MAX_SCORE


def to_detections(
    people: RawDetections,
    source: str,
    fps: float | None = None,
    image_size: tuple[int, int] | None = None,
    n_frames: int | None = None,
    first_frame: int | None = None,
    score_scale: float = 1.0,
) -> VideoDetections:
    """`people` in COCO-19, sorted by frame; the arguments as in `data.keypoints.read_detections`.

    Rows without a joint above 0 are left out. Raises MismatchError for a joint set that does not fit and for
    frames beyond `n_frames`, DataError for scores of another scale and for coordinates that are not pixels.
    """
    n_frames = n_frames if n_frames is not None else people.n_frames
    frame, n_frames = _frames(people, source, n_frames, first_frame)
    confidence = _confidence(people, source, score_scale)
    keypoints, confidence = _coco_17(people, confidence, source)
    _check_pixels(keypoints, confidence, source)
    box_score = np.where(np.isnan(people.box_score), confidence.mean(axis=1), people.box_score)
    keypoints, confidence = _coco_19(keypoints, confidence)

    present = (confidence > 0).any(axis=1)
    order = np.flatnonzero(present)[np.argsort(frame[present], kind="stable")]
    return VideoDetections(
        frame=frame[order],
        keypoints_2d=keypoints[order],
        confidence=confidence[order],
        box_score=box_score[order].astype(np.float32),
        n_frames=n_frames,
        fps=fps if fps is not None else people.fps,
        image_size=image_size if image_size is not None else people.image_size,
        source=source,
    )


def _frames(people: RawDetections, source: str, n_frames: int | None, first: int | None) -> tuple[np.ndarray, int]:
    """0-based frames of the people and the number of frames of the video."""
    numbers = np.concatenate([people.listed, people.number])
    if not len(numbers):
        if n_frames is None:
            raise DataError(f"{source}: lists neither people nor frames; check the file, or give n_frames")
        return people.number, n_frames
    smallest, largest = int(numbers.min()), int(numbers.max())
    if first is None:
        first = _first_frame(smallest, largest, people.complete, n_frames)
    if n_frames is not None and n_frames > MAX_FRAMES:
        raise DataError(f"{source}: n_frames is {n_frames}; at most {MAX_FRAMES} are read, cut the video in parts")
    if first:
        log.info("%s: frames are numbered from %d", source, first)
    if smallest < first:
        raise MismatchError(f"{source}: frame {smallest} comes before first_frame={first}; give the smallest number")
    if n_frames is not None and largest - first >= n_frames:
        raise MismatchError(
            f"{source}: frame number {largest} is beyond the {n_frames} frames of the video that begin at {first}; "
            "give the video that these keypoints were found in, or first_frame"
        )
    return people.number - first, n_frames if n_frames is not None else largest - first + 1


def _first_frame(smallest: int, largest: int, complete: bool, n_frames: int | None) -> int:
    """The number of the video's first frame: 0, or 1, or that of the first listed frame of a cut of a video."""
    fits_as_it_is = n_frames is not None and largest < n_frames
    if complete:
        return 0 if fits_as_it_is else smallest
    return 1 if smallest >= 1 and largest == n_frames else 0


def _confidence(people: RawDetections, source: str, scale: float) -> np.ndarray:
    confidence = people.confidence / scale
    largest = float(confidence.max(initial=0.0))
    limit = people.max_score if scale == 1 else MAX_SCORE
    if largest > limit:
        raise DataError(
            f"{source}: joint scores reach {largest:.4g}, 0 to 1 is expected; give score_scale, the score of a certain "
            "joint, to divide by it"
        )
    return confidence.clip(0.0, 1.0)


def _coco_17(people: RawDetections, confidence: np.ndarray, source: str) -> tuple[np.ndarray, np.ndarray]:
    """Joints by name; missing ones (x, y and score) are 0. Raises MismatchError with both lists."""
    names = people.joints.names
    lacking = [name for name in COCO_17.names if name not in names and name not in _FACE]
    if lacking:
        raise MismatchError(
            f"{source}: joint set {people.joints.name} has no {', '.join(lacking)}; it has {', '.join(names)}; "
            f"COCO-19 has {', '.join(COCO_19.names)}; only joints of the face may be missing"
        )
    points = np.zeros((len(confidence), len(COCO_17), 2))
    scores = np.zeros((len(confidence), len(COCO_17)))
    if not len(confidence):
        return points, scores
    target = [i for i, name in enumerate(COCO_17.names) if name in names]
    origin = [names.index(COCO_17.names[i]) for i in target]
    scores[:, target] = confidence[:, origin]
    points[:, target] = people.keypoints[:, origin]
    points[scores == 0] = 0.0
    return points, scores


def _coco_19(keypoints: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hip and neck added, float32; missing, and not half way to (0, 0), where one of their two joints is missing."""
    points, scores = (
        values.numpy()
        for values in with_derived_joints(
            torch.from_numpy(keypoints.astype(np.float32)), torch.from_numpy(confidence.astype(np.float32))
        )
    )
    for derived, (left, right) in _DERIVED.items():
        missing = (scores[:, COCO_19.index(left)] == 0) | (scores[:, COCO_19.index(right)] == 0)
        points[missing, COCO_19.index(derived)] = 0.0
        scores[missing, COCO_19.index(derived)] = 0.0
    return points, scores


def _check_pixels(keypoints: np.ndarray, confidence: np.ndarray, source: str) -> None:
    largest = float(np.abs(keypoints).max(initial=0.0))
    if largest > MAX_COORDINATE:
        raise DataError(f"{source}: a coordinate of {largest:.4g} px; write the file again with the detector")
    if (confidence > 0).any() and largest <= 2.0:
        raise DataError(
            f"{source}: all coordinates are within {largest:.3g} px of 0, they seem to be fractions of the image; "
            "write the file again with pixels"
        )
