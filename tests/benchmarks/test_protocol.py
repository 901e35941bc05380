"""The two versions of the protocol that are compared in speed give the same numbers."""

from __future__ import annotations

import pytest

from benchmarks import protocol


def test_all_16_switches_equal_the_plain_version() -> None:
    made = protocol.scenes(3, seed=1)
    ours, plain = protocol.all_switches(*made), protocol.all_switches_plain(*made)
    compared = 0
    for coordinates, results in plain.items():
        for key, per_sequence in results.items():
            for name, scores in per_sequence.items():
                assert scores.keys() == ours[coordinates][key][name].keys()
                for score, value in scores.items():
                    assert ours[coordinates][key][name][score] == pytest.approx(value, rel=1e-9), (
                        coordinates,
                        key,
                        name,
                        score,
                    )
                    compared += 1
    assert compared >= 2 * 4 * 20 * 4  # variants, pairings and people, sequences, PCK and AUC of both coordinates


def test_figures(monkeypatch) -> None:
    monkeypatch.setattr(protocol, "PLAIN_FRAMES", 1)
    (figure,) = protocol.figures([0.005])
    assert figure.count == 20 * 2 * 5 // 2
    assert figure.ratio > 1
