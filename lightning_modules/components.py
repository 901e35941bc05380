"""Networks and features by their `_target_`: what a configuration or a lifter's file names becomes an object.

A file must not be able to run code of its choice. What it names is therefore only ever taken from this project, or from
what the user named: the classes of the configuration's `_target_`s and the modules of `plugins=[module]`
(docs/untrusted_files.md). Nothing else is imported.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

from torch import nn

from pose.errors import ConfigError, MismatchError
from pose.features import Features, PublishedFeatures

NETWORK = "lightning_modules.networks.tcn.TemporalConvNet"
FEATURES = f"{PublishedFeatures.__module__}.{PublishedFeatures.__qualname__}"
#: Packages of this project that networks and features come from.
_OWN = ("lightning_modules.networks.", "pose.")
_named: set[str] = set()


def trust(targets: Iterable[str | None]) -> None:
    """Let lifters use these classes, or all classes of these modules and of those below them; the user named them."""
    _named.update(target for target in targets if target)


def target_of(settings: Mapping[str, Any] | None, default: str) -> str:
    """The class that settings name, `default` if they name none."""
    return str((settings or {}).get("_target_", default))


def without_default(settings: Mapping[str, Any] | None, default: str) -> dict[str, Any]:
    """The settings, without a `_target_` that is the default: as files and hashes of the first version have them."""
    return {name: value for name, value in (settings or {}).items() if (name, value) != ("_target_", default)}


def make_features(settings: Mapping[str, Any] | None) -> Features:
    """The features of `model.features`, or the published ones. ConfigError, MismatchError as `_made`."""
    return _made("features", Features, settings, FEATURES)


def make_network(settings: Mapping[str, Any], features: Features) -> nn.Module:
    """The network of `model.network` with as many inputs and outputs as the features have.

    It must say `receptive_field`, how many frames one output depends on, and `causal`, whether the last of them is the
    one that it is about rather than the middle one. ConfigError if it does not; MismatchError as `_made`.
    """
    sizes = {"n_features": features.n_features, "n_targets": features.n_targets}
    network = _made("network", nn.Module, settings, NETWORK, **sizes)
    for name, kind in (("receptive_field", int), ("causal", bool)):
        if type(getattr(network, name, None)) is not kind:
            raise ConfigError(
                f"model.network: {target_of(settings, NETWORK)} has no attribute {name} ({kind.__name__}); a network "
                "says how many frames one output depends on and whether it sees none after the predicted one"
            )
    frames: Any = network.receptive_field
    if frames < 1 or (frames % 2 == 0 and not network.causal):
        raise ConfigError(
            f"model.network: {target_of(settings, NETWORK)} has a receptive field of {frames} frames; it must be "
            "positive, and odd unless the network is causal"
        )
    return network


def _made(key: str, base: type, settings: Mapping[str, Any] | None, default: str, **sizes: int) -> Any:
    """An object of the class that settings name. Raises ConfigError where there is no such class or its arguments are
    wrong, MismatchError where the user has not named its module."""
    target = target_of(settings, default)
    arguments = {name: value for name, value in (settings or {}).items() if name != "_target_"}
    kind = _class(key, target)
    if not (isinstance(kind, type) and issubclass(kind, base)):
        raise ConfigError(f"model.{key}._target_={target}: must be a subclass of {base.__module__}.{base.__qualname__}")
    try:
        return kind(**arguments, **sizes)
    except TypeError as error:
        raise ConfigError(f"model.{key}: {target}: {error}") from error


def _class(key: str, target: str) -> Any:
    module, _, name = target.rpartition(".")
    own = target.startswith(_OWN)
    if not own and not any(target == named or module == named or module.startswith(f"{named}.") for named in _named):
        raise MismatchError(
            f"its {key} is {target}, which is not part of this project; if you trust that code, add plugins=[{module}]"
        )
    if not hasattr(found := _module(key, target), name):
        raise ConfigError(f"model.{key}._target_={target}: {found.__name__} has no class {name}")
    return getattr(found, name)


def _module(key: str, target: str) -> ModuleType:
    """The module of a class; ConfigError if there is none."""
    try:
        return importlib.import_module(target.rpartition(".")[0])
    except (ImportError, ValueError) as error:
        raise ConfigError(
            f"model.{key}._target_={target}: {error}; must be module.Class, with the module's folder on PYTHONPATH"
        ) from error
