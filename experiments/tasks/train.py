"""`experiment=train`: a finished lifter in its own folder, and its validation in this run's folder."""

from __future__ import annotations

from omegaconf import DictConfig

from experiments import datasets
from experiments.loggers import logging_to
from experiments.results.report import publish
from experiments.runs.runner import settle
from experiments.training import lifters

#: Training sets that are validated on the MPI-INF-3DHP test set; any other brings its own validation sequences.
_PUBLISHED = ("mpi_inf_3dhp", "muco_temp", "both")


def train(cfg: DictConfig) -> None:
    """Train the lifter of `cfg`, or find it already trained, and report its validation."""
    cfg = datasets.resolve(cfg, trains=True, tests=False)
    settle(cfg, trains=True)
    with logging_to(cfg) as logger:
        _, done = lifters.train(cfg, logger)
        validation = done["validation"]
        result = {
            "data": cfg.data.name if cfg.data.name not in _PUBLISHED else "mpi_inf_3dhp",
            "train_data": done["train_data"],
            "coordinates": cfg.coordinates,
            "refinement": "none",
            "protocol": {"people": "all", "pairing": "given"},
            "metrics": {"lifted": validation["metrics"]},
            "protocols": {},
            "per_sequence": {name: {"lifted": scores} for name, scores in validation["per_sequence"].items()},
        }
        publish(cfg, result, logger)
