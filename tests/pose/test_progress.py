from __future__ import annotations

import pytest

from pose import progress
from pose.progress import Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_lines_come_after_two_seconds_and_then_ever_more_seldom(clock, caplog) -> None:
    caplog.set_level("INFO")
    for _ in Progress("lifting", 100_000).each(range(100_000)):
        clock[0] += 0.001
    lines = told(caplog)
    assert lines[0] == "lifting: 2,000 of 100,000 frames, 98 s left"
    assert lines[1] == "lifting: 4,000 of 100,000 frames, 96 s left"
    assert 10 < len(lines) < 20 and lines[-1].endswith(" s left")


def test_short_work_says_nothing(clock, caplog) -> None:
    caplog.set_level("INFO")
    for _ in Progress("lifting", 1000).each(range(1000)):
        clock[0] += 0.0019
    assert told(caplog) == []


def test_nothing_is_said_at_the_end_beyond_it_and_of_an_unknown_end(clock, caplog) -> None:
    caplog.set_level("INFO")
    for total in (2, 1, 0):
        one = Progress("refinement", total)
        clock[0] += 10
        one.add(2)
    assert told(caplog) == []
