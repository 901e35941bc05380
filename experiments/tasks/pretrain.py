"""`experiment=pretrain_mocap`: the lifters that come with the package, from motion capture, and how well they do.

For an honest measure each subject is left out in turn: a lifter of the others is tested on scenes of that subject. The
lifter that is written learns from all of them. A card beside it, written by hand, gives the figures of the table and
the hash of the file; a test compares the hash.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from data.mocap.sets import mocap_folder, mocap_settings
from data.prepare.steps import run_steps
from experiments import datasets
from experiments.loggers import logging_to
from experiments.progress import stage
from experiments.results.table import Row, Table, cells_of, headings, notes_of
from experiments.results.writers import markdown_text
from experiments.runs.run_dir import run_folder
from experiments.runs.runner import settle
from experiments.tasks.evaluate import lift_and_score, read_test_set
from experiments.training import lifters
from fileio.json_yaml import write_json, write_text
from pose.errors import ConfigError

log = logging.getLogger(__name__)


def pretrain(cfg: DictConfig) -> None:
    """Prepare the sets, train and test without each subject, train on all, and write weights, table, metrics."""
    from lightning_modules.checkpoint import export_safetensors, load_lifter

    if cfg.data.name != "mocap" or cfg.test.name != "mocap":
        raise ConfigError(f"data={cfg.data.name}, test={cfg.test.name}: pretraining is for motion capture; use mocap")
    settle(cfg)
    method = instantiate(cfg.refinement)
    _prepare(cfg, None)
    names = mocap_settings(mocap_folder(datasets.datasets_root(cfg), None))["names"]
    folds: dict[str, Any] = {}
    for subject in names if cfg.pretrain.folds else []:
        _prepare(cfg, subject)
        fold = _without(cfg, subject)
        folder, _ = lifters.train(fold)
        _, scores = lift_and_score(fold, load_lifter(folder), read_test_set(fold), method)
        folds[subject] = {"lifter": folder.name, **{key: scores[key] for key in ("metrics", "protocol")}}
    result: dict[str, Any] = {
        "data": "mocap", "train_data": "mocap", "coordinates": cfg.coordinates, "refinement": method.name,
        "folds": folds, "mean": _mean(folds),
    }  # fmt: skip
    table = markdown_text(_table(cfg, result))
    if cfg.pretrain.final:
        with logging_to(cfg) as logger:
            folder, _ = lifters.train(cfg, logger)
        name = f"mocap_{cfg.coordinates}" + ("_causal" if cfg.model.network.causal else "")
        weights = Path(cfg.pretrain.weights) / f"{name}.safetensors"
        export_safetensors(weights, load_lifter(folder))
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        result["final"] = {"file": weights.name, "sha256": digest, "lifter": folder.name}
        log.info("weights: %s", weights)
    write_json(run_folder() / "metrics.json", result)
    write_text(run_folder() / "table.md", table, show=True)


def _prepare(cfg: DictConfig, held_out: str | None) -> None:
    """Make the set without this subject unless it is there complete."""
    root = datasets.datasets_root(cfg).resolve()
    if cfg.paths.mocap is None and mocap_folder(root, held_out).is_dir():
        return
    options: Any = OmegaConf.to_container(cfg.prepare, resolve=True)
    jobs = options.pop("jobs")
    kept = {key: value for key, value in options.items() if key not in ("name", "verify")}
    with stage(f"motion capture {mocap_folder(root, held_out).name}"):
        run_steps(root, instantiate({**kept, "held_out": held_out}, root=str(root)), jobs=jobs)


def _without(cfg: DictConfig, subject: str) -> DictConfig:
    fold = cfg.copy()
    OmegaConf.set_readonly(fold, False)
    fold.data.held_out = fold.test.held_out = subject
    return fold


def _mean(folds: dict[str, Any]) -> dict[str, dict[str, float]]:
    """lifted / refined -> metric -> mean over the subjects."""
    if not folds:
        return {}
    runs = [fold["metrics"] for fold in folds.values()]
    return {
        kind: {key: sum(run[kind][key] for run in runs) / len(runs) for key in scores}
        for kind, scores in runs[0].items()
    }


def _table(cfg: DictConfig, result: dict[str, Any]) -> Table:
    columns = list(cfg.table.columns)
    shown = {**{name: fold["metrics"] for name, fold in result["folds"].items()}, "mean": result["mean"]}
    rows = [
        Row([name, kind], cells_of(scores, columns)) for name, kinds in shown.items() for kind, scores in kinds.items()
    ]
    notes = [
        "SIMULATED cameras and detections of real motion: these numbers say nothing about any published data set",
        "each subject was left out of training and tested on",
        *notes_of([{**result, "protocol": {"people": "all", "pairing": "given"}}]),
    ]
    return Table(cfg.table.title, ["subject left out", "poses"], headings(columns), rows, notes)
