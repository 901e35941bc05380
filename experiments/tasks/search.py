"""`experiment=search_refinement`: Optuna looks for the settings of a refinement.

Numbers that a search has been chosen by are too good to report. So the test sequences are dealt into two parts: trials
are compared on the one, and what the best of them is worth is told by the other, which decides nothing. The run leaves

    best.yaml       the refinement as an option of conf/refinement
    table.md        both parts: without a refinement, with its own values, with the best found
    trials.jsonl    the journal of all trials: the same command goes on from it
"""

from __future__ import annotations

import logging
from statistics import fmean
from typing import TYPE_CHECKING, Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from experiments import datasets
from experiments.loggers import log_files, logging_to
from experiments.results.scoring import check_protocol
from experiments.results.table import COLUMNS, Row, Table, cells_of, headings, notes_of
from experiments.results.writers import markdown_text
from experiments.runs.hashing import deciding_settings, short_hash
from experiments.runs.run_dir import run_folder
from experiments.runs.runner import settle
from experiments.tasks.evaluate import read_test_set, refine_and_score
from experiments.training import lifters
from fileio.json_yaml import write_json, write_text
from pose.errors import ConfigError, PoseError
from pose.sequence import PoseSequence

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)

TUNED, REPORTED = "tuned on", "reported on"


def search(cfg: DictConfig) -> None:
    """Try `search.trials` settings of the refinement, drawn from `search.space`; report the best of them."""
    check_protocol(cfg)
    _check(cfg)
    cfg = datasets.resolve(cfg, trains=cfg.checkpoint is None, tests=True)
    settle(cfg, trains=cfg.checkpoint is None, tests=True)
    study = _study(cfg)
    with logging_to(cfg) as logger:
        from lightning_modules.prediction import lift

        lifter, train_data = lifters.obtain(cfg, logger)
        parts = deal(read_test_set(cfg), cfg.search.tune_every)
        lifted = {part: lift(lifter, people, flip=cfg.flip_average) for part, people in parts.items()}

        def score(refinement: DictConfig, part: str) -> dict[str, Any]:
            return refine_and_score(cfg, parts[part], lifted[part], instantiate(refinement))[1]

        def objective(trial: optuna.Trial) -> float:
            drawn = {key: _draw(trial, key, values) for key, values in cfg.search.space.items()}
            metrics = score(_with(cfg.refinement, drawn), TUNED)["metrics"]["refined"]
            value = fmean(metrics[key] for key in cfg.search.metrics)
            log.info("trial %d: %.1f mm", trial.number, value)
            return value

        done = sum(trial.state.is_finished() for trial in study.trials)
        log.info("%d trials, %d finished before", cfg.search.trials, done)
        study.optimize(objective, n_trials=max(0, cfg.search.trials - done), catch=(PoseError,))
        best = _with(cfg.refinement, study.best_trial.params)
        found = {part: {"own": score(cfg.refinement, part), "best": score(best, part)} for part in parts}
        result = {
            "data": cfg.test.name, "train_data": train_data, "coordinates": cfg.coordinates,
            "refinement": instantiate(best).name,
            **found[REPORTED]["best"],
            "search": {"trials": len(study.trials), "objective": study.best_value, "best": study.best_trial.params},
        }  # fmt: skip
        folder = run_folder()
        settings = OmegaConf.to_yaml(best, resolve=True)
        write_text(folder / "best.yaml", f"# Found by experiment={cfg.name}; table.md beside it says how.\n{settings}")
        write_text(folder / "table.md", markdown_text(*_tables(cfg, result, found)), show=True)
        write_json(folder / "metrics.json", result)
        log_files(logger, cfg.name, [folder / name for name in ("best.yaml", "table.md", "metrics.json")])


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


def _check(cfg: DictConfig) -> None:
    if instantiate(cfg.refinement).name == "none":
        raise ConfigError("refinement=none: has nothing to search for; choose a refinement with settings")
    wanted, known = list(cfg.search.metrics), [key for key in COLUMNS if key.endswith("_mm")]
    if not wanted or not set(wanted) <= set(known):
        raise ConfigError(f"search.metrics={wanted}: must be some of {', '.join(known)}, whose mean is made small")
    unknown = [key for key in cfg.search.space if key not in cfg.refinement]
    if unknown:
        raise ConfigError(f"search.space.{unknown[0]}: is no setting of this refinement; remove it with ~search.space")


def _study(cfg: DictConfig) -> optuna.Study:
    """The search of this very problem: what decides its numbers, but for how many trials it takes."""
    try:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
    except ImportError as error:
        raise ConfigError("experiment=search_refinement: needs Optuna; pip install -e '.[sweeps]'") from error
    problem = deciding_settings(cfg)
    problem["search"] = {key: value for key, value in problem["search"].items() if key != "trials"}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = JournalStorage(JournalFileBackend(str(run_folder() / "trials.jsonl")))
    name = short_hash(problem)
    known = {found.study_name: found.n_trials for found in optuna.get_all_study_summaries(storage)}
    # Another seed for the trials that are added: the same would draw the first ones again.
    sampler = optuna.samplers.TPESampler(seed=cfg.seed + known.get(name, 0))
    return optuna.create_study(storage=storage, sampler=sampler, study_name=name, load_if_exists=True)


def _draw(trial: optuna.Trial, key: str, values: Any) -> Any:
    """A list is a choice; {low: , high: } a number between them, on a logarithmic scale."""
    if OmegaConf.is_list(values):
        return trial.suggest_categorical(key, list(values))
    return trial.suggest_float(key, values.low, values.high, log=True)


def _with(refinement: DictConfig, settings: dict[str, Any]) -> DictConfig:
    changed = refinement.copy()
    OmegaConf.set_readonly(changed, False)
    changed.update(settings)
    return changed


def _tables(cfg: DictConfig, result: dict[str, Any], found: dict[str, dict[str, Any]]) -> list[Table]:
    columns = list(cfg.table.columns)
    note = f"the best of {result['search']['trials']} trials, by the mean of {', '.join(cfg.search.metrics)}"
    tables = []
    for part, scores in found.items():
        rows = [
            Row([label], cells_of(scores[which]["metrics"][kind], columns))
            for label, which, kind in (
                ("no refinement", "own", "lifted"),
                ("its own values", "own", "refined"),
                ("the best found", "best", "refined"),
            )
        ]
        title = f"{cfg.table.title}: the part that is {part}"
        notes = [
            *notes_of([{**result, **scores["best"]}]),
            note,
            f"sequences: {', '.join(scores['own']['per_sequence'])}",
        ]
        tables.append(Table(title, [""], headings(columns), rows, notes, ranked=True))
    return tables
