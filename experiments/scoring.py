"""From predictions to the numbers of metrics.json, by the protocol of the test set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig

from pose.errors import ConfigError, DataError
from pose.metrics.errors import mpi_inf_3dhp_scores
from pose.metrics.mupots import PAIRINGS, PEOPLE, AnnotatedScene, PredictedScene, mean_scores, score_scenes
from pose.sequence import PoseSequence

#: plain / refined -> sequence name -> scene
Kinds = Mapping[str, Mapping[str, PredictedScene]]


def check_protocol(cfg: DictConfig) -> None:
    """ConfigError unless `protocol.people` and `protocol.pairing` are known."""
    for key, allowed in (("people", PEOPLE), ("pairing", PAIRINGS)):
        if cfg.protocol[key] not in allowed:
            raise ConfigError(f"protocol.{key}={cfg.protocol[key]}: must be one of {', '.join(allowed)}")


def score_mupots(
    annotated: Mapping[str, AnnotatedScene], predicted: Mapping[str, Kinds], people: str, pairing: str
) -> dict[str, Any]:
    """The MuPoTS-3D protocol: `protocol`, `metrics`, `protocols` and `per_sequence` of metrics.json.

    predicted: for each pairing that can be scored, plain / refined -> scenes. `people` and `pairing` choose which
    protocol `metrics` and `per_sequence` follow; `protocols` holds all.
    """
    scored: dict[str, dict[str, Any]] = {}
    for way, kinds in predicted.items():
        for kind, scenes in kinds.items():
            for protocol, scores in score_scenes(annotated, scenes, pairings=[way]).items():
                scored.setdefault(protocol, {})[kind] = scores
    chosen = scored[f"{pairing}/{people}"]
    return {
        "protocol": {"people": people, "pairing": pairing},
        "metrics": {kind: scores["metrics"] for kind, scores in chosen.items()},
        "protocols": {
            protocol: {kind: scores["metrics"] for kind, scores in kinds.items()} for protocol, kinds in scored.items()
        },
        "per_sequence": {
            name: {kind: scores["per_sequence"][name] for kind, scores in chosen.items()} for name in annotated
        },
    }


def score_mpi_inf_3dhp(annotated: list[PoseSequence], predicted: Mapping[str, list[PoseSequence]]) -> dict[str, Any]:
    """The MPI-INF-3DHP test protocol: frames with a valid annotation and detection, mean of the sequences."""
    per_sequence: dict[str, dict[str, dict[str, float]]] = {truth.sequence: {} for truth in annotated}
    for kind, sequences in predicted.items():
        for truth, sequence in zip(annotated, sequences, strict=True):
            mask = truth.annotated & truth.detected
            if not bool(mask.any()):
                raise DataError(f"{truth.sequence}: no frame has both a valid annotation and a valid detection")
            if sequence.poses_3d is None or truth.poses_3d is None:
                raise DataError(f"{truth.sequence}: has no 3D poses to compare")
            per_sequence[truth.sequence][kind] = mpi_inf_3dhp_scores(sequence.poses_3d, truth.poses_3d, mask)
    return {
        "protocol": {"people": "all", "pairing": "given"},
        "metrics": {kind: mean_scores(scores[kind] for scores in per_sequence.values()) for kind in predicted},
        "protocols": {},
        "per_sequence": per_sequence,
    }
