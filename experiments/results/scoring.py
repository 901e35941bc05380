"""From predictions to the numbers of metrics.json, by the protocol of the test set."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from hydra.utils import get_method
from omegaconf import DictConfig

from pose.errors import ConfigError
from pose.metrics.mpi_inf_3dhp import OFFICIAL, OFFICIAL_PARTS, official_scores, scored_sequences
from pose.metrics.mupots import PAIRINGS, PEOPLE, AnnotatedScene, PredictedScene, mean_scores, score_scenes
from pose.metrics.occlusion import PARTS, occlusion_lengths, part_counts
from pose.metrics.procrustes_script import procrustes_script_scores
from pose.metrics.scenes import predicted_scenes, scenes_from_sequences
from pose.sequence import PoseSequence

#: Scores after bone rescaling, which the MPI-INF-3DHP protocol has not.
_RESCALED = ("r_pck_pct", "r_auc_pct", "a_pck_pct", "a_auc_pct")

#: What a result of MPI-INF-3DHP says of its frames; the second in universal coordinates.
_FRAMES = (
    "valid and detected, as the 2020 code; the official protocol's are all valid ones of univ_annot3, in "
    "coordinates=universal",
    "valid and detected, as the 2020 code; of the columns marked official all valid ones",
)

#: lifted / refined -> sequence name -> scene
Kinds = Mapping[str, Mapping[str, PredictedScene]]


def check_protocol(cfg: DictConfig) -> None:
    """ConfigError unless `protocol.people` and `protocol.pairing` are known."""
    for key, allowed in (("people", PEOPLE), ("pairing", PAIRINGS)):
        if cfg.protocol[key] not in allowed:
            raise ConfigError(f"protocol.{key}={cfg.protocol[key]}: must be one of {', '.join(allowed)}")


def add_own_metrics(
    cfg: DictConfig, scores: dict[str, Any], annotated: list[PoseSequence], predicted: Mapping[str, list[PoseSequence]]
) -> None:
    """In place: `metrics.NAME` of the configuration, each a function (truth, predictions) -> number.

    Both are lists of people in one order, those that were not predicted left out. ConfigError for what is no number.
    """
    for name, metric in cfg.metrics.items():
        function = get_method(metric.function)
        for kind, people in predicted.items():
            found = {person.name: person for person in people}
            truth = [person for person in annotated if person.name in found]
            value = function(truth, [found[person.name] for person in truth])
            if not isinstance(value, float | int):
                raise ConfigError(f"metrics.{name}: {metric.function} gave a {type(value).__name__}, not a number")
            scores["metrics"][kind][str(name)] = float(value)


def score_mupots(
    annotated: Mapping[str, AnnotatedScene],
    predicted: Mapping[str, Kinds],
    people: str,
    pairing: str,
    procrustes_script: bool = False,
) -> dict[str, Any]:
    """The MuPoTS-3D protocol: `protocol`, `metrics`, `protocols`, `per_sequence` and `occlusion` of metrics.json.

    predicted: for each pairing that can be scored, lifted / refined -> scenes. `people` and `pairing` choose which
    protocol `metrics`, `per_sequence` and `occlusion` follow; `protocols` holds all.
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
    other = {}
    if procrustes_script:
        if "given" not in predicted:
            raise ConfigError("protocol=procrustes_script: people must be numbered as annotated, these are not")
        of_kinds = {kind: procrustes_script_scores(annotated, scenes) for kind, scenes in predicted["given"].items()}
        other = {"procrustes_script": of_kinds}
    return {
        **other,
        "protocol": {"people": people, "pairing": pairing},
        "metrics": {kind: scores["metrics"] for kind, scores in chosen.items()},
        "protocols": {
            protocol: {kind: scores["metrics"] for kind, scores in kinds.items()} for protocol, kinds in scored.items()
        },
        "per_sequence": {
            name: {kind: scores["per_sequence"][name] for kind, scores in chosen.items()} for name in annotated
        },
        "coverage": _coverage(scored),
        "occlusion": _occlusion(annotated, chosen),
    }


