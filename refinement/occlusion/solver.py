"""Smooth trajectories of points: 3x3 data terms per frame, first and second differences between frames.

For each point j this minimises over x (T, 3)

    sum_t (x_t' A_t x_t - 2 b_t' x_t) + sum_t w1_t |x_t - x_{t-1}|^2 + sum_t w2_t |x_t - 2 x_{t-1} + x_{t-2}|^2

a symmetric positive definite system of half-bandwidth 6 in (frame, coordinate) order, for SciPy's banded Cholesky
solver: points that don't meet are one system, so that a call solves many. The variances come from two factors, one from
the first frame on and one from the last. Bones between the points are dealt with one point at a time
(`sweep_skeleton`). Nothing is compiled.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
import scipy  # its parts load when they are used

from pose.errors import DataError

#: So many frames of points are worked on at a time: arrays of more leave the processor's cache.
AT_ONCE = 1000
#: Said where float64 does not hold the system, as at 10,000 frames/s.
ROUNDED = (
    "refinement=occlusion: rounding leaves nothing of what the frames say; expected a frame rate of at most 1000/s"
)


def _band(A: np.ndarray, w1: np.ndarray, w2: np.ndarray, more: np.ndarray | None = None) -> np.ndarray:
    """(J, T, 3, 7): the system's column of each coordinate, from its diagonal down; more (J, T): on the diagonal."""
    band = np.zeros((*A.shape[:3], 7))
    for c in range(3):
        band[..., c, : 3 - c] = A[..., c, c:]
    first, second = w1[:, 1:], w2[:, 2:]
    own, near = np.zeros(w1.shape) if more is None else more, np.zeros(w1.shape)
    own[:, 1:] += first
    own[:, :-1] += first
    own[:, 2:] += second
    own[:, 1:-1] += 4 * second
    own[:, :-2] += second
    near[:, :-1] -= first
    near[:, 1:-1] -= 2 * second
    near[:, :-2] -= 2 * second
    band[..., 0] += own[..., None]
    band[..., 3] = near[..., None]
    band[:, :-2, :, 6] = second[..., None]
    return band


def _solve(band: np.ndarray, b: np.ndarray) -> np.ndarray:
    """band (J, T, 3, 7), which is overwritten, b (J, T, 3) -> x (J, T, 3)."""
    # Not scipy.linalg.solveh_banded, which calls this one: of a short window most of the time is its checks.
    _, x, failed = scipy.linalg.lapack.dpbsv(band.reshape(-1, 7).T, b.reshape(-1), lower=1, overwrite_ab=1)
    if failed:
        raise DataError(ROUNDED)
    return x.reshape(b.shape)


