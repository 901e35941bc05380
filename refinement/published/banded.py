"""Banded symmetric positive definite systems with many right-hand sides, compiled with numba.

The smoothness of a trajectory is a quadratic form x' Q x whose matrix is banded in time: Q = sum of D' diag(w) D over
time differences D. With a weight per frame on the diagonal it is positive definite, and one factorisation A = L D L'
(n p^2 operations for n frames and half-bandwidth p) serves all coordinates that share the weights; each solve costs
4 n p operations per coordinate. LAPACK's banded solver takes right-hand sides one by one; here the coordinates of a
frame lie side by side, (n, m) in C order, so that the innermost loop runs over them and fills vector registers.

Storage: a band is (n, p + 1) with band[i, k] = A[i, i + k]. Rows [a, b) of a band are the band of the submatrix of
frames [a, b), which is the system of these frames with their surroundings fixed. All arrays are float64.

numba compiles at the first call and keeps the machine code in `__pycache__` beside this file, or where
NUMBA_CACHE_DIR says; where that cannot be written it compiles anew in each process.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
from numba.core import config

from pose.errors import ConfigError, check_shape

_NUMBA: Any = config  # its settings are attributes made at run time

#: Sums may be reordered, which vector registers need; NaN and infinity keep their meaning.
_FAST = {"reassoc", "contract", "arcp", "nsz"}


def _cache_folder() -> str:
    """Where machine code is kept. Its name has a hash of the sources: numba does not see that a callee has changed."""
    sources = (Path(__file__).with_name(name) for name in ("banded.py", "robust.py", "windows.py", "direct.py"))
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    parent = Path(_NUMBA.CACHE_DIR or Path(__file__).with_name("__pycache__"))
    return str(parent / f"numba-{digest[:12]}")


_CACHE_FOLDER = _cache_folder()


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile `function` at its first call; keep the machine code where there is a place to write it."""
    elsewhere, _NUMBA.CACHE_DIR = _NUMBA.CACHE_DIR, _CACHE_FOLDER
    try:
        return numba.njit(function, fastmath=_FAST, cache=True)
    except (RuntimeError, OSError):  # no folder that may be written to
        return numba.njit(function, fastmath=_FAST)
    finally:
        _NUMBA.CACHE_DIR = elsewhere


class Penalty(NamedTuple):
    """The quadratic form x' Q x = sum over terms k and frames t of weights[t, k] * |difference_k(x)[t]|^2.

    steps, orders (K,) int64: difference k is x[t] - x[t - step], or x[t] - 2 x[t - step] + x[t - 2 step] for order 2;
    it exists from frame t = order * step on. weights (n, K), the weight at the difference's last frame.
    """

    steps: np.ndarray
    orders: np.ndarray
    weights: np.ndarray


class BandedFactor:
    """A = L D L' of a symmetric positive definite band (n, p + 1); ConfigError if it is not positive definite.

    >>> factor = BandedFactor(np.array([[2.0, -1.0], [2.0, -1.0], [2.0, 0.0]]))
    >>> factor.solve(np.array([[1.0], [0.0], [1.0]])).T
    array([[1., 1., 1.]])
    """

    def __init__(self, band: np.ndarray):
        check_shape("band", band, ("n", "p"))
        band = np.ascontiguousarray(band, dtype=np.float64)
        self.rows, self.pivots = np.empty_like(band), np.empty(len(band))
        if not factorise(band, np.zeros(len(band)), self.rows, self.pivots):
            raise ConfigError("band: the matrix is not positive definite; every frame needs a weight > 0")

    def solve(self, right: np.ndarray) -> np.ndarray:
        """x (n, m) of A x = right (n, m)."""
        check_shape("right", right, (len(self.pivots), "m"))
        x = np.array(right, dtype=np.float64, order="C")
        solve_in_place(self.rows, self.pivots, x)
        return x


@compiled
def penalty_band(penalty: Penalty) -> np.ndarray:
    """The band (n, p + 1) of Q, p the longest reach of a difference."""
    n, reach = len(penalty.weights), 0
    for k in range(len(penalty.steps)):
        reach = max(reach, penalty.steps[k] * penalty.orders[k])
    band = np.zeros((n, reach + 1))
    for k in range(len(penalty.steps)):
        step, order = penalty.steps[k], penalty.orders[k]
        for t in range(order * step, n):
            w = penalty.weights[t, k]
            if order == 1:
                band[t, 0] += w
                band[t - step, 0] += w
                band[t - step, step] -= w
            else:
                band[t, 0] += w
                band[t - step, 0] += 4 * w
                band[t - 2 * step, 0] += w
                band[t - step, step] -= 2 * w
                band[t - 2 * step, step] -= 2 * w
                band[t - 2 * step, 2 * step] += w
    return band


