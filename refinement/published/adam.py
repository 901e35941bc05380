"""Adam over whole trajectories, many people at once: the optimiser of the published method.

Two ways to run it. With `num_iter` it is the published procedure: so many steps of one size, wherever that ends.
Without, the step decays until the energy has converged (at a constant step of 0.01 the joints still wander by
millimetres after thousands of steps).

Stop rule. Every 50 iterations each person's energy is compared with that person's lowest so far. If it fell by no
more than `tolerance` of itself, that person's step is halved; if the step was `min_learning_rate` or less already, the
person has converged. The lowest of these iterates is the result, so no energy ever rises. `max_iter` ends it in any
case.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pose.errors import check_number
from refinement.published.energy import BoundEnergy, PublishedEnergy

CHECK_EVERY = 50
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class AdamSettings:
    """How to run the optimiser. Steps are in metres.

    learning_rate: the (first) step. min_learning_rate: converged when this step brings nothing. tolerance: the relative
    decrease over 50 iterations that counts as nothing. max_iter: the most iterations. num_iter: run exactly so many
    iterations at the constant step `learning_rate` instead, or None.

    Raises ConfigError naming the key for a value that cannot be used.
    """

    learning_rate: float = 0.05
    min_learning_rate: float = 1e-4
    tolerance: float = 1e-6
    max_iter: int = 10_000
    num_iter: int | None = None

    def __post_init__(self) -> None:
        for key in ("learning_rate", "min_learning_rate", "tolerance"):
            check_number(key, getattr(self, key), above=0)
        for key in ("max_iter", "num_iter"):
            if key == "max_iter" or self.num_iter is not None:
                hint = "use refinement=none for no refinement at all"
                check_number(key, getattr(self, key), low=1, whole=True, hint=hint)


@dataclass(frozen=True, eq=False)
class Minimum:
    """What an optimiser found for P people.

    x_m (N, J, 3) m; energy_before, energy_after (P,) float64; iterations (P,); converged (P,) bool, all false after a
    fixed number of iterations, which tests nothing.
    """

    x_m: Tensor
    energy_before: Tensor
    energy_after: Tensor
    iterations: Tensor
    converged: Tensor


def minimise_adam(
    energy: PublishedEnergy, x0_m: Tensor, v: Tensor, lengths: Tensor, settings: AdamSettings | None = None
) -> Minimum:
    """Minimise `energy` from the prediction x0_m (N, J, 3) m of people laid end to end, see energy.py.

    v (N,) visibility, lengths (P,) frames of each person. Runs where x0_m is and in its precision. Each person is
    stepped and stopped alone: the result does not depend on the others in the batch.

    >>> x0_m = torch.zeros(60, 17, 3)
    >>> x0_m[30, 0, 0] = 0.1
    >>> found = minimise_adam(PublishedEnergy(), x0_m, torch.full((60,), 0.9), torch.tensor([60]))
    >>> bool(found.energy_after < found.energy_before), float(found.x_m[30, 0, 0]) < 0.1
    (True, True)
    """
    settings = settings or AdamSettings()
    bound = energy.bind(x0_m, v, lengths)
    if settings.num_iter is not None:
        return _fixed(bound, settings.learning_rate, settings.num_iter)
    return _converge(bound, settings)


class _Adam:
    """The state of the optimiser. `scale` (N, J, 3) multiplies the step; only powers of two, which round nothing."""

    def __init__(self, x_m: Tensor, learning_rate: float):
        self.x_m, self.learning_rate, self.iteration = x_m.clone(), learning_rate, 0
        self.mean, self.square = torch.zeros_like(x_m), torch.zeros_like(x_m)
        self.scale: Tensor | None = None

    def step(self, gradient: Tensor) -> None:
        # The operations of torch.optim.Adam, one by one: the same bits, with a step of its own for each person.
        self.iteration += 1
        self.mean.lerp_(gradient, 1 - BETA_1)
        self.square.mul_(BETA_2).addcmul_(gradient, gradient, value=1 - BETA_2)
        root = (_root(self.square) / math.sqrt(1 - BETA_2**self.iteration)).add_(EPSILON)
        mean = self.mean if self.scale is None else self.mean * self.scale
        self.x_m.addcdiv_(mean, root, value=-self.learning_rate / (1 - BETA_1**self.iteration))


def _root(values: Tensor) -> Tensor:
    """Square root, rounded as IEEE 754 says. MKL's, which torch takes on a CPU, is off by a bit on some processors."""
    if values.device.type == "cpu" and values.dtype in (torch.float32, torch.float64):
        return torch.from_numpy(np.sqrt(values.numpy()))
    return values.sqrt()


def _fixed(bound: BoundEnergy, learning_rate: float, num_iter: int) -> Minimum:
    adam = _Adam(bound.x0_m, learning_rate)
    for _ in range(num_iter):
        adam.step(bound.gradient(adam.x_m))
    before, after = bound.values(bound.x0_m), bound.values(adam.x_m)
    iterations = torch.full_like(before, num_iter, dtype=torch.long)
    return Minimum(adam.x_m, before, after, iterations, torch.zeros_like(iterations, dtype=torch.bool))


def _converge(bound: BoundEnergy, settings: AdamSettings) -> Minimum:
    adam, before = _Adam(bound.x0_m, settings.learning_rate), bound.values(bound.x0_m)
    best, best_x = before.clone(), bound.x0_m.clone()
    scale = torch.ones_like(before)
    iterations = torch.zeros_like(before, dtype=torch.long)
    converged = torch.zeros_like(before, dtype=torch.bool)
    while adam.iteration < settings.max_iter and not bool(converged.all()):
        for _ in range(min(CHECK_EVERY, settings.max_iter - adam.iteration)):
            adam.step(bound.gradient(adam.x_m))
        now = bound.values(adam.x_m)
        stalled = best - now <= settings.tolerance * best
        better = (now < best) & ~converged
        iterations[~converged] = adam.iteration
        best = torch.where(better, now, best)
        best_x = torch.where(better[bound.person, None, None], adam.x_m, best_x)
        converged |= stalled & (settings.learning_rate * scale <= settings.min_learning_rate)
        scale = torch.where(stalled & ~converged, scale / 2, scale)
        adam.scale = scale.to(adam.x_m)[bound.person, None, None].expand_as(adam.x_m).contiguous()
    return Minimum(best_x, before, best, iterations, converged)
