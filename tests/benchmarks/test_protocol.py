"""The benchmark of the protocol runs; tests/pose/metrics/test_plain.py compares the two versions' numbers."""

from __future__ import annotations

from benchmarks import protocol


def test_figures(monkeypatch) -> None:
    monkeypatch.setattr(protocol, "PLAIN_FRAMES", 1)
    (figure,) = protocol.figures([0.005])
    assert figure.count == 20 * 2 * 5 // 2
    assert figure.ratio > 1
