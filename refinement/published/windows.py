"""Outliers of the robust energies: which frames to give up, searched in windows around the suspicious ones.

With caps, the energy of one group of columns (a coordinate, or a joint's three) is the least over sets of given-up
frames ("out") of: v * cap for each frame out, plus a quadratic energy of the others. Reweighting alone stops in poor
sets. Here the set is searched: with the dense inverse G of a window's matrix, giving frame i up and moving everything
to the new optimum changes the energy by exactly

    v cap - v r_i^2 / (1 - v G_ii)        (taking it back: v r_i^2 / (1 + v G_ii) - v cap)

so the best single change is known for the price of a scan, and making it is a rank-one update of G, of which only the
columns that are needed are ever formed. Changes are made until none helps.

That ends in local optima too, so it is done from several starts: with all frames believed; after searching with a part
of the cap, which gives up whole runs of frames, of which the cap itself takes the wrong ones back; with all frames of
low scores given up; with the frames given up that are far from those before, or behind, them. The best of a window and
group is taken if it is below what was there, so the energy never rises.

Geman-McClure is near min(r^2 / alpha, 1): the search runs on that and its solutions are starting points, which
Newton's method finishes on the true energy.

Surroundings of a window are fixed. Windows follow each other in time and may overlap, later ones see the earlier ones'
result; refinement/published/direct.py then joins everything in a solve over the full length.
"""

from __future__ import annotations

import numpy as np

from refinement.published.banded import Penalty, add_penalty, compiled, factorise, invert, solve_in_place
from refinement.published.robust import descend, energy_at, suspicious

#: Searches that begin with frames given up that `_propose` picks.
LOW, FORWARD, BACKWARD = 0.0, -1.0, -2.0

#: What each search begins with: a part of the cap, or a proposal.
STARTS = np.array([1.0, 0.5, FORWARD, BACKWARD, 0.125, LOW])

#: If so many starts lead to the same energy, the others are left out.
AGREED = 4

#: A frame that determines its own place by more than this part holds up others that nothing else does; it is kept.
HOLDS = 1 - 1e-6

#: Low is a score below this part of the window's highest.
LOW_SCORE = 0.5

#: By how much of itself the gate of FORWARD and BACKWARD, at first the root of the cap, opens in each frame.
GATE = 0.125

#: Frames that a window's suspicious frames may span, and frames added before and after them.
CORE, MARGIN = 64, 48

#: Newton steps that a Geman-McClure start is given before the starts are compared, and that the best is given then.
NEWTON_STEPS = np.array([3, 50])


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
    f = w_i / (1 - w_i * diagonal[i])
    for t in range(n):
        diagonal[t] += f * column[t] * column[t]
    for c in range(width):
        r = f * (y[i, c] - y0[i, c])
        for t in range(n):
            y[t, c] += r * column[t]
    factors[count] = f
    out[i] = not out[i]


@compiled
def _propose(y0, w, cap, start, proposed):
    """proposed (n,): which frames a search gives up to begin with.

    start LOW: those of low scores. FORWARD, BACKWARD: those that a gate shuts out which walks along the frames y0
    (n, width): it lets a frame in that is near to the last one let in, and opens with the time since then.
    """
    n, width = y0.shape
    if start == LOW:
        low = LOW_SCORE * w.max()
        for i in range(n):
            proposed[i] = w[i] < low
        return
    last = 0 if start == FORWARD else n - 1
    for j in range(n):
        i = j if start == FORWARD else n - 1 - j
        square = 0.0
        for c in range(width):
            square += (y0[i, c] - y0[last, c]) ** 2
        proposed[i] = square > cap * (1 + GATE * (abs(i - last) - 1)) ** 2
        if not proposed[i]:
            last = i


