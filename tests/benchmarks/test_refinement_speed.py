from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import refinement_speed as benchmark


def test_a_small_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    threads, file = torch.get_num_threads(), tmp_path / "speed.json"
    words = f"--frames 30 60 --people 2 --people-frames 40 --steps 20 50 --repeats 3 --no-first-call --json {file}"
    results = benchmark.main([*words.split(), "--energy", "paper", "small_gm"])
    assert torch.get_num_threads() == threads
    assert json.loads(file.read_text())["rows"].keys() == results["rows"].keys()
    assert set(results["rows"]) == {f"{e}/{p}" for e in ("paper", "small_gm") for p in ("1x30", "1x60", "2x40")}
    for row in results["rows"].values():
        assert row["fast_s"] > 0 and row["adam_s"][20] < row["adam_s"][50]
        assert row["fast_energy"] < row["adam_energy"][50]
        assert row["fast_gradient"] < 1e-3 < row["adam_gradient"][20]
    printed = capsys.readouterr().out
    assert "2 people of 40 frames" in printed and "torch Adam, 50 steps" in printed


def test_trials(capsys: pytest.CaptureFixture[str]) -> None:
    results = benchmark.main(["--trials", "3", "--steps", "30", "--no-first-call"])
    differences = results["trials"]["differences"]
    assert sum(map(len, differences.values())) == 3
    assert all(d < 0 for values in differences.values() for d in values)
    assert "all" in capsys.readouterr().out


def test_the_plain_energy_is_the_published_one() -> None:
    for keys in benchmark.ENERGIES.values():
        energy = benchmark.PublishedEnergy(**keys)
        x0, v = benchmark.outlier_person(70, seed=4)
        x = x0 + 0.3 * torch.randn(x0.shape, generator=torch.Generator().manual_seed(0))
        plain = benchmark.plain_energy(x[None].double(), x0[None].double(), v[None].double(), energy)
        found = energy(x.double(), x0.double(), v, torch.tensor([70]))[0]
        torch.testing.assert_close(plain, found, rtol=1e-10, atol=0)


def test_people_are_seeded() -> None:
    x, v = benchmark.outlier_person(50, 3)
    again = benchmark.outlier_person(50, 3)
    assert torch.equal(x, again[0]) and torch.equal(v, again[1])
    assert x.shape == (50, 17, 3) and 0 <= float(v.min()) <= float(v.max()) <= 1
    assert not torch.equal(x, benchmark.outlier_person(50, 4)[0])
