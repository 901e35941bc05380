"""Text formats read line by line, with errors that name the line; the natural order of names."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from fileio.limits import FETCH, reading
from pose.errors import DataError


class TextFile:
    """The lines of a text file as words. Raises DataError if it cannot be opened."""

    def __init__(self, path: Path | str):
        self.path = path
        with reading(path, "a text file"):
            self.content = Path(path).read_text(encoding="utf-8-sig", errors="replace").splitlines()

    def lines(self) -> Iterator[tuple[int, list[str]]]:
        """(line number from 1, words) of each line that is neither empty nor a comment (#)."""
        for number, line in enumerate(self.content, 1):
            words = line.split()
            if words and words[0][0] != "#":
                yield number, words

    def error(self, number: int, message: str) -> DataError:
        """A DataError about line `number`; past the last line it is about the file's end."""
        found = f"found {self.content[number - 1].strip()[:60]!r}" if number <= len(self.content) else "the file ends"
        return DataError(f"{self.path}, line {number}: {message}; {found}; {FETCH}")

    def numbers(self, number: int, words: Sequence[str], count: int) -> list[float]:
        """`words` of line `number` as `count` finite numbers, or DataError."""
        try:
            found = list(map(float, words))
        except ValueError:
            found = []
        if len(found) != count or not all(map(math.isfinite, found)):
            raise self.error(number, f"{count} finite number{'s are' if count > 1 else ' is'} expected")
        return found


def natural_order(name: str) -> list[tuple[int, str]]:
    """A key that sorts img_2 before img_10."""
    parts = re.split(r"(\d+)", name[:300])
    return [(int(part), "") if part.isdecimal() else (-1, part.lower()) for part in parts if part]
