"""`experiment=evaluate`: anybody's predictions (docs/evaluate_your_own.md) by the protocol of the test set.

What they cannot be is refused or said before anything is scored (`pose.metrics.plausibility`); how much of the
annotation they cover stands beside every error.
"""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from data.foreign_predictions import has_identities
from data.predictions import DEFAULT_FPS, read_facts, read_predictions, says_fps, write_predictions
from experiments import datasets
from experiments.loggers import logging_to
from experiments.progress import stage
from experiments.results.report import publish
from experiments.results.scoring import add_own_metrics, check_protocol, score_mpi_inf_3dhp, score_mupots
from experiments.runs.run_dir import run_folder
from experiments.runs.runner import settle
from experiments.tasks.evaluate import activities_of, protocol_of, read_test_set
from experiments.tasks.refine import refined
from pose.errors import ConfigError, DataError
from pose.metrics.mupots import AnnotatedScene, check_sequences
from pose.metrics.plausibility import OTHER_UNIT, ROOT_RELATIVE, check_poses, other_order
from pose.metrics.scenes import predicted_scenes, scenes_from_sequences
from pose.sequence import PoseSequence
from pose.to_mupots import in_mupots_17

log = logging.getLogger(__name__)

#: Metrics that need absolute coordinates, and those that need millimetres.
_ABSOLUTE = ("a_", "n_", "w_", "wa_", "mrpe", "ap_root", "foot_slide")
NO_DETECTIONS = "test.detections=false: occluded frames are by the annotation's labels alone, nobody is undetected"
_IN_MM = ("mpjpe", "accel", "r_pck_raw", "r_auc_raw")


def evaluate_predictions(cfg: DictConfig) -> None:
    """Score the predictions of a file, after `refinement=`; leave metrics.json, table.md and predictions.npz."""
    check_protocol(cfg)
    if not isinstance(cfg.predictions, str | None):
        raise ConfigError(f"predictions={cfg.predictions}: give one file; experiment=compare takes several")
    if cfg.predictions is None:
        raise ConfigError(
            "predictions=null: give the file to evaluate, predictions=FILE.npz (docs/evaluate_your_own.md lists others)"
        )
    with stage(f"reading {Path(cfg.predictions).name}"):
        people = read_people(cfg, cfg.predictions)
    cfg = datasets.resolve(cfg, trains=False, tests=True)
    settle(cfg, tests=True)
    with logging_to(cfg) as logger:
        annotated = read_test_set(cfg)
        people = at_annotated_rates(cfg, cfg.predictions, people, annotated)
        if (method := instantiate(cfg.refinement)).name != "none":
            people = refined(people, method, cfg.predictions)[1].sequences
        with stage(f"scoring {sum(map(len, people))} poses"):
            scores = score_people(cfg, cfg.predictions, annotated, people)
        write_predictions(run_folder() / "predictions.npz", in_mupots_17(people)[0], **read_facts(cfg.predictions))
        publish(cfg, {**scores, "refinement": method.name}, logger)


def read_people(cfg: DictConfig, path: str) -> list[PoseSequence]:
    """The people of a file; ConfigError where they cannot be paired as the configuration asks.

    Without `fps=` or one in the file they have DEFAULT_FPS until `at_annotated_rates` gives them the test set's.
    """
    fps = DEFAULT_FPS if _lacks_fps(cfg, path) else cfg.fps
    people = read_predictions(path, cfg.coordinates, fps, cfg.input_options.joint_set)
    if cfg.protocol.pairing == "by2d" and not _have_keypoints(people):
        raise ConfigError(f"protocol.pairing=by2d: {path} has no keypoints_2d; add it or use given")
    return people


def at_annotated_rates(
    cfg: DictConfig, path: str, people: list[PoseSequence], annotated: list[PoseSequence]
) -> list[PoseSequence]:
    """The people at the frame rate of their sequence, unless `fps=` or the file says another."""
    if not _lacks_fps(cfg, path):
        return people
    rates = {truth.sequence: truth.fps for truth in annotated}
    return [dataclasses.replace(person, fps=rates.get(person.sequence, person.fps)) for person in people]


def _lacks_fps(cfg: DictConfig, path: str) -> bool:
    return cfg.fps is None and not says_fps(path)


def score_people(
    cfg: DictConfig, path: str, annotated: list[PoseSequence], given: list[PoseSequence]
) -> dict[str, Any]:
    """The content of metrics.json for the people of the file `path`; its warnings are logged too."""
    truth = scenes_from_sequences(annotated)
    people, warnings = in_mupots_17(given)
    if not cfg.test.get("detections", True):
        warnings.append(NO_DETECTIONS)
    for joints in {person.joints_3d for person in given}:
        own = [person for person in given if person.joints_3d == joints]
        poses = torch.cat([one.require("poses_3d") if one.lifted_3d is None else one.lifted_3d for one in own])
        warnings += check_poses(poses.numpy(), truth, path, joints)
    kinds = {"lifted": people}
    if all(person.lifted_3d is not None for person in people):
        kinds = {
            "lifted": [dataclasses.replace(person, poses_3d=person.lifted_3d) for person in people],
            "refined": people,
        }
    if protocol_of(cfg) == "mpi_inf_3dhp":
        kinds = {kind: _aligned(people, annotated, path, warnings) for kind, people in kinds.items()}
        warnings = list(dict.fromkeys(warnings))
        scores = score_mpi_inf_3dhp(annotated, kinds, activities_of(cfg))
        warnings += _partial(scores["coverage"]["given"], "matched")
    else:
        scores = _score_mupots(cfg, path, truth, kinds, warnings)
    _leave_out(scores, _meaningless(warnings))
    add_own_metrics(cfg, scores, annotated, kinds)
    for warning in warnings:
        log.warning("%s: %s", path, warning)
    about = {"data": cfg.test.name, "train_data": None, "coordinates": cfg.coordinates, "refinement": "none"}
    return {**about, "warnings": warnings, **scores}


