"""One case: a valid input, damage drawn from (seed, target, number), and whether what the reader did is allowed.

Allowed is a result, or a `PoseError` of one printable line that names the file or its folder. Anything else is a crash:
another exception, too much time or memory, a message that would break a terminal or a log.
"""

from __future__ import annotations

import resource
import shutil
import signal
import traceback
import warnings
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pose.errors import PoseError
from tests.fuzz.formats import FORMATS, format_of
from tests.fuzz.mutations import damage_bytes, damage_tree
from tests.fuzz.targets import Target

#: Seconds of processor time, and bytes beyond those before the case, that a case may take.
MAX_SECONDS = 5.0
MAX_BYTES = 2**30
MAX_MESSAGE = 3000

Op = tuple[str, int]  # "tree" or "bytes", and the seed of the change


class OutOfTime(BaseException):
    """Not an Exception: readers turn those into messages."""


class Outcome(NamedTuple):
    """kind: accepted, refused or crash; detail: the message, or what went wrong."""

    kind: str
    detail: str


class Case(NamedTuple):
    """The file that is changed, and how."""

    file: str
    ops: tuple[Op, ...]


class Bench:
    """A target's valid input in a folder; files are damaged there and put back."""

    def __init__(self, target: Target, seed: int, folder: Path) -> None:
        self.target, self.seed, self.folder = target, seed, folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        target.make(folder)
        found = sorted(path for path in folder.rglob("*") if path.is_file())
        self.valid = {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
        self.files = [name for name in self.valid if target.changes is None or target.changes in name]
        self.formats = {name: format_of(name, self.valid[name]) for name in self.files}
        self.trees = {name: FORMATS[kind].parse(self.valid[name]) for name, kind in self.formats.items()}
        outcome = self.outcome()
        if outcome.kind != "accepted":
            raise AssertionError(f"{target.name}: the valid input was not read: {outcome.detail}")

    def case(self, number: int) -> Case:
        rng = np.random.default_rng([self.seed, zlib.crc32(self.target.name.encode()), number])
        name = self.files[int(rng.integers(0, len(self.files)))]
        seeds = [int(seed) for seed in rng.integers(0, 2**32, int(rng.integers(1, 4)))]
        in_trees = self.formats[name] != "bytes" and rng.random() < 0.6
        ops: list[Op] = [("tree" if in_trees else "bytes", seed) for seed in seeds]
        if in_trees and rng.random() < 0.1:
            ops.append(("bytes", int(rng.integers(0, 2**32))))
        return Case(name, tuple(ops))

    def content(self, case: Case) -> bytes | None:
        """The damaged file; None where its format cannot express the damage."""
        trees = [seed for kind, seed in case.ops if kind == "tree"]
        content = self.valid[case.file]
        if trees:
            tree = self.trees[case.file]
            try:
                for seed in trees:
                    shared = self.formats[case.file] in ("pickle", "torch")
                    tree = damage_tree(tree, np.random.default_rng(seed), shared)
                content = FORMATS[self.formats[case.file]].write(tree, np.random.default_rng(trees[0]))
            except Exception:  # writers raise nearly every type for what they cannot express
                return None
        for kind, seed in case.ops:
            if kind == "bytes":
                content = damage_bytes(content, np.random.default_rng(seed))
        return content

    def run(self, case: Case) -> Outcome | None:
        """What the reader does with the damage; None where there was none."""
        content = self.content(case)
        if content is None or content == self.valid[case.file]:
            return None
        return self.run_content(case.file, content)

    def run_content(self, name: str, content: bytes) -> Outcome:
        path = self.folder / name
        path.write_bytes(content)
        try:
            return self.outcome()
        finally:
            path.write_bytes(self.valid[name])

    def outcome(self) -> Outcome:
        _reset_peak()
        before = _status("VmRSS")
        used = resource.getrusage(resource.RUSAGE_SELF)
        signal.signal(signal.SIGPROF, _stop)
        signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.target.read(self.folder)
            found = Outcome("accepted", "")
        except PoseError as error:
            found = _judged(error, self.folder)
        except OutOfTime:
            found = Outcome("crash", f"more than {MAX_SECONDS:g} s of processor time\n{_where()}")
        except BaseException:
            found = Outcome("crash", traceback.format_exc())
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        now = resource.getrusage(resource.RUSAGE_SELF)
        seconds = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
        if found.kind != "crash" and seconds > MAX_SECONDS:
            return Outcome("crash", f"{seconds:.1f} s of processor time")
        grown = _status("VmHWM") - before
        if found.kind != "crash" and grown > MAX_BYTES:
            return Outcome("crash", f"{grown / 2**20:.0f} MiB of memory, then {found.kind}: {found.detail}")
        return found

    def minimised(self, case: Case, detail: str) -> Case:
        """The case with only those changes that its crash needs. For crashes that leave the process alive."""
        wanted = signature(detail)
        ops: Sequence[Op] = case.ops
        for op in case.ops:
            fewer = Case(case.file, tuple(other for other in ops if other != op))
            outcome = self.run(fewer) if fewer.ops else None
            if outcome is not None and outcome.kind == "crash" and signature(outcome.detail) == wanted:
                ops = fewer.ops
        return Case(case.file, tuple(ops))


def _judged(error: PoseError, folder: Path) -> Outcome:
    text = str(error)
    if not text or len(text) > MAX_MESSAGE:
        return Outcome("crash", f"a message of {len(text)} characters: {text[:300]!r}")
    if not text.isprintable():
        return Outcome("crash", f"a message that is not one printable line: {text!r}\n{traceback.format_exc(-3)}")
    names = [path.name for path in folder.rglob("*") if path.is_file()]
    if not any(name in text for name in (*names, str(folder))):
        return Outcome("crash", f"a message that names no file: {text!r}\n{traceback.format_exc(-3)}")
    return Outcome("refused", text)


def signature(detail: str) -> str:
    """What makes two crashes the same: the last place in the code and the kind of error."""
    lines = [line.strip() for line in detail.strip().splitlines()]
    places = [line for line in lines if line.startswith("File ")]
    last = lines[-1].split(":")[0] if lines else ""
    own = [place for place in places if "site-packages" not in place and "/lib/python" not in place]
    return f"{own[-1] if own else lines[0].split(':')[0] if lines else ''} {last}"[:300]


def _stop(*_: Any) -> None:
    raise OutOfTime


def _where() -> str:
    return traceback.format_exc(-6)


def _reset_peak() -> None:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _status(key: str) -> int:
    """Bytes, by Linux's /proc/self/status; 0 elsewhere."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
    return 0
