"""Outliers of the robust energies: which frames to give up, searched in windows around the suspicious ones.

With caps, the energy of one group of columns (a coordinate, or a joint's three) is the least over sets of given-up
frames ("out") of: v * cap for each frame out, plus a quadratic energy of the others. Reweighting alone stops in poor
sets. Here the set is searched: with the dense inverse G of a window's matrix, giving frame i up and moving everything
to the new optimum changes the energy by exactly

    v cap - v r_i^2 / (1 - v G_ii)        (taking it back: v r_i^2 / (1 + v G_ii) - v cap)

so the best single change is known for the price of a scan, and making it is a rank-one update of G, of which only the
columns that are needed are ever formed. Changes are made until none helps. Searching from several starts escapes more
local optima: first with a part of the cap (`STARTS`), which gives up whole runs of frames, then with the cap itself,
which takes back the wrong ones; the lowest energy of a window and group is kept, so no window's energy ever rises.

Geman-McClure is near min(r^2 / alpha, 1): the search runs on that and its solutions are starting points, which
Newton's method finishes on the true energy.

Surroundings of a window are fixed. Windows follow each other in time and may overlap, later ones see the earlier ones'
result; refinement/fast.py then joins everything in a solve over the full length.
"""

from __future__ import annotations

import numpy as np

from refinement.banded import Penalty, add_penalty, compiled, factorise, invert, solve_in_place

#: The part of the cap that each search begins with.
STARTS = np.array([1.0, 0.5, 0.125])

#: Frames that a window's suspicious frames may span, and frames added before and after them.
CORE, MARGIN = 64, 48

#: Newton steps that a Geman-McClure start is given before the starts are compared, and that the best is given then.
TRIAL_STEPS, LAST_STEPS = 3, 50


