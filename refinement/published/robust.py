"""The robust data terms compiled: energy, slope and curvature of many columns at once, and Newton's method for one.

Columns are coordinates over time, (n, m); v (n,) is the visibility. Formulas as in energy.py, whose
functions these are tested against. Derivatives are halved throughout, so that a solve gives the step itself.
"""

from __future__ import annotations

import numpy as np

from refinement.published.banded import add_penalty, compiled, factorise, solve_in_place


@compiled
def _square(x, x0, i, width, square):
    """square (m,) = squared distance of x[i] (m,) from x0[i], of each column or each group of `width` columns."""
    m = x.shape[1]
    for c in range(m):
        square[c] = (x[i, c] - x0[i, c]) ** 2
    if width > 1:
        for first in range(0, m, width):
            total = 0.0
            for c in range(first, first + width):
                total += square[c]
            for c in range(first, first + width):
                square[c] = total


@compiled
def add_data(x, x0, v, width, gm, scale, energy, gradient, curvature):
    """Add the robust data term of x (n, m) about x0 to energy (m,) and half its derivative to gradient (n, m).

    Groups of `width` columns are capped together and share their energy equally. scale: the cap, or alpha if `gm`.
    Sets curvature (n, m), half the second derivative; with `gm` it can be negative. gradient and curvature may be
    (0, 0) if they are not wanted.
    """
    n, m = x.shape
    square, slope = np.empty(m), np.empty(m)
    for i in range(n):
        _square(x, x0, i, width, square)
        if gm:
            for c in range(m):
                energy[c] += v[i] * square[c] / (square[c] + scale)
        else:
            for c in range(m):
                energy[c] += v[i] * min(square[c], scale) / width
        if len(gradient) > 0:
            for c in range(m):
                slope[c] = v[i] if square[c] <= scale else 0.0
            if gm:
                for c in range(m):
                    slope[c] = v[i] * scale / (square[c] + scale) ** 2
            for c in range(m):
                gradient[i, c] += slope[c] * (x[i, c] - x0[i, c])
        if len(curvature) > 0:
            for c in range(m):
                curvature[i, c] = v[i] if square[c] <= scale else 0.0
            if gm:
                for c in range(m):
                    curvature[i, c] = v[i] * scale * (scale - 3 * square[c]) / (square[c] + scale) ** 3


@compiled
def energy_at(penalty, x, x0, v, width, gm, scale):
    """The energy of all columns of x (n, m) together."""
    energy, unwanted = np.zeros(x.shape[1]), np.empty((0, 0))
    add_penalty(penalty, x, energy, unwanted)
    add_data(x, x0, v, width, gm, scale, energy, unwanted, unwanted)
    total = 0.0
    for c in range(len(energy)):
        total += energy[c]
    return total


@compiled
def suspicious(x, x0, width, limit):
    """(n,) bool: frames in which any group of `width` columns is farther than limit (n,) from x0, all squared."""
    n, m = x.shape
    found, square = np.zeros(n, np.bool_), np.empty(m)
    for i in range(n):
        _square(x, x0, i, width, square)
        above = 0
        for c in range(m):
            above += square[c] > limit[i]
        found[i] = above > 0
    return found


@compiled
def descend(penalty, band, v, alpha, x, x0, first, steps):
    """Newton's method on the Geman-McClure energy of the len(band) rows of the column x (L, 1) from row `first` on.

    Works in place, returns the energy reached. Each step takes the true curvature, or where that is not positive
    definite or leads up, the positive part of it, or last the weights of the quadratic majoriser, which cannot lead up.
    """
    n = len(band)
    diagonal, rows, pivots, move = np.empty(n), np.empty_like(band), np.empty(n), np.empty((n, 1))
    energy, gradient, curvature = np.zeros(1), np.zeros_like(x), np.zeros_like(x)
    tried, gradient_tried, curvature_tried = np.zeros(1), np.zeros_like(x), np.zeros_like(x)
    add_penalty(penalty, x, energy, gradient)
    add_data(x, x0, v, 1, True, alpha, energy, gradient, curvature)
    for _ in range(steps):
        fell = -1.0
        for kind in range(3):
            for t in range(n):
                i = first + t
                bend = curvature[i, 0]
                if kind == 2:
                    bend = v[i] * alpha / ((x[i, 0] - x0[i, 0]) ** 2 + alpha) ** 2
                diagonal[t] = bend if kind == 0 else max(bend, 1e-8)
                move[t, 0] = gradient[i, 0]
            if not factorise(band, diagonal, rows, pivots):
                continue
            solve_in_place(rows, pivots, move)
            for t in range(n):
                x[first + t, 0] -= move[t, 0]
            tried[0] = 0.0
            gradient_tried[:] = 0.0
            add_penalty(penalty, x, tried, gradient_tried)
            add_data(x, x0, v, 1, True, alpha, tried, gradient_tried, curvature_tried)
            fell = energy[0] - tried[0]
            if fell >= 0:
                energy[0] = tried[0]
                gradient, gradient_tried = gradient_tried, gradient
                curvature, curvature_tried = curvature_tried, curvature
                break
            for t in range(n):
                x[first + t, 0] += move[t, 0]
        if fell <= 1e-12 * energy[0]:
            break
    return energy[0]
