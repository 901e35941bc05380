"""Batch normalisation over the parts of a batch that several processes hold.

torch's own SyncBatchNorm knows CUDA only; this one runs wherever the processes can sum numbers, so that it is tested.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


class SyncedBatchNorm1d(nn.BatchNorm1d):
    """As `BatchNorm1d`; while training in several processes, mean and variance are those of all their parts.

    The parts must be of one size, as the sampler deals them out. Under the same names in a file as `BatchNorm1d`.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, T) or (B, C) -> the same."""
        if not (self.training and dist.is_available() and dist.is_initialized()):
            return super().forward(input)
        rows = input.float().movedim(1, -1)
        flat = rows.flatten(0, -2)  # (N, C)
        mean, square = all_reduce(torch.stack([flat.mean(0), flat.square().mean(0)])) / dist.get_world_size()
        variance = (square - mean.square()).clamp(min=0)
        self._note(mean.detach(), variance.detach(), len(flat) * dist.get_world_size())
        scale = self.weight * (variance + self.eps).rsqrt()
        return (rows * scale + (self.bias - mean * scale)).movedim(-1, 1).to(input.dtype)

    def _note(self, mean: Tensor, variance: Tensor, count: int) -> None:
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum or 0.1)
        self.running_var.lerp_(variance * (count / max(count - 1, 1)), self.momentum or 0.1)


def synchronise(network: nn.Module) -> None:
    """In place: let every `BatchNorm1d` of the network see the parts of all processes."""
    for module in network.modules():
        if type(module) is nn.BatchNorm1d:
            module.__class__ = SyncedBatchNorm1d
