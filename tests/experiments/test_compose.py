"""Every experiment and every option of every group composes, and what it names exists and takes these keys."""

from __future__ import annotations

import inspect
import math
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf

from experiments.results.table import COLUMNS

CONF = Path(__file__).resolve().parents[2] / "conf"
EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))
GROUPS = [
    (group.name, path.stem)
    for group in sorted(CONF.iterdir())
    if group.is_dir() and group.name != "experiment"
    for path in sorted(group.glob("*.yaml"))
]
#: Keys that a group's option holds beside its constructor's arguments.
BESIDE = {"data": {"name", "require_real"}, "test": {"name"}, "prepare": {"name", "jobs", "verify"}}
#: Arguments that a task adds.
ADDED = {"data": {"root"}, "test": {"root"}, "prepare": {"root"}, "model": {"n_features", "n_targets"}}


def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        return compose("config", overrides=list(overrides))


def targets(node, group: str, top: bool = True):
    """(group, target, keys, is the group's own) of every `_target_` at or below a node."""
    if OmegaConf.is_dict(node):
        keys = {key for key in node if key not in ("_target_", "_partial_", "defaults")}
        if "_target_" in node:
            partial = "_partial_" in node
            yield group, node["_target_"], keys - (BESIDE.get(group, set()) if top else set()), top, partial
        for key in keys:
            if not OmegaConf.is_missing(node, key) and OmegaConf.is_config(node._get_node(key)):
                yield from targets(node[key], group, top=False)


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize(
    ("size", "coordinates"), [("tiny", "normal"), ("small", "universal"), ("full", "normal"), ("full", "universal")]
)
def test_experiment_composes_under_any_override(name: str, coordinates: str, size: str) -> None:
    cfg = composed(f"experiment={name}", f"coordinates={coordinates}", f"size={size}", "refinement=none", "seed=3")
    assert cfg.name == name
    assert cfg.coordinates == coordinates
    assert cfg.refinement._target_.endswith("NoRefinement")
    assert cfg.model.network.channels == {"tiny": 16, "small": 192, "full": 1024}[size]


@pytest.mark.parametrize(("group", "option"), GROUPS)
def test_option_names_a_callable_with_its_keys_as_arguments(group: str, option: str) -> None:
    cfg = composed(f"{group}={option}")
    for of, target, keys, top, partial in targets(cfg[group], group) if group in cfg else ():
        function = get_object(target)
        inspected = function.__init__ if inspect.isclass(function) else function
        parameters = inspect.signature(inspected).parameters
        takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
        unknown = set() if takes_any else keys - set(parameters)
        assert not unknown, f"{group}={option}: {target} does not take {unknown}"
        required = {
            name
            for name, parameter in parameters.items()
            if parameter.default is parameter.empty
            and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            and name != "self"
        }
        added = ADDED.get(of, set()) if top or of == "model" else set()
        assert partial or required <= keys | added, f"{group}={option}: {target} also needs {required - keys - added}"


def test_default_folders_of_runs_that_start_together_differ() -> None:
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        runs = [compose("config", ["experiment=predict"], return_hydra_config=True) for _ in range(4)]
    assert len({run.hydra.run.dir for run in runs}) == 4


def test_published_defaults_are_those_of_the_method() -> None:
    cfg = composed("experiment=train")
    assert cfg.data.name == "both"
    assert (cfg.model.network.channels, list(cfg.model.network.filter_widths)) == (1024, [3, 3, 3, 3])
    assert (cfg.model.network.dropout, cfg.data.batch_size, cfg.trainer.max_epochs) == (0.25, 1024, 80)
    assert (cfg.model.optimizer.lr, cfg.model.optimizer.amsgrad, cfg.model.scheduler.gamma) == (1e-3, True, 0.95)


