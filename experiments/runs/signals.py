"""SIGTERM, from a batch system or `kill`, and Ctrl-C: the run ends with one line that says how to go on, and exit code
143 or 130. A second signal ends the process at once. Workers end when the process that started them was killed."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from functools import cache
from typing import Any, NoReturn

log = logging.getLogger(__name__)

_SIGNALS = {signal.SIGTERM: ("SIGTERM", signal.SIG_DFL), signal.SIGINT: ("Ctrl-C", signal.default_int_handler)}
#: Seconds between two looks at the parent.
_LOOK_S = 1.0
EXIT_CODES = [128 + number for number in _SIGNALS]


def end_on_signals() -> None:
    """From here on, unless somebody else handles them, as the launcher of a batch system does SIGTERM in its jobs.

    What ends is not recorded as finished or failed.
    """
    if threading.current_thread() is threading.main_thread():
        for number, (_, default) in _SIGNALS.items():
            if signal.getsignal(number) is default:
                signal.signal(number, end)


def end(number: int = signal.SIGINT, *_: Any) -> NoReturn:
    """The line and the end."""
    signal.signal(number, signal.SIG_DFL)
    log.error(
        "%s: ended before the end; the same command goes on: a training from its last whole epoch, a sweep from "
        "its finished rows",
        _SIGNALS[signal.Signals(number)][0],
    )
    raise SystemExit(128 + number)


@cache
def end_with_parent(parent: int) -> None:
    """From here on end this process, if `parent` started it, soon after that one has ended, however it did."""

    def follow() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_S)
        os._exit(1)

    if os.getppid() == parent:
        threading.Thread(target=follow, daemon=True).start()
