"""The study of live streams: a second of the clip, and what a distance is."""

from __future__ import annotations

import dataclasses

import pytest

from benchmarks.studies.live import distances, forth_and_back, main
from tests.inference.conftest import make_scene


def test_a_second_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    found = main(["--seconds", "1.5", "--fps", "20", "--every", "3", "--words", "live.drop=false", "refinement.lag=4"])
    assert (found["taken"], found["dropped"]) == (30, 0) and found["relative_off_mm"] < 150
    printed = capsys.readouterr().out
    assert "1.5 s at 20 frames/s, 2 people" in printed and "dropped 0 of 30" in printed


def test_forth_and_back() -> None:
    frames = forth_and_back(1, 250)
    assert frames[98] == frames[100] and frames[0] == frames[198] != frames[1] == frames[199]


def test_a_distance_is_of_the_nearest_person() -> None:
    scene = make_scene()
    moved = [
        dataclasses.replace(
            one, person=9, poses_3d=one.require("poses_3d") + one.require("poses_3d").new_tensor([30, 0, 40])
        )
        for one in scene.people
    ]
    assert distances(moved[::-1], scene.people) == pytest.approx((50.0, 0.0), abs=1e-3)
