"""What a terminal or a log shows: any text on any of them, and names that nobody has vetted without their controls."""

from __future__ import annotations

import codecs
import io
import logging
import os
import sys
from contextlib import suppress
from pathlib import PurePath

from pose.errors import escaped

#: What a terminal without our signs shows; as wide as they are, so that columns stay.
_PLAIN = {"↑": " ", "↓": " ", "±": "~", "²": "2"}


def _plain(error: UnicodeError) -> tuple[str, int]:
    """What stands for characters that an encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in lacking), error.end


codecs.register_error("plain", _plain)


class LineFormatter(logging.Formatter):
    """Log lines in which the names of files neither break a line nor steer a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        args = record.args
        if isinstance(args, tuple):
            args = tuple(escaped(str(arg)) if isinstance(arg, str | PurePath) else arg for arg in args)
        text = super().format(logging.makeLogRecord({**vars(record), "args": args}))
        return "\n".join(map(escaped, text.split("\n")))  # those of tracebacks and lists stay


def show(text: str) -> None:
    """Print `text` as far as the terminal or file can show it; nothing where nobody reads any more."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    with suppress(OSError):
        print(text.encode(encoding, "plain").decode(encoding), flush=True)


def lenient_output() -> None:
    """From here on a character that stdout or stderr lacks is no error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plain")


def end_output() -> None:
    """At the very end: a pipe that nobody reads any more does not change the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:  # closed from the start
            continue
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
