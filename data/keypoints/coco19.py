"""From people in any joint set to COCO-19 detections: the one way from every input and detector to `VideoDetections`.

Joints are found by name. Hip and neck are always derived from the hips and the shoulders, also where the source has
joints of these names, so that all inputs agree. A joint that the source lacks or missed has score 0 and x = y = 0.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from data.keypoints.anatomy import FITS, NO_BODY, fitting, implausibility
from data.keypoints.detections import VideoDetections
from pose.errors import DataError, MismatchError
from pose.features import with_derived_joints
from pose.joint_sets import COCO_17, COCO_19, FOURTEEN, JOINT_SETS, JointSet

log = logging.getLogger(__name__)

#: Heat maps of HR-Net reach 1.03, SimCC heads of RTMPose 1.3 (github.com/open-mmlab/mmpose issues 884, 3122): up to
#: here larger scores count as 1.
MAX_SCORE = 1.5
#: Up to here (RTMW's reach 10) scores are divided by the file's high ones; beyond they are of another kind.
MAX_SCALED_SCORE = 20.0
_HIGH_SCORE = 0.95  # quantile
#: No camera has so many pixels: coordinates beyond are damaged.
MAX_COORDINATE = 1e6
#: Ten hours at 100 frames per second. What follows holds arrays over all frames of a video.
MAX_FRAMES = 3_600_000

#: With fewer people than this their bodies tell nothing of the order of the joints.
MIN_BODIES = 10
#: How much better than the usual joint set another must fit to be taken for it.
_CLEARLY_BETTER = 0.18

#: Coordinates of which this part lies within 1.5 of 0 are fractions of the image; some joints may lie outside of it.
_FRACTION_QUANTILE, _FRACTION_LIMIT = 0.95, 1.5

#: Scores of SimCC heads may lie just below 0; where this part of all lies further below they are something else.
_NEGATIVE, _DEPTHS = -0.1, 0.05

#: With fewer people lying in one direction they are not taken to be turned by 90 degrees.
_LYING = 0.8

#: A place that this part of all joints shares exactly is a mark for those that were not found.
_MARKED = 0.01

_GIVE_SET = "input_options.joint_set= says which it is"

#: More people in a single frame are more likely a video whose frames were not told apart.
_CROWD = 20

_FACE = {"nose", "left_eye", "right_eye", "left_ear", "right_ear"}
_DERIVED = {"hip": ("left_hip", "right_hip"), "neck": ("left_shoulder", "right_shoulder")}


@dataclass(frozen=True, eq=False)
class RawDetections:
    """N people as a file or a detector lists them, in any joint set.

    number (N,): frame numbers as the file counts, keypoints (N, K, 2) px, confidence (N, K), in the order of `joints`
    (any further joints after those are left out). box_score (N,), NaN where there is none.
    listed: the numbers of all frames that the file lists, those without people included; complete: whether it lists
    every frame of the video. first: the number of the video's first frame where the format says it. assumed: the file
    does not name its joint set, which is the usual one of so many joints. identity (N,): who each is, -1 for unknown.
    bare: rows of numbers of which nothing says that x comes before y. notes: what a user must know, a sentence each.
    Joints with NaN count as missing.
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
    first: int | None = None
    assumed: bool = False
    identity: np.ndarray | None = None
    bare: bool = False
    notes: tuple[str, ...] = ()


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

    Rows without a joint above 0 are left out. Raises MismatchError for a joint set that does not fit, for frames beyond
    `n_frames` and joints outside of the image; DataError for scores of another scale and for coordinates that are not
    pixels.
    """
    size = image_size if image_size is not None else people.image_size
    people = _scaled_scores(_without_depths(_without_missing(people)), source, score_scale)
    people = _lying(_checked_joints(_in_pixels(_x_before_y(people), size, source), source))
    n_frames = n_frames if n_frames is not None else people.n_frames
    frame, n_frames = _frames(people, source, n_frames, first_frame)
    keypoints, confidence = _coco_17(people, source)
    _check_pixels(keypoints[confidence > 0], source)
    box_score = np.where(np.isnan(people.box_score), confidence.mean(axis=1), people.box_score)
    keypoints, confidence = _coco_19(keypoints, confidence)

    present = (confidence > 0).any(axis=1)
    order = np.flatnonzero(present)[np.argsort(frame[present], kind="stable")]
    identity = None if people.identity is None else people.identity[order]
    notes = people.notes
    if n_frames == 1 and len(order) > _CROWD:
        notes += (f"Frames: all {len(order)} people are in one; of a video the file must say everybody's frame.",)
    for note in notes:
        log.warning("%s: %s", source, note)
    return VideoDetections(
        frame=frame[order],
        keypoints_2d=keypoints[order],
        confidence=confidence[order],
        box_score=box_score[order].clip(-MAX_COORDINATE, MAX_COORDINATE).astype(np.float32),
        n_frames=n_frames,
        fps=fps if fps is not None else people.fps,
        image_size=size,
        source=source,
        identity=identity if _tells_people_apart(identity, frame[order]) else None,
        notes=notes,
    )


def _without_missing(people: RawDetections) -> RawDetections:
    """Joints whose place or score is NaN are missing: zeros."""
    missing = ~(np.isfinite(people.keypoints).all(axis=-1) & np.isfinite(people.confidence))
    # Ultralytics keeps the score of a joint that it puts into the corner because it is not sure.
    missing |= (people.keypoints == 0).all(axis=-1) & (people.confidence != 0)
    marked, notes = _marked_missing(people.keypoints, ~missing & (people.confidence != 0)), people.notes
    if marked.any():
        at = people.keypoints[marked][0, 0]
        missing |= marked
        notes += (f"Joints: those at ({at:g}, {at:g}), {marked.mean():.0%} of all, count as not found.",)
    if not missing.any():
        return people
    return replace(
        people,
        notes=notes,
        keypoints=np.where(missing[..., None], 0.0, people.keypoints),
        confidence=np.where(missing, 0.0, people.confidence),
    )


def _marked_missing(points: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(N, K) bool: joints at one number for x and y, the lowest or highest of all, which many share: -1 or 9999."""
    for extreme in (points[seen].min(initial=0.0), points[seen].max(initial=0.0)):
        marked = (points == extreme).all(axis=-1) & seen
        if extreme != 0 and max(1, _MARKED * seen.sum()) < marked.sum() < seen.sum() / 2:
            return marked
    return np.zeros(seen.shape, dtype=bool)