@compiled
def _search(inverse, y, y0, w, cap, start, stages, out, diagonal, columns, factors, count):
    """Make the best change until none lowers the energy, with the cap `start * cap`, then with `cap`.

    With start LOW, FORWARD or BACKWARD, first give up the frames proposed. stages: 1 leaves the last part out. Returns
    by how much the energy (with `cap`) fell.
    """
    n, width = y.shape
    fell, proposed = 0.0, np.zeros(n, np.bool_)
    if start <= 0:
        _propose(y0, w, cap, start, proposed)
        start = 1.0
    for i in range(n):
        if proposed[i] and not out[i] and w[i] * diagonal[i] < HOLDS:
            square = 0.0
            for c in range(width):
                square += (y[i, c] - y0[i, c]) ** 2
            fell += w[i] * square / (1 - w[i] * diagonal[i]) - w[i] * cap
            _change(inverse, y, y0, w, out, diagonal, columns, factors, count, i)
            count += 1
    for stage in range(stages):
        used = start * cap if stage == 0 else cap
        while count < len(factors):
            best, which = 1e-9 * cap, n
            for i in range(n):
                square = 0.0
                for c in range(width):
                    square += (y[i, c] - y0[i, c]) ** 2
                wg = -w[i] * diagonal[i] if out[i] else w[i] * diagonal[i]
                if (square > used * (1 - wg)) != out[i] and wg < HOLDS:
                    gain = abs(w[i] * square / (1 - wg) - w[i] * used)
                    if gain > best:
                        best, which = gain, i
            if which == n:
                break
            fell += best + w[which] * (cap - used) * (1.0 if out[which] else -1.0)
            _change(inverse, y, y0, w, out, diagonal, columns, factors, count, which)
            count += 1
    return fell


@compiled
def _begin(around, rows, pivots, inverse, w, wide, wide0, first, out, y, diagonal, columns, factors):
    """The state that a window's searches begin with: y (k, width), the optimum with the frames out so far kept out.

    wide (L, width): the group's columns in the window (k frames from row `first` on) and its surroundings. Enters the
    changes of the inverse into columns and factors, updates diagonal (k,); returns the number of changes.
    """
    k, width = len(w), wide.shape[1]
    given_up = [t for t in range(k) if out[t]]
    for t in range(k):
        diagonal[t] = inverse[t, t]
        for c in range(width):
            y[t, c] = wide[first + t, c]
    if len(given_up) == 0:
        return 0
    energy, slope = np.zeros(width), np.zeros_like(wide)
    add_penalty(around, wide, energy, slope)
    move, zero, state = np.empty((k, width)), np.zeros((k, width)), np.zeros(k, np.bool_)
    for t in range(k):
        for c in range(width):
            move[t, c] = slope[first + t, c]
            if not out[t]:
                move[t, c] += w[t] * (wide[first + t, c] - wide0[first + t, c])
    solve_in_place(rows, pivots, move)
    for count in range(len(given_up)):
        _change(inverse, move, zero, w, state, diagonal, columns, factors, count, given_up[count])
    for t in range(k):
        for c in range(width):
            y[t, c] -= move[t, c]
    return len(given_up)


