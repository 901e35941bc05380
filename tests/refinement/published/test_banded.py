from __future__ import annotations

import numpy as np
import pytest
import torch

from pose.errors import ConfigError, ShapeError
from refinement.published import banded
from refinement.published.banded import BandedFactor, Penalty, add_penalty, factorise, invert, penalty_band
from refinement.published.energy import data_loss, difference
from refinement.published.robust import add_data, descend

NOT_WANTED = np.empty((0, 0))


def made_penalty(n: int, terms: list[tuple[int, int]], seed: int = 0) -> Penalty:
    weights = np.random.default_rng(seed).uniform(0.1, 2, (n, len(terms)))
    steps, orders = (np.array([term[i] for term in terms], dtype=np.int64) for i in (0, 1))
    return Penalty(steps, orders, weights)


def dense_penalty(penalty: Penalty) -> np.ndarray:
    """Q from the differences of refinement/published/energy.py."""
    n = len(penalty.weights)
    q = np.zeros((n, n))
    for step, order, weight in zip(penalty.steps, penalty.orders, penalty.weights.T, strict=True):
        d = difference(torch.eye(n, dtype=torch.float64), int(step), int(order)).numpy()
        q += d.T @ np.diag(weight[int(order * step) :]) @ d
    return q


def dense(band: np.ndarray) -> np.ndarray:
    n, width = band.shape
    a = np.zeros((n, n))
    for k in range(min(width, n)):
        a += np.diag(band[: n - k, k], k) + (np.diag(band[: n - k, k], -k) if k else 0)
    return a


PENALTIES = {
    "paper": [(1, 1), (20, 1)],
    "second_order": [(1, 2), (20, 2)],
    "other_step": [(1, 1), (7, 1)],
    "none": [],
}


@pytest.mark.parametrize("terms", PENALTIES.values(), ids=PENALTIES)
@pytest.mark.parametrize("n", [50, 93])
def test_the_band_is_the_quadratic_form_of_the_differences(terms: list[tuple[int, int]], n: int) -> None:
    penalty = made_penalty(n, terms)
    q, x = dense_penalty(penalty), np.random.default_rng(1).normal(size=(n, 5))
    np.testing.assert_allclose(dense(penalty_band(penalty)), q, atol=1e-12)
    energy, gradient = np.zeros(5), np.zeros_like(x)
    add_penalty(penalty, x, energy, gradient)
    np.testing.assert_allclose(energy, (x * (q @ x)).sum(0), rtol=1e-12)
    np.testing.assert_allclose(gradient, q @ x, atol=1e-12)
    alone = np.zeros(5)
    add_penalty(penalty, x, alone, NOT_WANTED)
    np.testing.assert_allclose(alone, energy, rtol=1e-13)


@pytest.mark.parametrize("n", [1, 2, 20, 21, 64, 150])
@pytest.mark.parametrize("p", [0, 1, 3, 4, 20, 40])
@pytest.mark.parametrize("columns", [1, 3, 48])
def test_solve_against_dense(n: int, p: int, columns: int) -> None:
    rng = np.random.default_rng(n + p)
    band = rng.normal(size=(n, p + 1))
    band[:, 0] = 2.1 * (p + 1)
    for k in range(1, p + 1):
        band[max(n - k, 0) :, k] = 0
    right = rng.normal(size=(n, columns))
    given = right.copy()
    x = BandedFactor(band).solve(right)
    np.testing.assert_allclose(x, np.linalg.solve(dense(band), right), atol=1e-12)
    np.testing.assert_array_equal(right, given)


def test_rows_of_a_band_are_the_submatrix_and_its_inverse() -> None:
    penalty = made_penalty(100, PENALTIES["second_order"])
    band, weight = penalty_band(penalty)[30:80], np.full(50, 0.5)
    rows, pivots, inverse = np.empty_like(band), np.empty(50), np.full((60, 60), np.nan)
    assert factorise(np.ascontiguousarray(band), weight, rows, pivots)
    invert(rows, pivots, inverse)
    expected = np.linalg.inv((dense_penalty(penalty) + 0.5 * np.eye(100))[30:80, 30:80])
    np.testing.assert_allclose(inverse[:50, :50], expected, atol=1e-12)


