"""The cost of a training: counted operations as by hand, and the table of the page."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from benchmarks import costs
from pose.features import PublishedFeatures


def test_operations_are_those_counted_by_hand() -> None:
    cfg = costs.rows_of("mupots_mm")[0]
    OmegaConf.update(cfg, "size.filter_widths", [3, 3])
    OmegaConf.update(cfg, "size.channels", 4)
    OmegaConf.update(cfg, "size.max_epochs", 1)
    OmegaConf.update(cfg, "data.batch_size", 1000)
    features, targets = PublishedFeatures().n_features, PublishedFeatures().n_targets
    first, wide, mixed, last = 3 * (3 * features) * 4, (3 * 4) * 4, 4 * 4, 4 * targets
    forward = first + wide + mixed + last
    backward = first + 2 * (wide + mixed + last)  # the windows themselves have no gradient
    assert costs.operations(cfg) == 2 * (forward + backward) * 1000 * 2024


def test_the_page_has_what_the_command_prints(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    costs.main([])
    printed = capsys.readouterr().out
    assert printed in (repo / "docs" / "experiments.md").read_text(encoding="utf-8")
    listed = {path.stem for path in (repo / "conf" / "experiment").glob("table_*.yaml")}
    assert listed <= set(costs.TABLES)


def test_twice_the_peak_is_half_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "TABLES", ("mupots_mm",))
    monkeypatch.setattr(costs, "operations", lambda cfg: 3600e12 * 10)
    assert costs.table(10, 1.0).endswith("| 36 | 1.0 |") and costs.table(20, 0.25).endswith("| 36 | 2.0 |")


@pytest.mark.parametrize("word", ["--fraction=0", "--fraction=2", "--peak-tflops=-1"])
def test_no_such_gpu(word: str) -> None:
    with pytest.raises(SystemExit):
        costs.main([word])
