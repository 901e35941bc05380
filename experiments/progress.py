"""What a terminal shows while something takes longer than a moment; nothing but log lines elsewhere (CI, files)."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

log = logging.getLogger(__name__)


@contextmanager
def stage(text: str) -> Iterator[None]:
    """Show `text` with a spinner on a terminal; log it with the time it took when done."""
    start = time.perf_counter()
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status(text + " ..."):
            yield
    else:
        yield
    log.info("%s: %.1f s", text, time.perf_counter() - start)


def progress_bar():
    """Lightning's rich progress bar on a terminal, nothing elsewhere."""
    if not Console().is_terminal:
        return None
    from pytorch_lightning.callbacks import RichProgressBar

    return RichProgressBar(leave=False)
