"""`python -m tests.fuzz [--seconds N] [--seed S] [--only TEXT]`: all targets, two at a time, and a table.

Exit code 1 if anything crashed. What crashed is in outputs/fuzz/: report.json, and the damaged files under crashes/;
`--seed S --only TARGET --case I` does one case again.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.fuzz.targets import REPO, TARGETS

#: Wall-clock seconds without a word from a worker: its case hangs where no signal reaches.
PATIENCE = 120.0
_STARTS = 20  # of one target's worker: crashes of the process that are worth finding in one run


class Result:
    """What came of one target."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.counts: Counter[str] = Counter()
        self.crashes: dict[str, dict[str, Any]] = {}
        self.failed = ""  # why there is no result at all

    def crash(self, number: int, detail: str, **more: Any) -> None:
        from tests.fuzz.cases import signature

        self.counts["crash"] += 1
        self.crashes.setdefault(signature(detail), {"case": number, "detail": detail, **more})


def run_target(name: str, seconds: float, seed: int, folder: Path, first: int = 0, cases: int = 10**9) -> Result:
    """Cases of one target for `seconds`, in workers that are started again after the case that ended one."""
    result = Result(name)
    for _ in range(_STARTS):
        begun = time.monotonic()
        number, why = _work(result, seconds, seed, folder, first, cases)
        if number is None:
            result.failed = why if not result.counts else ""
            return result
        if not why:
            return result
        result.crash(number, why)
        cases -= number + 1 - first
        first, seconds = number + 1, seconds - (time.monotonic() - begun)
        if seconds <= 0 or cases <= 0:
            return result
    return result


def _work(result: Result, seconds: float, seed: int, folder: Path, first: int, cases: int) -> tuple[int | None, str]:
    """One worker until it ends: the number of its last case (None: it never began), and why it ended if badly."""
    command = [
        sys.executable, "-m", "tests.fuzz.worker", result.name, "--seed", str(seed), "--first", str(first),
        "--cases", str(cases), "--seconds", str(seconds), "--folder", str(folder / result.name.replace("/", "_")),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "MPLBACKEND": "agg"}
    number, ended, silent = None, False, False
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, cwd=REPO, env=environment, stdout=subprocess.PIPE, stderr=errors)
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            buffer = b""
            while True:
                if not selector.select(PATIENCE):
                    silent = True
                    process.kill()
                    break
                piece = os.read(process.stdout.fileno(), 65536)
                if not piece:
                    break
                *lines, buffer = (buffer + piece).split(b"\n")
                for fact in map(json.loads, lines):
                    number = fact.get("case", number)
                    ended = ended or "end" in fact
                    if fact.get("kind") == "crash":
                        result.crash(number or 0, fact["detail"], ops=fact["ops"], saved=fact["saved"])
                    elif "kind" in fact:
                        result.counts[fact["kind"]] += 1
        code = process.wait()
        process.stdout.close()
        errors.seek(0)
        text = errors.read().decode(errors="replace").partition("Extension modules:")[0][-3000:]
    if ended:
        return number, ""
    if silent:
        return number, f"no word for {PATIENCE:g} s\n{text}"
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return number, f"the process ended by {how}\n{text}"


def table(results: list[Result]) -> str:
    """Target, cases, refused, accepted, crashes."""
    lines = [f"{'target':<28}{'cases':>8}{'refused':>9}{'accepted':>10}{'crashes':>9}"]
    total: Counter[str] = Counter()
    for result in results:
        counts = result.counts
        total.update(counts)
        lines.append(_row(result.name, counts) + (f"  FAILED: {result.failed[:200]}" if result.failed else ""))
    return "\n".join([*lines, _row("all", total)])


def _row(name: str, counts: Counter[str]) -> str:
    cells = (counts.total(), counts["refused"], counts["accepted"], counts["crash"])
    return f"{name:<28}{cells[0]:>8}{cells[1]:>9}{cells[2]:>10}{cells[3]:>9}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Damaged files for every reader.")
    parser.add_argument("--seconds", type=float, default=400, help="for all targets together")
    parser.add_argument("--seed", type=int, default=None, help="default: by the day, so that every day finds others")
    parser.add_argument("--only", default="", help="targets with this text in their names")
    parser.add_argument("--case", type=int, default=None, help="this case alone")
    parser.add_argument("--out", type=Path, default=REPO / "outputs" / "fuzz")
    given = parser.parse_args()
    seed = int(time.time() // 86400) if given.seed is None else given.seed
    names = [target.name for target in TARGETS if given.only in target.name]
    if not names:
        parser.error(f"--only {given.only}: no such target; there are {', '.join(t.name for t in TARGETS)}")
    processes = min(2, os.cpu_count() or 1)
    share = given.seconds * processes / len(names)
    first, cases = (0, 10**9) if given.case is None else (given.case, 1)
    given.out.mkdir(parents=True, exist_ok=True)
    print(f"seed {seed}, {len(names)} targets, {share:.0f} s each, {processes} at a time", flush=True)

    def one(name: str) -> Result:
        with tempfile.TemporaryDirectory(dir=given.out) as folder:
            # A worker's start takes some seconds of its own.
            result = run_target(name, max(1.0, share - 5), seed, Path(folder), first, cases)
            _keep(Path(folder), given.out)
        for crash in result.crashes.values():
            print(f"CRASH {name}, case {crash['case']}: {crash['detail'].strip()[-1500:]}\n", flush=True)
        return result

    with ThreadPoolExecutor(processes) as pool:
        results = list(pool.map(one, names))
    report = {result.name: {"counts": result.counts, "crashes": list(result.crashes.values())} for result in results}
    (given.out / "report.json").write_text(json.dumps({"seed": seed, "targets": report}, indent=1))
    print(table(results))
    return int(any(result.crashes or result.failed for result in results))


def _keep(folder: Path, out: Path) -> None:
    """Move the damaged files of crashes out of a folder that goes."""
    for path in (folder / "crashes").rglob("*"):
        if path.is_file():
            place = out / "crashes" / path.relative_to(folder / "crashes")
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)


if __name__ == "__main__":
    sys.exit(main())
