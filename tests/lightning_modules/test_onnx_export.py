"""A lifter as an ONNX file computes what PyTorch computes, at any length, and says how it is to be fed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lightning_modules import components
from lightning_modules.onnx_export import OPSET, export_onnx
from lightning_modules.prediction import lift
from pose.errors import ConfigError, DataError

onnx = pytest.importorskip("onnx", reason="needs extra onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs extra onnx")

NETWORKS = {
    "tcn": {"channels": 8, "filter_widths": [3, 3]},
    "causal": {"channels": 8, "filter_widths": [3, 3], "causal": True},
    "mixer": {
        "_target_": "lightning_modules.networks.mixer.GatedMixer",
        "channels": 8,
        "filter_widths": [5, 3],
        "dropout": 0.5,
    },
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_onnxruntime_agrees_with_a_whole_prediction(kind: str, make_lifter, make_person, tmp_path: Path) -> None:
    """Fed and read by hand, as another program would do it."""
    lifter, person = make_lifter(network=NETWORKS[kind]), make_person()
    export_onnx(tmp_path / "lifter.onnx", lifter)
    session = onnxruntime.InferenceSession(tmp_path / "lifter.onnx")
    said = session.get_modelmeta().custom_metadata_map
    context = int(said["receptive_field"]) - 1
    left = context if json.loads(said["causal"]) else context // 2
    features, view = lifter.features.encode(person, lifter.causal)
    padded = np.pad(features.numpy(), ((left, context - left), (0, 0)), mode="edge")
    (targets,) = session.run(None, {"features": np.stack([padded, padded])})
    assert targets.shape == (2, len(person), 51) and np.array_equal(targets[0], targets[1])
    found = lifter.features.poses(torch.from_numpy(targets[0]), view)
    (expected,) = lift(lifter, [person], flip=False)
    assert torch.allclose(found, expected.require("poses_3d"), atol=0.01)  # mm


def test_the_file_says_what_it_is(make_lifter, tmp_path: Path) -> None:
    export_onnx(tmp_path / "lifter.onnx", make_lifter(training={"data": "mocap"}))
    model = onnx.load(tmp_path / "lifter.onnx")
    onnx.checker.check_model(model)
    assert [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")] == [OPSET]
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert said == {
        "receptive_field": "9",
        "causal": "false",
        "features": "pose.features.PublishedFeatures",
        "coordinates": '"normal"',
        "fps": "25.0",
        "joints_2d": '"COCO-19"',
        "joints_3d": '"MuPoTS-17"',
        "training": '{"data": "mocap"}',
    }


class Fixed(nn.Module):
    """A network that an exporter bakes the traced length into."""

    receptive_field, causal = 1, False

    def __init__(self, n_features: int, n_targets: int):
        super().__init__()
        self.layer = nn.Linear(n_features, n_targets)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        ramp = torch.arange(int(features.shape[1])) / int(features.shape[1])
        return self.layer(features) + ramp[:, None]


class Refused(Fixed):
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.layer(features) + torch.linalg.eigvals(features[0, :1].T @ features[0, :1]).abs().sum()


@pytest.mark.parametrize(
    ("kind", "message"), [(Fixed, "PyTorch|ONNX Runtime"), (Refused, "PyTorch cannot export Refused")]
)
def test_a_network_that_cannot_be_exported_leaves_no_file(
    kind, message: str, make_lifter, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(components, "_named", {kind.__module__})
    lifter = make_lifter(network={"_target_": f"{kind.__module__}.{kind.__qualname__}"})
    with pytest.raises(DataError, match=f"format=onnx: .*({message})"):
        export_onnx(tmp_path / "lifter.onnx", lifter)
    assert not list(tmp_path.iterdir())


def test_without_the_packages_it_says_what_to_install(make_lifter, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=r"format=onnx: .*pip install 'temporal-smoothing\[onnx\]'"):
        export_onnx(tmp_path / "lifter.onnx", make_lifter())
