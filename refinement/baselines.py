"""Baselines: what anyone would try first on a trajectory, as options of `refinement=` to set the energies beside.

All treat every joint and coordinate alike and at once, and take their settings in seconds and hertz, so that they mean
the same at any frame rate. `InterpolationRefinement` only bridges the undetected frames; the others
do that first and then smooth everything. A frame is undetected where `detected` is false or all its scores are zero.

Savitzky-Golay and Gaussian are SciPy's. The 1-Euro filter and the Kalman smoother are written out: the packages that
offer them take one number at a time or are no longer maintained.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod

import numpy as np
import scipy  # its parts load when they are used
import torch

from pose.errors import check_number
from pose.sequence import PoseSequence
from refinement.gaps import bridge
from refinement.refiner import (
    MM_PER_M,
    RefinementResult,
    check_refinable,
    observed_frames,
    with_refined,
)

#: Frames per second at which the Kalman smoother's noise is stated.
REFERENCE_FPS = 30.0


class Baseline(ABC):
    """A baseline's outside: `list[PoseSequence]` in, `RefinementResult` (without energies) out.

    Raises DataError or MismatchError for sequences that cannot be refined, as `PaperRefinement` does.
    """

    name: str

    def __call__(self, sequences: list[PoseSequence]) -> RefinementResult:
        start = time.perf_counter()
        for sequence in sequences:
            check_refinable(sequence)
        refined = []
        for sequence in sequences:
            poses = sequence.require("poses_3d")
            scores = sequence.confidence.double().cpu().numpy()
            known = observed_frames(sequence)[:, 0].cpu().numpy()
            given = poses.double().cpu().numpy() / MM_PER_M
            smooth = self.smooth(bridge(given, known), np.where(known, scores.mean(1), 0.0), sequence)
            moved = torch.from_numpy(MM_PER_M * smooth).to(poses)
            refined.append(with_refined(sequence, moved))
        return RefinementResult(refined, time.perf_counter() - start)

    @abstractmethod
    def smooth(self, poses_m: np.ndarray, score: np.ndarray, sequence: PoseSequence) -> np.ndarray:
        """Gapless poses (T, J, 3) m and mean scores (T,), zero where undetected -> smoothed poses (T, J, 3) m."""


class InterpolationRefinement(Baseline):
    """`refinement=interpolation`: undetected frames interpolated linearly, all others as they are.

    >>> poses_3d = torch.zeros(60, 17, 3) + torch.tensor([0.0, 0.0, 4000.0])  # mm
    >>> poses_3d[20:30, :, 2] += 800  # ten undetected frames
    >>> confidence = torch.ones(60, 19)
    >>> confidence[20:30] = 0
    >>> person = PoseSequence(
    ...     "TS1", 0, None, 30.0, torch.zeros(60, 19, 2), confidence, poses_3d=poses_3d, coordinates="normal"
    ... )
    >>> InterpolationRefinement()([person]).sequences[0].root[25, 2]
    tensor(4000.)
    """

    name = "interpolation"

    def smooth(self, poses_m: np.ndarray, score: np.ndarray, sequence: PoseSequence) -> np.ndarray:
        return poses_m


class OneEuroRefinement(Baseline):
    """`refinement=one_euro`: undetected frames interpolated, then the 1-Euro filter on every coordinate.

    A low-pass filter whose cut-off rises with the speed; it looks at past frames only, so it lags behind.
    min_cutoff: Hz, at rest. beta: Hz per m/s, how much the cut-off rises. speed_cutoff: Hz, of the speed's own filter.
    Source: Casiez, Roussel, Vogel, "1€ Filter", CHI 2012.
    """

    name = "one_euro"

    def __init__(self, min_cutoff: float = 6.98, beta: float = 0.0409, speed_cutoff: float = 2.09):
        check_number("min_cutoff", min_cutoff, above=0, hint="Hz")
        check_number("speed_cutoff", speed_cutoff, above=0, hint="Hz")
        check_number("beta", beta, low=0)
        self.min_cutoff, self.beta, self.speed_cutoff = min_cutoff, beta, speed_cutoff

    def smooth(self, poses_m: np.ndarray, score: np.ndarray, sequence: PoseSequence) -> np.ndarray:
        period = 1 / sequence.fps
        smooth = poses_m.copy()
        speed = np.zeros(poses_m.shape[1:])
        for t in range(1, len(poses_m)):
            speed += _smoothing_weight(self.speed_cutoff, period) * ((poses_m[t] - poses_m[t - 1]) / period - speed)
            weight = _smoothing_weight(self.min_cutoff + self.beta * np.abs(speed), period)
            smooth[t] = smooth[t - 1] + weight * (poses_m[t] - smooth[t - 1])
        return smooth


def _smoothing_weight(cutoff, period: float):
    """Weight of a new value in a first-order low-pass filter with a cut-off in Hz and a sampling period in seconds."""
    return 1 / (1 + 1 / (2 * math.pi * cutoff * period))


class SavitzkyGolayRefinement(Baseline):
    """`refinement=savitzky_golay`: undetected frames interpolated, then a polynomial fitted around each frame.

    window_s: length of the fit in seconds, rounded to an odd number of frames, at most the person's. order: degree.
    """

    name = "savitzky_golay"

    def __init__(self, window_s: float = 0.744, order: int = 3):
        check_number("window_s", window_s, above=0)
        check_number("order", order, low=0, whole=True)
        self.window_s, self.order = window_s, order

    def smooth(self, poses_m: np.ndarray, score: np.ndarray, sequence: PoseSequence) -> np.ndarray:
        reach = min(round(self.window_s * sequence.fps / 2 - 0.5), (len(poses_m) - 1) // 2)
        window = 2 * reach + 1
        if window <= self.order:
            return poses_m
        from scipy.signal import savgol_filter  # takes a second to import

        return np.asarray(savgol_filter(poses_m, window, self.order, axis=0, mode="interp"))


class GaussianRefinement(Baseline):
    """`refinement=gaussian`: undetected frames interpolated, then a Gaussian average with standard deviation sigma_s
    in seconds. Beyond the ends the first and last frames are repeated."""

    name = "gaussian"

    def __init__(self, sigma_s: float = 0.0857):
        check_number("sigma_s", sigma_s, above=0)
        self.sigma_s = sigma_s

    def smooth(self, poses_m: np.ndarray, score: np.ndarray, sequence: PoseSequence) -> np.ndarray:
        return scipy.ndimage.gaussian_filter1d(poses_m, self.sigma_s * sequence.fps, axis=0, mode="nearest")


class KalmanRTSRefinement(Baseline):
    """`refinement=kalman_rts`: a Kalman filter with constant velocity and the Rauch-Tung-Striebel smoother back.

    Root and root-relative joints have settings of their own. noise_root, noise_rel: m, standard deviation of a
    prediction with score 1 at 30 frames per second; it is noise / score ** power with score s, and an undetected frame
    does not count at all (the model itself bridges it). At other rates a second of predictions counts as much, because
    errors of neighbouring frames are alike. acceleration_root, acceleration_rel: m/s^2 per square root of Hz, of the
    white noise that changes the velocity. Source: Rauch, Tung, Striebel, AIAA Journal 3(8), 1965.
    """

    name = "kalman_rts"

    def __init__(
        self,
        noise_root: float = 0.963,
        noise_rel: float = 0.00735,
        acceleration_root: float = 5.67,
        acceleration_rel: float = 0.661,
        power: float = 3.79,
    ):
        check_number("noise_root", noise_root, above=0)
        check_number("noise_rel", noise_rel, above=0)
        check_number("acceleration_root", acceleration_root, above=0)
        check_number("acceleration_rel", acceleration_rel, above=0)
        check_number("power", power, low=0)
        self.noise, self.acceleration = (noise_root, noise_rel), (acceleration_root, acceleration_rel)
        self.power = power

    def smooth(self, poses_m: np.ndarray, score: np.ndarray, sequence: PoseSequence) -> np.ndarray:
        root = poses_m[:, [sequence.joints_3d.root]]  # type: ignore[index]  # there is one, it was checked
        information = np.clip(score, 0, 1) ** (2 * self.power)
        tracks = []
        for track, noise, acceleration in zip((root, poses_m - root), self.noise, self.acceleration, strict=True):
            weights = np.where(score > 0, information, 0) / noise**2 * REFERENCE_FPS / sequence.fps
            middle = track.mean(0)  # what little is supposed about the start is that it is near this
            flat = (track - middle).reshape(len(track), -1)
            flat = rts_smoother(flat, weights, acceleration**2, 1 / sequence.fps)
            tracks.append(middle + flat.reshape(track.shape))
        return tracks[0] + tracks[1]


def rts_smoother(values: np.ndarray, information: np.ndarray, density: float, period: float) -> np.ndarray:
    """Smoothed values (T, M) of M coordinates that share the precision information (T,) of their measurements.

    Each coordinate moves at constant velocity disturbed by white acceleration of spectral density `density`; its state
    is (value, velocity), known beforehand to nothing but orders of magnitude. Precision 0: no measurement.
    """
    frames = len(values)
    move = np.array([[1, period], [0, 1]])
    disturb = density * np.array([[period**3 / 3, period**2 / 2], [period**2 / 2, period]])
    state, spread = np.zeros((2, values.shape[1])), np.diag([1e6, 1e6])
    states, spreads = np.empty((frames, *state.shape)), np.empty((frames, 2, 2))
    before, before_spread = states.copy(), spreads.copy()
    for t in range(frames):
        if t:
            state, spread = move @ state, move @ spread @ move.T + disturb
        before[t], before_spread[t] = state, spread
        gain = spread[:, 0] * information[t] / (1 + spread[0, 0] * information[t])
        state = state + gain[:, None] * (values[t] - state[0])
        spread = spread - np.outer(gain, spread[0])
        states[t], spreads[t] = state, spread
    back = spreads[:-1] @ move.T @ np.linalg.inv(before_spread[1:])
    for t in range(frames - 2, -1, -1):
        states[t] += back[t] @ (states[t + 1] - before[t + 1])
    return states[:, 0]
