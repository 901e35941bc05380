"""Smooth trajectories of points: 3x3 data terms per frame, first and second differences between frames, compiled.

For each point j this minimises over x (T, 3)

    sum_t (x_t' A_t x_t - 2 b_t' x_t) + sum_t w1_t |x_t - x_{t-1}|^2 + sum_t w2_t |x_t - 2 x_{t-1} + x_{t-2}|^2

a symmetric positive definite system of half-bandwidth 6 in (frame, coordinate) order: two passes over the frames, about
200 operations a frame. The inverse's diagonal (the variances) comes from the same factor by the recursion of Takahashi
et al. (1973), also in two passes. Bones between the points are dealt with one point at a time (`sweep_skeleton`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

#: Sums may be reordered, which vector registers need; NaN and infinity keep their meaning.
_FAST = {"reassoc", "contract", "arcp", "nsz"}


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile `function` at its first call; keep the machine code in `__pycache__`, or where NUMBA_CACHE_DIR says."""
    try:
        return numba.njit(function, fastmath=_FAST, cache=True)
    except RuntimeError:  # no folder that may be written to
        return numba.njit(function, fastmath=_FAST)


_P = 6


@compiled
def _factorise(A, w1, w2, band):
    """Fill band (3 T, 7) with D and L of the system: band[i, 0] = D_i, band[i, k] = L[i + k, i]."""
    T = A.shape[0]
    n = 3 * T
    for t in range(T):
        near = 0.0
        own = 0.0
        far = 0.0
        if t >= 1:
            own += w1[t]
        if t < T - 1:
            own += w1[t + 1]
            near -= w1[t + 1]
        if t >= 2:
            own += w2[t]
        if 1 <= t < T - 1:
            own += 4 * w2[t + 1]
            near -= 2 * w2[t + 1]
        if t < T - 2:
            own += w2[t + 2]
            near -= 2 * w2[t + 2]
            far = w2[t + 2]
        for c in range(3):
            i = 3 * t + c
            for k in range(_P + 1):
                band[i, k] = A[t, c, c + k] if k < 3 - c else 0.0
            band[i, 0] += own
            band[i, 3] += near
            band[i, 6] += far
    for i in range(n):
        reach = min(_P, n - 1 - i)
        for k in range(1, reach + 1):
            factor = band[i, k] / band[i, 0]
            for m in range(k, reach + 1):
                band[i + k, m - k] -= factor * band[i, m]
        for k in range(1, reach + 1):
            band[i, k] /= band[i, 0]


@compiled
def _solve_point(A, b, w1, w2, band, x):
    """One point: A (T, 3, 3), b (T, 3) -> x (T, 3), in place."""
    n = 3 * A.shape[0]
    _factorise(A, w1, w2, band)
    y = x.reshape(n)
    y[:] = b.reshape(n)
    for i in range(n):
        for k in range(1, min(_P, n - 1 - i) + 1):
            y[i + k] -= band[i, k] * y[i]
    for i in range(n - 1, -1, -1):
        y[i] /= band[i, 0]
        for k in range(1, min(_P, n - 1 - i) + 1):
            y[i] -= band[i, k] * y[i + k]


@compiled
def _solve(A, b, w1, w2, x):
    points, T = b.shape[:2]
    band = np.empty((3 * T, _P + 1))
    for j in range(points):
        _solve_point(A[j], b[j], w1[j], w2[j], band, x[j])


@compiled
def _sweep(A, b, w1, w2, bones, lengths, weight, order, x):
    T = b.shape[1]
    band = np.empty((3 * T, _P + 1))
    for j in order:
        for k in range(len(bones)):
            if bones[k, 0] != j and bones[k, 1] != j:
                continue
            other = bones[k, 0] + bones[k, 1] - j
            for t in range(T):
                length = 0.0
                for c in range(3):
                    length += (x[j, t, c] - x[other, t, c]) ** 2
                stretch = lengths[k] / max(np.sqrt(length), 1e-6)
                for c in range(3):
                    A[j, t, c, c] += weight[t]
                    b[j, t, c] += weight[t] * (x[other, t, c] + stretch * (x[j, t, c] - x[other, t, c]))
        _solve_point(A[j], b[j], w1[j], w2[j], band, x[j])


@compiled
def _variances(A, w1, w2, variance):
    points, T = A.shape[:2]
    n = 3 * T
    band = np.empty((n, _P + 1))
    inverse = np.empty((n, _P + 1))  # inverse[i, k] = Z[i, i + k]
    for j in range(points):
        _factorise(A[j], w1[j], w2[j], band)
        for i in range(n - 1, -1, -1):
            reach = min(_P, n - 1 - i)
            for k in range(reach, -1, -1):
                total = 1.0 / band[i, 0] if k == 0 else 0.0
                for m in range(1, reach + 1):
                    low, high = min(m, k), max(m, k)
                    total -= band[i, m] * inverse[i + low, high - low]
                inverse[i, k] = total
        for t in range(T):
            variance[j, t] = inverse[3 * t, 0] + inverse[3 * t + 1, 0] + inverse[3 * t + 2, 0]


def solve_points(A: np.ndarray, b: np.ndarray, w1: np.ndarray, w2: np.ndarray) -> np.ndarray:
    """The minimum x (J, T, 3) for data terms A (J, T, 3, 3), b (J, T, 3) and weights w1, w2 (J, T), all float64.

    w1[:, t] belongs to the step from frame t - 1 to t, w2[:, t] to the second difference of t - 2, t - 1 and t.
    """
    A, b = np.ascontiguousarray(A), np.ascontiguousarray(b)
    x = np.empty(b.shape)
    _solve(A, b, w1, w2, x)
    return x


def sweep_skeleton(
    A: np.ndarray,
    b: np.ndarray,
    w1: np.ndarray,
    w2: np.ndarray,
    bones: np.ndarray,
    lengths: np.ndarray,
    weight: np.ndarray,
    order: np.ndarray,
    start: np.ndarray,
) -> np.ndarray:
    """`solve_points` with bones between the points, one after the other: one Gauss-Seidel sweep from start (J, T, 3).

    To each bone k (points bones[k] = (i, j)) belongs the term sum_t weight_t (|x_it - x_jt| - lengths_k)^2. A point is
    solved for with its neighbours fixed and each bone's term replaced by weight_t |x_i - x_j - lengths_k d|^2, d the
    bone's present direction: never below the term and equal to it now, so no step raises the energy. order: the points
    to move; the others stay.
    """
    x = np.array(start, dtype=np.float64, order="C")
    _sweep(np.array(A, order="C"), np.array(b, order="C"), w1, w2, bones, lengths, weight, order, x)
    return x


def point_variances(A: np.ndarray, w1: np.ndarray, w2: np.ndarray) -> np.ndarray:
    """Trace of each frame's 3x3 block of the inverse (J, T): the summed variance of the point's coordinates."""
    variance = np.empty(A.shape[:2])
    _variances(np.ascontiguousarray(A), w1, w2, variance)
    return variance
