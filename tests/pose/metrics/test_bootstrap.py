"""Intervals of paired differences, against the normal approximation and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pose.metrics.bootstrap import paired_differences


def scores(values: np.ndarray, key: str = "mrpe_mm") -> dict[str, dict[str, float]]:
    return {f"TS{i}": {key: float(value)} for i, value in enumerate(values)}


def test_interval_of_many_sequences_is_the_normal_one() -> None:
    rng = np.random.default_rng(0)
    first = rng.normal(100, 50, 200)
    difference = rng.normal(-3, 10, 200)
    found = paired_differences(scores(first), scores(first + difference))["mrpe_mm"]
    half = 1.96 * difference.std() / np.sqrt(200)
    assert found.mean == pytest.approx(difference.mean())
    assert (found.low, found.high) == pytest.approx((difference.mean() - half, difference.mean() + half), abs=0.05)
    assert found.clear and found.sequences == 200


def test_only_sequences_that_both_have_count_and_one_has_no_interval() -> None:
    first, second = scores(np.array([10.0, 20.0])), {"TS1": {"mrpe_mm": 25.0, "mpjpe_mm": 1.0}, "TS7": {"mrpe_mm": 0.0}}
    found = paired_differences(first, second)
    assert list(found) == ["mrpe_mm"]
    assert found["mrpe_mm"] == (5.0, None, None, 1) and not found["mrpe_mm"].clear
    assert paired_differences(first, {"TS9": {"mrpe_mm": 1.0}}) == {}


def test_two_sequences_give_their_own_range() -> None:
    found = paired_differences(scores(np.zeros(2)), scores(np.array([-4.0, 10.0])))["mrpe_mm"]
    assert (found.mean, found.low, found.high) == (3.0, -4.0, 10.0) and not found.clear
