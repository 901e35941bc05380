"""How far long work is, in the log: what takes less than a few seconds says nothing."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds before the first line and between two; later ones come after this fraction of the time so far.
TELL_S, TELL_FRACTION = 2.0, 0.2


class Progress:
    """Says now and then how much of `total` is done and how long the rest takes at that speed.

    >>> sum(Progress("adding", 3, "numbers").each([1, 2, 3]))
    6
    """

    def __init__(self, what: str, total: int, unit: str = "frames"):
        self.what, self.total, self.unit = what, total, unit
        self.done, self._started = 0.0, time.monotonic()
        self._told = self._started

    def add(self, count: float = 1) -> None:
        """So much more is done."""
        self.done += count
        now = time.monotonic()
        passed, left = now - self._started, self.total - self.done
        if left > 0 and self.done > 0 and now - self._told >= max(TELL_S, TELL_FRACTION * passed):
            self._told, done = now, f"{self.done:,.0f} of {self.total:,}"
            log.info("%s: %s %s, %.0f s left", self.what, done, self.unit, passed * left / self.done)

    def each(self, items: Iterable[T]) -> Iterator[T]:
        """The items, each done when the next is asked for."""
        for item in items:
            yield item
            self.add()
