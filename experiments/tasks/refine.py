"""`experiment=refine`: somebody else's 3D trajectories through a refinement; no network, no data set.

The rows of one (sequence, person) are a track. The written file holds the given rows in their order, then a row for
each frame that was missing inside a track (`observed` false), placed by the refinement.
"""

from __future__ import annotations

import logging

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig

from data.predictions import Predictions, read_predictions, write_predictions
from experiments.progress import stage
from experiments.results.rows import Track, tracks_of
from experiments.results.table import text_table
from experiments.results.writers import markdown_text
from experiments.runs.run_dir import run_folder
from experiments.runs.runner import settle
from fileio.json_yaml import write_json, write_text
from pose.errors import ConfigError, DataError
from pose.sequence import PoseSequence
from refinement.refiner import RefinementResult

log = logging.getLogger(__name__)

DEFAULT_FPS = 30.0


def refine(cfg: DictConfig) -> None:
    """Refine the tracks of `predictions=FILE.npz`; leave predictions.npz, metrics.json and table.md."""
    if cfg.predictions is None:
        raise ConfigError("predictions=null: give the file to refine, predictions=FILE.npz (docs/formats.md)")
    method = instantiate(cfg.refinement)
    given = read_predictions(cfg.predictions)
    settle(cfg)
    if given.score is None:
        raise DataError(
            f"{cfg.predictions}: has no score, which tells where a person was seen; add score (N,) or (N, J) in 0..1"
        )
    tracks = tracks_of(given, _frame_rate(cfg, given), cfg.coordinates, given.score)
    with stage(f"refining {len(tracks)} people, {sum(len(t.rows) for t in tracks)} frames, by {method.name}"):
        result = method([track.sequence for track in tracks])
    write_predictions(run_folder() / "predictions.npz", _merge(given, tracks, result.sequences))
    _report(cfg, method.name, given, tracks, result)


def _frame_rate(cfg: DictConfig, given: Predictions) -> float:
    fps = cfg.fps if cfg.fps is not None else given.fps
    if fps is None:
        log.warning("%s has no fps: %g frames per second are assumed; set fps=", cfg.predictions, DEFAULT_FPS)
        return DEFAULT_FPS
    if not fps > 0:
        raise ConfigError(f"fps={fps}: must be a positive number of frames per second")
    return float(fps)


def _merge(given: Predictions, tracks: list[Track], refined: list[PoseSequence]) -> Predictions:
    """The given rows with refined poses, then the rows of the frames that were missing."""
    poses_3d = np.array(given.poses_3d, dtype=np.float32)
    new: dict[str, list[np.ndarray]] = {key: [] for key in ("sequence", "frame", "person", "poses_3d", "start")}
    for track, sequence in zip(tracks, refined, strict=True):
        poses, start = sequence.poses_3d, track.sequence.poses_3d
        if poses is None or start is None:
            raise DataError(f"{sequence.name}: the refinement returned no poses")
        known = track.rows >= 0
        poses_3d[track.rows[known]] = poses.numpy()[known]
        count = int((~known).sum())
        new["sequence"].append(np.repeat(sequence.sequence, count))
        new["frame"].append(sequence.frame.numpy()[~known])
        new["person"].append(np.repeat(sequence.person, count))
        new["poses_3d"].append(poses.numpy()[~known])
        new["start"].append(start.numpy()[~known])
    added = sum(map(len, new["frame"]))

    def joined(values: np.ndarray, key: str) -> np.ndarray:
        return np.concatenate([values, *new[key]])

    def padded(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else np.concatenate([values, np.zeros((added, *values.shape[1:]), values.dtype)])

    observed = np.ones(len(given), dtype=bool) if given.observed is None else given.observed
    return Predictions(
        sequence=joined(given.sequence, "sequence"),
        frame=joined(given.frame, "frame"),
        person=joined(given.person, "person"),
        poses_3d=joined(poses_3d, "poses_3d"),
        poses_3d_plain=joined(given.poses_3d, "start"),
        keypoints_2d=padded(given.keypoints_2d),
        score=padded(given.score),
        fps=given.fps,
        K=given.K,
        observed=padded(observed),
    )


def _report(cfg: DictConfig, name: str, given: Predictions, tracks: list[Track], result: RefinementResult) -> None:
    rows = []
    for i, (track, sequence) in enumerate(zip(tracks, result.sequences, strict=True)):
        moved = (sequence.poses_3d - track.sequence.poses_3d).norm(dim=-1).mean(dim=1)  # type: ignore[operator]
        energies = {}
        if found := result.energies:
            energies = {"energy_before": float(found.before[i]), "energy_after": float(found.after[i])}
        rows.append(
            {
                "sequence": sequence.sequence,
                "person": sequence.person,
                "frames": len(sequence),
                "filled": int((track.rows < 0).sum()),
                "moved_mean_mm": float(moved.mean()),
                "moved_max_mm": float(moved.max()),
                **energies,
            }
        )
    write_json(run_folder() / "metrics.json", {"data": str(cfg.predictions), "refinement": name, "tracks": rows})
    table = text_table(f"Refinement by {name}", rows)
    write_text(run_folder() / "table.md", markdown_text(table), show=True)
