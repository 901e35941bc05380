"""`experiment=mupots_pck`, `mupots_mm`, `mpii_3dhp`, `quickstart`: test a lifter, lifted and refined.
`experiment=evaluate`: test the predictions of a file.

In the former a lifter (given, reused or trained) makes the predictions and the refinement refines them.
"""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING, Any

from hydra.utils import instantiate
from omegaconf import DictConfig

from data.predictions import read_facts, read_predictions, write_predictions
from data.sets.reader import read_sequences
from experiments import datasets
from experiments.loggers import logging_to
from experiments.progress import stage
from experiments.results.report import publish
from experiments.results.scoring import add_own_metrics, check_protocol, score_mpi_inf_3dhp, score_mupots
from experiments.runs.run_dir import run_folder
from experiments.runs.runner import settle
from experiments.tasks.refine import refined
from experiments.training import lifters
from pose.errors import ConfigError, DataError
from pose.sequence import PoseSequence
from refinement.refiner import Refiner

if TYPE_CHECKING:
    from lightning_modules.lifter import Lifter

log = logging.getLogger(__name__)


def evaluate(cfg: DictConfig) -> None:
    """Lift the test set, refine, score, and leave metrics.json, table.md and predictions.npz."""
    check_protocol(cfg)
    if cfg.predictions is not None:
        raise ConfigError(f"predictions={cfg.predictions}: {cfg.name} makes its own; use experiment=evaluate")
    method = instantiate(cfg.refinement)
    cfg = datasets.resolve(cfg, trains=cfg.checkpoint is None, tests=True)
    settle(cfg, trains=cfg.checkpoint is None, tests=True)
    with logging_to(cfg) as logger:
        publish(cfg, _evaluate_lifter(cfg, read_test_set(cfg), method, logger), logger)


def evaluate_predictions(cfg: DictConfig) -> None:
    """Score the predictions of a file, after `refinement=`; leave metrics.json, table.md and predictions.npz."""
    check_protocol(cfg)
    if cfg.predictions is None:
        raise ConfigError("predictions=null: give the file to evaluate, predictions=FILE.npz (docs/formats.md)")
    if protocol_of(cfg) != "mupots_3d":
        raise ConfigError(f"test={cfg.test.name}: predictions= is for the MuPoTS-3D protocol; use test=mupots_3d")
    people = read_predictions(cfg.predictions, cfg.coordinates, cfg.fps)
    if cfg.protocol.pairing == "by2d" and not _have_keypoints(people):
        raise ConfigError(f"protocol.pairing=by2d: {cfg.predictions} has no keypoints_2d; add it or use given")
    cfg = datasets.resolve(cfg, trains=False, tests=True)
    settle(cfg, tests=True)
    if (method := instantiate(cfg.refinement)).name != "none":
        people = refined(people, method, cfg.predictions)[1].sequences
    with logging_to(cfg) as logger:
        scores = _evaluate_file(cfg, read_test_set(cfg), people)
        publish(cfg, {**scores, "refinement": method.name}, logger)


def read_test_set(cfg: DictConfig) -> list[PoseSequence]:
    with stage(f"reading {cfg.test.name}"):
        return read_sequences(datasets.evaluation_reader(cfg), cfg.coordinates)


def _evaluate_lifter(cfg: DictConfig, annotated: list[PoseSequence], method: Refiner, logger: Any) -> dict[str, Any]:
    lifter, train_data = lifters.obtain(cfg, logger)
    predictions, scores = lift_and_score(cfg, lifter, annotated, method)
    lifted, people = predictions["lifted"], predictions.get("refined", predictions["lifted"])
    write_predictions(run_folder() / "predictions.npz", people)
    if cfg.pictures:
        _draw(cfg, annotated, lifted, people)
    return {**_about(cfg, train_data, method.name), **scores}


def lift_and_score(
    cfg: DictConfig, lifter: Lifter, annotated: list[PoseSequence], method: Refiner
) -> tuple[dict[str, list[PoseSequence]], dict[str, Any]]:
    """Lift and refine annotated people: `lifted` and (unless the method is none) `refined`, and their scores."""
    from lightning_modules.prediction import lift

    with stage(f"lifting {sum(map(len, annotated))} frames of {len(annotated)} people"):
        lifted = lift(lifter, annotated)
    return refine_and_score(cfg, annotated, lifted, method)


