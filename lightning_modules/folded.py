"""The network as prediction runs it: batch norm folded into the convolutions, each convolution a few matrix products.

Layers hold frames in rows, time first: (T, B, C). The rows that one tap of a dilated convolution reads are then one
block of memory, so a convolution of width k is k products added into one result, without a copy of its input, and
sequences that run side by side (a plain and a mirrored one) are rows of the same product. That leaves little but matrix
products at the processor's full rate. The same outputs as `TemporalConvNet.forward` within rounding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lightning_modules.networks.tcn import TemporalConvNet
from pose.errors import ConfigError, ShapeError, check_shape
from pose.features import N_FEATURES, N_TARGETS


class FoldedNetwork:
    """Features (B, T, 42) -> targets (B, T - receptive_field + 1, 51), both standardised, in evaluation mode.

    Made of the weights as they are: make another one when they have changed. dtype: of weights, inputs and outputs,
    default the network's. Raises ConfigError for a network with instance norm, whose statistics are those of its input.
    """

    def __init__(self, network: TemporalConvNet, dtype: torch.dtype | None = None):
        if network.norm != "batch":
            raise ConfigError(f"norm={network.norm}: only norm=batch can be folded into the convolutions")
        self.receptive_field, self.causal = network.receptive_field, network.causal
        with torch.no_grad():
            self._expand = _Layer(network.expand_conv, network.expand_bn, dtype)
            self._blocks = [
                (_Layer(wide, wide_norm, dtype), _Layer(mix, mix_norm, dtype))
                for wide, wide_norm, mix, mix_norm in network.blocks
            ]
            self._shrink = _Layer(network.shrink, None, dtype)

    def __call__(self, features: Tensor) -> Tensor:
        """ShapeError if T is shorter than the receptive field. Not differentiable."""
        check_shape("features", features, ("B", "T", N_FEATURES))
        batch, frames, _ = features.shape
        if frames < self.receptive_field:
            raise ShapeError("features", ("B", f"at least {self.receptive_field}", N_FEATURES), features.shape)
        with torch.no_grad():
            hidden = self._expand(features.transpose(0, 1).reshape(-1, N_FEATURES), batch).relu_()
            for wide, mix in self._blocks:
                update = mix(wide(hidden, batch).relu_(), batch).relu_()
                lost = len(hidden) - len(update)
                start = lost if self.causal else lost // 2
                hidden = update.add_(hidden[start : start + len(update)])
            targets = self._shrink(hidden, batch)
        return targets.view(frames - self.receptive_field + 1, batch, N_TARGETS).transpose(0, 1)


class _Layer:
    """A convolution with its batch norm folded in: rows (T * B, C) of B sequences -> (T' * B, C')."""

    def __init__(self, conv: nn.Conv1d, norm: nn.Module | None, dtype: torch.dtype | None):
        weight, bias = conv.weight.permute(2, 0, 1), conv.bias  # (width, C', C)
        if norm is not None:
            weight, bias = _folded(weight, norm)
        if bias is None:
            raise ConfigError("a convolution without bias needs the batch norm that follows it")
        # (C, C') of each tap; the transposition stays a view, which costs the product nothing.
        self.taps = [tap.T for tap in weight.to(dtype or weight.dtype).contiguous()]
        self.bias, self.dilation = bias.to(dtype or weight.dtype), conv.dilation[0]

    def __call__(self, rows: Tensor, batch: int) -> Tensor:
        step = self.dilation * batch
        n = len(rows) - step * (len(self.taps) - 1)
        result = torch.addmm(self.bias, rows[:n], self.taps[0])
        for number, tap in enumerate(self.taps[1:], start=1):
            result.addmm_(rows[number * step : number * step + n], tap)
        return result


def _folded(weight: Tensor, norm: Any) -> tuple[Tensor, Tensor]:
    """(weight, bias) of a convolution with weights (width, C', C) and no bias that the batch norm follows."""
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    taps = torch.empty_like(weight, memory_format=torch.contiguous_format)
    torch.mul(weight, scale[:, None], out=taps)  # scaled and put in order in one pass: a short input waits for it
    return taps, norm.bias - norm.running_mean * scale
