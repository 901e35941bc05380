"""The network as prediction runs it gives the outputs of the network."""

from __future__ import annotations

import pytest
import torch

from lightning_modules.folded import FoldedNetwork
from lightning_modules.networks.tcn import TemporalConvNet
from pose.errors import ConfigError, ShapeError


def randomised(**options) -> TemporalConvNet:
    torch.manual_seed(0)
    network = TemporalConvNet(channels=12, **options)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.5, 0.5)
            torch.nn.init.uniform_(module.running_mean, -0.5, 0.5)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    return network.eval()


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("filter_widths", [(3, 3, 3), (5, 3), (3, 1, 5), (7,)])
def test_same_outputs(filter_widths, causal: bool) -> None:
    network = randomised(filter_widths=filter_widths, causal=causal).double()
    features = torch.randn(2, network.receptive_field + 4, 42, dtype=torch.float64)
    before = features.clone()
    found = FoldedNetwork(network)(features)
    assert found.shape == (2, 5, 51)
    torch.testing.assert_close(found, network(features), rtol=0, atol=1e-12)
    assert torch.equal(features, before)
    assert FoldedNetwork(network)(features[:0]).shape == network(features[:0]).shape == (0, 5, 51)
    rough = FoldedNetwork(network, torch.bfloat16)(features.bfloat16())
    assert rough.dtype == torch.bfloat16
    assert 0 < (rough - found).abs().max() < 0.2


def test_what_is_refused() -> None:
    with pytest.raises(ConfigError, match="norm=instance"):
        FoldedNetwork(TemporalConvNet(8, (3, 3), norm="instance"))
    folded = FoldedNetwork(TemporalConvNet(8, (3, 3)))
    with pytest.raises(ShapeError, match="at least 9"):
        folded(torch.zeros(1, 8, 42))
