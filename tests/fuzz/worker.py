"""Cases of one target in this process; a line of JSON about each on standard output.

`python -m tests.fuzz.worker TARGET --seed S --seconds N --first I --folder DIR`: the parent watches, since a reader's C
library may end the process or never return.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import json
import logging
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

#: Beyond what the process has at the start: a bound for what would take the machine down. cases.MAX_BYTES judges.
_ADDRESS_SPACE = 6 * 2**30


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    for name in ("seed", "first"):
        parser.add_argument(f"--{name}", type=int, default=0)
    parser.add_argument("--cases", type=int, default=10**9)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever is printed below is no report

    def say(**fact: Any) -> None:
        out.write(json.dumps(fact) + "\n")
        out.flush()

    faulthandler.enable()
    logging.disable(logging.CRITICAL)
    from tests.fuzz.cases import Bench
    from tests.fuzz.targets import TARGETS

    target = next(target for target in TARGETS if target.name == given.target)
    bench = Bench(target, given.seed, given.folder)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (used + _ADDRESS_SPACE, resource.RLIM_INFINITY))
    _mutate(bench, given, say)
    say(end=True)


def _mutate(bench: Any, given: argparse.Namespace, say: Any) -> None:
    """Cases from `first` on; every hundredth of a JSON target is a run of hypothesis."""
    stop = time.monotonic() + given.seconds
    texts = [name for name, kind in bench.formats.items() if kind == "json"]
    number = given.first
    while time.monotonic() < stop and number < given.first + given.cases:
        say(case=number)
        if texts and number % 100 == 99:
            _explore(bench, texts[number // 100 % len(texts)], number, say)
        else:
            case = bench.case(number)
            outcome = bench.run(case)
            if outcome is not None and outcome.kind == "crash":
                case = bench.minimised(case, outcome.detail)
                path = save(bench, given, number, case.file, bench.content(case))
                say(kind="crash", detail=outcome.detail, ops=case.ops, saved=path)
            elif outcome is not None:
                say(kind=outcome.kind)
        number += 1


def _explore(bench: Any, name: str, number: int, say: Any) -> None:
    from tests.fuzz.structures import explore

    found = explore(bench, name, number, 40, lambda outcome: outcome.kind != "crash" and say(kind=outcome.kind))
    if found is not None:
        say(kind="crash", detail=found, ops=[["hypothesis", number]], saved="")


def save(bench: Any, given: argparse.Namespace, number: int, name: str, content: bytes | None) -> str:
    """Keep the damaged file beside the folder; its path."""
    folder = given.folder.parent / "crashes" / given.target.replace(" ", "_").replace("/", "_")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{given.seed}-{number}-{Path(name).name}"
    path.write_bytes(content or b"")
    return str(path)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # libraries that were fed damage may not survive their own end
