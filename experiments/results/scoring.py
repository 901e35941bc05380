"""From predictions to the numbers of metrics.json, by the protocol of the test set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from pose.errors import ConfigError, DataError
from pose.metrics.joint_errors import ROOT, SCORED_JOINTS, joint_errors, mpi_inf_3dhp_scores, root_relative, within
from pose.metrics.mupots import PAIRINGS, PEOPLE, AnnotatedScene, PredictedScene, mean_scores, score_scenes
from pose.metrics.occlusion import PARTS, occlusion_lengths, split_errors
from pose.sequence import PoseSequence

#: lifted / refined -> sequence name -> scene
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

    predicted: for each pairing that can be scored, lifted / refined -> scenes. `people` and `pairing` choose which
    protocol `metrics` and `per_sequence` follow; `protocols` holds all.
    """
    scored: dict[str, dict[str, Any]] = {}
    for way, kinds in predicted.items():
        for kind, scenes in kinds.items():
            # Pairings of the same scenes share the work.
            alike = [other for other, others in predicted.items() if others.get(kind) is scenes]
            if way == alike[0]:
                for protocol, scores in score_scenes(annotated, scenes, pairings=alike).items():
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
            per_sequence[truth.sequence][kind] = mpi_inf_3dhp_scores(_poses(sequence), _poses(truth), mask)
    return {
        "protocol": {"people": "all", "pairing": "given"},
        "metrics": {kind: mean_scores(scores[kind] for scores in per_sequence.values()) for kind in predicted},
        "protocols": {},
        "per_sequence": per_sequence,
    }


def score_occlusion(annotated: list[PoseSequence], predicted: Mapping[str, list[PoseSequence]]) -> dict[str, Any]:
    """Errors of visible and occluded frames, and by the length of the occlusion: `occlusion` of metrics.json.

    `frames`: how many annotated frames each part has; lifted / refined -> metric -> part -> mean over those frames of
    all sequences (not a mean of sequences: few have a long occlusion). Given pairs, no bone rescaling. A frame is
    occluded where the person is not detected or less than half of the joints are in sight; lengths are in frames.
    """
    lengths = torch.cat([occlusion_lengths(_in_sight(person))[person.annotated] for person in annotated]).cpu()
    if not len(lengths):
        return {"frames": {}}
    target = torch.cat([_poses(person)[person.annotated] for person in annotated]).cpu()
    result: dict[str, Any] = {"frames": {"all": len(lengths), **_frames(lengths)}}
    for kind, people in predicted.items():
        poses = torch.cat([_poses(p)[truth.annotated] for p, truth in zip(people, annotated, strict=True)]).to(target)
        absolute = joint_errors(poses, target)
        relative = joint_errors(root_relative(poses), root_relative(target))
        values = {
            "mpjpe_mm": relative.mean(1),
            "a_mpjpe_mm": absolute.mean(1),
            "mrpe_mm": absolute[:, ROOT],
            "r_pck_raw_pct": within(relative[:, list(SCORED_JOINTS)]).mean(1),
            "a_pck_raw_pct": within(absolute[:, list(SCORED_JOINTS)]).mean(1),
        }
        result[kind] = {key: {"all": float(v.mean()), **split_errors(v, lengths)} for key, v in values.items()}
    return result


def _in_sight(person: PoseSequence) -> Tensor:
    return person.detected & (person.visible.float().mean(1) >= 0.5)


def _frames(lengths: Tensor) -> dict[str, int]:
    """Number of frames in each part that has any."""
    counts = {}
    for part, (shortest, longest) in PARTS.items():
        most = int(lengths.max()) if longest is None else longest
        counts[part] = int(((lengths >= shortest) & (lengths <= most)).sum())
    return {part: count for part, count in counts.items() if count}


def _poses(person: PoseSequence) -> Tensor:
    if person.poses_3d is None:
        raise DataError(f"{person.name}: has no 3D poses to compare")
    return person.poses_3d
