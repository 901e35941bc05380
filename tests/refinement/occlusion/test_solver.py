"""The block solver against dense linear algebra."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pose.errors import DataError
from refinement.occlusion.model import _ray_terms
from refinement.occlusion.solver import point_variances, solve_points, sweep_skeleton


def dense(A: np.ndarray, w1: np.ndarray, w2: np.ndarray) -> np.ndarray:
    """The (3 T, 3 T) matrix of one point."""
    T = len(A)
    first, second = np.diff(np.eye(T), axis=0), np.diff(np.eye(T), n=2, axis=0) if T > 1 else np.zeros((0, T))
    full = np.kron((first.T * w1[1:]) @ first + (second.T * w2[2:]) @ second, np.eye(3))
    for t in range(T):
        full[3 * t : 3 * t + 3, 3 * t : 3 * t + 3] += A[t]
    return full


@pytest.mark.parametrize("T", [1, 2, 3, 4, 30])
def test_solution_and_variances_are_those_of_the_dense_system(T: int) -> None:
    rng = np.random.default_rng(T)
    roots = rng.normal(size=(4, T, 3, 3))
    A = roots @ roots.transpose(0, 1, 3, 2) + 0.1 * np.eye(3)
    b, w1, w2 = rng.normal(size=(4, T, 3)), rng.uniform(0, 2, (4, T)), rng.uniform(0, 2, (4, T))
    x, variance = solve_points(A, b, w1, w2), point_variances(A, w1, w2)
    for j in range(4):
        full = dense(A[j], w1[j], w2[j])
        np.testing.assert_allclose(x[j].ravel(), np.linalg.solve(full, b[j].ravel()), rtol=1e-8, atol=1e-9)
        expected = np.diag(np.linalg.inv(full)).reshape(T, 3).sum(axis=1)
        np.testing.assert_allclose(variance[j], expected, rtol=1e-8)


def test_arrays_that_are_not_contiguous_are_taken() -> None:
    A = np.broadcast_to(np.eye(3), (2, 5, 3, 3))
    b = np.arange(30.0).reshape(5, 2, 3).transpose(1, 0, 2)
    np.testing.assert_allclose(solve_points(A, b, np.zeros((2, 5)), np.zeros((2, 5))), b)


def test_what_rounding_swallows_is_an_error() -> None:
    A, b, weight = np.zeros((1, 9, 3, 3)) + 1e-10 * np.eye(3), np.ones((1, 9, 3)), np.full((1, 9), 1e12)
    with pytest.raises(DataError, match="frame rate of at most 1000/s"):
        solve_points(A, b, weight, weight)
    with pytest.raises(DataError, match="frame rate of at most 1000/s"):
        point_variances(A, weight, weight)


@pytest.mark.parametrize("frames", [slice(4, 5), slice(0, 3), slice(None)])
def test_variances_of_some_frames_are_those_of_all(frames: slice) -> None:
    rng = np.random.default_rng(0)
    A, w = np.eye(3) * rng.uniform(0.5, 2, (300, 9, 1, 1)), rng.uniform(0, 2, (2, 300, 9))  # more than are at once
    np.testing.assert_allclose(point_variances(A, *w, frames), point_variances(A, *w)[:, frames], rtol=1e-14)
    for point in (0, 222, 223, 299):
        np.testing.assert_allclose(
            point_variances(A, *w)[point],
            np.diag(np.linalg.inv(dense(A[point], *w[:, point]))).reshape(9, 3).sum(1),
            rtol=1e-10,
        )


def skeleton_energy(x: np.ndarray, A, b, w1, w2, pairs, lengths, weight) -> float:
    quadratic = np.einsum("jti,jtik,jtk->", x, A, x) - 2 * (b * x).sum()
    for order, w in ((1, w1), (2, w2)):
        quadratic += (w[:, order:] * (np.diff(x, n=order, axis=1) ** 2).sum(2)).sum()
    stretch = np.linalg.norm(x[pairs[:, 0]] - x[pairs[:, 1]], axis=-1) - lengths[:, None]
    return float(quadratic + (weight * stretch**2).sum())


def test_sweeps_lower_the_energy_to_a_stationary_point_and_leave_the_root() -> None:
    rng, T = np.random.default_rng(0), 12
    A = np.broadcast_to(np.eye(3), (4, T, 3, 3)) * rng.uniform(0.5, 1.5, (4, T, 1, 1))
    b, w1, w2 = rng.normal(0, 3, (4, T, 3)), rng.uniform(0, 2, (4, T)), rng.uniform(0, 2, (4, T))
    pairs, lengths, weight = np.array([[1, 0], [2, 1], [3, 1]]), np.array([2.0, 1.0, 1.5]), rng.uniform(0.5, 3, T)
    terms, order = (A, b, w1, w2, pairs, lengths, weight), np.array([1, 2, 3])
    x = rng.normal(size=(4, T, 3))
    root, energies = x[0].copy(), [skeleton_energy(x, *terms)]
    for _ in range(300):
        x = sweep_skeleton(A, b, w1, w2, pairs, lengths, weight, order, x)
        energies.append(skeleton_energy(x, *terms))
    assert np.diff(energies).max() <= 1e-9
    np.testing.assert_array_equal(x[0], root)
    for index in ((1, 3, 0), (2, 0, 2), (3, T - 1, 1)):
        ends = []
        for step in (1e-4, -1e-4):
            moved = x.copy()
            moved[index] += step
            ends.append(skeleton_energy(moved, *terms))
        assert abs(ends[0] - ends[1]) / 2e-4 < 1e-4


@given(st.integers(1, 25), st.floats(-6, 3), st.floats(-6, 3), st.floats(-8, 1), st.integers(0, 2**32 - 1))
def test_solves_of_points_and_their_variances_are_dense(
    frames: int, first: float, second: float, least: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    w1, w2 = 10.0**first * rng.uniform(0.1, 1, (1, frames)), 10.0**second * rng.uniform(0.1, 1, (1, frames))
    roots = rng.normal(size=(1, frames, 3, 1))  # a ray says nothing of the depth: rank one and a little
    A, b = roots @ roots.transpose(0, 1, 3, 2) + 10.0**least * np.eye(3), rng.normal(size=(1, frames, 3))
    full = dense(A[0], w1[0], w2[0])
    rounding = 1e-13 * np.linalg.cond(full)
    x, variance = solve_points(A, b, w1, w2), point_variances(A, w1, w2)
    exact = np.linalg.solve(full, b[0].ravel())
    assert np.abs(x[0].ravel() - exact).max() <= rounding * np.abs(exact).max()
    exact = np.diag(np.linalg.inv(full)).reshape(frames, 3).sum(1)
    assert np.abs(variance[0] - exact).max() <= rounding * exact.max()


@given(st.integers(0, 2**32 - 1))
def test_rays_are_squared_distances(seed: int) -> None:
    """x' A x - 2 b' x is weight * |(x, y) - ray z - target|², but for a constant."""
    rng = np.random.default_rng(seed)
    rays, target, weights = rng.normal(size=(4, 2, 2)), rng.normal(size=(4, 2, 2)), rng.random((4, 2))
    A, b = _ray_terms(rays, target, weights)
    points = rng.normal(size=(4, 2, 3))

    def distance(points: np.ndarray) -> np.ndarray:
        return weights * ((points[..., :2] - rays * points[..., 2:] - target) ** 2).sum(-1)

    quadratic = np.einsum("tmi,tmij,tmj->tm", points, A, points) - 2 * (b * points).sum(-1)
    np.testing.assert_allclose(quadratic, distance(points) - distance(np.zeros_like(points)), atol=1e-10)
