"""Each term of the energies alone, to the last entry: slopes against finite differences, solves against dense ones."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from refinement.occlusion.model import _ray_terms
from refinement.occlusion.solver import point_variances, solve_points
from refinement.published.banded import BandedFactor, Penalty, add_penalty, factorise, penalty_band, solve_in_place
from refinement.published.energy import POSE_LOSSES, SMOOTHNESS_ORDER, PublishedEnergy
from refinement.published.robust import add_data
from refinement.published.windows import NEWTON_STEPS, STARTS, search_windows

WEIGHTS = [f"smoothness_weight_{part}" for part in ("hip", "hip_large", "rel", "rel_large")]
NOTHING = PublishedEnergy(**dict.fromkeys(WEIGHTS, 0.0))
NOT_WANTED = np.empty((0, 0))


def data_terms() -> dict[str, PublishedEnergy]:
    each = {loss: dataclasses.replace(NOTHING, pose_loss=loss, l2_cap=0.1, gm_alpha=0.1) for loss in POSE_LOSSES}
    return each | {"unweighted": dataclasses.replace(each["gm"], weigh_by_visibility=False)}


def smoothness_terms() -> dict[str, PublishedEnergy]:
    return {
        f"{weight}, {order}": dataclasses.replace(
            NOTHING,
            smoothness_loss_hip=order,
            smoothness_loss_rel=order,
            smoothness_loss_hip_largestep=3,
            **{weight: 0.7},
        )
        for weight in WEIGHTS
        for order in SMOOTHNESS_ORDER
    }


def central_differences(energy: PublishedEnergy, x_m: Tensor, *rest: Tensor, h: float = 1e-5) -> Tensor:
    slopes = torch.zeros_like(x_m)
    for place in np.ndindex(*x_m.shape):
        step = torch.zeros_like(x_m)
        step[place] = h
        slopes[place] = (energy(x_m + step, *rest) - energy(x_m - step, *rest)).sum() / (2 * h)
    return slopes


@pytest.mark.parametrize("energy", (terms := data_terms() | smoothness_terms()).values(), ids=terms)
def test_the_slope_of_each_term_at_every_entry(energy: PublishedEnergy) -> None:
    generator = torch.Generator().manual_seed(5)
    x0_m = torch.randn(12, 3, 3, generator=generator, dtype=torch.float64)
    x_m = x0_m + 0.3 * torch.randn(x0_m.shape, generator=generator, dtype=torch.float64)
    v, lengths = torch.rand(12, generator=generator, dtype=torch.float64), torch.tensor([9, 1, 2])
    gradient = energy.gradient(x_m, x0_m, v, lengths)
    assert float(gradient.abs().max()) > 0.01, "the term is there"
    torch.testing.assert_close(gradient, central_differences(energy, x_m, x0_m, v, lengths), rtol=0, atol=1e-8)


@given(st.integers(0, 2**32 - 1), st.sampled_from([(False, 1), (False, 3), (True, 1)]), st.floats(-3, 2))
def test_compiled_data_terms_are_the_slopes_of_their_energies(seed: int, kind: tuple[bool, int], size: float) -> None:
    (gm, width), rng, scale = kind, np.random.default_rng(seed), 10.0**size
    x0, v, h = rng.normal(size=(6, 6)), rng.random(6), 1e-6 * scale**0.5
    x = x0 + scale**0.5 * rng.normal(size=x0.shape)
    gradient = np.zeros_like(x)
    add_data(x, x0, v, width, gm, scale, np.zeros(6), gradient, NOT_WANTED)
    square = ((x - x0) ** 2).reshape(6, -1, width).sum(-1).repeat(width, axis=1)
    for place in np.argwhere(np.abs(square / scale - 1) > 1e-4):  # at the cap itself there is no slope
        place = tuple(place)
        ends = []
        for sign in (1, -1):
            moved, energy = x.copy(), np.zeros(6)
            moved[place] += sign * h
            add_data(moved, x0, v, width, gm, scale, energy, NOT_WANTED, NOT_WANTED)
            ends.append(energy.sum())
        assert 2 * gradient[place] == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-4, abs=1e-4 * scale**-0.5)


def dense_penalty(penalty: Penalty) -> np.ndarray:
    """Q, one difference of one frame at a time."""
    n = len(penalty.weights)
    q = np.zeros((n, n))
    for k, (step, order) in enumerate(zip(penalty.steps.tolist(), penalty.orders.tolist(), strict=True)):
        for t in range(order * step, n):
            row = np.zeros(n)
            row[t] += 1
            row[t - step] -= order
            row[t - order * step] += 1 if order == 2 else 0
            q += penalty.weights[t, k] * np.outer(row, row)
    return q


@st.composite
def penalties(draw: st.DrawFn, frames: int | None = None) -> Penalty:
    n = frames or draw(st.integers(1, 60))
    terms = draw(st.lists(st.tuples(st.integers(1, 25), st.integers(1, 2)), max_size=3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weights = rng.uniform(0, 1, (n, len(terms))) * 10.0 ** rng.uniform(-3, 3, len(terms))
    terms = [(step, order) if n > step * order else (1, 1) for step, order in terms]
    steps, orders = (np.array([term[i] for term in terms], dtype=np.int64) for i in (0, 1))
    return Penalty(steps, orders, weights)


@given(penalties(), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_banded_solves_are_dense_solves(penalty: Penalty, columns: int, seed: int) -> None:
    rng, n = np.random.default_rng(seed), len(penalty.weights)
    q, weight, right = dense_penalty(penalty), rng.uniform(0.01, 1, n), rng.normal(size=(n, columns))
    band = penalty_band(penalty)
    energy, product = np.zeros(columns), np.zeros_like(right)
    add_penalty(penalty, right, energy, product)
    size = max(1.0, np.abs(q).max())
    np.testing.assert_allclose(product / size, q @ right / size, atol=1e-13)
    np.testing.assert_allclose(energy / size, (right * (q @ right)).sum(0) / size, rtol=1e-12, atol=1e-13)
    band[:, 0] += weight
    x = BandedFactor(band).solve(right)
    np.testing.assert_allclose(x, np.linalg.solve(q + np.diag(weight), right), rtol=1e-8, atol=1e-9)


@given(st.integers(1, 25), st.floats(-6, 3), st.floats(-6, 3), st.floats(-8, 1), st.integers(0, 2**32 - 1))
def test_solves_of_points_and_their_variances_are_dense(
    frames: int, first: float, second: float, least: float, seed: int
) -> None:
    rng, w1, w2 = np.random.default_rng(seed), 10.0**first, 10.0**second
    roots = rng.normal(size=(1, frames, 3, 1))  # a ray says nothing of the depth: rank one and a little
    A, b = roots @ roots.transpose(0, 1, 3, 2) + 10.0**least * np.eye(3), rng.normal(size=(1, frames, 3))
    d1, d2 = np.diff(np.eye(frames), axis=0), np.diff(np.eye(frames), n=2, axis=0)
    full = np.kron(w1 * d1.T @ d1 + w2 * (d2.T @ d2 if frames > 1 else 0), np.eye(3))
    for t in range(frames):
        full[3 * t : 3 * t + 3, 3 * t : 3 * t + 3] += A[0, t]
    rounding = 1e-13 * np.linalg.cond(full)
    x, variance = solve_points(A, b, np.array([w1]), np.array([w2])), point_variances(A, np.array([w1]), np.array([w2]))
    exact = np.linalg.solve(full, b[0].ravel())
    assert np.abs(x[0].ravel() - exact).max() <= rounding * np.abs(exact).max()
    exact = np.diag(np.linalg.inv(full)).reshape(frames, 3).sum(1)
    assert np.abs(variance[0] - exact).max() <= rounding * exact.max()


@given(penalties(frames=30), st.sampled_from([1, 3]), st.floats(-4, 1), st.integers(0, 2**32 - 1))
def test_a_window_ends_at_the_dense_optimum_of_the_frames_it_believes(
    penalty: Penalty, width: int, size: float, seed: int
) -> None:
    rng, n, cap = np.random.default_rng(seed), len(penalty.weights), 10.0**size
    w, x0 = rng.uniform(0.05, 1, n), np.cumsum(rng.normal(0, 0.1, (n, 6)), axis=0)
    x0 += np.where(rng.random((n, 1)) < 0.2, 2.0, 0.0)
    band, q = penalty_band(penalty), dense_penalty(penalty)
    rows, pivots, x = np.empty_like(band), np.empty(n), w[:, None] * x0
    assert factorise(band, w, rows, pivots)
    solve_in_place(rows, pivots, x)

    def energy(x: np.ndarray) -> float:
        square = ((x - x0) ** 2).reshape(n, -1, width).sum(-1)
        return float((w[:, None] * np.minimum(square, cap)).sum() + (x * (q @ x)).sum())

    before, limit = energy(x), np.zeros(n)
    out = search_windows(penalty, band, w, w, x, x0, width, False, cap, limit, STARTS, NEWTON_STEPS)
    assert energy(x) <= before * (1 + 1e-9)
    for group, columns in enumerate(np.split(np.arange(6), 6 // width)):
        believed = np.where(out[:, group], 0.0, w)
        matrix = q + np.diag(believed)
        exact = np.linalg.solve(matrix, believed[:, None] * x0[:, columns])
        np.testing.assert_allclose(x[:, columns], exact, atol=1e-12 * np.linalg.cond(matrix))


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
