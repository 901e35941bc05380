"""SIGTERM, from a batch system or `kill`: the run ends with one line that says how to go on, and exit code 143."""

from __future__ import annotations

import logging
import signal
import threading
from typing import Any

log = logging.getLogger(__name__)

EXIT_CODE = 128 + signal.SIGTERM


def end_on_sigterm() -> None:
    """From here on, unless somebody else handles SIGTERM, as the launcher of a batch system does in its jobs.

    What ends is not recorded as finished or failed. A second signal ends the process at once.
    """
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _end)


def _end(*_: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    log.error(
        "SIGTERM: ended before the end; the same command goes on: a training from its last whole epoch, a sweep from "
        "its finished rows"
    )
    raise SystemExit(EXIT_CODE)
