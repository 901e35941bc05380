"""What a sweep's command says: which keys it gives one value and which it varies."""

from __future__ import annotations

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig


def sweep_words(config: DictConfig) -> dict[str, Override]:
    """Key -> override of a multirun's command, over those of its experiment's file (`hydra.sweeper.params`)."""
    given = [f"{key}={value}" for key, value in (config.hydra.sweeper.get("params") or {}).items()]
    parsed = OverridesParser.create().parse_overrides([*given, *config.hydra.overrides.task])
    return {override.key_or_group: override for override in parsed}


def varied(words: dict[str, Override]) -> list[str]:
    """The keys that take several values, in the command's order."""
    return [key for key, override in words.items() if override.is_sweep_override()]
