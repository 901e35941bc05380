"""The two MPI-INF-3DHP protocols on `PoseSequence`s, one person each: for evaluations and validation in a training.

`mean_sequence_scores` is the 2020 code's: a frame counts where the annotation and the detection are valid. Each
sequence is scored by itself; the result is the mean over the sequences. One without a frame that counts is skipped and
named in the log (docs/method.md §6). `official_scores` is the data set's own utility's: every valid frame of
univ_annot3, all frames pooled, by scene and activity (docs/method.md §9).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import torch
from torch import Tensor

from pose.coordinates import same_coordinates
from pose.errors import DataError
from pose.metrics.joint_errors import (
    SCORED_JOINTS,
    fraction_of_thresholds,
    joint_errors,
    root_relative,
    sequence_errors,
    within,
)
from pose.metrics.mupots import mean_scores
from pose.sequence import PoseSequence

log = logging.getLogger(__name__)

Scores = dict[str, float]

#: Sequences of each kind of scene.
SCENES = {"green_screen": ("TS1", "TS2"), "no_green_screen": ("TS3", "TS4"), "outdoor": ("TS5", "TS6")}
#: The utility's names of its labels 1, 2, ...
ACTIVITIES = (
    "standing_walking", "exercising", "sitting", "reaching_crouching", "on_the_floor", "sports", "miscellaneous",
)  # fmt: skip
OFFICIAL = ("official_pck_pct", "official_auc_pct", "official_mpjpe_mm")
#: Parts of the frames that `official_scores` can have, the sequences aside.
OFFICIAL_PARTS = ("all", *SCENES, *(f"activity:{name}" for name in ACTIVITIES))


def scored_sequences(annotated: list[PoseSequence]) -> list[PoseSequence]:
    """Those that have a frame that counts; the log names the others. DataError if there is none at all."""
    scored = [truth for truth in annotated if bool((truth.annotated & truth.detected).any())]
    skipped = [truth.name for truth in annotated if truth not in scored]
    if not scored:
        raise DataError(
            f"{len(annotated)} annotated sequences: no frame has both a valid annotation and a valid detection; "
            "check the test set's annotations and detections"
        )
    if skipped:
        log.warning("not scored, no frame has both a valid annotation and a valid detection: %s", ", ".join(skipped))
    return scored


def mean_sequence_scores(
    predicted: list[PoseSequence], annotated: list[PoseSequence]
) -> tuple[Scores, dict[str, Scores]]:
    """(means over the sequences, scores by sequence name) of the keys of `joint_errors.sequence_errors`.

    The two lists hold the same sequences in the same order. Raises DataError if no frame of any counts,
    MismatchError where 3D poses are missing or the coordinates differ.
    """
    scored = scored_sequences(annotated)
    per_sequence = {}
    for prediction, truth in zip(predicted, annotated, strict=True):
        same_coordinates(f"annotation of {truth.name}", truth.coordinates, prediction.coordinates)
        if truth in scored:
            mask = truth.annotated & truth.detected
            errors = sequence_errors(prediction.require("poses_3d"), truth.require("poses_3d"), mask, truth.fps)
            per_sequence[truth.sequence] = {key: values.mean for key, values in errors.items()}
    return mean_scores(per_sequence.values()), per_sequence


def official_scores(
    predicted: list[PoseSequence], annotated: list[PoseSequence], activities: Mapping[str, Tensor] | None = None
) -> dict[str, Scores]:
    """Part of the frames -> the scores OFFICIAL and how many `frames` it has; parts are OFFICIAL_PARTS and sequences.

    All frames that are `annotated` count, detected or not, relative to the hip and without bone rescaling: PCK at 150
    mm and AUC of the fourteen scored joints, MPJPE of all 17. A frame without a pose (NaN) counts as wrong, and is left
    out of the millimetres. activities: of each sequence (T,) the labels 1 to 7, without which those parts are absent.
    MismatchError unless both are in universal coordinates, which alone are the protocol's.

    >>> poses_3d, empty = torch.randn(60, 17, 3) * 300 + 4000, torch.zeros(60, 19, 2)
    >>> truth = PoseSequence("TS5", 0, None, 25.0, empty, empty[..., 0], poses_3d=poses_3d, coordinates="universal")
    >>> list(official_scores([truth], [truth])), official_scores([truth], [truth])["outdoor"]["official_pck_pct"]
    (['all', 'outdoor', 'TS5'], 100.0)
    """
    errors, parts = [], {part: [] for part in (*OFFICIAL_PARTS, *(truth.sequence for truth in annotated))}
    for prediction, truth in zip(predicted, annotated, strict=True):
        for sequence in (prediction, truth):
            same_coordinates(f"official MPI-INF-3DHP scores of {sequence.name}", "universal", sequence.coordinates)
        poses, valid = prediction.require("poses_3d")[truth.annotated], truth.annotated
        errors.append(joint_errors(root_relative(poses), root_relative(truth.require("poses_3d")[valid])))
        labels = (activities or {}).get(truth.sequence, torch.zeros(len(valid)))[valid]
        for part, own in parts.items():
            of_part = part in ("all", truth.sequence) or truth.sequence in SCENES.get(part, ())
            activity = part.removeprefix("activity:")
            of_activity = labels == ACTIVITIES.index(activity) + 1 if activity in ACTIVITIES else labels < 0
            own.append(torch.full_like(of_activity, of_part) | of_activity)
    every = torch.cat(errors)
    found = {}
    for part, masks in parts.items():
        own = every[torch.cat(masks)]
        if not len(own):
            continue
        whole, scored = ~own.isnan().any(1), own[:, list(SCORED_JOINTS)].nan_to_num(torch.inf)
        found[part] = {
            "official_pck_pct": float(within(scored).mean()),
            "official_auc_pct": float(fraction_of_thresholds(scored).mean()),
            **({"official_mpjpe_mm": float(own[whole].mean())} if bool(whole.any()) else {}),
            "frames": len(own),
        }
    return found
