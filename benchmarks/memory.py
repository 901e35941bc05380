"""Resident memory at its highest, as the kernel counts it."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from pathlib import Path

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class PeakMemory:
    """`with PeakMemory() as peak: work()`, then `peak.mib`: MiB above what was there before; None if not on Linux."""

    mib: float | None = None

    def __enter__(self) -> PeakMemory:
        gc.collect()
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)  # else work takes what earlier work left in the heap, unseen
        try:
            _RESET.write_text("5")  # the peak starts again at what is resident now
            self._before = _resident("VmRSS")
        except OSError:
            self._before = None
        return self

    def __exit__(self, *error: object) -> None:
        if self._before is not None:
            self.mib = round(max(0.0, _resident("VmHWM") - self._before), 1)


def _resident(key: str) -> float:
    lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    return int(lines[key].split()[0]) / 1024
