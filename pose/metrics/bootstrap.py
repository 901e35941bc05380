"""Paired bootstrap intervals of the difference between two methods' scores of the same sequences.

A protocol's score is a mean over sequences, so sequences are what is drawn with replacement (Efron & Tibshirani 1993,
percentile interval). Frames of a sequence resemble each other and would make the intervals far too narrow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

RESAMPLES = 10_000
LEVEL = 0.95


class Difference(NamedTuple):
    """mean of the differences second - first over `sequences`; low, high: its interval, None for a single sequence."""

    mean: float
    low: float | None
    high: float | None
    sequences: int

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def paired_differences(
    first: Mapping[str, Mapping[str, float]], second: Mapping[str, Mapping[str, float]], seed: int = 0
) -> dict[str, Difference]:
    """Of each score that both have in some sequence; first, second: sequence -> key -> value.

    >>> first, second = ({f"TS{i}": {"mrpe_mm": value + i} for i in range(4)} for value in (100.0, 90.0))
    >>> paired_differences(first, second)["mrpe_mm"]
    Difference(mean=-10.0, low=-10.0, high=-10.0, sequences=4)
    """
    found = {}
    for key in dict.fromkeys(key for scores in first.values() for key in scores):
        both = [name for name, scores in first.items() if key in scores and key in second.get(name, {})]
        if not both:
            continue
        differences = np.array([second[name][key] - first[name][key] for name in both])
        low = high = None
        if len(both) > 1:
            drawn = np.random.default_rng(seed).integers(len(both), size=(RESAMPLES, len(both)))
            tail = 100 * (1 - LEVEL) / 2
            low, high = map(float, np.percentile(differences[drawn].mean(axis=1), (tail, 100 - tail)))
        found[key] = Difference(float(differences.mean()), low, high, len(both))
    return found
