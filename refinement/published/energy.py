"""The published energy of a person's trajectory: follow the prediction where the person is seen, else move little.

Pure functions of positions in metres. x_m (N, J, 3) holds the root in joint 0 and the other joints relative to it;
x0_m is the network's prediction in the same form. Several people are laid end to end along N, `lengths` (P,) says how
many frames each has, and differences that would cross from one person to the next have weight zero: everything is
elementwise, so no person's result depends on the others. v (N,) is the visibility (visibility.py).
Source: docs/method.md §8; formulas in docs/refinement.md.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from pose.errors import ConfigError, ShapeError, check_number, check_shape

POSE_LOSSES = ("capped_l2", "gm", "capped_l2_euc_err")

#: Order of the time difference that each smoothness loss penalises.
SMOOTHNESS_ORDER = {"step_zero_velocity_loss": 1, "step_const_velocity_loss": 2}


def data_loss(residual: Tensor, pose_loss: str, l2_cap: float, gm_alpha: float) -> Tensor:
    """Robust penalty of residuals (..., J, 3): the same shape, or (..., J, 1) where a joint's three count together.

    capped_l2: min(r^2, cap) per coordinate. gm: r^2 / (r^2 + alpha) per coordinate. capped_l2_euc_err: min(|r|^2, cap).
    """
    square = residual.square()
    if pose_loss == "gm":
        return square / (square + gm_alpha)
    if pose_loss == "capped_l2_euc_err":
        square = square.sum(-1, keepdim=True)
    return square.clamp(max=l2_cap)


def data_slope(residual: Tensor, pose_loss: str, l2_cap: float, gm_alpha: float) -> Tensor:
    """Derivative of `data_loss` with respect to the squared residual, in the shape of `data_loss`."""
    square = residual.square()
    if pose_loss == "gm":
        return gm_alpha / (square + gm_alpha).square()
    if pose_loss == "capped_l2_euc_err":
        square = square.sum(-1, keepdim=True)
    return (square <= l2_cap).to(residual.dtype)


def difference(x: Tensor, step: int, order: int) -> Tensor:
    """x[t] - x[t - step], or for order 2 x[t] - 2 x[t - step] + x[t - 2 step]; (N, ...) -> (N - order * step, ...)."""
    count = max(len(x) - order * step, 0)
    if order == 1:
        return x[step:] - x[:count]
    return x[2 * step :] - 2 * x[step : step + count] + x[:count]


def difference_transposed(d: Tensor, step: int, order: int, length: int) -> Tensor:
    """The transposed operator of `difference`: (N - order * step, ...) -> (N, ...) with N = `length`."""
    out = d.new_zeros(length, *d.shape[1:])
    if order == 1:
        out[step:] += d
        out[: len(d)] -= d
    else:
        out[2 * step :] += d
        out[step : step + len(d)] -= 2 * d
        out[: len(d)] += d
    return out


@dataclass(frozen=True)
class EnergySettings:
    """Which energy: the keys of its configurations.

    pose_loss: `capped_l2`, `gm` (Geman-McClure) or `capped_l2_euc_err`; l2_cap in m^2, gm_alpha in m^2.
    weigh_by_visibility: weigh the pose loss by the visibility; false: every frame alike (the large steps keep theirs).
    smooth_visibility: filter the visibility with a median over 9 frames.
    smoothness_loss_hip, smoothness_loss_rel: `step_zero_velocity_loss` (first differences) or
        `step_const_velocity_loss` (second differences), for the root and for the relative joints.
    smoothness_loss_hip_largestep: frames that the large steps of both span (second differences span twice as many); a
        person with no more frames than that has no such term.
    smoothness_weight_*: weights of one-frame and large steps of root and relative joints; 0 switches a term off.

    Raises ConfigError naming the key for a value that cannot be used.
    """

    pose_loss: str = "capped_l2"
    l2_cap: float = 1.0
    gm_alpha: float = 1.0
    weigh_by_visibility: bool = True
    smooth_visibility: bool = True
    smoothness_loss_hip: str = "step_zero_velocity_loss"
    smoothness_loss_rel: str = "step_zero_velocity_loss"
    smoothness_loss_hip_largestep: int = 20
    smoothness_weight_hip: float = 1.0
    smoothness_weight_hip_large: float = 0.1
    smoothness_weight_rel: float = 0.1
    smoothness_weight_rel_large: float = 0.01

    def __post_init__(self) -> None:
        for key, allowed in (
            ("pose_loss", POSE_LOSSES),
            ("smoothness_loss_hip", tuple(SMOOTHNESS_ORDER)),
            ("smoothness_loss_rel", tuple(SMOOTHNESS_ORDER)),
            ("weigh_by_visibility", (True, False)),
            ("smooth_visibility", (True, False)),
        ):
            if getattr(self, key) not in allowed:
                raise ConfigError(f"{key}={getattr(self, key)}: must be one of {', '.join(map(str, allowed))}")
        for key in ("l2_cap", "gm_alpha"):
            check_number(key, getattr(self, key), above=0, hint="square metres")
        for key in (field.name for field in fields(self) if field.name.startswith("smoothness_weight")):
            check_number(key, getattr(self, key), low=0, hint="use refinement=none to switch smoothing off")
        step = self.smoothness_loss_hip_largestep
        check_number("smoothness_loss_hip_largestep", step, low=1, whole=True, hint="frames")


@dataclass(frozen=True)
class PublishedEnergy(EnergySettings):
    """The energy of the published method, as a function of positions.

    >>> x0_m = torch.zeros(60, 17, 3)  # one person who stands still, metres
    >>> x_m = x0_m.clone()
    >>> x_m[30, 0, 0] = 0.1  # the root, 10 cm aside in a single frame
    >>> v, lengths = torch.full((60,), 0.9), torch.tensor([60])
    >>> energy = PublishedEnergy()(x_m, x0_m, v, lengths)
    >>> round(float(energy), 4)  # 0.9 * 0.01 for leaving it, 2 * 0.01 for moving, 0.002 * 0.1 over 20 frames
    0.0292
    """

    def __call__(self, x_m: Tensor, x0_m: Tensor, v: Tensor, lengths: Tensor) -> Tensor:
        """Energy of each person (P,), float64, of positions x_m (N, J, 3) m; differentiable in x_m."""
        return self.bind(x0_m, v, lengths).values(x_m)

    def gradient(self, x_m: Tensor, x0_m: Tensor, v: Tensor, lengths: Tensor) -> Tensor:
        """Derivative of the summed energies by x_m, (N, J, 3), in the precision of x_m."""
        return self.bind(x0_m, v, lengths).gradient(x_m)

    def bind(self, x0_m: Tensor, v: Tensor, lengths: Tensor) -> BoundEnergy:
        """The energy as a function of positions alone, for a prediction x0_m (N, J, 3) m with visibility v (N,)."""
        return BoundEnergy(self, x0_m, v, lengths)


class BoundEnergy:
    """`PublishedEnergy` of given predictions, with all weights laid out once: what an optimiser calls in its loop."""

    def __init__(self, energy: EnergySettings, x0_m: Tensor, v: Tensor, lengths: Tensor):
        check_shape("x0_m", x0_m, ("N", "J", 3))
        check_shape("v", v, (len(x0_m),))
        if int(lengths.sum()) != len(x0_m):
            raise ShapeError("x0_m", (int(lengths.sum()), *x0_m.shape[1:]), x0_m.shape)
        self.energy, self.x0_m, self.people = energy, x0_m, len(lengths)
        people = torch.arange(self.people, device=x0_m.device)
        self.person = torch.repeat_interleave(people, lengths.to(x0_m.device))  # (N,) the person of each frame
        self.hidden = 1 - v.to(x0_m)  # (N,)
        believed = v.to(x0_m) if energy.weigh_by_visibility else torch.ones_like(self.hidden)
        self.weight = believed[:, None, None].expand_as(x0_m).contiguous()  # of the pose loss
        hip, rel = SMOOTHNESS_ORDER[energy.smoothness_loss_hip], SMOOTHNESS_ORDER[energy.smoothness_loss_rel]
        parts = [(slice(None), hip)] if hip == rel else [(slice(0, 1), hip), (slice(1, None), rel)]
        self.terms = [term for joints, order in parts for term in self._smoothness(joints, order)]

    def _smoothness(self, joints: slice, order: int) -> list[tuple[slice, int, int, Tensor]]:
        """(joints, step, order, weight) of the one-frame and of the large differences; weight has their shape."""
        e, shape = self.energy, self.x0_m.shape

        def per_joint(hip: float, rel: float) -> Tensor:
            return self.x0_m.new_tensor([hip] + [rel] * (shape[1] - 1))[None, joints, None]

        def full(weight: Tensor, step: int, factor: Tensor) -> Tensor:
            span = order * step
            same_person = self.person[span:] == self.person[: max(shape[0] - span, 0)]
            weight = weight * (same_person * factor[span:])[:, None, None]
            return weight.expand(*weight.shape[:2], 3).contiguous()

        step = e.smoothness_loss_hip_largestep
        small = per_joint(e.smoothness_weight_hip, e.smoothness_weight_rel)
        large = per_joint(e.smoothness_weight_hip_large, e.smoothness_weight_rel_large)
        return [
            (joints, 1, order, full(small, 1, torch.ones_like(self.hidden))),
            (joints, step, order, full(large, step, self.hidden)),
        ]

    def values(self, x_m: Tensor) -> Tensor:
        """Energy of each person (P,); summed in float64, in which a small decrease of a large energy still shows."""
        e, x = self.energy, x_m.double()
        loss = data_loss(x - self.x0_m.double(), e.pose_loss, e.l2_cap, e.gm_alpha)
        frames = (self.weight[..., : loss.shape[-1]] * loss).sum((1, 2))
        for joints, step, order, weight in self.terms:
            term = (weight * difference(x[:, joints], step, order).square()).sum((1, 2))
            frames = frames + torch.cat([frames.new_zeros(len(frames) - len(term)), term])
        return frames.new_zeros(self.people).index_add(0, self.person, frames)

    def gradient(self, x_m: Tensor) -> Tensor:
        """Derivative of the summed energies by x_m (N, J, 3), twice as fast as autograd's.

        The order of these additions is the one that reproduces the reference results to the last bit (a sum in another
        order differs by 1e-7, which Adam, dividing by the size of the gradient, magnifies to tenths of a mm).
        """
        e, total = self.energy, torch.zeros_like(x_m)
        for joints, step, order, weight in self.terms:
            d = weight * (2 * difference(x_m[:, joints], step, order))
            total[:, joints] += difference_transposed(d, step, order, len(x_m))
        residual = x_m - self.x0_m
        slope = data_slope(residual, e.pose_loss, e.l2_cap, e.gm_alpha)
        return total + self.weight * slope * (2 * residual)