def _without_depths(people: RawDetections) -> RawDetections:
    """Where a third number is often negative it is a depth, as MediaPipe's z, and no score."""
    if not len(people.confidence) or (people.confidence < _NEGATIVE).mean() < _DEPTHS:
        return people
    note = "Scores: many are negative, so they are depths; all joints that were found count as sure."
    found = (people.keypoints != 0).any(axis=-1)
    return replace(people, confidence=found.astype(np.float64), notes=(*people.notes, note))


def _scaled_scores(people: RawDetections, source: str, scale: float) -> RawDetections:
    """Joint scores in 0..1: divided by `scale`, or by the file's high scores where they are far above 1."""
    scores = people.confidence / scale
    largest = float(scores.max(initial=0.0))
    notes = people.notes
    if largest > MAX_SCORE and (scale != 1 or largest > MAX_SCALED_SCORE):
        raise DataError(
            f"{source}: joint scores reach {largest:.4g}, 0 to 1 is expected; give input_options.score_scale=, the "
            "score of a certain joint, to divide by it"
        )
    if largest > MAX_SCORE:
        high = max(1.0, float(np.quantile(scores[scores > 0], _HIGH_SCORE)))
        divided = (
            f"Scores: they reach {largest:.3g} and were divided by {high:.3g}, which one in twenty exceeds; "
            "input_options.score_scale= sets another divisor.",
        )
        notes += divided if high > 1 else ()
        scores = scores / high
    return replace(people, confidence=scores.clip(0.0, 1.0), notes=notes)


def _head_left(people: RawDetections) -> bool:
    """Whether these are bare rows in which nearly everybody lies with the head to the left."""
    ends = [[people.joints.names.index(f"{side}_{end}") for side in ("left", "right")] for end in ("shoulder", "ankle")
            if f"left_{end}" in people.joints.names]  # fmt: skip
    if not people.bare or len(ends) < 2:
        return False
    seen = (people.confidence[:, [*ends[0], *ends[1]]] > 0).all(axis=1)
    up = people.keypoints[seen][:, ends[0]].mean(axis=1) - people.keypoints[seen][:, ends[1]].mean(axis=1)
    return len(up) > 0 and bool((-up[:, 0] > np.abs(up[:, 1])).mean() >= _LYING)


