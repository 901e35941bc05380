"""The benchmark of long videos measures what it says."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from benchmarks import long_video


def test_it_prints_stages_and_memory(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["long_video", "--frames", "120"])
    long_video.main()
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("3 people, 120 frames: ") and int(first.split()[-4]) >= 300
    for part in ("tracking", "camera", "lifting", "refinement", "GiB"):
        assert part in second


def test_rows_of_a_frame_come_in_no_order() -> None:
    made = long_video.detections(60)
    assert (np.diff(made.frame) >= 0).all() and len(made) > 120
    left_to_right = [np.argsort(made.keypoints_2d[made.frame == t, 17, 0]).tolist() for t in range(60)]
    assert len({tuple(order) for order in left_to_right}) > 2
