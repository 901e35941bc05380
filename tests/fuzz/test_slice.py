"""A fixed slice of the fuzzing, and what full runs have found: the damage itself, so that other seeds do not matter."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pose.errors import DataError, ListedError, PoseError, printable
from tests.fuzz.__main__ import Result, run_target, table
from tests.fuzz.cases import Bench, Case, Outcome
from tests.fuzz.mutations import damage_bytes, damage_tree
from tests.fuzz.structures import explore
from tests.fuzz.targets import TARGETS, Target

CASES = 8
SLOW = {"muco_temp", "mpi_inf_3dhp train"}  # to write, not to read


def _target(name: str) -> Target:
    return next(target for target in TARGETS if target.name == name)


@pytest.mark.parametrize("target", [target for target in TARGETS if target.name not in SLOW], ids=lambda t: t.name)
def test_a_slice(target: Target, tmp_path: Path) -> None:
    bench = Bench(target, 0, tmp_path / "in")
    outcomes = [(number, bench.run(bench.case(number))) for number in range(CASES)]
    assert not [(number, found.detail) for number, found in outcomes if found is not None and found.kind == "crash"]
    assert Counter(found.kind for _, found in outcomes if found is not None).total() > CASES // 4


def test_structures(tmp_path: Path) -> None:
    bench = Bench(_target("predict coco_annotations"), 0, tmp_path / "in")
    found: list[Outcome] = []
    assert explore(bench, "gt.json", 0, 30, found.append) is None
    assert {outcome.kind for outcome in found} == {"accepted", "refused"}


# --- found -----------------------------------------------------------------------------------------------------------


def _changed(tree: Any, *keys: Any, value: Any) -> Any:
    inner = tree
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    return tree


LONG = "9" * 5000
FOUND: list[tuple[str, str, tuple, Any]] = [
    ("predict coco_annotations", "gt.json", ("images", 0), 3),
    ("keypoints.json", "keypoints.json", ("img_8.jpg", 0, "score"), 10**400),
    ("keypoints.json", "keypoints.json", ("img_8.jpg", 0, "keypoints", 3), LONG),
    ("mocap settings", "mocap.json", ("subjects",), 2.5),
    ("prepare manifest", "manifest.json", ("steps", "a", "outputs"), None),
    ("prepare manifest", "manifest.json", ("steps", "a", "outputs"), [1]),
    ("checkpoint ckpt", "lifter.json", ("folder",), LONG),
    ("checkpoint ckpt", "lifter.json", ("folder",), [[0.0] * 10] * 200),
    ("checkpoint published", "config.json", ("pose2d_type",), LONG),
    ("checkpoint published", "config.json", ("model", "filter_widths"), [[0.0] * 10] * 200),
    ("checkpoint published", "config.json", ("model", "dropout"), 2.5e29),
    ("tables sweep", "a/metrics.json", ("occlusion",), []),
    ("tables sweep", "a/metrics.json", ("metrics", "plain"), "two\nlines"),
    ("tables sweep", "sweep.json", ("table", "columns"), 3),
    ("tables sweep", "sweep.json", ("table", "columns"), ["/_pck_pct"]),
]


@pytest.mark.parametrize(("name", "file", "keys", "value"), FOUND)
def test_found_in_json(name: str, file: str, keys: tuple, value: Any, tmp_path: Path) -> None:
    bench = Bench(_target(name), 0, tmp_path / "in")
    content = json.dumps(_changed(json.loads(bench.valid[file]), *keys, value=value)).encode()
    outcome = bench.run_content(file, content)
    assert outcome.kind == "refused", outcome.detail
    assert Path(file).name in outcome.detail or bench.folder.name in outcome.detail


@pytest.mark.parametrize(
    "arrays", [{"joint_set": np.array("nan")}, {"two\nlines\x1b[31m": np.zeros(3)}, {"joint_set": np.array("a" * 9000)}]
)
def test_found_in_keypoints_npz(arrays: dict, tmp_path: Path) -> None:
    bench = Bench(_target("predict npz_rows"), 0, tmp_path / "in")
    with np.load(bench.folder / "k.npz") as valid:
        np.savez(tmp_path / "k.npz", **{**valid, **arrays})
    assert bench.run_content("k.npz", (tmp_path / "k.npz").read_bytes()).kind == "refused"


def test_found_in_overrides(tmp_path: Path) -> None:
    bench = Bench(_target("tables runs"), 0, tmp_path / "in")
    for content in (b"- a=1\nb\n- c: 2", b"- [", b"\xc1- a", b"- ${now:}\n- {? [0] : 1}", b"3"):
        assert bench.run_content("a/.hydra/overrides.yaml", content).kind != "crash"


# --- the fuzzer itself -----------------------------------------------------------------------------------------------


def _raise(error: BaseException) -> Any:
    raise error


def _take(seconds_or_bytes: str) -> Any:
    if seconds_or_bytes == "bytes":
        return bytearray(3 * 2**29)
    while True:
        sum(range(1000))


@pytest.mark.parametrize(
    ("read", "kind"),
    [
        (lambda folder: 1, "accepted"),
        (lambda folder: _raise(DataError(f"{folder}: no")), "refused"),
        (lambda folder: _raise(DataError("no")), "crash"),
        (lambda folder: _raise(ListedError([f"{folder}:", "two"])), "crash"),
        (lambda folder: _raise(KeyError("x")), "crash"),
        (lambda folder: _raise(RecursionError()), "crash"),
        (lambda folder: _take("bytes"), "crash"),
        (lambda folder: _take("seconds"), "crash"),
    ],
)
def test_what_is_a_crash(read, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.cases.MAX_SECONDS", 0.3)
    damaged = tmp_path / "in" / "a.json"
    target = Target(
        "made up",
        lambda folder: (folder / "a.json").write_text("[1]"),
        lambda folder: read(folder) if damaged.read_text() != "[1]" else None,
    )
    bench = Bench(target, 0, tmp_path / "in")
    assert bench.run_content("a.json", b"[2]").kind == kind
    assert damaged.read_text() == "[1]"


def test_cases_are_the_same_again_and_made_small(tmp_path: Path) -> None:
    bench = Bench(_target("mocap settings"), 5, tmp_path / "in")
    assert [bench.content(bench.case(i)) for i in range(20)] == [bench.content(bench.case(i)) for i in range(20)]
    tree = {"a": [1, 2.5, "x"], "b": np.zeros((2, 3))}
    assert len({repr(damage_tree(tree, np.random.default_rng(seed))) for seed in range(50)}) > 30
    assert len({damage_bytes(b"some bytes", np.random.default_rng(seed)) for seed in range(50)}) > 30
    text = tmp_path / "in" / "mocap.json"
    bench.target = bench.target._replace(read=lambda folder: {}["a"] if b"9" in text.read_bytes() else 0)
    case = next(case for case in map(bench.case, range(500)) if len(case.ops) > 1 and _crashes(bench, case))
    found = bench.run(case)
    assert found is not None and _crashes(bench, bench.minimised(case, found.detail))
    assert len(bench.minimised(case, found.detail).ops) <= len(case.ops)


def _crashes(bench: Bench, case: Case) -> bool:
    outcome = bench.run(case)
    return outcome is not None and outcome.kind == "crash"


def test_a_worker_that_dies_is_a_crash_and_the_table_says_so(tmp_path: Path) -> None:
    result = run_target("mocap settings", 60, 0, tmp_path, cases=5)
    assert result.counts.total() > 0 and not result.crashes and not result.failed
    assert run_target("no such target", 5, 0, tmp_path).failed
    dead = Result("mocap bvh")
    dead.crash(3, "the process ended by SIGSEGV")
    assert table([result, dead]).splitlines()[-1].split()[-1] == "1"


def test_printable() -> None:
    assert str(PoseError("a\nb\x1b[1m\ud800\u202e")) == r"a\nb\x1b[1m\ud800\u202e"
    assert str(PoseError("é 漢 → fine")) == "é 漢 → fine"
    assert len(printable("x" * 10**6)) < 1000 and len(printable("x " * 10**6)) < 8100
    assert str(ListedError(["a\nb", "c"])) == "a\\nb\nc"