def _coverage(scored: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """pairing -> lifted / refined -> `mupots.coverage`."""
    return {
        protocol.partition("/")[0]: {kind: scores["coverage"] for kind, scores in kinds.items()}
        for protocol, kinds in scored.items()
    }


def score_mpi_inf_3dhp(
    annotated: list[PoseSequence],
    predicted: Mapping[str, list[PoseSequence]],
    activities: Mapping[str, torch.Tensor] | None = None,
) -> dict[str, Any]:
    """The MPI-INF-3DHP test protocols. The 2020 code's: frames with a valid annotation and detection, mean of the
    sequences; in universal coordinates also the official utility's (`pose.metrics.mpi_inf_3dhp.official_scores`).

    predicted: lifted / refined -> the people of `annotated`, in their order. A sequence without a frame that counts is
    skipped. `occlusion` is of all annotated frames.
    """
    counted = {truth.sequence for truth in scored_sequences(annotated)}
    truth = scenes_from_sequences(annotated)
    every, found = {}, {}
    for kind, people in predicted.items():
        detected = [
            dataclasses.replace(
                person, poses_3d=person.require("poses_3d").masked_fill(~own.detected[:, None, None], torch.nan)
            )
            for person, own in zip(people, annotated, strict=True)
        ]
        for scores, sequences in ((every, people), (found, detected)):
            scenes = predicted_scenes(sequences, truth, with_keypoints=False)
            scores[kind] = score_scenes(truth, scenes, ["given"], ["matched"])["given/matched"]
    per_sequence = {
        name: {
            kind: {key: value for key, value in scores["per_sequence"][name].items() if key not in _RESCALED}
            for kind, scores in found.items()
        }
        for name in truth
        if name in counted
    }
    scores = {
        "protocol": {"people": "all", "pairing": "given", "frames": _FRAMES[annotated[0].coordinates == "universal"]},
        "metrics": {kind: mean_scores(scores[kind] for scores in per_sequence.values()) for kind in predicted},
        "protocols": {},
        "per_sequence": per_sequence,
        "coverage": _coverage({"given/all": found}),
        "occlusion": _occlusion(truth, every),
    }
    if annotated[0].coordinates == "universal":
        _add_official(scores, annotated, predicted, activities)
    return scores


def _add_official(
    scores: dict[str, Any],
    annotated: list[PoseSequence],
    predicted: Mapping[str, list[PoseSequence]],
    activities: Mapping[str, torch.Tensor] | None,
) -> None:
    """In place: the official scores among metrics and sequences, their parts under `occlusion`, frames of the parts."""
    for kind, people in predicted.items():
        parts = official_scores(people, annotated, activities)
        scores["official_frames"] = {part: found.pop("frames") for part, found in parts.items()}
        scores["metrics"][kind] |= parts["all"]
        for name, kinds in scores["per_sequence"].items():
            kinds[kind] |= parts.get(name, {})
        for key in OFFICIAL:
            named = {part: found[key] for part, found in parts.items() if part in OFFICIAL_PARTS and key in found}
            scores["occlusion"].setdefault(kind, {})[key] = named


def _occlusion(annotated: Mapping[str, AnnotatedScene], scores: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """`occlusion` of metrics.json: `frames`, how many annotated people in frames each part has; `seconds`, the shortest
    and longest occlusion in it; lifted / refined -> metric -> part -> mean (pose.metrics.occlusion.errors_by_part)."""
    lengths, seconds = [], []
    for scene in annotated.values():
        if scene.in_sight is not None:
            lengths.append(occlusion_lengths(torch.from_numpy(scene.in_sight))[torch.from_numpy(scene.valid)])
            seconds.append(lengths[-1] / (scene.fps or torch.nan))
    if not sum(map(len, lengths)):
        return {"frames": {}}
    frames, durations = torch.cat(lengths), torch.cat(seconds)
    ends = {}
    for part, (shortest, longest) in PARTS.items():
        found = durations[(frames >= max(shortest, 1)) & (frames <= (longest or frames.max()))]
        if part != "visible" and len(found) and bool(found.isfinite().all()):
            ends[part] = [round(float(found.min()), 3), round(float(found.max()), 3)]
    counts = {"all": len(frames), **part_counts(frames)}
    return {"frames": counts, "seconds": ends, **{kind: found["parts"] for kind, found in scores.items()}}
