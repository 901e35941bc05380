"""The network: both forms against an independent implementation, causality, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_modules.lifter import Lifter
from lightning_modules.networks.tcn import TemporalConvNet
from pose.errors import ConfigError, ShapeError


def assert_agrees(found: Tensor, expected: np.ndarray) -> None:
    """The conformance tolerance: |a - b| <= 1e-4 max(1, |b|)."""
    expected_t = torch.from_numpy(expected)
    assert found.shape == expected_t.shape
    assert ((found - expected_t).abs() <= 1e-4 * expected_t.abs().clamp(min=1)).all()


@torch.no_grad()
def test_both_forms_agree_with_the_golden_outputs(golden_lifter: Lifter, network_numbers) -> None:
    network = golden_lifter.network
    assert network.receptive_field == network_numbers["receptive_field"]
    assert_agrees(network(torch.from_numpy(network_numbers["x"])), network_numbers["y"])
    windows = torch.from_numpy(network_numbers["x1"])
    assert_agrees(network(windows), network_numbers["y1_full"])
    assert_agrees(network.forward_strided(windows), network_numbers["y1"])


def randomised(**options) -> TemporalConvNet:
    torch.manual_seed(0)
    network = TemporalConvNet(channels=12, **options)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.5, 0.5)
            torch.nn.init.uniform_(module.running_mean, -0.5, 0.5)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    return network


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("filter_widths", [(3, 3, 3), (5, 3), (3, 1, 5), (7,)])
@torch.no_grad()
def test_forms_are_one_network(filter_widths, causal: bool) -> None:
    network = randomised(filter_widths=filter_widths, causal=causal).eval()
    field = network.receptive_field
    sequence = torch.randn(2, field + 4, 42)
    windows = sequence.unfold(1, field, 1).transpose(2, 3)
    strided = torch.stack([network.forward_strided(window)[:, 0] for window in windows.unbind(1)], dim=1)
    torch.testing.assert_close(network(sequence), strided, rtol=1e-5, atol=1e-5)


def test_forms_learn_alike() -> None:
    """Same gradients, in evaluation mode: batch statistics are over other frames in the two forms."""
    windows = torch.randn(6, 9, 42)
    gradients = []
    for form in ("forward", "forward_strided"):
        network = randomised(filter_widths=(3, 3)).eval()
        getattr(network, form)(windows).square().sum().backward()
        gradients.append([parameter.grad for parameter in network.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_the_residual_of_a_causal_network_is_its_last_frame() -> None:
    """With the blocks' convolutions silenced, the residual path is left: a window's last or centre frames."""
    for causal, seen in ((True, [6, 7, 8]), (False, [3, 4, 5])):
        network = randomised(filter_widths=(3, 3), causal=causal).eval()
        for norm in network.layers_bn:
            norm.weight.zero_()
            norm.bias.zero_()
        window = torch.randn(1, 9, 42)
        changes = []
        for frame in range(9):
            other = window.clone()
            other[0, frame] += 1
            if not torch.allclose(network(other), network(window)):
                changes.append(frame)
        assert changes == seen


def test_parameters_are_named_as_published(golden) -> None:
    published = torch.load(golden / "checkpoint" / "model_params.pkl", weights_only=True)
    assert set(TemporalConvNet(24, (3, 3, 3)).state_dict()) == set(published)


def test_training_form_uses_and_updates_batch_statistics() -> None:
    network = TemporalConvNet(8, (3, 3), dropout=0.0)
    network.forward_strided(torch.randn(4, 9, 42))
    assert network.expand_bn.num_batches_tracked == 1
    assert network.expand_bn.running_mean.abs().max() > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 0}, "channels=0: must be"),
        ({"filter_widths": (3, 4)}, r"filter_widths=\[3, 4\]: must be"),
        ({"filter_widths": ()}, r"filter_widths=\[\]: must be"),
        ({"filter_widths": 3}, "filter_widths=3: must be"),
        ({"causal": torch.zeros(2)}, "causal: must be true or false, found a Tensor"),
        ({"dropout": 1.0}, "dropout=1.0: must be"),
        ({"norm": "layer"}, "norm=layer: must be one of batch, instance"),
    ],
)
def test_impossible_settings_are_refused(options, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TemporalConvNet(**options)


def test_inputs_of_other_shapes_are_refused() -> None:
    network = TemporalConvNet(8, (3, 3))
    with pytest.raises(ShapeError, match="at least 9"):
        network(torch.zeros(1, 8, 42))
    with pytest.raises(ShapeError):
        network(torch.zeros(1, 42, 9))
    with pytest.raises(ShapeError, match=r"expected shape \(B, 9, 42\)"):
        network.forward_strided(torch.zeros(1, 10, 42))


def test_instance_norm_runs_over_sequences_only() -> None:
    network = TemporalConvNet(8, (3, 3), norm="instance").eval()
    assert network(torch.randn(2, 20, 42)).shape == (2, 12, 51)
    with pytest.raises(ConfigError, match="norm=instance"):
        network.forward_strided(torch.randn(2, 9, 42))
