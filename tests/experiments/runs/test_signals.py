"""Ctrl-C, once and twice."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

CODE = """
import time
from experiments.runs.signals import end_on_signals
end_on_signals()
try:
    print("running", flush=True)
    time.sleep(60)
finally:
    print("ending", flush=True)
    time.sleep(60)
"""


def test_a_second_signal_ends_at_once(repo: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", CODE], cwd=repo, stdout=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )  # fmt: skip
    assert process.stdout is not None
    for said in ("running\n", "ending\n"):
        assert process.stdout.readline() == said
        process.send_signal(signal.SIGINT)
    assert process.wait(10) == -signal.SIGINT
    process.stdout.close()
