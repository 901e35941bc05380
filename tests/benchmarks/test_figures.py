"""Every module's figures at tiny sizes, and the operations they count; test_run has refinement_speed's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import evaluation, lifting, long_video, pictures, reading, startup, training
from benchmarks.machine import beside_the_peak
from lightning_modules.networks.tcn import TemporalConvNet

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
    windows, step = training.figures([1.0], frames=400, batch=32, network=NETWORK)
    assert windows.ratio == windows.value / windows.reference_value > 1
    network = TemporalConvNet(**NETWORK)
    assert step.count == 32 and step.ratio == pytest.approx(step.value * training.flops_per_window(network) / 1e9)


def test_lifting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.machine.matrix_peak", lambda: 1e9)
    (figure,) = lifting.figures([0.5], frames=60, network=NETWORK)
    operations = 2 * lifting.flops_per_frame(TemporalConvNet(**NETWORK))
    assert figure.count == 30 and figure.ratio == pytest.approx(figure.value * operations / 1e9)


def test_prediction() -> None:
    crowd, frames, tracking = long_video.figures([1.0], crowded=(3, 40), long=(1, 50), tracked=(4, 10))
    assert [one.name.split("/")[1] for one in (crowd, frames, tracking)] == ["crowd", "frames", "tracking"]
    assert frames.reference_value == 50 / 30 and frames.ratio == frames.reference_value / frames.value
    assert 100 < crowd.count <= 120 and 30 < tracking.count <= 40


def test_everybody_of_a_crowd_has_a_place_and_is_found() -> None:
    found = long_video.crowd(20, 12)
    hips = found.keypoints_2d[found.frame == 10, 17]
    assert len(hips) == 12 and len(np.unique(hips // 200, axis=0)) > 8
    assert len(long_video.OfflineTracker()(found)) == 12


def test_pictures() -> None:
    pytest.importorskip("av", reason="needs PyAV: pip install av")
    overlay, animation, both = pictures.figures([0.5], frames=80)
    assert both.count == 40 and 1 / both.value == pytest.approx(1 / overlay.value + 1 / animation.value)


def test_memory_of_help_is_without_the_parents() -> None:
    found = startup.peak_mib()
    assert found is None or 10 < found < 150


def test_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "PLAIN_FRAMES", 1)
    (figure,) = evaluation.figures([0.01])
    assert figure.count == 200 and figure.value > 0 and figure.ratio == figure.reference_value / figure.value


def test_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "ROUNDS", 1)
    monkeypatch.setattr(reading, "AT_LEAST_S", 0)
    found = list(reading.figures([0.001]))
    assert [figure.name for figure in found] == [f"read/{name}" for name in reading.FORMATS]
    assert all(figure.count > 0 and figure.value > 0 for figure in found)


def test_rows_of_a_frame_of_the_long_video_come_in_no_order() -> None:
    made = long_video.detections(60)
    assert (np.diff(made.frame) >= 0).all() and len(made) > 120
    left_to_right = [np.argsort(made.keypoints_2d[made.frame == t, 17, 0]).tolist() for t in range(60)]
    assert len({tuple(order) for order in left_to_right}) > 2
