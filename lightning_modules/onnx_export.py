"""A lifter's network as an ONNX file, for programs without PyTorch; checked against PyTorch before it is written.

The graph takes features (batch, frames, F) as `pose.features` or `pose.canonical` make them, not standardised, and
gives targets (batch, frames - receptive_field + 1, O), not standardised either: mean and std are inside.
Batch and frames are free, from `receptive_field` frames on. What surrounds a network here is not in it: encoding a
person, repeating the first and last frame, the mirrored average, decoding (docs/method.md §4 and §7). Settings of the
lifter and the receptive field are metadata of the file. Needs the packages of extra `onnx`.
"""

from __future__ import annotations

import inspect
import json
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fileio.atomic import write_bytes
from lightning_modules.lifter import Lifter
from pose.errors import ConfigError, DataError

#: Version of ONNX's operators: the lowest that has all that our networks use, layer normalisation the latest of them.
OPSET = 17
#: The exporter that needs no further packages; before torch 2.5 there was no other.
_EXPORTER: dict[str, Any] = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
#: The exported network may differ from PyTorch's by so much of a target's standard deviation.
TOLERANCE = 1e-4


def export_onnx(path: str | Path, lifter: Lifter) -> None:
    """Write the lifter's network to `path`.

    ConfigError without the packages; DataError if PyTorch cannot export this network or ONNX Runtime, at several
    lengths and batch sizes, does not compute what PyTorch does. Then nothing is written.
    """
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise ConfigError(f"format=onnx: {error}; pip install 'temporal-smoothing[onnx]'") from error
    graph = _Graph(lifter).eval()
    field, columns = lifter.receptive_field, lifter.features.n_features
    kind = type(lifter.network).__name__
    buffer: Any = BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of shapes that it takes for constants: the lengths below would tell
            torch.onnx.export(
                graph,
                (_sample(1, field + 7, columns),),
                buffer,
                **_EXPORTER,
                opset_version=OPSET,
                input_names=["features"],
                output_names=["targets"],
                dynamic_axes={"features": {0: "batch", 1: "frames"}, "targets": {0: "batch", 1: "outputs"}},
            )
    except Exception as error:  # whatever a network of somebody's own does in it
        detail = " ".join(str(error).split())[:300]
        raise DataError(f"format=onnx: PyTorch cannot export {kind} ({type(error).__name__}: {detail})") from error
    model = onnx.load_from_string(buffer.getvalue())
    for key, value in _metadata(lifter).items():
        model.metadata_props.add(key=key, value=value)
    content = model.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for batch, frames in ((1, field), (3, field + 1), (2, 4 * field + 50)):
        features = _sample(batch, frames, columns)
        (found,) = session.run(None, {"features": features.numpy()})
        with torch.inference_mode():
            difference = (torch.from_numpy(np.asarray(found)) - graph(features)).abs() / lifter.target_std
        if not bool((difference < TOLERANCE).all()):
            raise DataError(
                f"format=onnx: for {batch} x {frames} frames ONNX Runtime is off by {float(difference.max()):.2g} "
                f"standard deviations from what PyTorch computes; {kind} does something that depends on the length"
            )
    write_bytes(Path(path), content)


class _Graph(nn.Module):
    """What is exported: the network between its two standardisations."""

    def __init__(self, lifter: Lifter):
        super().__init__()
        self.lifter = lifter

    def forward(self, features: Tensor) -> Tensor:
        standardised = (features - self.lifter.feature_mean) / self.lifter.feature_std
        return self.lifter.network(standardised) * self.lifter.target_std + self.lifter.target_mean


def _sample(batch: int, frames: int, columns: int) -> Tensor:
    """(batch, frames, columns) of noise, always the same."""
    return torch.randn(batch, frames, columns, generator=torch.Generator().manual_seed(0))


def _metadata(lifter: Lifter) -> dict[str, str]:
    """What a program needs to know to feed and read the network; text, as ONNX asks for."""
    settings: dict[str, Any] = dict(lifter.settings)
    features = type(lifter.features)
    return {
        "receptive_field": str(lifter.receptive_field),
        "causal": json.dumps(lifter.causal),
        "features": f"{features.__module__}.{features.__qualname__}",
        **{key: json.dumps(settings[key]) for key in ("coordinates", "fps", "joints_2d", "joints_3d", "training")},
    }
