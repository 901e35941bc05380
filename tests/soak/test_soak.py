"""Three kills of what `make soak` kills twenty times, and files in halves that it must notice."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.soak.commands import COMMANDS, Command
from tests.soak.files import HalfFile, check_whole, final_files, results
from tests.soak.killing import Reference, Soak


def test_killed_and_started_again_it_ends_the_same(tmp_path: Path) -> None:
    command = COMMANDS["train"]  # the one with most to lose
    # Pictures take longest, and `make soak` has them.
    soak = Soak(replace(command, words=lambda *places: [*command.words(*places), "pictures=false"]), tmp_path, 4)
    reference = soak.reference()
    assert reference.results
    for _ in range(5):  # until it is hit: the machine may be quicker than it was just now
        soak.kill_and_resume(reference, 3 - soak.tally.kills)
        assert soak.tally.losses == []
        if soak.tally.kills == 3:
            return
    pytest.fail("it always ended before it could be killed")


def write_json(path: Path) -> None:
    path.write_text(json.dumps({"a": [1, 2, 3]}))


def write_csv(path: Path) -> None:
    path.write_text("a,b\n1,2\n3,4\n")


def write_picture(path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(path)


def write_trc(path: Path) -> None:
    head = ["PathFileType", "DataRate\tCameraRate\tNumFrames", "30\t30\t2", "Frame#", "X1"]
    path.write_text("\n".join([*head, "1\t0.0", "2\t0.1"]) + "\n")


def write_bvh(path: Path) -> None:
    head = ["HIERARCHY", "CHANNELS 3 Xposition Yposition Zposition", "MOTION", "Frames: 2", "Frame Time: 0.1"]
    path.write_text("\n".join([*head, "1 2 3", "4 5 6"]) + "\n")


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("metrics.json", write_json),
        ("table.csv", write_csv),
        ("table.md", lambda path: path.write_text("| a |\n")),
        ("config.yaml", lambda path: path.write_text("a: 1\nbcd: 2\n")),
        ("page.html", lambda path: path.write_text("<html></html>\n")),
        ("rows.npz", lambda path: np.savez(path, a=np.arange(100))),
        ("lifter.ckpt", lambda path: torch.save({"state_dict": {"a": torch.arange(100)}}, path)),
        ("figure.png", write_picture),
        ("img_000000.jpg", write_picture),
        ("person_0.trc", write_trc),
        ("person_0.bvh", write_bvh),
    ],
)
def test_half_a_file_is_noticed_and_so_is_another_result(tmp_path: Path, name: str, write) -> None:
    path = tmp_path / name
    write(path)
    check_whole(path)
    before = results(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3 - 1])
    with pytest.raises(HalfFile, match=name):
        check_whole(path)
    write(path)
    assert results(tmp_path) == before


def test_hidden_files_and_logs_are_passed_over_and_unknown_ones_are_not(tmp_path: Path) -> None:
    for name in (".table-0123abcd.md", "run.log", "other.xyz"):
        (tmp_path / name).write_text("half")
    (found,) = final_files(tmp_path)
    with pytest.raises(KeyError, match="nothing is known"):
        check_whole(found)


def test_other_numbers_are_another_result_and_another_folder_is_not(tmp_path: Path) -> None:
    for name, value in (("one", 1), ("two", 1), ("three", 2)):
        (tmp_path / name).mkdir()
        content = {"metrics": value, "place": str(tmp_path / name), "stage_seconds": {"lifting": len(name)}}
        (tmp_path / name / "metrics.json").write_text(json.dumps(content))
        torch.save({"state_dict": {"w": torch.ones(3)}}, tmp_path / name / "lifter.ckpt")
    assert results(tmp_path / "one") == results(tmp_path / "two")
    assert results(tmp_path / "one") != results(tmp_path / "three")
    torch.save({"state_dict": {"w": torch.tensor([1, 1, 1 + 1e-6])}}, tmp_path / "two" / "lifter.ckpt")
    assert results(tmp_path / "one") != results(tmp_path / "two")


def test_a_command_that_fails_when_it_is_given_again_is_a_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = """
import pathlib, sys, time
tries = pathlib.Path(sys.argv[1], ".tries")
number = len(tries.read_text()) if tries.exists() else 0
tries.write_text("." * (number + 1))
time.sleep(30 if number == 0 else 0)
sys.exit(number == 1)
"""

    class Failing(Soak):
        def _started(self, place: Path) -> subprocess.Popen:
            place.mkdir(parents=True, exist_ok=True)
            place.with_name(f"{place.name}.output").touch()
            return subprocess.Popen([sys.executable, "-c", code, str(place)], start_new_session=True)

    soak = Failing(Command("fails", lambda folder: None, lambda inputs, place: []), tmp_path / "soak", 0)
    late = SimpleNamespace(random=lambda: 0.0, uniform=lambda low, high: high, randint=max)
    monkeypatch.setattr(soak, "rng", late)
    soak.kill_and_resume(Reference(seconds=2.0, changes=1, results={}), 2)  # after 1.9 s each
    assert soak.tally.kills == 1
    assert [loss.partition(", in ")[0] for loss in soak.tally.losses] == ["fails: exit code 1 before the next kill"]
