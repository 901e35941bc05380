"""Ctrl-C, once and twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from experiments.runs.signals import end_with_parent

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


WORKER = """
import multiprocessing, os, time
from experiments.runs.signals import end_with_parent
def work(parent):
    end_with_parent(parent)
    print(os.getpid(), flush=True)
    time.sleep(60)
if __name__ == "__main__":
    multiprocessing.get_context("fork").Process(target=work, args=(os.getpid(),)).start()
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_a_worker_ends_when_its_parent_was_killed(repo: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", WORKER], cwd=repo, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and int(process.stdout.readline()) > 0
    process.kill()
    assert process.stdout.read() == ""  # the worker holds the pipe's other end for as long as it lives
    process.stdout.close()
    process.wait(10)


def test_only_a_child_follows() -> None:
    before = threading.active_count()
    end_with_parent(os.getpid())  # of the sweep's own process
    assert threading.active_count() == before
