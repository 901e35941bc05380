"""Trained lifters on disk: published folders, ours, run folders, `.ckpt` and `.safetensors` files in; and all out.

`builtin:NAME` is a lifter that comes with the package. A published folder holds `config.json`, `model_params.pkl` and
`preprocess_params.pkl`; one of ours `lifter.ckpt`; a run folder `lifter.json`, which says where its lifter's folder is.
No file is trusted: pickles and checkpoints are read by loaders that make tensors, arrays and plain containers only.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fileio.atomic import write_bytes
from fileio.json_yaml import load_object, write_json
from fileio.limits import check_count
from fileio.pickle_reader import read_pickle, write_pickle
from fileio.torch_reader import load_tensors, write_tensors
from lightning_modules.builtin import PREFIX, load_builtin, pack, unpack
from lightning_modules.components import trust
from lightning_modules.lifter import Lifter
from lightning_modules.networks.tcn import TemporalConvNet
from pose.coordinates import Coordinates, same_coordinates
from pose.errors import ConfigError, DataError, MismatchError, PoseError, check_finite
from pose.features import N_FEATURES, N_TARGETS, PublishedFeatures, Standardiser
from pose.joint_sets import COCO_19, MUPOTS_17

CHECKPOINT_FILE = "lifter.ckpt"
RUN_FILE = "lifter.json"
CONFIG_FILE = "config.json"
MODEL_FILE = "model_params.pkl"
PREPROCESS_FILE = "preprocess_params.pkl"

#: Numbers and characters of a lifter's settings, the record of its training included.
_MAX_SETTINGS = 1_000_000

_COORDINATES_OF_SCALING: dict[str, Coordinates] = {"normal": "normal", "univ": "universal"}
_SCALING_OF_COORDINATES = {coordinates: scaling for scaling, coordinates in _COORDINATES_OF_SCALING.items()}
_JOINTS_OF_DETECTOR = {"hrnet": COCO_19.name}
_DETECTOR_OF_JOINTS = {joints: detector for detector, joints in _JOINTS_OF_DETECTOR.items()}


def load_lifter(path: str | Path, coordinates: str | None = None, plugins: Iterable[str] = ()) -> Lifter:
    """The lifter of `builtin:NAME`, a published folder, one of our folders, a run folder, a `.ckpt` or `.safetensors`
    file: on the CPU, in eval mode.

    coordinates: what the caller evaluates; MismatchError naming both if the lifter was trained on the other one.
    plugins: modules, or classes, of your own that the file may name, such as "my_nets"; from then on any file may.
    Raises DataError naming the file where something is missing or damaged, MismatchError where weights and settings
    do not belong together.

    >>> lifter = load_lifter("builtin:mocap_normal", coordinates="normal")
    >>> lifter.coordinates, lifter.fps, lifter.network.receptive_field
    ('normal', 25, 81)
    """
    trust(plugins)
    if str(path).startswith(PREFIX):
        file, state, settings = load_builtin(str(path).removeprefix(PREFIX))
        lifter = _lifter(file, settings, state)
    else:
        lifter = _load_file(Path(path))
    if coordinates is not None:
        same_coordinates(f"checkpoint={path}", lifter.coordinates, coordinates)
    return lifter.eval()


def _load_file(path: Path) -> Lifter:
    if path.is_dir() and (path / RUN_FILE).is_file():
        path = _lifter_folder(path / RUN_FILE)
    if path.is_file() and path.suffix == ".safetensors":
        state, settings = unpack(path)
        lifter = _lifter(path, settings, state)
    elif path.is_file():
        lifter = _load_checkpoint(path)
    elif (path / CHECKPOINT_FILE).is_file():
        lifter = _load_checkpoint(path / CHECKPOINT_FILE)
    elif (path / CONFIG_FILE).is_file():
        lifter = _load_published(path)
    else:
        found = (
            "does not exist" if not path.exists() else f"holds neither {CHECKPOINT_FILE}, {RUN_FILE} nor {CONFIG_FILE}"
        )
        raise DataError(
            f"checkpoint={path}: {found}; give builtin:NAME, a published checkpoint folder, a run folder of this "
            "project, a .ckpt or a .safetensors file"
        )
    return lifter


def save_lifter(path: str | Path, lifter: Lifter) -> None:
    """Write `lifter` to a checkpoint file, as Lightning's but without the state of a training."""
    state = {name: value.cpu() for name, value in lifter.state_dict().items()}
    write_tensors(Path(path), {"state_dict": state, "hyper_parameters": lifter.settings})


def export_safetensors(path: str | Path, lifter: Lifter) -> None:
    """Write `lifter` to a safetensors file, convolutions in half precision."""
    write_bytes(Path(path), pack(lifter.state_dict(), lifter.settings))


