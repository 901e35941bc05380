"""`python run.py --cfg job experiment=NAME` as one page: what the experiment uses, short values side by side.

Hydra prints every key that there is, a line each. What is printed here is YAML as well, of the same keys and values.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

_WIDTH = 118
_WRAPPED = 92  # the item that passes it still stands in the line


def asked_for(words: Sequence[str]) -> bool:
    """Whether the command line asks for the whole job's configuration."""
    text = f" {' '.join(words)} "
    whole = not any(word.startswith(("-p", "--package")) for word in words)
    return whole and any(f" {option}job " in text for option in ("--cfg ", "--cfg=", "-c ", "-c"))


@contextlib.contextmanager
def as_one_page() -> Iterator[None]:
    """Print what Hydra prints inside the block as one page, or as it is where that is no configuration of ours."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            yield
    finally:
        sys.stdout.write(page(printed.getvalue()))


def page(text: str) -> str:
    """`text`, a configuration as YAML, without what its task does not use and without what only repeats a short form.

    >>> cfg = {"task": {"_target_": "tasks.tables"}, "runs": "a", "tables": {"runs": "${runs}"}, "tracker": {"gate": 1}}
    >>> print(page(yaml.safe_dump(cfg, sort_keys=False)), end="")
    task: {_target_: tasks.tables}
    runs: a
    """
    from experiments.runs.used_keys import shown_keys

    try:
        cfg = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    keys = shown_keys(cfg["task"]["_target_"]) if isinstance(cfg, dict) and isinstance(cfg.get("task"), dict) else None
    if keys is None:
        return text
    for group in ("predict", "tables"):
        cfg[group] = _without_repeats(cfg.get(group, {}), cfg)
    kept = {
        key: value for key, value in cfg.items() if key in keys and not (key in ("predict", "tables") and not value)
    }
    return "".join(f"{line}\n" for key, value in kept.items() for line in _lines(key, value, ""))


def _without_repeats(value: Any, top: Any, path: str = "") -> Any:
    """`value` without what repeats the keys of `top`: references, `predict.input: ${input}`, or the same values."""
    if not isinstance(value, dict):
        return value
    kept = {}
    for key, inner in value.items():
        above = top.get(key) if isinstance(top, dict) else None
        if inner not in (above, f"${{{path}{key}}}"):
            kept[key] = _without_repeats(inner, above, f"{path}{key}.")
    return {key: inner for key, inner in kept.items() if inner != {}}


def _lines(key: str, value: Any, indent: str) -> Iterator[str]:
    """`key: value`, in one line where it fits; otherwise plain values wrapped, and others below each other."""
    whole = f"{indent}{key}: {_flow(value)}"
    if len(whole) <= _WIDTH or not isinstance(value, dict | list):
        yield whole
        return
    yield f"{indent}{key}:"
    if not any(_has_parts(inner) for inner in (value.values() if isinstance(value, dict) else value)):
        yield from (f"{indent}  {line}" for line in _flow(value, _WRAPPED).splitlines())
    elif isinstance(value, list):
        yield from (f"{indent}- {_flow(item)}" for item in value)
    else:
        for inner_key, inner in value.items():
            yield from _lines(inner_key, inner, f"{indent}  ")


def _has_parts(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict) for item in value))


def _flow(value: Any, width: float = 1e6) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=width)
    return text.removesuffix("...\n").rstrip("\n")
