"""The gated mixer: two forms of one network, its receptive field, causality, and what it refuses."""

from __future__ import annotations

import pytest
import torch

from lightning_modules.networks.mixer import GatedMixer
from pose.errors import ConfigError, ShapeError


def mixer(**options) -> GatedMixer:
    torch.manual_seed(0)
    network = GatedMixer(42, 51, **{"channels": 16, "filter_widths": (5, 3, 1), **options})
    for parameter in network.parameters():  # norms and biases as a training leaves them
        torch.nn.init.normal_(parameter, std=0.3)
    return network.eval()


@pytest.mark.parametrize("filter_widths", [(9, 3), (3, 1, 5), (7,)])
@pytest.mark.parametrize("causal", [False, True])
def test_forms_are_one_network(filter_widths, causal: bool) -> None:
    network = mixer(filter_widths=filter_widths, causal=causal)
    features = torch.randn(2, 40, 42, dtype=torch.float64)
    network.double()
    windows = features.unfold(1, network.receptive_field, 1).transpose(2, 3)
    strided = torch.stack([network.forward_strided(window)[:, 0] for window in windows.unbind(1)], dim=1)
    assert torch.allclose(network(features), strided, atol=1e-12)


@pytest.mark.parametrize("causal", [False, True])
def test_an_output_depends_on_its_window_and_on_nothing_else(causal: bool) -> None:
    network = mixer(causal=causal)
    assert network.receptive_field == 15
    features = torch.randn(1, 30, 42, requires_grad=True)
    network(features)[0, 4].abs().sum().backward()
    assert features.grad is not None
    assert features.grad[0].abs().sum(1).nonzero()[:, 0].tolist() == list(range(4, 19))


@pytest.mark.parametrize(("causal", "kept"), [(False, range(5, 10)), (True, range(10, 15))])
def test_the_frame_itself_passes_every_block(causal: bool, kept: range) -> None:
    """With the blocks' filters of zero an output is a function of the first convolution about its own frame."""
    network = mixer(causal=causal)
    for block in network.blocks:
        torch.nn.init.zeros_(block.time.weight)
    features = torch.randn(1, 15, 42, requires_grad=True)
    network(features).abs().sum().backward()
    assert features.grad is not None
    assert features.grad[0].abs().sum(1).nonzero()[:, 0].tolist() == list(kept)


def test_it_learns() -> None:
    torch.manual_seed(0)
    network = GatedMixer(42, 51, channels=16, filter_widths=(5, 3), dropout=0.0)
    features, targets = torch.randn(32, 15, 42), torch.randn(32, 51)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        loss = (network.forward_strided(features)[:, 0] - targets).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.4 * losses[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 0}, "channels=0: must be"),
        ({"expansion": 0}, "expansion=0: must be"),
        ({"filter_widths": (3, 4)}, r"filter_widths=\(3, 4\): must be 1 to 16 positive odd numbers"),
        ({"filter_widths": ()}, r"filter_widths=\(\): must be"),
        ({"filter_widths": 3}, "filter_widths=3: must be"),
        ({"filter_widths": [1] * 17}, "must be 1 to 16"),
        ({"dropout": 1.0}, r"dropout=1\.0: must be"),
        ({"causal": 1}, "causal: must be true or false, found a int"),
    ],
)
def test_impossible_settings_are_refused(options, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        mixer(**options)


def test_inputs_of_the_wrong_shape_are_refused() -> None:
    network = mixer()
    with pytest.raises(ShapeError, match="at least 15"):
        network(torch.zeros(1, 14, 42))
    with pytest.raises(ShapeError):
        network(torch.zeros(1, 20, 41))
    with pytest.raises(ShapeError):
        network.forward_strided(torch.zeros(1, 16, 42))