def _x_before_y(people: RawDetections) -> RawDetections:
    """Fractions in bare rows in which nearly everybody lies with the head to the left are MoveNet's y, x."""
    if not _are_fractions(people) or not _head_left(people):
        return people
    note = (
        "Coordinates: as x, y people would lie with the head to the left, so they were taken as y, x, MoveNet's order; "
        "pixels are left as they are."
    )
    return replace(people, keypoints=people.keypoints[..., ::-1], notes=(*people.notes, note))


def _lying(people: RawDetections) -> RawDetections:
    """Pixels are left as they are, and noted."""
    note = "Coordinates: people lie with the head to the left; if they don't, the file has y before x: swap them."
    return replace(people, notes=(*people.notes, note)) if _head_left(people) else people


def _are_fractions(people: RawDetections) -> bool:
    seen = people.keypoints[people.confidence > 0]
    return bool(len(seen) and np.quantile(np.abs(seen), _FRACTION_QUANTILE) <= _FRACTION_LIMIT)


def _in_pixels(people: RawDetections, size: tuple[int, int] | None, source: str) -> RawDetections:
    """Fractions of the image, recognised by their range, multiplied by its size."""
    if not _are_fractions(people):
        return people
    seen = people.keypoints[people.confidence > 0]
    if np.quantile(seen, 1 - _FRACTION_QUANTILE) < -0.2:
        raise DataError(f"{source}: coordinates from {seen.min():.3g} to {seen.max():.3g} are expected in pixels")
    if size is None:
        raise DataError(
            f"{source}: the coordinates are fractions of the image; give its size in px, "
            "camera.image_size=[WIDTH,HEIGHT]"
        )
    return replace(people, keypoints=people.keypoints * np.array(size, dtype=np.float64))


def _checked_joints(people: RawDetections, source: str) -> RawDetections:
    """The people in the joint set that their bodies fit, where the file doesn't name it and the usual one can't be.

    One other set of that many joints that fits is taken, and noted; with several, MismatchError names them.
    """
    if people.assumed and people.joints in FOURTEEN:
        return _of_fourteen(people, source)
    if len(people.keypoints) < MIN_BODIES or not (people.assumed or people.joints.name in JOINT_SETS):
        return people
    penalty, usual = implausibility(people.keypoints, people.confidence, people.joints), people.joints.name
    # Where nothing tells in the usual order, such as without legs, another that fits well is better too.
    penalty = NO_BODY if penalty is None else penalty
    count, limit = people.keypoints.shape[1], penalty - _CLEARLY_BETTER
    found = fitting(people.keypoints, people.confidence, JOINT_SETS.values())
    # Sitting people fit no order well, but one of as many joints clearly better.
    fits = [name for name, other in found if other < min(limit, NO_BODY if len(JOINT_SETS[name]) == count else FITS)]
    if not people.assumed:
        note = f"Joints: the bodies fit {' or '.join(fits[:3])} rather than {usual}, which was given and taken."
        return replace(people, notes=(*people.notes, note)) if fits else people
    same_size = {name: other for name, other in found if name in fits and len(JOINT_SETS[name]) == count}
    if len(same_size) == 1 or sorted(same_size.values())[1:2] > [min(same_size.values(), default=0) + _CLEARLY_BETTER]:
        best = min(same_size, key=lambda name: same_size[name])
        note = f"Joints: the bodies do not fit {usual} but {best}, which was taken; {_GIVE_SET}."
        return replace(people, joints=JOINT_SETS[best], notes=(*people.notes, note))
    if fits and penalty > FITS:
        raise MismatchError(
            f"{source}: the {count} joints do not make bodies in the order of {usual}; they fit "
            f"{' or '.join(fits)}; {_GIVE_SET}"
        )
    if penalty <= NO_BODY:
        return people
    note = f"Joints: hardly any of the people look like bodies in the order of {usual}; {_GIVE_SET}."
    return replace(people, notes=(*people.notes, note))


