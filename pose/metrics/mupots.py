"""The MuPoTS-3D protocol: which prediction belongs to which annotated person, bone rescaling, 3DPCK and AUC, and the
other errors of the same people, by `pose.metrics.joint_errors`. docs/method.md §9 is the source; scenes are NumPy in
float64, the precision of the annotations.

Four switches change the numbers, so a result always names them. Two are the caller's: normal or universal annotations
(what the scenes hold) and, by the prefix of a key, coordinates absolute (`a_`) or relative to the hip (`r_`). Two are
arguments here: `pairing` and `people`, joined as the keys "given/all", "by2d/matched" of a result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pose.errors import ConfigError, DataError, MismatchError, check_shape
from pose.joint_sets import MUPOTS_17
from pose.metrics import joint_errors as err
from pose.metrics.joint_groups import group_scores
from pose.metrics.occlusion import errors_by_part, occlusion_lengths
from pose.metrics.trajectories import trajectory_errors
from pose.progress import Progress

Scores = dict[str, float]
Coverage = dict[str, Any]

#: given: predictions are aligned with the annotated people. by2d: paired by the 2D points of each.
PAIRINGS = ("given", "by2d")
#: all: an unpaired annotated person counts as wrong. matched: is left out.
PEOPLE = ("all", "matched")

#: Joints that `by2d` compares (neck to left ankle) and how near they must be.
MATCH_JOINTS = slice(1, 14)
MATCH_PX = 40.0

N_JOINTS = len(MUPOTS_17)


@dataclass(frozen=True, eq=False)
class AnnotatedScene:
    """One annotated sequence: T frames, P people in annotation order.

    annotation_2d (T, P, 17, 2) px, annotation_3d (T, P, 17, 3) mm, valid (T, P) bool: isValidFrame. None where unknown:
    visible (T, P, 17) bool, the joint is not occluded; in_sight (T, P) bool, so is the person as a whole; fps.
    ShapeError for arrays that do not fit; DataError for a valid person with 3D values that are not finite.
    """

    annotation_2d: np.ndarray
    annotation_3d: np.ndarray
    valid: np.ndarray
    visible: np.ndarray | None = None
    in_sight: np.ndarray | None = None
    fps: float | None = None

    def __post_init__(self) -> None:
        _convert(self, {"annotation_2d": np.float64, "annotation_3d": np.float64})
        _convert(self, {"valid": np.bool_, "visible": np.bool_, "in_sight": np.bool_})
        sizes: dict[str, int] = {}
        check_shape("annotation_3d", self.annotation_3d, ("T", "P", N_JOINTS, 3), sizes)
        check_shape("annotation_2d", self.annotation_2d, ("T", "P", N_JOINTS, 2), sizes)
        for name, shape in {"valid": ("T", "P"), "visible": ("T", "P", N_JOINTS), "in_sight": ("T", "P")}.items():
            if getattr(self, name) is not None:
                check_shape(name, getattr(self, name), shape, sizes)
        _check_finite("annotation_3d", self.annotation_3d, self.valid)


@dataclass(frozen=True, eq=False)
class PredictedScene:
    """The predictions for one sequence: T frames, R rows (people) in each, padded.

    poses_3d (T, R, 17, 3) mm, present (T, R) bool: the row holds a prediction, keypoints_2d (T, R, 17, 2) px in
    MuPoTS-17 order, or None if unknown (then only `given` can pair). confidence (T, R): higher is surer, for the
    average precision; None if unknown.
    ShapeError for arrays that do not fit; DataError for a present pose with values that are not finite.
    """

    poses_3d: np.ndarray
    present: np.ndarray
    keypoints_2d: np.ndarray | None = None
    confidence: np.ndarray | None = None

    def __post_init__(self) -> None:
        _convert(self, {"poses_3d": np.float64, "present": np.bool_})
        _convert(self, {"keypoints_2d": np.float64, "confidence": np.float64})
        sizes: dict[str, int] = {}
        check_shape("poses_3d", self.poses_3d, ("T", "R", N_JOINTS, 3), sizes)
        check_shape("present", self.present, ("T", "R"), sizes)
        if self.keypoints_2d is not None:
            check_shape("keypoints_2d", self.keypoints_2d, ("T", "R", N_JOINTS, 2), sizes)
        if self.confidence is not None:
            check_shape("confidence", self.confidence, ("T", "R"), sizes)
        _check_finite("poses_3d", self.poses_3d, self.present)


def _convert(scene: Any, dtypes: dict[str, type]) -> None:
    for name, dtype in dtypes.items():
        if getattr(scene, name) is not None:
            object.__setattr__(scene, name, np.ascontiguousarray(getattr(scene, name), dtype=dtype))


def _check_finite(name: str, array: np.ndarray, rows: np.ndarray) -> None:
    bad = rows & ~np.isfinite(array).all(axis=(2, 3))
    if bad.any():
        frame, person = np.argwhere(bad)[0]
        raise DataError(
            f"{name}: {bad.sum()} poses hold NaN or infinite values, the first at frame {frame}, person {person}; "
            "finite numbers are expected, mark people without a pose as absent"
        )


def pair_given(annotated: AnnotatedScene, predicted: PredictedScene) -> np.ndarray:
    """Row p belongs to person p: (T, P) int, the row of each valid person or -1.

    ShapeError unless the prediction has the annotation's frames and one row per person.
    """
    check_shape("present", predicted.present, annotated.valid.shape)
    return np.where(annotated.valid & predicted.present, np.arange(predicted.present.shape[1]), -1)


def pair_by_2d(annotated: AnnotatedScene, predicted: PredictedScene) -> np.ndarray:
    """Pair by 2D points: (T, P) int, the row of each valid person or -1.

    Per frame, greedily in annotation order: the unused row with the most of joints 1..13 less than 40 px from the
    annotation in both x and y, the first of equals; none if there is no such joint. Visibility is not used.
    ConfigError without keypoints_2d, DataError for a valid person without annotation_2d, ShapeError unless the frames
    are the annotation's.
    """
    if predicted.keypoints_2d is None:
        raise ConfigError(
            "protocol.pairing=by2d: the predictions have no keypoints_2d to pair by; "
            "add keypoints_2d or use protocol.pairing=given"
        )
    frames, people = annotated.valid.shape
    check_shape("present", predicted.present, (frames, "R"))
    _check_finite("annotation_2d (needed for pairing=by2d)", annotated.annotation_2d, annotated.valid)
    pairs = np.full((frames, people), -1)
    if predicted.present.shape[1] == 0:
        return pairs
    every_frame = np.arange(frames)
    unused = predicted.present.copy()
    points = predicted.keypoints_2d[:, :, MATCH_JOINTS]
    for person in range(people):
        offset = np.abs(points - annotated.annotation_2d[:, person, None, MATCH_JOINTS])
        votes = (offset < MATCH_PX).all(axis=-1).sum(axis=-1)
        votes[~unused] = 0
        best = votes.argmax(axis=1)
        paired = annotated.valid[:, person] & (votes[every_frame, best] > 0)
        pairs[paired, person] = best[paired]
        unused[every_frame[paired], best[paired]] = False
    return pairs


#: The joints after the hip, each behind its parent.
_OUTWARD = (15, 1, 0, 16, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)
_PARENTS = list(MUPOTS_17.parents)


def rescale_bones(predicted: np.ndarray, annotated: np.ndarray) -> np.ndarray:
    """Predicted skeletons with the annotated bone lengths: two (..., 17, 3) in mm -> (..., 17, 3).

    Bones keep their predicted directions, the hip its predicted place. A predicted bone of length zero has no direction
    and stays so.
    """
    check_shape("predicted", predicted, ("...", N_JOINTS, 3))
    check_shape("annotated", annotated, predicted.shape)
    bones = predicted - predicted[..., _PARENTS, :]
    length = _length(bones)
    wanted = _length(annotated - annotated[..., _PARENTS, :])
    bones *= np.divide(wanted, length, out=np.zeros_like(length), where=length > 0)[..., None]
    rescaled = predicted.copy()
    for joint in _OUTWARD:
        rescaled[..., joint, :] = rescaled[..., _PARENTS[joint], :] + bones[..., joint, :]
    return rescaled


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("...i,...i->...", vectors, vectors))


def score_scenes(
    annotated: Mapping[str, AnnotatedScene],
    predicted: Mapping[str, PredictedScene],
    pairings: Sequence[str] = PAIRINGS,
    people: Sequence[str] = PEOPLE,
) -> dict[str, dict[str, Any]]:
    """Scores under each "pairing/people", such as "given/all":
    {"metrics": {key: mean over sequences}, "per_sequence": {sequence: {key: value}}, "parts": {key: {part: value}},
    "coverage": `coverage` of the pairs}.

    Keys: r_pck_pct, r_auc_pct, a_pck_pct, a_auc_pct; those of `joint_errors.sequence_errors` and, with fps,
    `trajectories.trajectory_errors` (no bone rescaling; the valid, paired people of the sequence pooled);
    detected_pct (percentage of the valid people that are paired); frames_pct (of the frames with a valid person, those
    in which anybody is paired); ap_root_25cm_pct (`joint_errors.root_ap` of all predictions, whatever the pairing). A
    key that does not apply to a sequence (no pair, no valid person) is absent there, and the mean is over the sequences
    that have it. parts:
    `occlusion.errors_by_part`, of the pairs of all sequences, and the means of `joint_groups.group_scores`.

    A sequence without predictions counts as undetected; MismatchError for predictions of an unknown sequence,
    ConfigError for an unknown switch or `by2d` without keypoints_2d, ShapeError for frames or rows that do not fit.

    >>> rng = np.random.default_rng(0)
    >>> truth = rng.normal(0, 300, (60, 2, 17, 3)) + [0, 0, 4000]  # 60 frames of two people, mm
    >>> points = 1500 * truth[..., :2] / truth[..., 2:] + [960, 540]
    >>> everybody = np.ones((60, 2), dtype=bool)
    >>> annotated = {"TS1": AnnotatedScene(points, truth, valid=everybody)}
    >>> predicted = {"TS1": PredictedScene(truth + [0, 0, 79], present=everybody, keypoints_2d=points)}
    >>> scores = score_scenes(annotated, predicted)
    >>> list(scores)
    ['given/all', 'given/matched', 'by2d/all', 'by2d/matched']
    >>> {key: round(scores["by2d/all"]["metrics"][key], 1) for key in ("a_pck_pct", "a_auc_pct", "mrpe_mm", "mpjpe_mm")}
    {'a_pck_pct': 100.0, 'a_auc_pct': 48.4, 'mrpe_mm': 79.0, 'mpjpe_mm': 0.0}
    """
    _check_switch("protocol.pairing", pairings, PAIRINGS)
    _check_switch("protocol.people", people, PEOPLE)
    check_sequences(predicted, annotated)
    progress, paired = Progress("scoring", sum(len(scene.valid) for scene in annotated.values())), {}
    for name, scene in annotated.items():
        paired[name] = _score_pairs(name, scene, predicted.get(name), pairings)
        progress.add(len(scene.valid))
    results = {}
    for pairing in pairings:
        parts = _parts(annotated, [errors[pairing][1] for errors in paired.values()])
        for who in people:
            per_sequence = {name: _counting(who, found[pairing][0]) for name, found in paired.items()}
            results[f"{pairing}/{who}"] = {
                "metrics": mean_scores(per_sequence.values()),
                "per_sequence": per_sequence,
                "parts": _with_groups(parts, annotated, {n: f[pairing][1] for n, f in paired.items()}, who),
                "coverage": coverage({name: found[pairing][2] for name, found in paired.items()}),
            }
    return results


def coverage(counts: Mapping[str, Mapping[str, int]]) -> Coverage:
    """How much of the annotation was found: people and frames (with anybody) as counts, sequences by name, of all.

    counts: of each sequence people, annotated_people, frames, annotated_frames.

    >>> one = {"people": 3, "annotated_people": 4, "frames": 2, "annotated_frames": 2}
    >>> coverage({"TS1": one, "TS2": {**one, "people": 0, "frames": 0}})["sequences"]
    ['TS1']
    """
    total = {key: sum(one[key] for one in counts.values()) for key in _COUNTED}
    return total | {
        "sequences": [name for name, one in counts.items() if one["people"]],
        "annotated_sequences": [name for name, one in counts.items() if one["annotated_people"]],
    }


_COUNTED = ("people", "annotated_people", "frames", "annotated_frames")


def _with_groups(
    parts: dict[str, Scores], annotated: Mapping[str, AnnotatedScene], errors: Mapping[str, Any], who: str
) -> dict[str, Scores]:
    scored = [
        group_scores(errors[name], scene.valid, scene.visible, who == "all")
        for name, scene in annotated.items()
        if scene.valid.any()
    ]
    return {
        key: parts.get(key, {}) | mean_scores(one[key] for one in scored if key in one)
        for key in {**parts, **(scored[0] if scored else {})}
    }


def mean_scores(per_sequence: Iterable[Scores]) -> Scores:
    """Mean of each key over the sequences that have it.

    >>> mean_scores([{"mrpe_mm": 100.0, "detected_pct": 50.0}, {"detected_pct": 0.0}])
    {'mrpe_mm': 100.0, 'detected_pct': 25.0}
    """
    values: dict[str, list[float]] = {}
    for scores in per_sequence:
        for key, value in scores.items():
            values.setdefault(key, []).append(value)
    return {key: sum(found) / len(found) for key, found in values.items()}


def check_sequences(predicted: Iterable[str], annotated: Iterable[str]) -> None:
    """MismatchError naming them if there are predictions for sequences that are not annotated."""
    known = list(annotated)
    unknown = [name for name in predicted if name not in known]
    if unknown:
        raise MismatchError(
            f"predictions for {', '.join(unknown)}, but the annotated sequences are {', '.join(known) or 'none'}; "
            "remove or rename them"
        )


def _check_switch(key: str, chosen: Sequence[str], known: Sequence[str]) -> None:
    for value in chosen:
        if value not in known:
            raise ConfigError(f"{key}={value}: must be one of {', '.join(known)}")


def _score_pairs(
    name: str, annotated: AnnotatedScene, predicted: PredictedScene | None, pairings: Sequence[str]
) -> dict[str, tuple[Scores, dict[str, err.Errors], dict[str, int]]]:
    """Of one sequence, by pairing: the scores with unpaired people left out, the errors that they average, and what
    `coverage` counts."""
    counts = _counts(annotated, np.full(annotated.valid.shape, -1))
    if not annotated.valid.any():
        return {pairing: ({}, {}, counts) for pairing in pairings}
    if predicted is None:
        nothing = {"detected_pct": 0.0, "frames_pct": 0.0, "ap_root_25cm_pct": 0.0}
        return {pairing: (nothing, {}, counts) for pairing in pairings}
    frames, persons = annotated.valid.shape
    if "given" in pairings:
        what = f"{name}: predicted poses_3d (pairing=given: a row per annotated person)"
        check_shape(what, predicted.poses_3d, (frames, persons, N_JOINTS, 3))
    check_shape(f"{name}: predicted poses_3d", predicted.poses_3d, (frames, "R", N_JOINTS, 3))
    precision = float(_root_ap(annotated, predicted))
    found: dict[bytes, tuple[Scores, dict[str, err.Errors], dict[str, int]]] = {}  # pairings often agree
    results = {}
    for pairing in pairings:
        pairs = pair_given(annotated, predicted) if pairing == "given" else pair_by_2d(annotated, predicted)
        if (key := pairs.tobytes()) not in found:
            errors = _errors_of_pairs(annotated, predicted, pairs)
            counts = _counts(annotated, pairs)
            scores = {
                "detected_pct": 100.0 * counts["people"] / counts["annotated_people"],
                "frames_pct": 100.0 * counts["frames"] / counts["annotated_frames"],
                "ap_root_25cm_pct": precision,
            }
            found[key] = scores | {name: value.mean for name, value in errors.items()}, errors, counts
        results[pairing] = found[key]
    return results


def _counts(annotated: AnnotatedScene, pairs: np.ndarray) -> dict[str, int]:
    paired = pairs >= 0
    sums = (paired.sum(), annotated.valid.sum(), paired.any(axis=1).sum(), annotated.valid.any(axis=1).sum())
    return dict(zip(_COUNTED, map(int, sums), strict=True))


def _errors_of_pairs(annotated: AnnotatedScene, predicted: PredictedScene, pairs: np.ndarray) -> dict[str, err.Errors]:
    """`joint_errors.sequence_errors` of the paired people, and what PCK and AUC average after bone rescaling."""
    poses = predicted.poses_3d[np.arange(len(pairs))[:, None], pairs]
    target, paired = torch.from_numpy(annotated.annotation_3d), torch.from_numpy(pairs >= 0)
    errors = err.sequence_errors(torch.from_numpy(poses), target, paired, fps=annotated.fps)
    if errors and annotated.fps is not None:
        errors |= trajectory_errors(torch.from_numpy(poses), target, paired, annotated.fps)
    if errors:
        truth = annotated.annotation_3d[pairs >= 0]
        rescaled = torch.from_numpy(rescale_bones(poses[pairs >= 0], truth))
        rows = errors["mpjpe_mm"].rows
        for key, (values, joints) in err.pck_values(*err.both_errors(rescaled, torch.from_numpy(truth))).items():
            errors[f"{key}_pct"] = err.Errors(values[:, list(joints)], joints, rows)
    return errors


def _root_ap(annotated: AnnotatedScene, predicted: PredictedScene) -> Tensor:
    return err.root_ap(
        torch.from_numpy(predicted.poses_3d[:, :, err.ROOT]),
        torch.from_numpy(predicted.present),
        torch.from_numpy(annotated.annotation_3d[:, :, err.ROOT]),
        torch.from_numpy(annotated.valid),
        None if predicted.confidence is None else torch.from_numpy(predicted.confidence),
    )


def _parts(annotated: Mapping[str, AnnotatedScene], errors: list[dict[str, err.Errors]]) -> dict[str, Scores]:
    def lengths(of: str) -> list[Tensor] | None:
        masks = [getattr(scene, of) for scene in annotated.values()]
        return None if any(mask is None for mask in masks) else [occlusion_lengths(torch.from_numpy(m)) for m in masks]

    return errors_by_part(errors, lengths("in_sight"), lengths("visible"))


#: Scores in which an unpaired person can count as wrong.
_COUNTS = tuple(f"{key}{raw}_pct" for key in ("r_pck", "r_auc", "a_pck", "a_auc") for raw in ("", "_raw"))


def _counting(who: str, paired: Scores) -> Scores:
    """The scores with unpaired people counted (`all`) or not (`matched`).

    An unpaired person is 100000 mm off, beyond every threshold, and so adds nothing to the counts of PCK and AUC.
    """
    if who == "matched" or not paired:
        return paired
    return paired | {key: paired.get(key, 0.0) * paired["detected_pct"] / 100.0 for key in _COUNTS}