@compiled
def add_penalty(penalty: Penalty, x: np.ndarray, energy: np.ndarray, gradient: np.ndarray) -> None:
    """Add x' Q x of each column of x (n, m) to energy (m,) and Q x to gradient: (n, m), or (0, 0) if not wanted."""
    n, m = x.shape
    wanted = len(gradient) > 0
    for k in range(len(penalty.steps)):
        step, order = penalty.steps[k], penalty.orders[k]
        for t in range(order * step, n):
            w = penalty.weights[t, k]
            if order == 1 and wanted:
                for c in range(m):
                    d = x[t, c] - x[t - step, c]
                    energy[c] += w * d * d
                    gradient[t, c] += w * d
                    gradient[t - step, c] -= w * d
            elif order == 1:
                for c in range(m):
                    energy[c] += w * (x[t, c] - x[t - step, c]) ** 2
            elif wanted:
                for c in range(m):
                    d = x[t, c] - 2 * x[t - step, c] + x[t - 2 * step, c]
                    energy[c] += w * d * d
                    gradient[t, c] += w * d
                    gradient[t - step, c] -= 2 * w * d
                    gradient[t - 2 * step, c] += w * d
            else:
                for c in range(m):
                    energy[c] += w * (x[t, c] - 2 * x[t - step, c] + x[t - 2 * step, c]) ** 2


@compiled
def factorise(band: np.ndarray, diagonal: np.ndarray, rows: np.ndarray, pivots: np.ndarray) -> bool:
    """Factor band (n, p + 1) plus diagonal (n,) into rows (n, p + 1) = D L' and pivots (n,) = 1 / D.

    False if it is not positive definite.
    """
    n, p = band.shape[0], band.shape[1] - 1
    for i in range(n):
        for c in range(p + 1):
            rows[i, c] = band[i, c]
        rows[i, 0] += diagonal[i]
        for k in range(1, min(p, i) + 1):
            f = rows[i - k, k] * pivots[i - k]
            for c in range(p + 1 - k):
                rows[i, c] -= f * rows[i - k, k + c]
        if not rows[i, 0] > 0:
            return False
        pivots[i] = 1 / rows[i, 0]
    return True


@compiled
def solve_in_place(rows: np.ndarray, pivots: np.ndarray, x: np.ndarray) -> None:
    """Turn x (n, m) from the right-hand sides into the solutions.

    Four neighbours at a time: each pass over x[i] costs a load and a store, however many it takes along.
    """
    n, m = x.shape
    p = rows.shape[1] - 1
    for i in range(n):
        reach = min(p, i)
        for k in range(1, reach - 2, 4):
            f0, f1 = rows[i - k, k] * pivots[i - k], rows[i - k - 1, k + 1] * pivots[i - k - 1]
            f2, f3 = rows[i - k - 2, k + 2] * pivots[i - k - 2], rows[i - k - 3, k + 3] * pivots[i - k - 3]
            for c in range(m):
                x[i, c] -= f0 * x[i - k, c] + f1 * x[i - k - 1, c] + f2 * x[i - k - 2, c] + f3 * x[i - k - 3, c]
        for k in range(reach - reach % 4 + 1, reach + 1):
            f0 = rows[i - k, k] * pivots[i - k]
            for c in range(m):
                x[i, c] -= f0 * x[i - k, c]
    for i in range(n - 1, -1, -1):
        reach = min(p, n - 1 - i)
        for c in range(m):
            x[i, c] *= pivots[i]
        for k in range(1, reach - 2, 4):
            f0, f1 = rows[i, k] * pivots[i], rows[i, k + 1] * pivots[i]
            f2, f3 = rows[i, k + 2] * pivots[i], rows[i, k + 3] * pivots[i]
            for c in range(m):
                x[i, c] -= f0 * x[i + k, c] + f1 * x[i + k + 1, c] + f2 * x[i + k + 2, c] + f3 * x[i + k + 3, c]
        for k in range(reach - reach % 4 + 1, reach + 1):
            f0 = rows[i, k] * pivots[i]
            for c in range(m):
                x[i, c] -= f0 * x[i + k, c]


@compiled
def invert(rows: np.ndarray, pivots: np.ndarray, inverse: np.ndarray) -> None:
    """Write the dense inverse into the top left n x n of `inverse`, n = len(rows)."""
    n, p = rows.shape[0], rows.shape[1] - 1
    for i in range(n):
        for c in range(n):
            inverse[i, c] = 0.0
        inverse[i, i] = 1.0
        for k in range(1, min(p, i) + 1):
            f = rows[i - k, k] * pivots[i - k]
            for c in range(i - k + 1):
                inverse[i, c] -= f * inverse[i - k, c]
    for i in range(n - 1, -1, -1):
        for c in range(i + 1):
            inverse[i, c] *= pivots[i]
        for k in range(1, min(p, n - 1 - i) + 1):
            f = rows[i, k] * pivots[i]
            for c in range(i + 1):
                inverse[i, c] -= f * inverse[i + k, c]
        for c in range(i):
            inverse[c, i] = inverse[i, c]