def _of_fourteen(people: RawDetections, source: str) -> RawDetections:
    """The people in the only order of fourteen joints that their bodies fit; MismatchError if they don't tell."""
    enough = len(people.keypoints) >= MIN_BODIES
    found = fitting(people.keypoints, people.confidence, FOURTEEN, middles=1) if enough else []
    if not found or found[0][1] > NO_BODY or found[1][1] < found[0][1] + _CLEARLY_BETTER:
        orders = ", ".join(joints.name for joints in FOURTEEN)
        raise MismatchError(f"{source}: 14 joints can be {orders}, and the bodies do not tell; {_GIVE_SET}")
    best = found[0][0]
    note = f"Joints: of the orders of 14 joints the bodies fit {best}, which was taken; {_GIVE_SET}."
    joints = next(one for one in FOURTEEN if one.name == best)
    return replace(people, joints=joints, notes=(*people.notes, note))


def _tells_people_apart(identity: np.ndarray | None, frame: np.ndarray) -> bool:
    """Whether these are identities: not one for each row, as COCO numbers annotations, nor twice in a frame."""
    if identity is None or not (identity >= 0).any():
        return False
    known = np.stack([frame, identity], axis=1)[identity >= 0]
    once = len(np.unique(known, axis=0)) == len(known)
    return once and (len(np.unique(known[:, 1])) < len(known) or len(np.unique(known[:, 0])) == 1)


def _frames(people: RawDetections, source: str, n_frames: int | None, first: int | None) -> tuple[np.ndarray, int]:
    """0-based frames of the people and the number of frames of the video."""
    numbers = np.concatenate([people.listed, people.number])
    if not len(numbers):
        if n_frames is None:
            raise DataError(
                f"{source}: lists neither people nor frames; check the file, or give input_options.n_frames="
            )
        return people.number, n_frames
    smallest, largest = int(numbers.min()), int(numbers.max())
    if first is None:
        first = people.first
    if first is None:
        first = _first_frame(smallest, largest, people.complete, n_frames)
    if n_frames is not None and n_frames > MAX_FRAMES:
        raise DataError(
            f"{source}: input_options.n_frames={n_frames}: at most {MAX_FRAMES} are read, cut the video in parts"
        )
    if first:
        log.info("%s: frames are numbered from %d", source, first)
    if smallest < first:
        raise MismatchError(
            f"{source}: frame {smallest} comes before input_options.first_frame={first}; give the smallest number"
        )
    if n_frames is not None and largest - first >= n_frames:
        raise MismatchError(
            f"{source}: frame number {largest} is beyond the {n_frames} frames of the video that begin at {first}; "
            "give the video that these keypoints were found in, or input_options.first_frame="
        )
    return people.number - first, n_frames if n_frames is not None else largest - first + 1


def _first_frame(smallest: int, largest: int, complete: bool, n_frames: int | None) -> int:
    """The number of the video's first frame: 0, or 1, or that of the first listed frame of a cut of a video."""
    fits_as_it_is = n_frames is not None and largest < n_frames
    if complete:
        return 0 if fits_as_it_is else smallest
    return 1 if smallest >= 1 and largest == n_frames else 0


def _coco_17(people: RawDetections, source: str) -> tuple[np.ndarray, np.ndarray]:
    """Joints by name; missing ones (x, y and score) are 0. Raises MismatchError with both lists."""
    names, confidence = people.joints.names, people.confidence
    if "left_ankle" not in names:  # Human3.6M in MMPose
        names = tuple(name.replace("_foot", "_ankle") for name in names)
    lacking = [name for name in COCO_17.names if name not in names and name not in _FACE]
    if lacking:
        raise MismatchError(
            f"{source}: joint set {people.joints.name} has no {', '.join(lacking)}; it has "
            f"{', '.join(people.joints.names)}; COCO-19 has {', '.join(COCO_19.names)}; only joints of the face may be "
            "missing"
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


def _check_pixels(seen: np.ndarray, source: str) -> None:
    """seen (n, 2): the joints that were found. Whether they fit the image is asked where the camera is known."""
    largest = float(np.abs(seen).max(initial=0.0))
    if largest > MAX_COORDINATE:
        raise DataError(f"{source}: a coordinate of {largest:.4g} px; write the file again with the detector")
