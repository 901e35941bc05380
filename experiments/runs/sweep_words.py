"""What a sweep's command says: which keys it gives one value and which it varies; and the folders that follow from it.

Rows are named by what varies, in a folder of their own for each set of fixed words and varied keys, so that two sweeps
of one experiment never share a row; nor do two projects that share `paths.outputs` and read by relative paths. Imported
at the start of every run: nothing heavy up here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from experiments.command_line import quoted_value
from experiments.runs.hashing import decides_numbers, short_hash
from fileio.json_yaml import load_object, write_json
from pose.errors import ConfigError

#: What a sweep's folder says of the sweep that it belongs to.
COMMAND_FILE = "command.json"
#: Keys whose values are files or folders that are read.
_READ = ("checkpoint", "predictions", "test.folder", "data.folder")
#: Characters of a name; file systems take 255 bytes.
_LONGEST = 96


def sweep_words(config: DictConfig) -> dict[str, Override]:
    """Key -> override of a multirun's command, over those of its experiment's file (`hydra.sweeper.params`)."""
    given = [f"{key}={value}" for key, value in (config.hydra.sweeper.get("params") or {}).items()]
    parsed = OverridesParser.create().parse_overrides([*given, *config.hydra.overrides.task])
    return {override.key_or_group: override for override in parsed}


def varied(words: dict[str, Override]) -> list[str]:
    """The keys that take several values, in the command's order."""
    return [key for key, override in words.items() if override.is_sweep_override()]


def row_name(words: str) -> str:
    """The folder of a row by what varies, with a digest where that is no name, or too long for one.

    >>> row_name("refinement-none_seed-1"), row_name("")
    ('refinement-none_seed-1', 'row')
    >>> row_name("checkpoint-/a/b")
    'checkpoint-_a_b_d56ba2'
    """
    name = re.sub(r"[^\w.,+-]+", "_", words)
    if len(name) > _LONGEST:
        name = f"{name[: _LONGEST // 2]}~{name[-_LONGEST // 2 :]}"
    return (name if name == words else f"{name}_{short_hash(words)[:6]}") or "row"


OmegaConf.register_new_resolver("row_name", row_name, replace=True)


def place_sweep(config: DictConfig) -> None:
    """Name the folders of a multirun in `config` and, by overrides of Hydra's own keys, in the jobs composed later.

    A folder given as `hydra.sweep.dir` stays; `note_command` refuses it where it is another sweep's.
    """
    words, overrides = sweep_words(config), config.hydra.overrides.hydra
    fixed = ",".join(quoted_value(key) for key in words if key not in _row_keys(config, words))
    overrides.append(f"hydra.job.config.override_dirname.exclude_keys=[{fixed}]")
    if any(word.startswith("hydra.sweep.dir=") for word in overrides):
        return
    folder = Path(str(config.hydra.sweep.dir))
    if "experiment" in varied(words):
        folder = Path(str(config.paths.outputs), row_name("+".join(_values(words["experiment"]))), "sweep")
    if own := _identity(config, words, of_file=False):
        folder = folder.with_name(f"{folder.name}_{short_hash(own)[:8]}")
    place = _place(config, words)
    if _command_of(folder).get("place", place) != place:
        folder = folder.with_name(f"{folder.name}_{short_hash(place)[:8]}")
    config.hydra.sweep.dir = str(folder)
    overrides.append(f"hydra.sweep.dir={quoted_value(str(folder))}")


def note_command(config: DictConfig) -> None:
    """Write what the sweep is into its folder. ConfigError where that belongs to a sweep of other words or keys."""
    path, words = Path(config.hydra.sweep.dir) / COMMAND_FILE, sweep_words(config)
    command = {"experiment": experiments_of(config), "words": _identity(config, words, of_file=True)}
    command["place"] = _place(config, words)
    before = _command_of(path.parent)
    if before and {"place": command["place"], **before} != command:
        raise ConfigError(
            f"hydra.sweep.dir={path.parent}: holds another sweep, experiment={before.get('experiment')} "
            f"{' '.join(map(str, before.get('words', [])))}{_from(before)}; give another folder, or none, and this one "
            "gets its own"
        )
    write_json(path, command)


def _command_of(folder: Path) -> dict[str, Any]:
    """What `note_command` has left in a sweep's folder; of none nothing."""
    path = folder / COMMAND_FILE
    return load_object(path, "remove it, or give another hydra.sweep.dir") if path.is_file() else {}


def _place(config: DictConfig, words: dict[str, Override]) -> str | None:
    """The working directory, where what is read depends on it and the outputs, which lie elsewhere, do not tell it."""
    here, outputs = Path.cwd().resolve(), Path(str(config.paths.outputs)).resolve()
    read = [str(config.paths.datasets or "datasets")]
    read += [name for key in _READ if key in words for name in _values(words[key])]
    return None if outputs.is_relative_to(here) or all(Path(name).is_absolute() for name in read) else str(here)


def _from(command: dict[str, Any]) -> str:
    return f", started in {command['place']}" if command.get("place") else ""


def experiments_of(config: DictConfig) -> str:
    """The experiment of a multirun, or those that it varies."""
    words = sweep_words(config)
    return ", ".join(_values(words["experiment"])) if "experiment" in varied(words) else str(config.name)


def _values(override: Override) -> list[str]:
    value: Any = override.value()
    return [str(item) for item in getattr(value, "list", [value])]


def _row_keys(config: DictConfig, words: dict[str, Override]) -> list[str]:
    """The keys that name rows: what varies here, and what the experiment's file varies."""
    return [key for key in words if key in {*varied(words), *(config.hydra.sweeper.get("params") or {})}]


def _identity(config: DictConfig, words: dict[str, Override], of_file: bool) -> list[str]:
    """What tells this sweep from others of its experiment: the fixed words that decide numbers, the keys of its rows.

    of_file: with the keys that the experiment's file varies.
    """
    known = set(config.hydra.sweeper.get("params") or {})
    rows = _row_keys(config, words)
    found = {f"{key}=..." for key in rows if of_file or key not in known}
    found |= {str(word.input_line) for key, word in words.items() if key not in rows and decides_numbers(key)}
    return sorted(word for word in found if not word.startswith("experiment="))
