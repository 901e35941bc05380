"""The study of the networks: its clock, its schedule and its table, on noise."""

from __future__ import annotations

import pytest
import torch

from benchmarks.studies import networks
from data.training.windows import FrameTable
from pose.canonical import CanonicalFeatures
from tests.lightning_modules.conftest import person


def test_the_rate_rises_and_falls_once() -> None:
    rates = [networks.learning_rate(done / 1000) for done in range(1001)]
    top = rates.index(max(rates))
    assert rates[top] == networks.LEARNING_RATE and top == 20
    assert rates[:top] == sorted(rates[:top]) and rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[0] == 0 and rates[-1] == pytest.approx(0, abs=1e-9)


def test_a_training_ends_with_its_time_and_lowers_the_loss(monkeypatch) -> None:
    clock = iter(range(10_000))
    monkeypatch.setattr(networks.time, "process_time", lambda: next(clock))
    monkeypatch.setattr(networks, "BATCH", 32)
    people = [person("a", 120), person("b", 90)]
    table = FrameTable(people, 9, undetected=True, kind=CanonicalFeatures())
    small = {"channels": 16, "filter_widths": [3, 3], "dropout": 0.0}
    batch = table.gather(table.centres[:64], torch.zeros(64, dtype=torch.bool))

    def loss_after(seconds: float) -> tuple[float, int]:
        lifter, windows = networks.train(small, table, seconds, seed=0)
        predicted = lifter.train().windows(batch["features"])[:, 0]
        return float(networks.mpjpe(predicted, batch["targets"], table.target_standardiser)), windows

    (untrained, few), (trained, many) = loss_after(2), loss_after(200)
    assert (few, many) == (32, 199 * 32)  # a batch for each tick but the last
    assert trained < 0.9 * untrained


def test_the_table_holds_means_and_extremes() -> None:
    def result(error: float) -> networks.Result:
        scores = {"mpjpe_mm": error, "pa_mpjpe_mm": 50.0, "mrpe_mm": 200.0}
        return networks.Result("tcn", 1000, 60.0, 25600, 9000.0, scores)

    *_, row = networks.table_of([result(80.0), result(90.0)]).splitlines()
    assert row == "| tcn | 1,000 | 60 | 25,600 | 9,000 | 85.0 | 80.0 to 90.0 | 50.0 | 200.0 |"