def _aligned(
    people: list[PoseSequence], annotated: list[PoseSequence], path: str, warnings: list[str]
) -> list[PoseSequence]:
    """The one person of each annotated sequence on its frames, poses NaN where there is none.

    As many poses as a sequence has valid frames, numbered from 0, are of these, as the official utility has them.
    """
    found = {person.sequence: person for person in people}
    check_sequences(found, [truth.sequence for truth in annotated])
    if twice := [person.name for person in people if found[person.sequence] is not person]:
        raise DataError(f"{path}: {twice[0]} is not the only one of its sequence, which shows one person; give one")
    placed, of_valid = [], []
    for truth in annotated:
        poses = torch.full_like(truth.require("poses_3d"), torch.nan)
        if (person := found.get(truth.sequence)) is not None:
            valid, frame = truth.annotated.nonzero()[:, 0], person.frame
            if len(valid) < len(truth) and len(frame) == len(valid) == int(frame[-1]) + 1:
                frame = valid
                of_valid.append(truth.sequence)
            if int(frame[-1]) >= len(truth):
                raise DataError(
                    f"{path}: {person.name} has frame {int(frame[-1])}, {len(truth)} are annotated, {len(valid)} of "
                    "them valid; give a pose for each frame, or for each valid one"
                )
            poses[frame] = person.require("poses_3d").to(poses)
        placed.append(truth.with_poses(poses, truth.coordinates or "normal"))
    if of_valid:
        warnings.append(f"as many poses as valid frames in {', '.join(of_valid)}: taken as of these")
    return placed


def _score_mupots(
    cfg: DictConfig,
    path: str,
    truth: dict[str, AnnotatedScene],
    kinds: dict[str, list[PoseSequence]],
    warnings: list[str],
) -> dict[str, Any]:
    """By the MuPoTS-3D protocol; what is odd of the pairs is added to the warnings."""
    people = next(reversed(kinds.values()))
    pairing = cfg.protocol.pairing
    if not has_identities(path) and pairing == "given":
        warnings.append("people have no identities: paired by their 2D joints (protocol.pairing=by2d)")
        pairing = "by2d"
    beyond = _beyond(people, truth)
    if beyond and pairing == "given":
        raise DataError(f"{path}: {beyond}")
    by2d, scenes = _have_keypoints(people), {}
    if not beyond and has_identities(path):
        scenes["given"] = {kind: predicted_scenes(sequences, truth, by2d) for kind, sequences in kinds.items()}
        if pairing == "given" and ROOT_RELATIVE not in warnings:
            warnings += other_order(truth, next(reversed(scenes["given"].values())))
    if by2d:
        scenes["by2d"] = scenes.get("given") or {
            kind: predicted_scenes(_renumbered(sequences), truth) for kind, sequences in kinds.items()
        }
    scores = score_mupots(truth, scenes, cfg.protocol.people, pairing, cfg.protocol.procrustes_script)
    warnings += _partial(scores["coverage"][pairing], cfg.protocol.people)
    return scores


def _beyond(people: list[PoseSequence], truth: dict[str, AnnotatedScene]) -> str:
    """What to say if somebody has a number that the annotation has not; empty if not."""
    for person in people:
        if person.sequence in truth and person.person >= (count := truth[person.sequence].valid.shape[1]):
            return (
                f"{person.name} is not annotated, people are 0 to {count - 1}; number them as annotated, or use "
                "protocol.pairing=by2d with keypoints_2d"
            )
    return ""


def _partial(covered: dict[str, Any], who: str) -> list[str]:
    """Over which sequences the means are, if not over all."""
    found = next(iter(covered.values()))
    held, of = found["sequences"], found["annotated_sequences"]
    if len(held) == len(of):
        return []
    names = ", ".join(held) or "none"
    others = f"PCK and AUC over all {len(of)}, the others as undetected" if who == "all" else "so are PCK and AUC"
    return [f"predictions of {len(held)} of {len(of)} sequences ({names}): millimetres are means over these, {others}"]


def _meaningless(warnings: list[str]) -> tuple[str, ...]:
    """Beginnings of the metrics that these warnings leave without a meaning."""
    relative = _ABSOLUTE if ROOT_RELATIVE in warnings else ()
    return (*relative, *(_IN_MM if any(text.startswith(OTHER_UNIT) for text in warnings) else ()))


def _leave_out(scores: Any, starts: tuple[str, ...]) -> None:
    """Remove the metrics whose keys begin so, at any depth."""
    if isinstance(scores, dict) and starts:
        for key in [key for key in scores if str(key).startswith(starts)]:
            del scores[key]
        for value in scores.values():
            _leave_out(value, starts)


def _have_keypoints(people: list[PoseSequence]) -> bool:
    return any(bool(person.keypoints_2d.any()) for person in people)


def _renumbered(people: list[PoseSequence]) -> list[PoseSequence]:
    """The people of each sequence numbered from 0 in the order of their numbers, as `by2d` takes them."""
    numbers: dict[str, list[int]] = {}
    for person in sorted(people, key=lambda person: person.person):
        numbers.setdefault(person.sequence, []).append(person.person)
    return [dataclasses.replace(p, person=numbers[p.sequence].index(p.person)) for p in people]