def export_published(lifter: Lifter, folder: str | Path) -> None:
    """Write `lifter` as a folder in the published format. Causality and frame rate, unknown there, are further keys.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     fitted = [Standardiser(torch.zeros(n), torch.ones(n)) for n in (N_FEATURES, N_TARGETS)]
    ...     statistics = dict(zip(("feature_standardiser", "target_standardiser"), fitted, strict=True))
    ...     lifter = Lifter({"channels": 8}, "universal", **statistics)
    ...     export_published(lifter, folder)
    ...     again = load_lifter(folder)
    >>> again.coordinates
    'universal'
    """
    network = lifter.network
    if not isinstance(network, TemporalConvNet) or not isinstance(lifter.features, PublishedFeatures):
        raise ConfigError(
            f"checkpoint: {type(network).__name__} with {type(lifter.features).__name__}: the published format holds "
            "TemporalConvNet with PublishedFeatures only"
        )
    model = {
        "loss": "l1",
        "channels": network.channels,
        "dropout": network.dropout.p,
        "filter_widths": list(network.filter_widths),
        "layernorm": network.norm == "instance",
    }
    if network.causal:
        model["causal"] = True
    config = {
        "pose2d_type": _DETECTOR_OF_JOINTS[lifter.joints_2d],
        "pose3d_scaling": _SCALING_OF_COORDINATES[lifter.coordinates],
        "preprocess_2d": "DepthposeNormalize2D",
        "preprocess_3d": "SplitToRelativeAbsAndMeanNormalize3D",
        "model": model,
    }
    if lifter.fps is not None:
        config["fps"] = lifter.fps
    features, targets = lifter.feature_standardiser, lifter.target_standardiser
    preprocess = [
        {"name": config["preprocess_2d"], "state": {**_arrays(features), "field_name": "pose2d"}},
        {
            "name": config["preprocess_3d"],
            "state": {**_arrays(targets), "field_name": "pose3d", "joint_set": "MuPoTSJoints"},
        },
        {"name": "RemoveIndex", "state": None},
    ]
    weights = {name: value.detach().cpu() for name, value in network.state_dict().items()}
    folder = Path(folder)
    write_tensors(folder / MODEL_FILE, weights)
    write_pickle(folder / PREPROCESS_FILE, preprocess)
    write_json(folder / CONFIG_FILE, config)


def _arrays(standardiser: Standardiser) -> dict[str, np.ndarray]:
    return {"mean": standardiser.mean.cpu().numpy(), "std": standardiser.std.cpu().numpy()}


def _lifter_folder(path: Path) -> Path:
    """Where the `lifter.json` of a run folder points to; a relative path starts at the run folder."""
    name = _entry(path, load_object(path), "folder")
    if not isinstance(name, str):
        raise DataError(f"{path}: folder: a path is expected, found a {type(name).__name__}; train again")
    folder = path.parent / name
    if not os.path.exists(folder):  # False also of a name that no file can have
        raise DataError(f"{path}: points to {folder}, which does not exist; train again or give the lifter's folder")
    return folder


def _load_checkpoint(path: Path) -> Lifter:
    content = load_tensors(path)
    return _lifter(path, _entry(path, content, "hyper_parameters"), _entry(path, content, "state_dict"))


def _lifter(path: Path, settings: Any, state: Any) -> Lifter:
    """A lifter of these settings and weights."""
    _check_state(_built(path, "meta", settings), state, path)
    lifter = _built(path, "cpu", settings)
    lifter.load_state_dict(state, strict=False)
    return lifter


def _built(path: Path, device: str, settings: Any) -> Lifter:
    """A lifter of these settings. On "meta" it takes no memory, whatever sizes they ask for."""
    try:
        check_count(settings, _MAX_SETTINGS)  # one list can be in the file once and here many times
        if "variant" in settings:  # before version 0.2
            settings = {"coordinates": settings["variant"], **settings}
            del settings["variant"]
        with torch.device(device):
            return Lifter(**settings)
    except PoseError as error:
        raise type(error)(f"{path}: {error!s:.400}") from error
    except Exception as error:  # values of any type in any place
        detail = " ".join(str(error).split())[:150]
        raise DataError(
            f"{path}: not a checkpoint of this lifter ({type(error).__name__}: {detail}); was it written by another "
            "program?"
        ) from error