def solve_points(A: np.ndarray, b: np.ndarray, w1: np.ndarray, w2: np.ndarray) -> np.ndarray:
    """The minimum x (J, T, 3) for data terms A (J, T, 3, 3), b (J, T, 3) and weights w1, w2 (J, T), all float64.

    w1[:, t] belongs to the step from frame t - 1 to t, w2[:, t] to the second difference of t - 2, t - 1 and t.
    """
    return _solve(_band(A, w1, w2), b)


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
    to move; the others stay. Points in a row that no bone joins are solved for together.
    """
    x = np.array(start, dtype=np.float64, order="C")
    moved, met, turns = _turns(bones.tobytes(), order.tobytes(), bones.dtype)
    band, b = _band(A[moved], w1[moved], w2[moved], met[:, None] * weight), b[moved]
    for here, bone, own, other, whose in turns:
        step = x[own] - x[other]
        stretch = lengths[bone, None] / np.maximum(np.sqrt(np.einsum("btc,btc->bt", step, step)), 1e-6)
        pull = whose @ (x[other] + stretch[..., None] * step).reshape(len(bone), x[0].size)
        x[moved[here]] = _solve(band[here], b[here] + weight[:, None] * pull.reshape(-1, *x[0].shape))
    return x


@functools.lru_cache(maxsize=8)
def _turns(bones: bytes, order: bytes, kind: np.dtype) -> tuple[np.ndarray, np.ndarray, list[tuple[Any, ...]]]:
    """The points of order (N,), in as few turns as leave each with the neighbours that it would have met; how many
    bones end in each. Of a turn: its points among these, the bones that end in one (E,), the points at this end and at
    the other, and whose they are (points, E)."""
    pairs, turn = np.frombuffer(bones, kind).reshape(-1, 2).tolist(), dict[int, int]()
    for point in np.frombuffer(order, kind).tolist():
        turn[point] = max((turn[end] + 1 for bone in pairs if point in bone for end in bone if end in turn), default=0)
    moved, turns = np.array(sorted(turn, key=lambda point: turn[point]), dtype=int), []
    numbers = np.array([turn[point] for point in moved.tolist()], dtype=int)
    for number in np.unique(numbers):
        here = slice(*np.searchsorted(numbers, [number, number + 1]).tolist())
        ends = [(k, end, sum(bone) - end) for k, bone in enumerate(pairs) for end in bone if turn.get(end) == number]
        bone, own, other = np.array(ends, dtype=int).reshape(-1, 3).T
        turns.append((here, bone, own, other, (moved[here, None] == own).astype(float)))
    return moved, np.array([sum(point in bone for bone in pairs) for point in moved.tolist()], dtype=float), turns


def point_variances(A: np.ndarray, w1: np.ndarray, w2: np.ndarray, frames: slice = slice(None)) -> np.ndarray:
    """Trace of the 3x3 blocks of the inverse (J, T) in `frames`: the summed variance of the point's coordinates."""
    at_once = max(1, 2 * AT_ONCE // A.shape[1])
    groups = [slice(point, point + at_once) for point in range(0, len(A), at_once)]
    return np.concatenate([_variances(A[group], w1[group], w2[group], frames) for group in groups])


def _variances(A: np.ndarray, w1: np.ndarray, w2: np.ndarray, frames: slice) -> np.ndarray:
    points, T = w1.shape
    # One point behind the other, with frames between them that touch no other: one before each point, two after.
    data = np.zeros((points, T + 3, 3, 3)) + np.eye(3)
    first, second = np.zeros((points, T + 3)), np.zeros((points, T + 3))
    data[:, 1:-2], first[:, 2:-2], second[:, 3:-2] = A, w1[:, 1:], w2[:, 2:]
    data, first, second = data.reshape(-1, 3, 3), first.ravel(), second.ravel()
    band = _band(
        np.stack([data, data[::-1]]),
        np.stack([first, np.roll(first[::-1], 1)]),
        np.stack([second, np.roll(second[::-1], 2)]),
    )
    factor, failed = scipy.linalg.lapack.dpbtrf(band.reshape(-1, 7).T, lower=1)
    if failed:
        raise DataError(ROUNDED)
    forth, back = factor.T.reshape(band.shape)
    back = back[::-1]
    places = (np.arange(len(data)).reshape(points, -1)[:, 1:-2])[:, frames]
    parts = range(0, places.size, AT_ONCE)
    found = [_pair_variances(band[0], forth, back, places.ravel()[part : part + AT_ONCE]) for part in parts]
    return np.concatenate(found).reshape(places.shape)


def _pair_variances(band: np.ndarray, forth: np.ndarray, back: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Frames t's, from the factors that begin with the first frame and with the last: eliminating all frames but t and
    t + 1 leaves the inverse of their block of the inverse, `now`, `next` and what joins them; t + 1 is then eliminated.
    """
    near, far = _block(forth[t - 1], 1), _block(forth[t - 1], 2)
    near_back, far_back = _block(back[t + 2], 1), _block(back[t + 2], 2)
    own, own_back = _block(forth[t], 0), _block(back[t + 1], 0)
    now = _product(own, own) - _product(far_back, far_back)
    next = _product(own_back, own_back) - _product(far, far)
    joint = _block(band[t], 1) - _product(near, far) - _product(far_back, near_back)
    return np.trace(_inverse(now - _product(_product(joint, _inverse(next)), joint)))


def _block(band: np.ndarray, frames: int) -> np.ndarray:
    """(3, 3, N): of columns (N, 3, 7), each frame's block so many frames below the diagonal."""
    block = np.zeros((3, 3, len(band)))
    for row, column in itertools.product(range(3), range(3)):
        if 0 <= (below := 3 * frames + row - column) < 7:
            block[row, column] = band[:, column, below]
    return block


def _product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """left right' of matrices (3, 3, N)."""
    return np.einsum("ikn,jkn->ijn", left, right)


def _inverse(matrices: np.ndarray) -> np.ndarray:
    """Of symmetric positive definite (3, 3, N), a pivot at a time."""
    for k in range(3):
        pivot, column = matrices[k, k], matrices[:, k] / matrices[k, k]
        matrices = matrices - column[:, None] * matrices[k]
        matrices[k] = matrices[:, k] = column
        matrices[k, k] = -1 / pivot
    return -matrices
