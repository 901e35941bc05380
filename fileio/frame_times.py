"""When the frames of a video are shown: its rate, its pauses, and frames at even times out of such at uneven ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pose.errors import DataError

#: An interval is a pause if it is longer than this, seconds and times the usual one: a recording that was stopped, not
#: a screen that stood still.
PAUSE_S, PAUSE_TIMES = 2.0, 20.0


def without_pauses(times: np.ndarray) -> tuple[np.ndarray, float, str]:
    """`times` (N,) s, ascending, with each pause as long as the usual interval; from how long on an interval is one;
    and what to say of them, empty without any."""
    steps = np.diff(times)
    if not len(steps) or not np.isfinite(steps).all() or not (steps > 0).any():
        return times, np.inf, ""
    usual = float(np.median(steps[steps > 0]))
    limit = max(PAUSE_S, PAUSE_TIMES * usual)
    pauses = np.flatnonzero(steps > limit)
    if not len(pauses):
        return times, limit, ""
    many = "s" if len(pauses) > 1 else ""
    said = (
        f"{len(pauses)} pause{many} in the frames' times, {steps[pauses].sum():.0f} s in all, the first after frame "
        f"{pauses[0]}: left out, the frames follow each other, and people may jump there."
    )
    steps[pauses] = usual
    return np.concatenate([times[:1], times[0] + np.cumsum(steps)]), limit, said


def frame_rate(path: Path, times: np.ndarray, rates: list[float]) -> tuple[float, bool]:
    """Frames per second and whether they vary: even is a video that resampling at that rate would leave as it is."""
    rates = [rate for rate in rates if 0 < rate < 1e4]
    remedy = "give fps="
    if len(times) < 2 or not np.isfinite(times).all():
        if not rates:
            raise DataError(f"{path}: no frame rate is stored and {len(times)} frame(s) tell none; {remedy}")
        return rates[0], False
    span = float(times[-1] - times[0])
    if span <= 0:
        raise DataError(f"{path}: a frame rate of zero: all {len(times)} frames have the same time; {remedy}")
    average = (len(times) - 1) / span
    for rate in (*rates, average):
        if np.abs((times - times[0]) * rate - np.arange(len(times))).max() < 0.5:
            return rate, False
    return average, True


def at_even_times(
    frames: Iterator[tuple[float | None, np.ndarray]], fps: float, n_frames: int, pause_s: float = np.inf
) -> Iterator[np.ndarray]:
    """For each moment of the regular grid the frame nearest in time; holds two frames.

    frames: (seconds as stored, image). pause_s: longer intervals count as one frame.
    """
    seconds, held = next(frames, (None, None))
    if held is None:
        return
    start, before, left_out, moment = seconds or 0.0, seconds or 0.0, 0.0, 0
    for seconds, image in frames:
        now = before + 1 / fps if seconds is None else seconds - left_out
        if now - before > pause_s:
            left_out, now = left_out + now - before - 1 / fps, before + 1 / fps
        while start + moment / fps <= (before + now) / 2:
            yield held
            moment += 1
        before, held = now, image
    while moment < n_frames:
        yield held
        moment += 1
