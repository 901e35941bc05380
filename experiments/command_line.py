"""Words of the command line before Hydra sees them: file names as they are, and modules beside a `--config-dir`.

File names on the command line, which Hydra's grammar does not take as they are: spaces, brackets, umlauts, "=".

A shell gives `input=my video (1).mp4`; Hydra needs `input="my video (1).mp4"`. Imports nothing heavy.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

#: Settings that are paths.
PATHS = {"input", "predict.input", "checkpoint", "predictions", "runs", "tables.runs", "video", "body_model"}
#: What Hydra reads as it is: no number, no list, nothing beyond ASCII.
_PLAIN = re.compile(r"[A-Za-z/.][\w/.\-+]*", re.ASCII)
_SEVERAL = re.compile(r"[,\[\]{}]")


def find_modules(words: Sequence[str]) -> None:
    """Let this process and those it starts import what lies in the folder given as `--config-dir`."""
    for before, word in zip(["", *words], words, strict=False):
        option, _, value = word.partition("=")
        folder = (
            value
            if option in ("--config-dir", "-cd") and value
            else word
            if before in ("--config-dir", "-cd")
            else None
        )
        if folder is not None:
            place = os.path.abspath(folder)
            sys.path.insert(1, place)
            os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [place, os.environ.get("PYTHONPATH")]))


def hydra_words(words: Sequence[str]) -> list[str]:
    """The words of a command line as Hydra reads them; SystemExit(2) with one line for a word that is no key=value.

    Modules beside a `--config-dir` are found from here on.
    """
    find_modules(words)
    for before, word in zip(["", *words], words, strict=False):
        if "=" not in word and word[:1] not in ("-", "~", "+") and before[:1] != "-":
            remedy = "a name with spaces or brackets needs quotes: 'input=my video (1).mp4'"
            if "[" in before and "]" not in before:
                remedy = "a list has no spaces: 'camera.image_size=[1920,1080]'"
            elif os.path.lexists(word):
                remedy = f"did you mean input={word} ?"
            print(f"{word!r} is no key=value; {remedy}", file=sys.stderr)
            raise SystemExit(2)
    return [quoted(word) for word in words]


def meant(words: Sequence[str], conf: Path) -> str | None:
    """A line on the first of the words that the configuration in the folder `conf` does not know, with the nearest that
    it does; None where it knows all, or a `--config-dir` brings others."""
    if any(word.startswith(("--config-dir", "-cd")) for word in words):
        return None
    groups = {folder.name: {file.stem for file in folder.glob("*.yaml")} for folder in conf.iterdir()}
    files = [conf / "config.yaml", *(conf / "experiment").glob("*.yaml")]
    keys = {
        *groups,
        *re.findall(r"^(\w+):", "\n".join(file.read_text(encoding="utf-8") for file in files), re.MULTILINE),
    }
    for word in words:
        key, _, value = word.partition("=")
        if word[:1] in ("-", "~", "+") or not value:
            continue
        if (top := re.split("[./@]", key)[0]) not in keys:
            return f"{word}: there is no {top}{_nearest(top, keys)}"
        for option in re.findall(r"[\w-]+", value) if groups.get(key) else []:
            if option not in groups[key]:
                known = ", ".join(sorted(groups[key]))
                return f"{key}={option}: must be of {known}{_nearest(option, groups[key])}"
    return None


def _nearest(word: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(word, sorted(known), 1, 0.5)
    return f"; did you mean {found[0]}?" if found else ""


def quoted(word: str) -> str:
    """`word` with its value in quotes where it is a path that Hydra would not read.

    Lists, `input=a.mp4,b.mp4`, and `${...}` are left as they are, unless a file of just that name exists.

    >>> quoted("input=my video (1).mp4"), quoted("input=clip.mp4"), quoted("fps=30")
    ('input="my video (1).mp4"', 'input=clip.mp4', 'fps=30')
    """
    key, _, value = word.partition("=")
    if key not in PATHS or not value or _PLAIN.fullmatch(value):
        return word
    if not os.path.lexists(value) and (value[0] in "'\"" or _SEVERAL.search(value) or value.isdigit()):
        return word
    return f"{key}={quoted_value(value)}"


def quoted_value(text: str) -> str:
    """`text` as a value of Hydra's grammar that means exactly itself."""
    escaped = re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + ('\\"' if found[2] else ""), text)
    return '"' + re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + r"\${", escaped) + '"'
