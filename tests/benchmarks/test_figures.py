"""Every module's figures at tiny sizes, and the operations they count; test_run has refinement_speed's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import lifting, loader, long_video, protocol, reading, startup, training
from benchmarks.loader import random_sequences
from benchmarks.machine import beside_the_peak
from lightning_modules.networks.tcn import TemporalConvNet
from lightning_modules.prediction import lift

NETWORK = {"channels": 16, "filter_widths": [3, 3]}


def test_operations_of_a_training_window() -> None:
    network = TemporalConvNet(channels=16, filter_widths=[3, 5, 3])
    with FlopCounterMode(display=False) as counter:
        network.forward_strided(torch.randn(2, 45, 42)).sum().backward()
    assert training.flops_per_window(network) == counter.get_total_flops() / 2


def test_operations_of_a_lifted_frame() -> None:
    network = TemporalConvNet(channels=16, filter_widths=[3, 3]).eval()
    per_frame = 2 * (3 * 42 * 16 + 3 * 16 * 16 + 16 * 16 + 16 * 51)
    assert lifting.flops_per_frame(network) == per_frame
    counts = []
    for frames in (100, 200):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(torch.randn(1, frames, 42))
        counts.append(counter.get_total_flops())
    assert (counts[1] - counts[0]) / 100 == per_frame


def test_a_share_of_the_peak_is_the_median_of_rounds_with_peaks_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds, peaks = iter([2.0, 1.0, 4.0]), iter([10.0, 20.0, 10.0, 10.0, 1.0, 3.0])
    monkeypatch.setattr("benchmarks.machine.matrix_peak", lambda: next(peaks))
    monkeypatch.setattr("benchmarks.machine.timed", lambda work: next(seconds))
    assert beside_the_peak(lambda: None, 3) == (1.0, 10.0)  # 10 of 30, 10 and 8


def test_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "SECONDS", 0.02)
    monkeypatch.setattr(training, "WORKERS", 0)
    monkeypatch.setattr("benchmarks.machine.matrix_peak", lambda: 1e9)
    found = list(training.figures([0.1, 1.0], frames=400, batch=32, network=NETWORK))
    assert [figure.name.split("/")[1] for figure in found] == 2 * ["windows", "waiting for data"] + 2 * ["step"]
    windows, waiting = found[2:4]
    assert windows.ratio == windows.value / windows.reference_value > 1
    assert 0 < waiting.value < 100 and waiting.ratio == waiting.reference_value / waiting.value
    step = found[-1]
    assert (step.size, step.count) == (1.0, 32)
    network = TemporalConvNet(**NETWORK)
    assert step.ratio == pytest.approx(step.value * training.flops_per_window(network) / 1e9)


def test_lifting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifting, "AT_LEAST_S", 0.0)
    monkeypatch.setattr("benchmarks.machine.matrix_peak", lambda: 1e9)
    frames, fraction = lifting.figures([0.5], frames=60, network=NETWORK)
    assert (frames.name, frames.count) == ("lifting/frames", 30)
    operations = 2 * lifting.flops_per_frame(TemporalConvNet(**NETWORK))
    assert fraction.ratio == pytest.approx(fraction.value * operations / 1e9)


def test_the_plain_way_gives_the_same_poses() -> None:
    lifter, people = lifting.random_lifter(NETWORK), random_sequences(50, 30)
    for one, poses in zip(lift(lifter, people), lifting.plain_lift(lifter, people), strict=True):
        torch.testing.assert_close(one.poses_3d, poses, rtol=1e-4, atol=0.05)


def test_prediction() -> None:
    found = list(long_video.figures([0.5], frames=80))
    assert [figure.name.split("/")[1] for figure in found] == [
        "keypoints to trajectories", "tracking", "lifting", "refinement",
    ]  # fmt: skip
    assert found[0].count == 40 and found[0].ratio == found[0].value / 30
    assert all(figure.value > found[0].value for figure in found[1:])


def test_memory_of_help_is_without_the_parents() -> None:
    found = startup.peak_mib()
    assert found is None or 10 < found < 150


def test_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "PLAIN_FRAMES", 1)
    (figure,) = protocol.figures([0.005])
    assert figure.count == 20 * 2 * 5 // 2
    assert figure.ratio > 1


def test_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "ROUNDS", 1)
    monkeypatch.setattr(reading, "AT_LEAST_S", 0)
    found = list(reading.figures([0.001]))
    assert [figure.name for figure in found] == [f"reading/{name}" for name in reading.FORMATS]
    assert all(figure.count > 0 and figure.value > 0 for figure in found)


def test_rows_of_a_frame_of_the_long_video_come_in_no_order() -> None:
    made = long_video.detections(60)
    assert (np.diff(made.frame) >= 0).all() and len(made) > 120
    left_to_right = [np.argsort(made.keypoints_2d[made.frame == t, 17, 0]).tolist() for t in range(60)]
    assert len({tuple(order) for order in left_to_right}) > 2


def test_the_loader_measures_all_three_ways(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--frames", "3000", "--seconds", "0.1", "--workers", "0", "--threads", "1"]
    monkeypatch.setattr("sys.argv", ["loader", *words])
    loader.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("3,000 frames, windows of 81")
    rates = {line.rsplit(maxsplit=2)[0]: float(line.split()[-2].replace(",", "")) for line in lines[1:]}
    assert list(rates) == ["frame table", "bare gather", "per sample, 0 workers"]
    assert rates["frame table"] > 5 * rates["per sample, 0 workers"]
