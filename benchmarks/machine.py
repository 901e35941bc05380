"""What the figures were measured on, and the most that it can do: its matrix-multiply peak."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.figure import timed

#: Products of the network's own kind, (rows, inner, columns): the best of them is the peak.
SHAPES = ((2048, 1024, 1024), (2048, 3072, 1024), (4096, 1024, 1024))


def beside_the_peak(work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """(seconds that `work` takes, the peak just before and after): the round with the median product of these.

    Never a peak of another minute: a shared machine's speed changes by a quarter, and its peak with it.
    """
    found = []
    for _ in range(rounds):
        before = matrix_peak()
        seconds = timed(work)
        found.append((seconds, (before + matrix_peak()) / 2))
    return sorted(found, key=lambda pair: pair[0] * pair[1])[(rounds - 1) // 2]


def matrix_peak(seconds: float = 0.4) -> float:
    """Floating-point operations per second of float32 matrix products, two to a multiply-add, at their best."""
    best = 0.0
    with torch.inference_mode():
        for rows, inner, columns in SHAPES:
            left, right, out = torch.randn(rows, inner), torch.randn(inner, columns), torch.empty(rows, columns)
            torch.mm(left, right, out=out)
            end = time.perf_counter() + seconds / len(SHAPES)
            while True:
                start = time.perf_counter()
                torch.mm(left, right, out=out)
                now = time.perf_counter()
                best = max(best, 2 * rows * inner * columns / (now - start))
                if now > end:
                    break
    return best


def describe() -> dict[str, Any]:
    """The machine and the versions that decide speed."""
    return {
        "processor": _processor(),
        "cores": torch.get_num_threads(),
        "float32_gflops": round(matrix_peak(2.0) / 1e9, 1),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.system(),
        "vectors": torch.backends.cpu.get_cpu_capability(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
