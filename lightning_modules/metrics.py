"""Validation in the MPI-INF-3DHP protocol (docs/method.md §6): each sequence scored by itself, then the mean."""

from __future__ import annotations

from pose.coordinates import same_coordinates
from pose.errors import DataError
from pose.metrics.joint_errors import mpi_inf_3dhp_scores
from pose.sequence import PoseSequence


def mean_sequence_scores(predicted: list[PoseSequence], annotated: list[PoseSequence]) -> dict[str, float]:
    """Keys of `mpi_inf_3dhp_scores` -> mean over the sequences, on frames that are annotated and detected.

    The two lists hold the same people in the same order. A sequence without a frame that counts is left out.
    Raises DataError if none is left, MismatchError if the variants differ.
    """
    per_sequence = []
    for prediction, truth in zip(predicted, annotated, strict=True):
        same_coordinates(f"annotation of {truth.name}", truth.coordinates, prediction.coordinates)
        if prediction.poses_3d is None or truth.poses_3d is None:
            raise DataError(f"{truth.name}: has no 3D poses to score; validation needs an annotated set")
        scores = mpi_inf_3dhp_scores(prediction.poses_3d, truth.poses_3d, truth.annotated & truth.detected)
        if scores:
            per_sequence.append(scores)
    if not per_sequence:
        raise DataError(
            f"validation set of {len(annotated)} sequences: no frame is both annotated and detected; "
            "check the test set's detections"
        )
    return {key: sum(scores[key] for scores in per_sequence) / len(per_sequence) for key in per_sequence[0]}