def test_keys_of_one_command_have_short_forms() -> None:
    for prefix, runs in (("", "runs"), ("predict.", "tables.runs")):
        words = [
            f"{prefix}{word}" for word in ("people=2", "input=a.mp4", "camera.fx=900", "heights={0:1750}", "fps=25")
        ]
        cfg = composed("experiment=predict", *words, f"{runs}=folder")
        assert (cfg.predict.people, cfg.predict.input, cfg.predict.fps) == (2, "a.mp4", 25)
        assert (cfg.predict.camera.fx, cfg.predict.heights[0], cfg.tables.runs) == (900, 1750, "folder")


# --- tables ----------------------------------------------------------------------------------------------------------

TABLES = [name for name in EXPERIMENTS if name.startswith("table_")]


def grid(name: str) -> dict[str, list[str]]:
    """The sweep inside a table's file: key -> values."""
    hydra = OmegaConf.load(CONF / "experiment" / f"{name}.yaml").hydra
    assert hydra.mode == "MULTIRUN"
    return {key: values.split(",") for key, values in hydra.sweeper.params.items()}


@pytest.mark.parametrize("name", TABLES)
def test_every_row_of_a_table_composes_and_differs(name: str) -> None:
    ((key, values),) = grid(name).items()
    rows = [composed(f"experiment={name}", f"{key}={value}") for value in values]
    assert len({OmegaConf.to_yaml(row) for row in rows}) >= len(rows) - 1, "the default may be one of them"
    for row in rows:
        assert row.logger._target_.endswith("wandb_logger")
        assert {column.split("/")[0] for column in row.table.columns} <= set(COLUMNS)
        shown = set(row.table.columns) | {column.split("/")[0] for column in row.table.columns}
        assert row.table.figure.kind != "none" and set(row.table.figure.columns) <= shown


def test_tables_have_the_rows_that_they_promise() -> None:
    refinements = {path.stem for path in (CONF / "refinement").glob("*.yaml")}
    same_energy = {"energy_fast"}  # as `paper`
    assert set(grid("table_interpolation")["refinement"]) == refinements - same_energy
    variants = {f"published/{path.stem}" for path in (CONF / "refinement" / "published").glob("*.yaml")}
    assert set(grid("table_refinement_terms")["refinement"]) == variants | same_energy
    assert set(grid("table_lifter")["network"]) == {path.stem for path in (CONF / "network").glob("*.yaml")}


def test_variants_of_the_published_energy_change_what_they_say() -> None:
    whole = instantiate(composed("refinement=paper").refinement).energy
    changed = {}
    for option in grid("table_refinement_terms")["refinement"]:
        energy = instantiate(composed(f"refinement={option}").refinement).energy
        differing = {key: value for key, value in vars(energy).items() if value != getattr(whole, key)}
        changed[option.removeprefix("published/")] = {
            key.removeprefix("smoothness_weight_"): value for key, value in differing.items()
        }
    assert changed == {
        "energy_fast": {},
        "no_visibility_weight": {"weigh_by_visibility": False},
        "no_median_filter": {"smooth_visibility": False},
        "no_robust_cap": {"l2_cap": 1e6},
        "no_one_frame_term": {"hip": 0.0, "rel": 0.0},
        "no_large_step_term": {"hip_large": 0.0, "rel_large": 0.0},
        "no_hip_terms": {"hip": 0.0, "hip_large": 0.0},
        "no_relative_terms": {"rel": 0.0, "rel_large": 0.0},
        "geman_mcclure": {"pose_loss": "gm"},
        "capped_euclidean": {"pose_loss": "capped_l2_euc_err"},
    }


@pytest.mark.parametrize("size", ["tiny", "sketch", "full"])
def test_networks_change_one_thing(size: str) -> None:
    whole = dict(composed(f"size={size}").model.network)
    for option in grid("table_lifter")["network"]:
        network = composed(f"size={size}", f"network={option}").model.network
        differing = {key: value for key, value in network.items() if value != whole[key]}
        assert len(differing) <= 1, option
        if option.startswith("frames_"):
            assert math.prod(network.filter_widths) == int(option.removeprefix("frames_"))
        if option.endswith("_channels"):
            assert network.channels * {"half": 2, "quarter": 4}[option.removesuffix("_channels")] == whole["channels"]
        assert network.causal == (option == "causal")
