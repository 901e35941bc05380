from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.studies import refinement_lag as benchmark


def test_a_quick_run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "LENGTHS", (100, 300))
    monkeypatch.setattr(benchmark, "BLOCK", 20)
    threads, file = torch.get_num_threads(), tmp_path / "lag.json"
    results = benchmark.main(["--quick", "--json", str(file)])
    assert torch.get_num_threads() == threads
    assert json.loads(file.read_text())["errors"] == results["errors"]
    for found in results["ms_per_frame"].values():
        assert 0 < found["early"] <= found["early_longest"] and 0 < found["late"] <= found["late_longest"]
    for rows in results["errors"].values():
        assert set(rows) == {"none", "paper", "offline", "lag 15"}
        assert rows["offline"]["visible_against_offline_pct"] == 0
    printed = capsys.readouterr().out
    assert "stream of 300 frames" in printed and "mpjpe_mm lag 15" in printed
