"""The network that lifts 2D detections to 3D poses: temporal convolutions with residual blocks (docs/method.md §5).

One set of weights in two forms. `forward` runs over whole sequences with dilated convolutions. `forward_strided` takes
training windows of exactly the receptive field and computes their single output; each of its convolutions consumes its
input in whole groups of frames, which makes it one matrix product over rows of frames. Parameter and buffer names are
those of the published state dict.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn
from torch.nn import functional

from pose.errors import ConfigError, ShapeError, check_number, check_shape
from pose.features import N_FEATURES, N_TARGETS

NORMS = ("batch", "instance")
_MAX_WIDTHS = 16  # a receptive field of millions of frames


class TemporalConvNet(nn.Module):
    """Features (B, T, F) -> targets (B, T - receptive_field + 1, O), both standardised.

    channels: width of the hidden layers.
    filter_widths: odd widths of the temporal convolutions; the receptive field is their product.
    dropout: probability after each hidden layer.
    causal: an output is about the last frame of its window instead of the centre one.
    norm: "batch", or "instance" as an option of the published code (whole sequences only, cannot be trained here).
    n_features, n_targets: columns of input and output, F and O.

    Raises ConfigError for values outside these.

    >>> import torch
    >>> network = TemporalConvNet(channels=64, filter_widths=(3, 3, 3)).eval()
    >>> network(torch.zeros(2, 100, 42)).shape  # 100 - 27 + 1 frames
    torch.Size([2, 74, 51])
    """

    def __init__(
        self,
        channels: int = 1024,
        filter_widths: Sequence[int] = (3, 3, 3, 3),
        dropout: float = 0.25,
        causal: bool = False,
        norm: str = "batch",
        n_features: int = N_FEATURES,
        n_targets: int = N_TARGETS,
    ):
        super().__init__()
        if not isinstance(filter_widths, Sequence):
            raise ConfigError(f"filter_widths={filter_widths}: must be a list of positive odd numbers")
        self.channels, self.filter_widths, self.causal, self.norm = channels, tuple(filter_widths), causal, norm
        self._check(dropout)
        self.n_features = n_features
        self.dropout = nn.Dropout(dropout)
        make_norm = nn.BatchNorm1d if norm == "batch" else _instance_norm
        first, *others = self.filter_widths
        self.expand_conv = nn.Conv1d(n_features, channels, first, bias=False)
        self.expand_bn = make_norm(channels)
        self.layers_conv, self.layers_bn = nn.ModuleList(), nn.ModuleList()
        dilation = first
        for width in others:
            self.layers_conv.append(nn.Conv1d(channels, channels, width, dilation=dilation, bias=False))
            self.layers_conv.append(nn.Conv1d(channels, channels, 1, bias=False))
            self.layers_bn.extend([make_norm(channels), make_norm(channels)])
            dilation *= width
        self.shrink = nn.Conv1d(channels, n_targets, 1)

    def _check(self, dropout: float) -> None:
        check_number("channels", self.channels, low=1, whole=True)
        if not self.filter_widths or not all(isinstance(w, int) and w > 0 and w % 2 for w in self.filter_widths):
            raise ConfigError(f"filter_widths={list(self.filter_widths)}: must be a list of positive odd numbers")
        if not isinstance(self.causal, bool):
            raise ConfigError(f"causal: must be true or false, found a {type(self.causal).__name__}")
        if len(self.filter_widths) > _MAX_WIDTHS:
            raise ConfigError(f"filter_widths: {len(self.filter_widths)} of them; at most {_MAX_WIDTHS} are allowed")
        if not (isinstance(dropout, int | float) and 0 <= dropout < 1):
            raise ConfigError(f"dropout={dropout}: must be at least 0 and less than 1")
        if self.norm not in NORMS:
            raise ConfigError(f"norm={self.norm}: must be one of {', '.join(NORMS)}")

    @property
    def normalises_over_time(self) -> bool:
        """Whether it takes whole sequences only, one in a call, because it normalises each over its frames."""
        return self.norm == "instance"

    @property
    def receptive_field(self) -> int:
        """Frames that one output depends on."""
        return prod(self.filter_widths)

    @property
    def blocks(self) -> list[tuple[nn.Conv1d, nn.Module, nn.Conv1d, nn.Module]]:
        """The residual blocks: (wide convolution, its norm, 1x1 convolution, its norm)."""
        convs, norms = list(self.layers_conv), list(self.layers_bn)
        return list(zip(convs[::2], norms[::2], convs[1::2], norms[1::2], strict=True))  # type: ignore[arg-type]

    def forward(self, features: Tensor) -> Tensor:
        """Whole sequences: (B, T, F) -> (B, T - receptive_field + 1, O). ShapeError if T is too short."""
        check_shape("features", features, ("B", "T", self.n_features))
        if features.shape[1] < self.receptive_field:
            raise ShapeError("features", ("B", f"at least {self.receptive_field}", self.n_features), features.shape)
        hidden = self._activate(self.expand_conv(features.transpose(1, 2)), self.expand_bn)
        for wide, wide_norm, mix, mix_norm in self.blocks:
            update = self._activate(wide(hidden), wide_norm)
            update = self._activate(mix(update), mix_norm)
            lost = hidden.shape[-1] - update.shape[-1]
            start = lost if self.causal else lost // 2
            hidden = hidden[..., start : start + update.shape[-1]] + update
        return self.shrink(hidden).transpose(1, 2)

    def forward_strided(self, windows: Tensor) -> Tensor:
        """Windows of exactly the receptive field: (B, receptive_field, F) -> (B, 1, O). Batch norm only."""
        check_shape("windows", windows, ("B", self.receptive_field, self.n_features))
        if self.norm != "batch":
            raise ConfigError(f"norm={self.norm}: single windows need norm=batch, one frame cannot be normalised alone")
        hidden = self._activate(_grouped(windows.flatten(0, 1), self.expand_conv), self.expand_bn)
        for wide, wide_norm, mix, mix_norm in self.blocks:
            update = self._activate(_grouped(hidden, wide), wide_norm)
            update = self._activate(_grouped(update, mix), mix_norm)
            width = wide.kernel_size[0]
            kept = width - 1 if self.causal else width // 2
            hidden = hidden.unflatten(0, (-1, width))[:, kept] + update
        return _grouped(hidden, self.shrink)[:, None]

    def _activate(self, values: Tensor, norm: nn.Module) -> Tensor:
        return self.dropout(functional.relu(norm(values)))


def _grouped(rows: Tensor, conv: nn.Conv1d) -> Tensor:
    """Convolution of consecutive rows in groups of its width: (N * width, C) -> (N, C'), a single matrix product."""
    width = conv.kernel_size[0]
    weight = conv.weight.transpose(1, 2).flatten(1)
    return functional.linear(rows.reshape(len(rows) // width, -1), weight, conv.bias)


def _instance_norm(channels: int) -> nn.Module:
    return nn.InstanceNorm1d(channels, affine=True)
