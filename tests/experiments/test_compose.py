"""Every experiment and every option of every group composes, and what it names exists and takes these keys."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

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
ADDED = {"data": {"root"}, "test": {"root"}, "prepare": {"root"}, "model": {"variant"}}


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
@pytest.mark.parametrize("coordinates", ["normal", "universal"])
@pytest.mark.parametrize("size", ["tiny", "small", "full"])
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
        added = ADDED.get(of, set()) if top else set()
        assert partial or required <= keys | added, f"{group}={option}: {target} also needs {required - keys - added}"


def test_published_defaults_are_those_of_the_method() -> None:
    cfg = composed("experiment=train")
    assert cfg.data.name == "both"
    assert (cfg.model.network.channels, list(cfg.model.network.filter_widths)) == (1024, [3, 3, 3, 3])
    assert (cfg.model.network.dropout, cfg.data.batch_size, cfg.trainer.max_epochs) == (0.25, 1024, 80)
    assert (cfg.model.optimizer.lr, cfg.model.optimizer.amsgrad, cfg.model.scheduler.gamma) == (1e-3, True, 0.95)


def test_every_experiment_file_is_short() -> None:
    for name in EXPERIMENTS:
        assert len((CONF / "experiment" / f"{name}.yaml").read_text().splitlines()) <= 40, name
