"""The MPI-INF-3DHP protocol on `PoseSequence`s, one person each: for evaluations and for validation in a training.

A frame counts where the annotation and the detection are valid. Each sequence is scored by itself; the result is the
mean over the sequences. One without a frame that counts is skipped and named in the log (docs/method.md §6).
"""

from __future__ import annotations

import logging

from pose.coordinates import same_coordinates
from pose.errors import DataError
from pose.metrics.joint_errors import sequence_errors
from pose.metrics.mupots import mean_scores
from pose.sequence import PoseSequence

log = logging.getLogger(__name__)

Scores = dict[str, float]


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
