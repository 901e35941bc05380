"""`experiment=refine`: the 3D trajectories of a file through a refinement; no network, no data set.

Where the file has `lifted_3d` these are refined, so that another refinement can be tried on what a run has left. The
written file also has the frames that were missing inside a track (`detected` false), placed by the refinement.
"""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from data.predictions import read_facts, read_predictions, write_predictions
from experiments.progress import stage
from experiments.results.table import text_table
from experiments.results.writers import markdown_text
from experiments.runs.run_dir import run_folder
from experiments.runs.runner import settle
from fileio.json_yaml import write_json, write_text
from pose.errors import ConfigError, DataError, check_rate
from pose.metrics.plausibility import check_unit, check_view
from pose.sequence import PoseSequence
from refinement.gaps import filled, given_joints
from refinement.refiner import RefinementResult, Refiner

log = logging.getLogger(__name__)

#: Frames of all tracks, the missing included: as many, or as many for each frame of the file, are an honest file's.
MAX_FRAMES, MAX_FRAMES_TIMES = 100_000, 100


def refine(cfg: DictConfig) -> None:
    """Refine the tracks of `predictions=FILE.npz`; leave predictions.npz, metrics.json and table.md.

    Or those of another program's file, `input=FILE` (docs/refine_your_own.md); leave what `predict` leaves.
    """
    if not isinstance(cfg.predictions, str | None):
        raise ConfigError(f"predictions={cfg.predictions}: give one file")
    if (cfg.predictions is None) == (cfg.predict.input is None):  # none or both
        raise ConfigError(
            f"predictions={cfg.predictions}, input={cfg.predict.input}: give one, predictions=FILE.npz (formats.md) "
            "or input=FILE, another program's 3D poses (docs/refine_your_own.md)"
        )
    if cfg.fps is not None:
        check_rate(cfg.fps)
    if cfg.predict.input is not None:
        return _refine_input(cfg)
    method = instantiate(cfg.refinement)
    predictions = str(cfg.predictions)
    given = read_predictions(predictions, cfg.coordinates, cfg.fps)
    check_unit(torch.cat([person.require("poses_3d") for person in given]).numpy(), predictions)
    for warning in check_view(given, predictions):
        log.warning("%s", warning)
    settle(cfg)
    tracks, result = refined(given, method, predictions)
    write_predictions(run_folder() / "predictions.npz", result.sequences, **read_facts(predictions))
    _report(cfg, method.name, given, tracks, result)


def refined(people: list[PoseSequence], method: Refiner, source: str) -> tuple[list[PoseSequence], RefinementResult]:
    """The tracks of these people, and `method` on them. DataError, naming `source`, where it says not who was seen."""
    if not any(bool(person.confidence.any()) for person in people):
        raise DataError(
            f"{source}: has no confidence, or nothing but zeros, which tells where a person was seen; add confidence "
            "(N,) or (N, K) in 0..1"
        )
    tracks = tracks_of(people, source)
    with stage(f"refining {len(tracks)} people, {sum(map(len, tracks))} frames, by {method.name}"):
        result = method(tracks)
    for note in result.notes:
        log.info(note)
    return tracks, result


def _refine_input(cfg: DictConfig) -> None:
    from data.poses import read_poses
    from data.poses.rows import Options
    from experiments.tasks.predict import exporters_of, leave, pictures_of
    from inference.cameras.camera import CameraSettings
    from inference.imported import predict_from
    from pose.level import check_leveling

    given = cfg.predict
    given.input, method = str(given.input), instantiate(cfg.refinement)
    settings: Any = OmegaConf.to_container(given.camera, resolve=True)
    camera = CameraSettings(**settings)
    check_leveling(given.level)
    pictures_of(cfg)
    exporters = exporters_of(cfg)
    tracker = instantiate(cfg.tracker)
    settle(cfg)
    body_model = None if cfg.body_model is None else str(cfg.body_model)
    rows = read_poses(given.input, Options(given.input_options.joint_set, camera.image_size, body_model))
    with stage(f"refining {rows.program}'s poses by {method.name}"):
        found = predict_from(rows, Path(given.input).name, camera, tracker, method, given.fps, given.people)
    leave(cfg, found, exporters, method.name)


def tracks_of(people: list[PoseSequence], source: str) -> list[PoseSequence]:
    """Each person with every frame from its first to its last and its lifted poses as `poses_3d`.

    Frames that are missing inside are undetected, with poses on the straight line between their neighbours. Raises
    DataError, naming `source`, where these are so many that the frame numbers must be wrong.
    """
    total, rows = 0, sum(map(len, people))
    for person in people:
        total += int(person.frame[-1] - person.frame[0]) + 1
        if total > MAX_FRAMES and total > MAX_FRAMES_TIMES * rows:
            raise DataError(
                f"{source}: {rows} rows over {total} frames, the last of {person.name} is {int(person.frame[-1])}; "
                "number frames from 0, and give people who come back after a long time a new number"
            )
    tracks = []
    for person in people:
        if person.lifted_3d is not None:
            person = dataclasses.replace(person, poses_3d=person.lifted_3d)
        tracks.append(_gapless(person))
    return tracks


def _gapless(person: PoseSequence) -> PoseSequence:
    first, last = int(person.frame[0]), int(person.frame[-1])
    if last - first + 1 == len(person):
        return person
    frame = torch.arange(first, last + 1)
    known = torch.isin(frame, person.frame)
    # Every frame, the missing ones as copies of the one before, then without what was seen in that.
    every = dataclasses.replace(person.selected(known.cumsum(0) - 1), frame=frame)
    poses_3d = every.require("poses_3d").masked_fill(~known[:, None, None], torch.nan)
    undetected = dataclasses.replace(
        every,
        poses_3d=poses_3d,
        lifted_3d=None,
        keypoints_2d=every.keypoints_2d * known[:, None, None],
        confidence=every.confidence * known[:, None],
        detected=every.detected & known,
        observed=None if every.observed is None else every.observed & known[:, None],
    )
    return filled(undetected, given_joints(undetected))


def _report(
    cfg: DictConfig, name: str, given: list[PoseSequence], tracks: list[PoseSequence], result: RefinementResult
) -> None:
    rows = []
    for i, (person, track, refined) in enumerate(zip(given, tracks, result.sequences, strict=True)):
        moved = (refined.require("poses_3d") - track.require("poses_3d")).norm(dim=-1).mean(dim=1)
        energies = {}
        if found := result.energies:
            energies = {"energy_before": float(found.before[i]), "energy_after": float(found.after[i])}
        rows.append(
            {
                "sequence": refined.sequence,
                "person": refined.person,
                "frames": len(refined),
                "filled": len(refined) - len(person),
                "moved_mean_mm": float(moved.mean()),
                "moved_max_mm": float(moved.max()),
                **energies,
            }
        )
    write_json(run_folder() / "metrics.json", {"data": str(cfg.predictions), "refinement": name, "tracks": rows})
    table = text_table(f"Refinement by {name}", rows)
    write_text(run_folder() / "table.md", markdown_text(table), show=True)