@compiled
def _square(x, x0, i, width, square):
    """square (m,) = squared distance of x[i] (m,) from x0[i], per column, or per group for groups of `width` columns."""
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
    Sets curvature (n, m), half the second derivative; with `gm` it can be negative. With gradient and curvature (0, m)
    only the energy is made.
    """
    n, m = x.shape
    square, wanted = np.empty(m), len(gradient) > 0
    for i in range(n):
        _square(x, x0, i, width, square)
        if gm:
            for c in range(m):
                energy[c] += v[i] * square[c] / (square[c] + scale)
        else:
            for c in range(m):
                energy[c] += v[i] * min(square[c], scale) / width
        if wanted and gm:
            for c in range(m):
                near = 1 / (square[c] + scale)
                slope = v[i] * scale * near * near
                gradient[i, c] += slope * (x[i, c] - x0[i, c])
                curvature[i, c] = slope * (scale - 3 * square[c]) * near
        elif wanted:
            for c in range(m):
                curvature[i, c] = v[i] if square[c] <= scale else 0.0
                gradient[i, c] += curvature[i, c] * (x[i, c] - x0[i, c])


@compiled
def suspicious(x, x0, width, limit):
    """(n,) bool: frames in which any group of `width` columns is farther than `limit` (squared) from x0."""
    n, m = x.shape
    found, square = np.zeros(n, np.bool_), np.empty(m)
    for i in range(n):
        _square(x, x0, i, width, square)
        above = 0
        for c in range(m):
            above += square[c] > limit
        found[i] = above > 0
    return found


@compiled
def _change(inverse, y, y0, w, out, diagonal, columns, factors, count, i):
    """Give frame i up or take it back: `out`, the optimum y (n, width) and the inverse's diagonal, updated.

    The inverse is `inverse` plus sum over the `count` changes so far of factor * column column'.
    """
    n, width = y.shape
    column = columns[count]
    for t in range(n):
        column[t] = inverse[i, t]
    for j in range(count):
        earlier = columns[j]
        f = factors[j] * earlier[i]
        for t in range(n):
            column[t] += f * earlier[t]
    w_i = -w[i] if out[i] else w[i]
    f = w_i / max(1 - w_i * diagonal[i], 1e-9)  # zero only for the one frame that holds up a trajectory: never moved
    for t in range(n):
        diagonal[t] += f * column[t] * column[t]
    for c in range(width):
        r = f * (y[i, c] - y0[i, c])
        for t in range(n):
            y[t, c] += r * column[t]
    factors[count] = f
    out[i] = not out[i]


@compiled
def _search(inverse, y, y0, w, cap, start, out, diagonal, columns, factors, count):
    """Make the best change until none lowers the energy, with the cap `start * cap`, then with `cap`.

    Returns by how much the energy (with `cap`) fell.
    """
    n, width = y.shape
    fell = 0.0
    for stage in range(2):
        used = start * cap if stage == 0 else cap
        while count < len(factors):
            best, which = 1e-9 * cap, -1
            for i in range(n):
                square = 0.0
                for c in range(width):
                    square += (y[i, c] - y0[i, c]) ** 2
                wg = -w[i] * diagonal[i] if out[i] else w[i] * diagonal[i]
                if (square > used * (1 - wg)) != out[i]:
                    gain = abs(w[i] * square / max(1 - wg, 1e-9) - w[i] * used)
                    if gain > best:
                        best, which = gain, i
            if which < 0:
                break
            fell += best + w[which] * (cap - used) * (1.0 if out[which] else -1.0)
            _change(inverse, y, y0, w, out, diagonal, columns, factors, count, which)
            count += 1
    return fell


@compiled
def _descend(penalty, band, v, alpha, x, x0, first, last, steps):
    """Newton's method on the Geman-McClure energy of rows [first, last) of the column x (n, 1); the energy reached.

    Each step takes the true curvature, or where that is not positive definite or leads up, the positive part of it, or
    last the weights of the quadratic majoriser, which cannot lead up.
    """
    n = last - first
    used, rows, pivots = np.empty_like(band), np.empty_like(band), np.empty(n)
    energy, gradient, curvature = np.zeros(1), np.zeros_like(x), np.zeros_like(x)
    add_penalty(penalty, x, energy, gradient)
    add_data(x, x0, v, 1, True, alpha, energy, gradient, curvature)
    for _ in range(steps):
        before, accepted = energy[0], False
        for kind in range(3):
            used[:] = band
            for i in range(n):
                bend = curvature[first + i, 0]
                if kind == 2:
                    square = (x[first + i, 0] - x0[first + i, 0]) ** 2
                    bend = v[first + i] * alpha / (square + alpha) ** 2
                used[i, 0] += bend if kind == 0 else max(bend, 1e-8)
            if not factorise(used, rows, pivots):
                continue
            move = gradient[first:last].copy()
            solve_in_place(rows, pivots, move)
            x[first:last] -= move
            e, g, b = np.zeros(1), np.zeros_like(x), np.zeros_like(x)
            add_penalty(penalty, x, e, g)
            add_data(x, x0, v, 1, True, alpha, e, g, b)
            if e[0] <= before:
                energy, gradient, curvature, accepted = e, g, b, True
                break
            x[first:last] += move
        if not accepted or before - energy[0] <= 1e-12 * before:
            break
    return energy[0]


@compiled
def _begin(around, rows, pivots, inverse, w, wide, wide0, first, out, diagonal, columns, factors):
    """The state that a window's searches begin with: the optimum (k, width) with the frames out so far kept out.

    wide (L, width): the group's columns in the window (k frames from row `first` on) and its surroundings. Enters the
    changes of the inverse into columns and factors and updates diagonal (k,); returns the optimum and their number.
    """
    k, width, count = len(w), wide.shape[1], 0
    y, y0 = wide[first : first + k].copy(), wide0[first : first + k]
    for t in range(k):
        diagonal[t] = inverse[t, t]
    if not out.any():
        return y, count
    energy, slope = np.zeros(width), np.zeros_like(wide)
    add_penalty(around, wide, energy, slope)
    move = slope[first : first + k].copy()
    for t in range(k):
        if not out[t]:
            move[t] += w[t] * (y[t] - y0[t])
    solve_in_place(rows, pivots, move)
    zero, state = np.zeros_like(y), np.zeros(k, np.bool_)
    for t in range(k):
        if out[t]:
            _change(inverse, move, zero, w, state, diagonal, columns, factors, count, t)
            count += 1
    return y - move, count


@compiled
def search_windows(penalty, quadratic, w, v, x, x0, width, gm, scale, limit, starts):
    """Lower the energy of x (n, m) in windows around its suspicious frames, in place; returns the frames out.

    quadratic (n, p + 1): the band of Q. w (n,): weights of the quadratic data term whose optimum x must be, v (n,):
    of the robust one. scale: cap or alpha, with `gm` both (min(r^2, alpha) times w = v / alpha is its stand-in).
    limit: squared distance from x0 from which on a frame is suspicious. The frames out are (n, m / width) bool.
    """
    n, m = x.shape
    p, size, slots = quadratic.shape[1] - 1, CORE + 2 * MARGIN, len(starts) + 1
    out = np.zeros((n, m // width), np.bool_)
    band, rows, pivots = np.empty((size, p + 1)), np.empty((size, p + 1)), np.empty(size)
    inverse = np.empty((size, size))
    # Slot 0 holds the state that the searches begin with, slot s + 1 that of the search from starts[s].
    columns, factors = np.empty((slots, 2 * size, size)), np.empty((slots, 2 * size))
    tried_out, diagonal = np.empty((slots, size), np.bool_), np.empty((slots, size))
    hot, i = suspicious(x, x0, width, limit), 0
    while i < n:
        if not hot[i]:
            i += 1
            continue
        core = end = i
        while i < n and i - core < CORE and i - end <= MARGIN:
            if hot[i]:
                end = i
            i += 1
        i = end + 1
        a, b = max(core - MARGIN, 0), min(end + MARGIN + 1, n)
        lo, hi, k = max(a - p, 0), min(b + p, n), b - a
        around = Penalty(penalty.steps, penalty.orders, penalty.weights[lo:hi])
        for t in range(k):
            band[t] = quadratic[a + t]
            band[t, 0] += w[a + t]
        factorise(band[:k], rows[:k], pivots[:k])
        invert(rows[:k], pivots[:k], inverse)
        for group in range(m // width):
            wide = x[lo:hi, group * width : (group + 1) * width].copy()
            wide0 = x0[lo:hi, group * width : (group + 1) * width].copy()
            if not suspicious(wide[core - lo : end + 1 - lo], wide0[core - lo : end + 1 - lo], width, limit).any():
                continue
            y0, first = wide0[a - lo : b - lo], a - lo
            tried_out[0, :k] = out[a:b, group]
            y, count = _begin(
                around, rows[:k], pivots[:k], inverse, w[a:b], wide, wide0, first, tried_out[0, :k], diagonal[0, :k],
                columns[0], factors[0],
            )  # fmt: skip
            chosen, best, best_y, seen = 0, 0.0, y, -1.0
            if gm:
                trial = wide.copy()
                best = -_descend(around, quadratic[a:b], v[lo:hi], scale, trial, wide0, first, first + k, TRIAL_STEPS)
                best_y = trial[first : first + k]
            for s in range(1, slots):
                columns[s, :count], factors[s, :count] = columns[0, :count], factors[0, :count]
                tried_out[s, :k], diagonal[s, :k] = tried_out[0, :k], diagonal[0, :k]
                tried = y.copy()
                fell = _search(
                    inverse, tried, y0, w[a:b], scale, starts[s - 1], tried_out[s, :k], diagonal[s, :k], columns[s],
                    factors[s], count,
                )  # fmt: skip
                if gm and abs(fell - seen) > 1e-9 * scale:
                    seen = fell
                    trial = wide.copy()
                    trial[first : first + k] = tried
                    fell = -_descend(
                        around, quadratic[a:b], v[lo:hi], scale, trial, wide0, first, first + k, TRIAL_STEPS
                    )
                    tried = trial[first : first + k]
                elif gm:
                    continue
                if fell > best + 1e-12 * abs(best):
                    chosen, best, best_y = s, fell, tried
            if gm:
                wide[first : first + k] = best_y
                _descend(around, quadratic[a:b], v[lo:hi], scale, wide, wide0, first, first + k, LAST_STEPS)
                best_y = wide[first : first + k]
            x[a:b, group * width : (group + 1) * width] = best_y
            out[a:b, group] = tried_out[chosen, :k]
    return out
