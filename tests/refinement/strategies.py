"""Energies and people of all kinds for property tests, hostile ones among them: hypothesis strategies."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from refinement.published.energy import POSE_LOSSES, SMOOTHNESS_ORDER, PublishedEnergy

#: Lengths about which something changes: nothing to compare with, the median filter, the large steps of both orders.
LENGTHS = (1, 2, 3, 5, 9, 19, 20, 21, 39, 40, 41, 70)


class Person(NamedTuple):
    """x0_m (T, J, 3) m, v (T,) in 0..1."""

    x0_m: Tensor
    v: Tensor

    @property
    def lengths(self) -> Tensor:
        return torch.tensor([len(self.v)])


def powers(low: int, high: int) -> st.SearchStrategy[float]:
    """Numbers over many orders of magnitude."""
    return st.floats(low, high).map(lambda exponent: 10.0**exponent)


@st.composite
def energies(draw: st.DrawFn) -> PublishedEnergy:
    weights = {
        f"smoothness_weight_{part}": draw(st.just(0.0) | powers(-4, 4))
        for part in ("hip", "hip_large", "rel", "rel_large")
    }
    return PublishedEnergy(
        pose_loss=draw(st.sampled_from(POSE_LOSSES)),
        l2_cap=draw(powers(-6, 3)),
        gm_alpha=draw(powers(-6, 3)),
        weigh_by_visibility=draw(st.booleans()),
        smoothness_loss_hip=draw(st.sampled_from(list(SMOOTHNESS_ORDER))),
        smoothness_loss_rel=draw(st.sampled_from(list(SMOOTHNESS_ORDER))),
        smoothness_loss_hip_largestep=draw(st.sampled_from((1, 2, 7, 20, 50))),
        **weights,
    )


def tracks(rng: np.random.Generator, kind: str, frames: int, joints: int, size: float) -> np.ndarray:
    """(frames, joints, 3): noise, a random walk, a person who jumps away and back, or one who stands still."""
    noise = rng.normal(size=(frames, joints, 3))
    if kind == "walk":
        return size * np.cumsum(noise, axis=0)
    if kind == "outliers":
        return noise + np.where(rng.random((frames, 1, 1)) < 0.3, size, 0.0)
    return size * (noise if kind == "noise" else np.repeat(noise[:1], frames, axis=0))


def visibilities(rng: np.random.Generator, kind: str, frames: int) -> np.ndarray:
    """(frames,): never seen, always, all but one long gap, on and off, mostly unsure."""
    if kind in ("never", "always"):
        return np.full(frames, float(kind == "always"))
    if kind == "gap":
        first, last = sorted(rng.integers(0, frames + 1, 2))
        return np.where((np.arange(frames) >= first) & (np.arange(frames) < last), 0.0, 0.9)
    return (rng.random(frames) < 0.5).astype(float) if kind == "flicker" else rng.random(frames) ** 8


@st.composite
def people(draw: st.DrawFn, dtype: torch.dtype = torch.float64, high: int = 5, longest: int = 70) -> Person:
    """One person of 1 frame upward, from microns to 10 ** high metres."""
    frames = draw(st.sampled_from([n for n in LENGTHS if n <= longest]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(("noise", "walk", "outliers", "still")))
    x0 = tracks(rng, kind, frames, draw(st.integers(1, 4)), draw(powers(-6, high)))
    v = visibilities(rng, draw(st.sampled_from(("never", "always", "gap", "flicker", "unsure"))), frames)
    return Person(torch.from_numpy(x0).to(dtype), torch.from_numpy(v).float())
