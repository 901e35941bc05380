"""The step engine: order, skipping, changes, errors, several processes and programs, kills."""

from __future__ import annotations

import errno
import json
import operator
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from data.prepare.manifest import MOST_LISTED
from data.prepare.steps import Step, StepsFailedError, run_steps
from fileio.mat_reader import read_mat
from pose.errors import ConfigError, DataError

REPO = Path(__file__).resolve().parents[3]


def writing(root: Path, name: str, text: str = "x", **more) -> Step:
    return Step(name, (root / name,), partial((root / name).write_text, text), {"text": text}, **more)


def counts(report) -> tuple[int, int, int]:
    return report.done, report.skipped, report.failed


def manifest(root: Path) -> dict:
    return json.loads((root / "manifest.json").read_text())["steps"]


def test_steps_run_in_order_once_and_are_recorded(tmp_path: Path) -> None:
    ran: list[str] = []

    def run(name: str) -> None:
        ran.append(name)
        (tmp_path / name).write_text(name)

    steps = [
        Step("a", (tmp_path / "a",), partial(run, "a"), {"n": 1}),
        Step("b", (tmp_path / "b",), partial(run, "b"), {}, after=("a",)),
        Step("c", (tmp_path / "c",), partial(run, "c"), {}, after=("b",)),
    ]
    seen: list[tuple[int, int]] = []
    report = run_steps(tmp_path, steps, progress=lambda done, total: seen.append((done, total)))
    assert ran == ["a", "b", "c"]
    assert counts(report) == (3, 0, 0) and report.seconds > 0
    assert seen[-1] == (3, 3)
    entry = manifest(tmp_path)["a"]
    assert entry["outputs"]["sizes"] == {"a": 1}
    assert entry["outputs"]["sha256"]["a"].startswith("ca978112ca1bbdca")  # sha256 of "a"
    assert counts(run_steps(tmp_path, steps)) == counts(run_steps(tmp_path, steps, verify=True)) == (0, 3, 0)
    assert ran == ["a", "b", "c"]


