"""Some of the kills that `make soak` makes by the dozen, and half a file that it must notice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.soak.__main__ import Soak
from tests.soak.files import HalfFile, check_whole, results


def test_killed_and_started_again_it_ends_the_same(tmp_path: Path) -> None:
    soak = Soak("train", tmp_path, 4)  # the one with most to lose
    for number in range(5):  # until it is hit: the machine may be quicker than it was just now
        soak.kill_and_resume(number)
        assert soak.losses == []
        if soak.kills:
            return
    pytest.fail("it always ended before it could be killed")


def test_half_a_file_is_noticed_and_so_is_another_result(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    for content, same in (({"a": 1, "stage_seconds": 2}, True), ({"a": 2}, False)):
        path.write_text(json.dumps({"a": 1}))
        before = results(tmp_path)
        path.write_text(json.dumps(content))
        assert (results(tmp_path) == before) is same
    check_whole(path)
    path.write_text(path.read_text()[:-2])
    with pytest.raises(HalfFile, match=r"metrics\.json"):
        check_whole(path)
