"""`experiment=search_refinement`: one trial of a search for the settings of a refinement.

Numbers that a search has been chosen by are too good to report. So the test sequences are dealt into two parts: trials
are compared on the one, and what the best of them is worth is told by the other, which decides nothing. Every trial
that is the best so far writes that down in the sweep's folder, next to the refinement's own values:

    best.yaml   the refinement as an option of conf/refinement
    best.md     both parts: without a refinement, with its own values, with the best
    best.json   the same, and the trial it comes from

Trials may run side by side and on several machines; a search that is started again takes finished trials as they are.
"""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import Any

from hydra import compose
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from experiments import datasets
from experiments.loggers import logging_to
from experiments.results.report import COLUMNS, cells, markdown, publish
from experiments.results.scoring import check_protocol
from experiments.runs.run_dir import run_folder
from experiments.runs.runner import settle
from experiments.runs.sweep import Finished, config_hash
from experiments.tasks.evaluate import lift_and_score, read_test_set
from experiments.training import lifters
from fileio.json_yaml import load_object, write_json, write_text
from fileio.locks import waiting_for
from pose.errors import ConfigError
from pose.sequence import PoseSequence

TUNED, REPORTED = "tuned on", "reported on"


def search(cfg: DictConfig) -> float:
    """Score the refinement of `cfg` on both parts; the mean of `search.metrics` on the part that is tuned on."""
    check_protocol(cfg)
    _check_metrics(cfg)
    if instantiate(cfg.refinement).name == "none":
        raise ConfigError("refinement=none: has nothing to search for; choose a refinement with settings")
    cfg = datasets.resolve(cfg, trains=cfg.checkpoint is None, tests=True)
    try:
        settle(cfg)
    except Finished:
        result = load_object(run_folder() / "metrics.json")
    else:
        with logging_to(cfg) as logger:
            result = _score(cfg, logger)
            publish(cfg, result, logger)
    _note_if_best(cfg, result)
    return result["search"]["objective"]


def deal(people: list[PoseSequence], every: int) -> dict[str, list[PoseSequence]]:
    """The people of each `every`-th sequence, from the first, to tune on; all others to report on."""
    names = list(dict.fromkeys(person.sequence for person in people))
    if not isinstance(every, int) or every < 2 or len(names) < 2:
        raise ConfigError(
            f"search.tune_every={every}: must be a whole number from 2 on, and the test set have two sequences or "
            f"more (found {len(names)}), so that both parts hold some"
        )
    tuned = set(names[::every])
    return {
        TUNED: [person for person in people if person.sequence in tuned],
        REPORTED: [person for person in people if person.sequence not in tuned],
    }


def _score(cfg: DictConfig, logger: Any) -> dict[str, Any]:
    """metrics.json of a trial: `metrics` and the like of the part that is tuned on, the other under `search`."""
    lifter, train_data = lifters.obtain(cfg, logger)
    method = instantiate(cfg.refinement)
    parts = deal(read_test_set(cfg), cfg.search.tune_every)
    scores = {part: lift_and_score(cfg, lifter, people, method)[1] for part, people in parts.items()}
    tuned = scores[TUNED]
    return {
        "data": cfg.test.name, "train_data": train_data, "coordinates": cfg.coordinates, "refinement": method.name,
        **tuned,
        "search": {
            "objective": fmean(tuned["metrics"]["refined"][key] for key in cfg.search.metrics),
            TUNED: {"sequences": list(tuned["per_sequence"]), **tuned["metrics"]},
            REPORTED: {"sequences": list(scores[REPORTED]["per_sequence"]), **scores[REPORTED]["metrics"]},
        },
    }  # fmt: skip


def _check_metrics(cfg: DictConfig) -> None:
    wanted, known = list(cfg.search.metrics), [key for key in COLUMNS if key.endswith("_mm")]
    if not wanted or not set(wanted) <= set(known):
        raise ConfigError(f"search.metrics={wanted}: must be some of {', '.join(known)}, whose mean is made small")


def _note_if_best(cfg: DictConfig, result: dict[str, Any]) -> None:
    """Replace the files about the best trial if this one is better, or they are about another search."""
    folder = Path(HydraConfig.get().sweep.dir)
    own = _own_values(cfg)
    problem = config_hash(own)
    with waiting_for(folder / "best.lock", "the best trial"):
        path = folder / "best.json"
        best = load_object(path, "remove it: the search notes its best anew") if path.is_file() else {}
        if best.get("problem") != problem:
            best = {"problem": problem, "own": _score(own, None)["search"]}
        elif best["best"]["objective"] <= result["search"]["objective"]:
            return
        best |= {"best": result["search"], "trial": run_folder().name}
        settings = OmegaConf.to_yaml(cfg.refinement, resolve=True)
        write_text(folder / "best.yaml", f"# Found by experiment={cfg.name}; best.md beside it says how.\n{settings}")
        write_text(folder / "best.md", _text(cfg, result, best))
        write_json(path, best)


def _own_values(cfg: DictConfig) -> DictConfig:
    """The configuration of this trial with the refinement as its option's file has it."""
    words = [word for word in HydraConfig.get().overrides.task if not word.lstrip("+").startswith("refinement.")]
    own = cfg.copy()
    OmegaConf.set_readonly(own, False)
    own.refinement = compose("config", overrides=words).refinement
    return own


def _text(cfg: DictConfig, result: dict[str, Any], best: dict[str, Any]) -> str:
    columns = list(cfg.table.columns)
    lines = [f"# {cfg.table.title}", ""]
    if "synthetic" in (result["data"], result["train_data"]):
        lines += ["**SYNTHETIC STAND-IN DATA: these numbers say nothing about the real data sets.**", ""]
    lines += [
        f"Test data: {result['data']}; training data: {result['train_data']}; coordinates: {result['coordinates']}; "
        f"smallest mean of {', '.join(cfg.search.metrics)}; best trial: {best['trial']}.",
    ]
    for part in (TUNED, REPORTED):
        rows = [
            [name, *cells(scores, columns)]
            for name, scores in (
                ("no refinement", best["best"][part]["lifted"]),
                ("its own values", best["own"][part]["refined"]),
                ("the best found", best["best"][part]["refined"]),
            )
        ]
        lines += ["", f"The part that is {part}: {', '.join(best['best'][part]['sequences'])}", ""]
        lines += markdown(["", *(COLUMNS[key] for key in columns)], rows)
    return "\n".join(lines) + "\n"
