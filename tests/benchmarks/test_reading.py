"""Figures of reading exist for every format, both reads."""

from __future__ import annotations

from benchmarks import reading


def test_figures(monkeypatch) -> None:
    monkeypatch.setattr(reading, "ROUNDS", 1)
    monkeypatch.setattr(reading, "AT_LEAST_S", 0)
    found = list(reading.figures([0.001]))
    assert [figure.name for figure in found] == [
        f"reading/{name}{end}" for name in reading.FORMATS for end in ("", "/first")
    ]
    assert all(figure.count > 0 and figure.value > 0 for figure in found)
