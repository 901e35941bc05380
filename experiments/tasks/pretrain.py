"""`experiment=pretrain_mocap`: the lifters that come with the package, from motion capture, and how well they do.

A lifter is trained on scenes of the people below `paths.mocap` and tested on scenes of those below `paths.mocap_test`,
other people. A card beside the weights, written by hand, gives the figures and the hash of the file; a test compares
the hash.
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
    """Prepare the scenes, train, test, and write weights, table, metrics."""
    from lightning_modules.checkpoint import export_safetensors, load_lifter

    if cfg.data.name != "mocap" or cfg.test.name != "mocap":
        raise ConfigError(f"data={cfg.data.name}, test={cfg.test.name}: pretraining is for motion capture; use mocap")
    settle(cfg)
    method = instantiate(cfg.refinement)
    root = datasets.datasets_root(cfg).resolve()
    _prepare(cfg, root)
    with logging_to(cfg) as logger:
        folder, _ = lifters.train(cfg, logger)
    lifter = load_lifter(folder)
    _, scores = lift_and_score(cfg, lifter, read_test_set(cfg), method)
    name = f"mocap_{cfg.coordinates}" + ("_causal" if lifter.causal else "")
    weights = Path(cfg.pretrain.weights) / f"{name}.safetensors"
    export_safetensors(weights, lifter)
    log.info("weights: %s", weights)
    people = mocap_settings(mocap_folder(root))
    result: dict[str, Any] = {
        "data": "mocap", "train_data": "mocap", "coordinates": cfg.coordinates, "refinement": method.name,
        "test_subjects": people["test_names"], **{key: scores[key] for key in ("metrics", "protocol")},
    }  # fmt: skip
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    result["weights"] = {"file": weights.name, "sha256": digest, "lifter": folder.name}
    write_json(run_folder() / "metrics.json", result)
    write_text(run_folder() / "table.md", markdown_text(_table(cfg, result, people)), show=True)


def _prepare(cfg: DictConfig, root: Path) -> None:
    """Make the set unless it is there complete."""
    if cfg.paths.mocap is None and mocap_folder(root).is_dir():
        return
    options: Any = OmegaConf.to_container(cfg.prepare, resolve=True)
    jobs = options.pop("jobs")
    kept = {key: value for key, value in options.items() if key not in ("name", "verify")}
    with stage("motion capture"):
        run_steps(root, instantiate(kept, root=str(root)), jobs=jobs)


def _table(cfg: DictConfig, result: dict[str, Any], people: dict[str, Any]) -> Table:
    columns = list(cfg.table.columns)
    rows = [Row([kind], cells_of(scores, columns)) for kind, scores in result["metrics"].items()]
    own = people["test_names"] == people["names"]
    who = "the very people trained on" if own else f"{len(people['test_names'])} people who were not trained on"
    notes = [
        "SIMULATED cameras and detections of real motion: these numbers say nothing about any published data set",
        f"tested on {who}: {', '.join(people['test_names'])}",
        *notes_of([{**result, "protocol": {"people": "all", "pairing": "given"}}]),
    ]
    return Table(cfg.table.title, ["poses"], headings(columns), rows, notes)
