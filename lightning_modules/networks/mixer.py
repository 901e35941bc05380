"""A gated mixer: after a first convolution, filters over time in each channel and gated layers across channels.

Like `tcn` it is one set of weights in two forms, `forward` over whole sequences with dilated filters and
`forward_strided` over training windows, which computes nothing but what leads to their single output. Filters over time
cost little here, so they can be wide; a layer across channels runs once a block. Normalisation is over channels, frame
by frame, so it needs no statistics of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn
from torch.nn import functional

from pose.errors import ConfigError, ShapeError, check_number, check_shape

_MAX_WIDTHS = 16  # a receptive field of millions of frames


class GatedMixer(nn.Module):
    """Features (B, T, F) -> targets (B, T - receptive_field + 1, O), both standardised.

    n_features, n_targets: columns of input and output, F and O.
    channels: width of the hidden layers. expansion: the gated layer inside a block is so many times as wide.
    filter_widths: odd widths of the first convolution and of each block's filters; the receptive field is their
    product. A block of width 1 looks at no other frame.
    dropout: probability after each block.
    causal: an output is about the last frame of its window instead of the centre one.

    Raises ConfigError for values outside these.

    >>> import torch
    >>> network = GatedMixer(42, 51, channels=32, filter_widths=(9, 3)).eval()
    >>> network(torch.zeros(2, 100, 42)).shape  # 100 - 27 + 1 frames
    torch.Size([2, 74, 51])
    """

    def __init__(
        self,
        n_features: int,
        n_targets: int,
        channels: int = 256,
        filter_widths: Sequence[int] = (9, 1, 9, 1),
        expansion: float = 2.0,
        dropout: float = 0.1,
        causal: bool = False,
    ):
        super().__init__()
        check_number("channels", channels, low=1, whole=True)
        check_number("expansion", expansion, above=0)
        if not (isinstance(dropout, int | float) and 0 <= dropout < 1):
            raise ConfigError(f"dropout={dropout}: must be at least 0 and less than 1")
        if not isinstance(causal, bool):
            raise ConfigError(f"causal: must be true or false, found a {type(causal).__name__}")
        widths = list(filter_widths) if isinstance(filter_widths, Sequence) else []
        if not 0 < len(widths) <= _MAX_WIDTHS or not all(isinstance(w, int) and w > 0 and w % 2 for w in widths):
            raise ConfigError(f"filter_widths={filter_widths}: must be 1 to {_MAX_WIDTHS} positive odd numbers")
        self.causal, self.receptive_field, self.n_features = causal, prod(widths), n_features
        self.stem = nn.Conv1d(n_features, channels, widths[0])
        self.blocks = nn.ModuleList()
        dilation = widths[0]
        for width in widths[1:]:
            self.blocks.append(_Block(channels, max(1, round(expansion * channels)), width, dilation, dropout, causal))
            dilation *= width
        self.norm, self.head = nn.LayerNorm(channels), nn.Linear(channels, n_targets)

    def forward(self, features: Tensor) -> Tensor:
        """Whole sequences: (B, T, F) -> (B, T - receptive_field + 1, O). ShapeError if T is too short."""
        check_shape("features", features, ("B", "T", self.n_features))
        if features.shape[1] < self.receptive_field:
            raise ShapeError("features", ("B", f"at least {self.receptive_field}", self.n_features), features.shape)
        hidden = self.stem(features.transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            hidden = block(hidden)
        return self.head(self.norm(hidden))

    def forward_strided(self, windows: Tensor) -> Tensor:
        """Windows of exactly the receptive field: (B, receptive_field, F) -> (B, 1, O)."""
        check_shape("windows", windows, ("B", self.receptive_field, self.n_features))
        width = self.stem.kernel_size[0]
        groups = windows.unflatten(1, (-1, width)).flatten(2)
        hidden = functional.linear(groups, self.stem.weight.transpose(1, 2).flatten(1), self.stem.bias)
        for block in self.blocks:
            hidden = block.strided(hidden)  # type: ignore[operator]  # a _Block
        return self.head(self.norm(hidden))


class _Block(nn.Module):
    """hidden (B, T, C) -> (B, T', C): hidden + its filtered past and future, then that + a gated layer of it."""

    def __init__(self, channels: int, wide: int, width: int, dilation: int, dropout: float, causal: bool):
        super().__init__()
        self.kept = width - 1 if causal else width // 2  # the frame of a group that the output is about
        self.time_norm, self.norm = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.time = nn.Conv1d(channels, channels, width, dilation=dilation, groups=channels)
        self.gate, self.out = nn.Linear(channels, 2 * wide), nn.Linear(wide, channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        update = self.time(self.time_norm(hidden).transpose(1, 2)).transpose(1, 2)
        start = self.kept * self.time.dilation[0]
        return self._mixed(hidden[:, start : start + update.shape[1]] + update)

    def strided(self, hidden: Tensor) -> Tensor:
        """As `forward`, for the middle (causal: last) frame of each group of as many frames as the filter is wide."""
        groups = hidden.unflatten(1, (-1, self.time.kernel_size[0]))
        update = (self.time_norm(groups) * self.time.weight[:, 0].T).sum(2) + self.time.bias
        return self._mixed(groups[:, :, self.kept] + update)

    def _mixed(self, hidden: Tensor) -> Tensor:
        value, gate = self.gate(self.norm(hidden)).chunk(2, dim=-1)
        return hidden + self.dropout(self.out(value * functional.silu(gate)))