def test_what_cannot_be_solved_is_refused() -> None:
    with pytest.raises(ConfigError, match="not positive definite"):
        BandedFactor(np.array([[1.0, -1.0], [1.0, 0.0]]))
    with pytest.raises(ConfigError, match="not positive definite"):
        BandedFactor(np.array([[np.nan, 0.0]]))
    with pytest.raises(ShapeError, match="right"):
        BandedFactor(np.ones((3, 1))).solve(np.ones((4, 2)))
    with pytest.raises(ShapeError, match="band"):
        BandedFactor(np.ones(3))


def test_without_a_place_for_machine_code_it_compiles_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def njit(function, fastmath, cache=False):
        asked.append(cache)
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return function

    monkeypatch.setattr(banded.numba, "njit", njit)
    assert banded.compiled(len) is len
    assert asked == [True, False]


@pytest.mark.parametrize(
    ("pose_loss", "width"), [("capped_l2", 1), ("gm", 1), ("capped_l2_euc_err", 3)], ids=lambda value: str(value)
)
def test_data_terms_are_those_of_the_published_energy(pose_loss: str, width: int) -> None:
    rng = np.random.default_rng(0)
    x, x0, v = rng.normal(size=(40, 6)), rng.normal(size=(40, 6)), rng.uniform(size=40)
    scale, gm = 0.8, pose_loss == "gm"
    residual = torch.tensor((x - x0).reshape(40, 2, 3), requires_grad=True)
    expected = (torch.tensor(v)[:, None, None] * data_loss(residual, pose_loss, scale, scale)).sum()
    (slope,) = torch.autograd.grad(expected, residual)
    energy, gradient, curvature = np.zeros(6), np.zeros_like(x), np.empty_like(x)
    add_data(x, x0, v, width, gm, scale, energy, gradient, curvature)
    assert energy.sum() == pytest.approx(float(expected.detach()), rel=1e-12)
    np.testing.assert_allclose(2 * gradient, slope.numpy().reshape(40, 6), atol=1e-12)
    if width == 1:  # the curvature along one coordinate, by differences
        sides, h = [], 1e-6
        for sign in (-1, 1):
            side = np.zeros_like(x)
            add_data(x + sign * h, x0, v, width, gm, scale, np.zeros(6), side, NOT_WANTED)
            sides.append(side)
        np.testing.assert_allclose((sides[1] - sides[0]) / (2 * h), curvature, atol=1e-6)


def test_newton_ends_at_a_minimum_of_geman_mcclure() -> None:
    rng, n, alpha = np.random.default_rng(3), 80, 0.05
    penalty = made_penalty(n, [(1, 1)])
    x0 = np.where(rng.uniform(size=(n, 1)) < 0.2, 1.0, 0.0) + 0.05 * rng.normal(size=(n, 1))
    x, v, band = x0.copy(), rng.uniform(0.5, 1, n), penalty_band(penalty)
    before = np.zeros(1)
    add_penalty(penalty, x, before, NOT_WANTED)
    first = descend(penalty, np.ascontiguousarray(band[10:60]), v, alpha, x, x0, 10, 1)
    last = descend(penalty, np.ascontiguousarray(band[10:60]), v, alpha, x, x0, 10, 100)
    assert last < first < before[0]
    np.testing.assert_array_equal(np.delete(x, slice(10, 60), 0), np.delete(x0, slice(10, 60), 0))
    gradient = np.zeros_like(x)
    add_penalty(penalty, x, np.zeros(1), gradient)
    add_data(x, x0, v, 1, True, alpha, np.zeros(1), gradient, NOT_WANTED)
    assert np.abs(gradient[10:60]).max() < 1e-6