def test_what_has_changed_is_done_again(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("1")
    out = tmp_path / "root"
    out.mkdir()

    def step(text: str = "x") -> list[Step]:
        return [writing(out, "made", text, inputs=(source,)), writing(out, "other")]

    assert counts(run_steps(out, step())) == (2, 0, 0)
    assert counts(run_steps(out, step("y"))) == (1, 1, 0)  # settings
    source.write_text("22")
    assert counts(run_steps(out, step("y"))) == (1, 1, 0)  # an input
    (out / "made").unlink()
    assert counts(run_steps(out, step("y"))) == (1, 1, 0)  # a file gone
    (out / "made").write_text("z")
    assert counts(run_steps(out, step("y"))) == (0, 2, 0)  # same size: only hashes tell
    assert counts(run_steps(out, step("y"), verify=True)) == (1, 1, 0)
    source.unlink()
    assert counts(run_steps(out, step("y"))) == (0, 2, 0)  # the input of finished work may go
    with pytest.raises(StepsFailedError, match=r"made: .*source: missing, this step reads it"):
        run_steps(out, step("new"))
    assert "made" not in manifest(out)  # dropped before the work began


def test_a_moved_folder_is_still_done(tmp_path: Path) -> None:
    def steps(root: Path) -> list[Step]:
        root.mkdir(exist_ok=True)
        return [writing(root, "a"), writing(root, "b", inputs=(root / "a",), after=("a",))]

    run_steps(tmp_path / "one", steps(tmp_path / "one"))
    (tmp_path / "one").rename(tmp_path / "two")
    assert counts(run_steps(tmp_path / "two", steps(tmp_path / "two"))) == (0, 2, 0)


def test_many_files_are_recorded_by_one_hash(tmp_path: Path) -> None:
    files = [tmp_path / f"{i}" for i in range(MOST_LISTED + 1)]
    step = Step("many", files, partial(list, map(partial(Path.write_text, data="x"), files)), {})
    run_steps(tmp_path, [step])
    outputs = manifest(tmp_path)["many"]["outputs"]
    assert (outputs["files"], outputs["bytes"]) == (MOST_LISTED + 1,) * 2
    assert counts(run_steps(tmp_path, [step], verify=True)) == (0, 1, 0)
    files[3].write_text("xy")
    redo = Step("many", files, partial(files[3].write_text, "x"), {})
    assert counts(run_steps(tmp_path, [redo])) == (1, 0, 0)
    files[3].write_text("y")
    assert counts(run_steps(tmp_path, [redo])) == (0, 1, 0)
    assert counts(run_steps(tmp_path, [redo], verify=True)) == (1, 0, 0)


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_lets_the_others_finish(tmp_path: Path, jobs: int) -> None:
    steps = [
        Step("bad", (tmp_path / "bad",), partial(read_mat, tmp_path / "no.mat"), {}),
        writing(tmp_path, "behind", after=("bad",)),
        writing(tmp_path, "farther", after=("behind",)),
        Step("worse", (tmp_path / "worse",), partial(operator.truediv, 1, 0), {}),
        Step("forgot", (tmp_path / "forgot",), partial(max, 1, 2), {}),
        writing(tmp_path, "good"),
    ]
    with pytest.raises(StepsFailedError) as caught:
        run_steps(tmp_path, steps, jobs=jobs)
    text = str(caught.value)
    assert "3 of 6 steps failed (2 more wait for them)" in text
    if jobs == 1:
        assert "bad: " in text and "no.mat: cannot be opened (No such file or directory)" in text
        assert text.endswith("Also failed: worse, forgot.")
    assert (caught.value.report.done, caught.value.report.failed, caught.value.report.waiting) == (1, 3, 2)
    assert set(manifest(tmp_path)) == {"good"}
    steps[0] = writing(tmp_path, "bad")
    with pytest.raises(StepsFailedError, match="2 of 6 steps failed; "):
        run_steps(tmp_path, steps)
    assert set(manifest(tmp_path)) == {"bad", "behind", "farther", "good"}


def test_a_full_disk_ends_it_with_one_line(tmp_path: Path) -> None:
    def fill() -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise DataError("somewhere: cannot be written") from error

    steps = [writing(tmp_path, "a"), Step("b", (tmp_path / "b",), fill, {}), writing(tmp_path, "c")]
    with pytest.raises(DataError, match=r"the disk is full \(\d+ MB free\) at step 'b'; make space and run"):
        run_steps(tmp_path, steps)
    assert set(manifest(tmp_path)) == {"a"}


def test_a_worker_that_dies_is_named(tmp_path: Path) -> None:
    steps = [writing(tmp_path, "a"), Step("b", (tmp_path / "b",), partial(os._exit, 9), {}, after=("a",))]
    with pytest.raises(DataError, match=r"a worker process died at or near step 'b'"):
        run_steps(tmp_path, steps, jobs=2)
    assert set(manifest(tmp_path)) == {"a"}


def test_steps_that_make_no_sense(tmp_path: Path) -> None:
    a = writing(tmp_path, "a")
    bad = [
        ([a, a], "'a' is given twice"),
        ([writing(tmp_path, "b", after=("nobody",))], r"comes after \['nobody'\]"),
        ([writing(tmp_path, "x", after=("y",)), writing(tmp_path, "y")], r"'x' comes after \['y'\]"),
        ([Step("e", (), partial(max, 1, 2), {})], "no outputs"),
        ([writing(tmp_path.parent, "out")], "not below"),
        ([writing(tmp_path / ".." / "out", "out")], "not below"),
    ]
    for steps, message in bad:
        with pytest.raises(ConfigError, match=message):
            run_steps(tmp_path, steps)
    for jobs in (0, True, 1.5):
        with pytest.raises(ConfigError, match="jobs="):
            run_steps(tmp_path, [a], jobs=jobs)  # type: ignore[arg-type]
    assert not (tmp_path / "manifest.json").exists()


def test_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    for text in ("{", "[]", '{"version": 1}', '{"version": 9, "steps": {}}'):
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(DataError, match=r"manifest\.json: .*delete it"):
            run_steps(tmp_path, [writing(tmp_path, "a")])


PROGRAM = """
import sys, time
from functools import partial
from pathlib import Path
from data.prepare.steps import Step, run_steps
root, prefix, pause = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
def run(path):
    time.sleep(pause)
    path.write_text(prefix)
    print("wrote", path.name, flush=True)
files = [root / f"{prefix}{i}" for i in range(30)]
print(run_steps(root, [Step(f.name, (f,), partial(run, f), {}) for f in files]))
"""


def start(root: Path, prefix: str, pause: float) -> subprocess.Popen:
    command = [sys.executable, "-c", PROGRAM, str(root), prefix, str(pause)]
    return subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_programs_share_a_folder(tmp_path: Path) -> None:
    programs = [start(tmp_path, prefix, 0.02) for prefix in "ab"]
    outputs = [program.communicate(timeout=60) for program in programs]
    assert [program.returncode for program in programs] == [0, 0], outputs
    assert set(manifest(tmp_path)) == {f"{prefix}{i}" for prefix in "ab" for i in range(30)}


def test_one_preparation_at_a_time(tmp_path: Path, caplog) -> None:
    began, go, ran = threading.Event(), threading.Event(), []

    def slow() -> None:
        ran.append(1)
        began.set()
        assert go.wait(30)
        (tmp_path / "a").write_text("x")

    steps = [Step("a", (tmp_path / "a",), slow, {})]
    with ThreadPoolExecutor(2) as pool, caplog.at_level("INFO"):
        first = pool.submit(run_steps, tmp_path, steps)
        assert began.wait(30)
        second = pool.submit(run_steps, tmp_path, steps)
        while "waiting for" not in caplog.text and not second.done():
            time.sleep(0.01)
        go.set()
        assert counts(first.result(30)) == (1, 0, 0) and counts(second.result(30)) == (0, 1, 0)
    assert len(ran) == 1 and f"waiting for the folder {tmp_path}, which another process is busy with" in caplog.text


def test_a_killed_program_is_continued(tmp_path: Path) -> None:
    program = start(tmp_path, "k", 0.12)
    assert program.stdout is not None
    for _ in range(14):  # some more than a second: at least one version of the manifest is out
        assert program.stdout.readline().startswith("wrote")
    program.send_signal(signal.SIGKILL)
    program.wait()
    program.stdout.close()
    kept = len(manifest(tmp_path))
    assert 0 < kept <= 15
    out, error = start(tmp_path, "k", 0).communicate(timeout=60)
    assert f"done={30 - kept}, skipped={kept}, failed=0" in out, error
    assert len(manifest(tmp_path)) == 30


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    program = """
import sys, time
from functools import partial
from pathlib import Path
from data.prepare.steps import Step, run_steps
root = Path(sys.argv[1])
if __name__ == "__main__":
    steps = [Step(f"{i}", (root / f"{i}",), partial(time.sleep, 600), {}) for i in range(2)]
    Path(sys.argv[2]).touch()
    run_steps(root, steps, jobs=2)
"""
    path, flag = tmp_path / "program.py", tmp_path / "flag"
    path.write_text(program)
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    parent = subprocess.Popen([sys.executable, str(path), str(tmp_path / "root"), str(flag)], env=environment)
    wait_until(lambda: flag.exists() and len(children(parent.pid)) >= 3)  # two workers and the resource tracker
    workers = children(parent.pid)
    time.sleep(2.0)
    parent.kill()
    parent.wait()
    wait_until(lambda: not any(alive(pid) for pid in workers))


def children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    if not path.exists():
        pytest.skip("needs /proc with children")
    return [int(word) for word in path.read_text().split()]


def alive(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    try:
        return state.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)