@compiled
def search_windows(penalty, quadratic, w, v, x, x0, width, gm, scale, limit, starts, newton_steps):
    """Lower the energy of x (n, m) in windows around its suspicious frames, in place; returns the frames out.

    quadratic (n, p + 1): the band of Q. w (n,): weights of the quadratic data term whose optimum x must be, v (n,):
    of the robust one. scale: cap or alpha, with `gm` both (min(r^2, alpha) times w = v / alpha is its stand-in).
    limit (n,): squared distance from x0 from which on a frame is suspicious. starts: as STARTS, newton_steps: as
    NEWTON_STEPS. The frames out are (n, m / width) bool.
    """
    n, m = x.shape
    p, size, slots = quadratic.shape[1] - 1, CORE + 2 * MARGIN, len(starts) + 1
    out, hot = np.zeros((n, m // width), np.bool_), suspicious(x, x0, width, limit)
    rows, pivots, inverse = np.empty((size, p + 1)), np.empty(size), np.empty((size, size))
    # Slot 0 is the state that the searches begin with, slot s + 1 that of the search from starts[s].
    y, given_up, diagonal = np.empty((slots, size, width)), np.empty((slots, size), np.bool_), np.empty((slots, size))
    columns, factors, fell = np.empty((slots, 2 * size, size)), np.empty((slots, 2 * size)), np.empty(slots)
    stages = 1 if gm else 2  # what a part of the cap gives up is worth more to Newton's method as it is
    first, last = _window(hot, 0)
    while first < n:
        a, b = max(first - MARGIN, 0), min(last + MARGIN + 1, n)
        lo, hi, k = max(a - p, 0), min(b + p, n), b - a
        around = Penalty(penalty.steps, penalty.orders, penalty.weights[lo:hi])
        factorise(quadratic[a:b], w[a:b], rows[:k], pivots[:k])
        invert(rows[:k], pivots[:k], inverse)
        for group in range(m // width):
            wide, wide0 = _columns(x, lo, hi, group, width), _columns(x0, lo, hi, group, width)
            core = slice(first - lo, last + 1 - lo)
            if not suspicious(wide[core], wide0[core], width, limit[first : last + 1]).any():
                continue
            y0 = wide0[a - lo : b - lo]
            for t in range(k):
                given_up[0, t] = out[a + t, group]
            count = _begin(
                around, rows[:k], pivots[:k], inverse, w[a:b], wide, wide0, a - lo, given_up[0, :k], y[0, :k],
                diagonal[0, :k], columns[0], factors[0],
            )  # fmt: skip
            fell[:] = -np.inf
            fell[0] = 0.0
            for s in range(1, slots):
                if s == AGREED + 1 and fell[1:s].max() - fell[1:s].min() <= 1e-9 * scale:
                    break
                _copy(y, given_up, diagonal, columns, factors, s, k, count)
                fell[s] = _search(
                    inverse, y[s, :k], y0, w[a:b], scale, starts[s - 1], stages, given_up[s, :k], diagonal[s, :k],
                    columns[s], factors[s], count,
                )  # fmt: skip
            if gm:
                _descend_all(around, quadratic[a:b], v[lo:hi], scale, wide, wide0, a - lo, y, fell, newton_steps)
            best = 0
            for s in range(1, slots):
                if fell[s] > fell[best] + 1e-12 * abs(fell[best]):
                    best = s
            before = energy_at(around, wide, wide0, v[lo:hi], width, gm, scale)
            for t in range(k):
                for c in range(width):
                    wide[a - lo + t, c] = y[best, t, c]
            if energy_at(around, wide, wide0, v[lo:hi], width, gm, scale) > before:
                continue
            for t in range(k):
                out[a + t, group] = given_up[best, t]
                for c in range(width):
                    x[a + t, group * width + c] = y[best, t, c]
        first, last = _window(hot, last + 1)
    return out


@compiled
def _window(hot, i):
    """The next window from frame i on: its first and last suspicious frame; n, n if there is none."""
    n = len(hot)
    while i < n and not hot[i]:
        i += 1
    first = last = i
    while i < n and i - first < CORE and i - last <= MARGIN:
        if hot[i]:
            last = i
        i += 1
    return first, last


@compiled
def _columns(x, lo, hi, group, width):
    """The columns of a group in frames [lo, hi), contiguous."""
    taken = np.empty((hi - lo, width))
    for t in range(hi - lo):
        for c in range(width):
            taken[t, c] = x[lo + t, group * width + c]
    return taken


@compiled
def _copy(y, given_up, diagonal, columns, factors, s, k, count):
    """Copy slot 0 to slot s."""
    width = y.shape[2]
    for t in range(k):
        given_up[s, t], diagonal[s, t] = given_up[0, t], diagonal[0, t]
        for c in range(width):
            y[s, t, c] = y[0, t, c]
    for j in range(count):
        factors[s, j] = factors[0, j]
        for t in range(k):
            columns[s, j, t] = columns[0, j, t]


@compiled
def _descend_all(penalty, band, v, alpha, wide, wide0, first, y, fell, newton_steps):
    """Take the candidates y (slots, k, 1) to the Geman-McClure energy: the best as far as it goes, the others a bit.

    Slot 0 becomes what `wide` holds. fell (slots,), on entry what each search gained, -inf if there was none; equal
    gains mean equal candidates, of which one is taken; on return minus the energy reached.
    """
    k, slots, last = len(band), len(y), -1.0
    trial = wide.copy()
    for turn in range(slots + 1):
        s = turn
        if turn == slots:  # the best once more
            s = np.argmax(fell)
        elif fell[s] == -np.inf or abs(fell[s] - last) <= 1e-9 * alpha:
            fell[s] = -np.inf
            continue
        last = fell[s]
        for t in range(k):
            trial[first + t, 0] = wide[first + t, 0] if turn == 0 else y[s, t, 0]
        fell[s] = -descend(penalty, band, v, alpha, trial, wide0, first, newton_steps[turn // slots])
        for t in range(k):
            y[s, t, 0] = trial[first + t, 0]