def refine_and_score(
    cfg: DictConfig, annotated: list[PoseSequence], lifted: list[PoseSequence], method: Refiner
) -> tuple[dict[str, list[PoseSequence]], dict[str, Any]]:
    """As `lift_and_score`, of people lifted before."""
    from pose.metrics.scenes import predicted_scenes, scenes_from_sequences

    predictions = {"lifted": lifted}
    if method.name != "none":
        with stage(f"refining by {method.name}"):
            predictions["refined"] = method(lifted).sequences
    if protocol_of(cfg) == "mpi_inf_3dhp":
        scores = score_mpi_inf_3dhp(annotated, predictions)
    else:
        truth = scenes_from_sequences(annotated)
        scenes = {kind: predicted_scenes(sequences, truth) for kind, sequences in predictions.items()}
        scores = score_mupots(truth, {"given": scenes, "by2d": scenes}, **cfg.protocol)
    add_own_metrics(cfg, scores, annotated, predictions)
    return predictions, scores


def _evaluate_file(cfg: DictConfig, annotated: list[PoseSequence], people: list[PoseSequence]) -> dict[str, Any]:
    from pose.metrics.scenes import predicted_scenes, scenes_from_sequences

    kinds = {"lifted": people}
    if all(person.lifted_3d is not None for person in people):
        lifted = [dataclasses.replace(person, poses_3d=person.lifted_3d) for person in people]
        kinds = {"lifted": lifted, "refined": people}
    truth = scenes_from_sequences(annotated)
    annotated_people = {name: scene.valid.shape[1] for name, scene in truth.items()}
    beyond = [p for p in people if p.sequence in truth and p.person >= annotated_people[p.sequence]]
    if beyond and cfg.protocol.pairing == "given":
        last = annotated_people[beyond[0].sequence] - 1
        raise DataError(
            f"{cfg.predictions}: {beyond[0].name} is not annotated, people are 0 to {last}; number them as annotated, "
            "or use protocol.pairing=by2d with keypoints_2d"
        )
    by2d, scenes = _have_keypoints(people), {}
    if not beyond:
        scenes["given"] = {kind: predicted_scenes(sequences, truth, by2d) for kind, sequences in kinds.items()}
    if by2d:
        scenes["by2d"] = scenes.get("given") or {
            kind: predicted_scenes(_renumbered(sequences), truth) for kind, sequences in kinds.items()
        }
    write_predictions(run_folder() / "predictions.npz", people, **read_facts(cfg.predictions))
    scores = score_mupots(truth, scenes, **cfg.protocol)
    add_own_metrics(cfg, scores, annotated, kinds)
    return {**_about(cfg, None, "none"), **scores}


def _have_keypoints(people: list[PoseSequence]) -> bool:
    return any(bool(person.keypoints_2d.any()) for person in people)


def _renumbered(people: list[PoseSequence]) -> list[PoseSequence]:
    """The people of each sequence numbered from 0 in the order of their numbers, as `by2d` takes them."""
    numbers: dict[str, list[int]] = {}
    for person in sorted(people, key=lambda person: person.person):
        numbers.setdefault(person.sequence, []).append(person.person)
    return [dataclasses.replace(p, person=numbers[p.sequence].index(p.person)) for p in people]


def protocol_of(cfg: DictConfig) -> str:
    """The protocol of the chosen test set: mupots_3d or mpi_inf_3dhp."""
    return {"synthetic": cfg.test.get("benchmark"), "mocap": "mupots_3d"}.get(cfg.test.name, cfg.test.name)


def _about(cfg: DictConfig, train_data: str | None, refinement: str) -> dict[str, Any]:
    return {"data": cfg.test.name, "train_data": train_data, "coordinates": cfg.coordinates, "refinement": refinement}


def _draw(
    cfg: DictConfig, annotated: list[PoseSequence], lifted: list[PoseSequence], refined: list[PoseSequence]
) -> None:
    """The figure of a trajectory through an occlusion and a clip of its scene."""
    from inference.render.clip import scene_clip
    from inference.render.figures import choose_occlusion, trajectory_figure

    note = f"{cfg.test.name} data, lifter trained on {cfg.data.name}"
    index, start, end = choose_occlusion(annotated)
    chosen = annotated[index]
    figure, clip = run_folder() / "trajectory.png", run_folder() / "scene.gif"
    with stage("drawing"):
        title = f"{chosen.sequence}, person {chosen.person}, through an occlusion"
        trajectory_figure(figure, chosen, lifted[index], refined[index], title, note, focus=(start, end))
        scene = [i for i, sequence in enumerate(annotated) if sequence.sequence == chosen.sequence]
        truth, before, after = ([rows[i] for i in scene] for rows in (annotated, lifted, refined))
        scene_clip(clip, truth, before, after, focus=(start, end), note=note)
    log.info("look at %s and %s", figure, clip)