def _load_published(folder: Path) -> Lifter:
    path = folder / CONFIG_FILE
    config = load_object(path)
    model = _entry(path, config, "model")
    network = {
        "channels": _entry(path, model, "channels"),
        "filter_widths": _entry(path, model, "filter_widths"),
        "dropout": _entry(path, model, "dropout"),
        "causal": model.get("causal", False),
        "norm": "instance" if model.get("layernorm", False) else "batch",
    }
    settings = {
        "network": network,
        "coordinates": _known(path, config, "pose3d_scaling", _COORDINATES_OF_SCALING),
        "fps": config.get("fps"),
        "joints_2d": _known(path, config, "pose2d_type", _JOINTS_OF_DETECTOR),
        "feature_standardiser": _standardiser(folder / PREPROCESS_FILE, 0, N_FEATURES),
        "target_standardiser": _standardiser(folder / PREPROCESS_FILE, 1, N_TARGETS),
    }
    state = load_tensors(folder / MODEL_FILE)
    _check_state(_built(path, "meta", settings).network, state, folder / MODEL_FILE)
    lifter = _built(path, "cpu", settings)
    lifter.network.load_state_dict(state, strict=False)
    return lifter


def _known(path: Path, config: dict, key: str, meanings: dict[str, Any]) -> Any:
    """Meaning of a published setting; MismatchError with the value found and those that are understood."""
    value = _entry(path, config, key)
    if not isinstance(value, str) or value not in meanings:
        raise MismatchError(f"{path}: {key} is {value!r:.80}, expected {' or '.join(map(repr, meanings))}")
    return meanings[value]


def _standardiser(path: Path, position: int, size: int) -> Standardiser:
    """Mean and std from the state of one of the published preprocessing steps."""
    steps = read_pickle(path)
    if not isinstance(steps, list) or len(steps) < 2:
        raise DataError(f"{path}: expected a list of three preprocessing steps; copy the folder again")
    state = _entry(path, steps[position], "state")
    try:
        mean, std = (torch.from_numpy(_numbers(_entry(path, state, key))) for key in ("mean", "std"))
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: mean and std of step {position} are no numbers ({error}); copy it again") from error
    for key, values in (("mean", mean), ("std", std)):
        if values.shape != (size,):
            raise MismatchError(
                f"{path}: {key} of step {position} has shape {tuple(values.shape)}, expected ({size},) for "
                f"{COCO_19.name} features and {MUPOTS_17.name} targets"
            )
    if not bool(mean.isfinite().all() and std.isfinite().all() and (std > 0).all()):
        raise DataError(f"{path}: mean and std of step {position} must be finite, std positive; copy the folder again")
    return Standardiser(mean, std)


def _numbers(value: Any) -> np.ndarray:
    check_count(value, _MAX_SETTINGS, text=False)
    return np.array(value, dtype=np.float32)


def _check_state(module: nn.Module, state: Any, path: Path) -> None:
    """MismatchError for a weight of another shape than `module`'s, DataError for missing or unknown names, for values
    that are not finite and for tensors that are larger than what the file stores of them."""
    expected = module.state_dict()
    if not isinstance(state, dict) or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items()):
        raise DataError(f"{path}: expected a dict of tensors by name; it is not a file of weights, copy it again")
    for name, value in state.items():
        if not _is_plain(value):
            raise DataError(f"{path}: {name} is not stored as a plain array of numbers; copy the file again")
        if name in expected and value.shape != expected[name].shape:
            raise MismatchError(
                f"{path}: {name} has shape {tuple(value.shape)}, the settings beside it ask for "
                f"{tuple(expected[name].shape)}; weights and settings (channels, filter_widths) do not belong together"
            )
    # Counters of batch norm, which old versions of torch did not store and nothing reads.
    missing = [name for name in expected if name not in state and not name.endswith("num_batches_tracked")]
    unknown = [name for name in state if name not in expected]
    if missing or unknown:
        raise DataError(
            f"{path}: weights do not fit the network: {_listed('missing', missing)}, {_listed('unknown', unknown)}; "
            "weights and settings (filter_widths, layernorm) do not belong together"
        )
    for name, value in state.items():
        check_finite(f"{path}: {name}", value, "the training diverged or the file is damaged")


def _is_plain(value: Tensor) -> bool:
    """Whether a tensor's numbers are all in memory: neither expanded from fewer, nor sparse, nor without content."""
    kinds = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int32, torch.int64)
    if value.device.type != "cpu" or value.layout != torch.strided or value.dtype not in kinds or value.is_quantized:
        return False
    return value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def _listed(title: str, names: list[str]) -> str:
    return f"{title} {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}" if names else f"none {title}"


def _entry(path: Path, content: Any, key: str) -> Any:
    """`content[key]`, or a DataError saying that the file lacks it."""
    if not isinstance(content, dict) or key not in content:
        raise DataError(f"{path}: has no {key!r}; it is not in the format of a lifter, copy the whole folder again")
    return content[key]
