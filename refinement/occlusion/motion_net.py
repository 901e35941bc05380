"""What people do where nobody sees them: a network that corrects the relative joints of a solution.

It is a convolution over time, at RATE frames per second: from the solution's joints and the lifter's, which of them are
observed, their standard deviations and how the root moves, it says where the joints are and how far off it may be. All
in axes of each frame's own: up, right and forward as the camera sees the person. It was trained on what the solver makes
of people in made-up scenes of real motion (benchmarks/studies/motion_net.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from pose.joint_sets import MUPOTS_17
from refinement.occlusion.person import Person, Solution

WEIGHTS = Path(__file__).with_name("weights") / "motion.safetensors"
#: Frames per second that it works at, mm per unit, and the dilations of its layers: it sees about six seconds each way.
RATE, UNIT_MM = 10.0, 1000.0
DILATIONS = (1, 2, 4, 8, 16, 1, 2, 4, 8, 16)
_JOINTS = len(MUPOTS_17)
FEATURES = 8 * _JOINTS + 7


@dataclass(frozen=True, eq=False)
class Expected:
    """Relative joints (T, 17, 3) mm, and the standard deviation of each coordinate (T, 17) mm."""

    relative: np.ndarray
    std: np.ndarray


class MotionNet(nn.Module):
    """Features (B, T, FEATURES) at RATE -> corrections of relative joints (B, T, 17, 3) and log std (B, T, 17)."""

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int = 96) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("std", torch.ones(FEATURES))
        self.first = nn.Conv1d(FEATURES, channels, 1)
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in DILATIONS)
        self.wide = nn.ModuleList(nn.Conv1d(channels, channels, 3, dilation=d, padding=d) for d in DILATIONS)
        self.narrow = nn.ModuleList(nn.Conv1d(channels, channels, 1) for _ in DILATIONS)
        self.last = nn.Conv1d(channels, 4 * _JOINTS, 1)
        nn.init.zeros_(self.last.weight)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        x = self.first(((features - self.mean) / self.std).transpose(1, 2))
        for norm, wide, narrow in zip(self.norms, self.wide, self.narrow, strict=True):
            x = x + narrow(torch.relu(wide(norm(x.transpose(1, 2)).transpose(1, 2))))
        out = self.last(x).transpose(1, 2)
        moved = out[..., : 3 * _JOINTS].unflatten(-1, (_JOINTS, 3))
        return moved - moved[..., [MUPOTS_17.root], :], out[..., 3 * _JOINTS :]


@cache
def motion_net() -> MotionNet:
    """The network that comes with the package."""
    state = {name: value.float() for name, value in load_file(WEIGHTS).items()}
    net = MotionNet(state["first.weight"].shape[0]).eval()
    net.load_state_dict(state)
    return net


def features(poses: np.ndarray, lifted: np.ndarray, observed: np.ndarray, std: np.ndarray, up: np.ndarray, fps: float):
    """(T, FEATURES) and the axes (T, 3, 3) of each frame: right, up, forward."""
    root = poses[:, MUPOTS_17.root]
    axes = _axes(root, up)
    distance = np.linalg.norm(root, axis=1, keepdims=True)
    off = np.einsum("tij,tj->ti", axes, lifted[:, MUPOTS_17.root] - root) / np.maximum(distance, 1.0)
    velocity = np.einsum("tij,tj->ti", axes, np.gradient(root, axis=0)) * fps / UNIT_MM
    own, said = (
        np.einsum("tij,tkj->tki", axes, p - p[:, [MUPOTS_17.root]]).reshape(len(root), -1) / UNIT_MM
        for p in (poses, lifted)
    )
    return np.concatenate(
        [
            own, np.clip(said, -2, 2), observed, np.clip(std, 0, 1000) / 200,
            np.clip(velocity, -8, 8), np.clip(off, -1, 1), distance / 4000,
        ],
        axis=1,
    ).astype(np.float32), axes  # fmt: skip


def expected(solution: Solution, lifted: Person, up: np.ndarray) -> Expected:
    """What the network makes of a solution for a person, before a camera with that up."""
    values, axes = features(solution.poses, lifted.poses, solution.observed, solution.std, up, lifted.fps)
    frames = np.arange(len(values))
    at = np.arange(0, len(values) - 1 + lifted.fps / RATE, lifted.fps / RATE).clip(max=len(values) - 1)
    with torch.inference_mode():
        moved, spread = motion_net()(torch.from_numpy(_sampled(values, frames, at))[None])
    moved = _sampled(moved[0].flatten(1).double().numpy(), at, frames).reshape(-1, _JOINTS, 3)
    spread = _sampled(spread[0].double().numpy(), at, frames)
    relative = solution.poses - solution.poses[:, [MUPOTS_17.root]]
    relative = relative + np.einsum("tij,tki->tkj", axes, moved) * UNIT_MM
    return Expected(relative, np.exp(spread) * UNIT_MM)


def _sampled(values: np.ndarray, at: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Values (T, C) given at times (T,), interpolated to the wanted ones (N,)."""
    return np.stack([np.interp(wanted, at, column) for column in values.T], axis=1).astype(values.dtype)


def _axes(root: np.ndarray, up: np.ndarray) -> np.ndarray:
    """(T, 3, 3): unit vectors right, up and forward, away from the camera, of each frame."""
    ahead = root - (root @ up)[:, None] * up
    ahead = ahead / np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-6)
    upward = np.broadcast_to(up, ahead.shape)
    return np.stack([np.cross(upward, ahead), upward, ahead], axis=1)
