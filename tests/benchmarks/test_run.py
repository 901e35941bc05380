"""The collector of figures: processes, files, tables, and what figures say about cost."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from benchmarks import performance_page, run
from benchmarks.figure import Figure

MACHINE = {
    "processor": "Abacus", "cores": 2, "float32_gflops": 150.5, "torch": "2.9", "python": "3.12",
    "system": "Linux", "vectors": "AVX2", "seconds": 90,
}  # fmt: skip
FIGURES = [
    Figure("read/muco_temp", 0.1, 2000, "frames", 0.5, "s", "the bytes alone", 5.0, 10.0, 20.0),
    Figure("read/muco_temp", 1.0, 20000, "frames", 6.0, "s", "the bytes alone", 60.0, 10.0, 60.0),
    Figure("train/windows", 1.0, 20000, "windows", 10000.0, "windows/s", "plain", 1000.0, 10.0),
    Figure("lift/frames", 1.0, 21000, "frames", 2100.0, "frames/s", "the peak", 3000.0, 0.7),
]


def test_modules_are_there_and_listed_once() -> None:
    assert len(set(run.MODULES)) == len(run.MODULES)
    for name in run.MODULES:
        module = importlib.import_module(f"benchmarks.{name}")
        assert callable(module.figures) and all(size > 0 for size in module.SIZES)


def test_a_run_of_one_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--only", "refinement_speed", "--sizes", "0.001", "0.01", "--output", str(tmp_path)]
    assert run.main(words) == 0
    lines = (tmp_path / "figures.jsonl").read_text().splitlines()
    figures = [Figure(**json.loads(line)) for line in lines]
    assert [(figure.name, figure.size) for figure in figures] == [
        ("refine/published energy", 0.001), ("refine/published energy", 0.01),
    ]  # fmt: skip
    assert json.loads((tmp_path / "machine.json").read_text())["float32_gflops"] > 0
    assert "2 figures in" in capsys.readouterr().out


def test_a_part_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(run, "MODULES", ("absent",))
    monkeypatch.setattr("benchmarks.performance_page.write_page", lambda *_: pytest.fail("a page of half the figures"))
    assert run.main(["--docs", "--output", str(tmp_path)]) == 1
    assert "benchmarks.absent: failed with exit code 1" in capsys.readouterr().err


def test_a_page_needs_everything() -> None:
    with pytest.raises(SystemExit):
        run.main(["--docs", "--only", "startup"])


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234567, "1,230,000"), (123.4, "123"), (12.34, "12.3"), (0.0012345, "0.00123"), (99.96, "100"), (0, "0")],
)
def test_three_digits(value: float, text: str) -> None:
    assert run.number(value) == text


def test_the_page_shows_what_users_wait_for(tmp_path: Path) -> None:
    performance_page.write_page(FIGURES, MACHINE, tmp_path)
    text = (tmp_path / "performance.md").read_text()
    assert "Abacus, 2 threads" in text
    assert "| reading MuCo-Temp | 20,000 frames | 6 | the bytes alone | 60 | 10x | 60 MiB |" in text
    assert "| making all training windows once | 20,000 windows | 2 | plain | 20 | 10x |  |" in text
    assert "| reading MuCo-Temp | 2,000 to 20,000 frames | 10x | 12x | 3x |" in text
    assert "the peak" not in text  # in the JSON alone


def test_the_page_fits_two_screens(tmp_path: Path) -> None:
    every = [
        Figure(name, size, round(1000 * size), "frames", size, "s", "plain", 10 * size, 10.0, 50.0 * size)
        for name in performance_page.SHOWN
        for size in (0.1, 1.0)
    ]
    performance_page.write_page(every, MACHINE, tmp_path)
    assert len((tmp_path / "performance.md").read_text().splitlines()) < 60
