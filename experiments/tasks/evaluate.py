"""`experiment=mupots_pck`, `mupots_mm`, `mpii_3dhp`, `quickstart`: test a lifter, lifted and refined.

A lifter (given, reused or trained) makes the predictions and the refinement refines them.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from hydra.utils import instantiate
from omegaconf import DictConfig

from data.predictions import write_predictions
from data.sets.reader import read_sequences
from experiments import datasets
from experiments.loggers import logging_to
from experiments.progress import stage
from experiments.results.report import publish
from experiments.results.scoring import add_own_metrics, check_protocol, score_mpi_inf_3dhp, score_mupots
from experiments.runs.run_dir import run_folder
from experiments.runs.runner import settle
from experiments.training import lifters
from pose.errors import ConfigError
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


def read_test_set(cfg: DictConfig) -> list[PoseSequence]:
    """ConfigError for a test set without detections where these are to be lifted."""
    if not cfg.test.get("detections", True) and cfg.predictions is None:
        raise ConfigError("test.detections=false: this experiment lifts the detections; leave it out")
    with stage(f"reading {cfg.test.name}"):
        return read_sequences(datasets.evaluation_reader(cfg), cfg.coordinates)


def activities_of(cfg: DictConfig) -> dict[str, Any]:
    """The activities of the frames of the test set, by sequence; empty where it has none."""
    return getattr(datasets.evaluation_reader(cfg), "activities", dict)()


def _evaluate_lifter(cfg: DictConfig, annotated: list[PoseSequence], method: Refiner, logger: Any) -> dict[str, Any]:
    lifter, train_data = lifters.obtain(cfg, logger)
    predictions, scores = lift_and_score(cfg, lifter, annotated, method)
    lifted, people = predictions["lifted"], predictions.get("refined", predictions["lifted"])
    write_predictions(run_folder() / "predictions.npz", people)
    if cfg.pictures:
        _draw(f"{cfg.test.name} data, lifter trained on {train_data}", annotated, lifted, people)
    return {**_about(cfg, train_data, method.name), **scores}


def lift_and_score(
    cfg: DictConfig, lifter: Lifter, annotated: list[PoseSequence], method: Refiner
) -> tuple[dict[str, list[PoseSequence]], dict[str, Any]]:
    """Lift and refine annotated people: `lifted` and (unless the method is none) `refined`, and their scores."""
    from lightning_modules.prediction import lift

    with stage(f"lifting {sum(map(len, annotated))} frames of {len(annotated)} people"):
        lifted = lift(lifter, annotated, flip=cfg.flip_average)
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
        scores = score_mpi_inf_3dhp(annotated, predictions, activities_of(cfg))
    else:
        truth = scenes_from_sequences(annotated)
        scenes = {kind: predicted_scenes(sequences, truth) for kind, sequences in predictions.items()}
        scores = score_mupots(truth, {"given": scenes, "by2d": scenes}, **cfg.protocol)
    add_own_metrics(cfg, scores, annotated, predictions)
    return predictions, scores


def protocol_of(cfg: DictConfig) -> str:
    """The protocol of the chosen test set: mupots_3d or mpi_inf_3dhp."""
    return {"synthetic": cfg.test.get("benchmark"), "mocap": "mupots_3d"}.get(cfg.test.name, cfg.test.name)


def _about(cfg: DictConfig, train_data: str | None, refinement: str) -> dict[str, Any]:
    return {"data": cfg.test.name, "train_data": train_data, "coordinates": cfg.coordinates, "refinement": refinement}


def _draw(note: str, annotated: list[PoseSequence], lifted: list[PoseSequence], refined: list[PoseSequence]) -> None:
    """The figure of a trajectory through an occlusion and a clip of its scene."""
    from inference.render.clip import scene_clip
    from inference.render.figures import choose_occlusion, frames_within, hidden_frames, trajectory_figure

    index, start, end = choose_occlusion(annotated)
    chosen = annotated[index]
    figure, clip = run_folder() / "trajectory.png", run_folder() / "scene.gif"
    with stage("drawing"):
        occluded = hidden_frames(chosen)[frames_within(chosen, start, end).cpu().numpy()].any()
        title = f"{chosen.sequence}, person {chosen.person}" + (", through an occlusion" if occluded else "")
        trajectory_figure(figure, chosen, lifted[index], refined[index], title, note, focus=(start, end))
        scene = [i for i, sequence in enumerate(annotated) if sequence.sequence == chosen.sequence]
        truth, before, after = ([rows[i] for i in scene] for rows in (annotated, lifted, refined))
        scene_clip(clip, truth, before, after, focus=(start, end), note=note)
    log.info("look at %s and %s", figure, clip)
