"""One wide filter over time, then layers that see a frame each."""

from torch import Tensor, nn


class OneFilter(nn.Module):
    def __init__(self, n_features: int, n_targets: int, channels: int = 256, frames: int = 27, causal: bool = False):
        super().__init__()
        self.receptive_field, self.causal = frames, causal
        self.layers = nn.Sequential(
            nn.Conv1d(n_features, channels, frames),
            nn.GELU(),
            nn.Conv1d(channels, channels, 1),
            nn.GELU(),
            nn.Conv1d(channels, n_targets, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features.transpose(1, 2)).transpose(1, 2)
