"""The lifter, for everything that predicts: a network with all that is needed to use it, and no Lightning.

Its settings are plain values: those of the network, coordinates, frame rate, joint sets and the record of its training.
Mean and std of features and targets are buffers beside the weights. `training.LifterTraining` trains it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lightning_modules.components import FEATURES, NETWORK, make_features, make_network, without_default
from pose.coordinates import Coordinates, check_coordinates
from pose.errors import ConfigError, check_number, check_shape
from pose.features import Standardiser
from pose.joint_sets import COCO_19, MUPOTS_17, joint_set, same_joint_set


class Lifter(nn.Module):
    """2D detections of one person over time -> 3D poses.

    network: the network's `_target_` and its arguments; without `_target_`, those of TemporalConvNet.
    coordinates: "normal" or "universal", what it is trained on and predicts.
    fps: rate of the training material in frames per second, None if unknown.
    joints_2d, joints_3d: names of the joint sets of input and output.
    training: the configuration it was trained with, plain values, for the record.
    seed: start of the random streams of its training.
    scaled: it predicts normal coordinates, and `lift` scales each person by one factor to the universal actor.
    features: their `_target_` and its arguments; None: the published ones.
    feature_standardiser, target_standardiser: of the training set; needed to train or predict, a checkpoint brings its
    own.

    Raises ConfigError for values outside these, MismatchError for joint sets that the features do not know and for
    classes of modules that the user has not named.

    >>> Lifter({"channels": 64, "filter_widths": [3, 3, 3]}, "normal", fps=25.0).network.receptive_field
    27
    """

    feature_mean: Tensor
    feature_std: Tensor
    target_mean: Tensor
    target_std: Tensor

    def __init__(
        self,
        network: dict[str, Any],
        coordinates: Coordinates,
        fps: float | None = None,
        joints_2d: str = COCO_19.name,
        joints_3d: str = MUPOTS_17.name,
        training: dict[str, Any] | None = None,
        seed: int = 0,
        scaled: bool = False,
        features: dict[str, Any] | None = None,
        feature_standardiser: Standardiser | None = None,
        target_standardiser: Standardiser | None = None,
    ):
        super().__init__()
        same_joint_set("joints_2d", joint_set(joints_2d), COCO_19)
        same_joint_set("joints_3d", joint_set(joints_3d), MUPOTS_17)
        if fps is not None:
            check_number("fps", fps, above=0, hint="frames per second, or null if unknown")
        self.features = make_features(features)
        self.network = make_network(network, self.features)
        self._network_settings = without_default(network, NETWORK)
        self._features_settings = without_default(features, FEATURES)
        self.coordinates: Coordinates = check_coordinates(coordinates)
        self.fps, self.seed = fps, check_number("seed", seed, low=0, whole=True)
        self.joints_2d, self.joints_3d = joints_2d, joints_3d
        if scaled and coordinates != "universal":
            raise ConfigError(f"scaled: is for universal coordinates, not coordinates={coordinates}")
        self.training_record, self.scaled = dict(training or {}), bool(scaled)
        for name, size, fitted in (
            ("feature", self.features.n_features, feature_standardiser),
            ("target", self.features.n_targets, target_standardiser),
        ):
            unset = torch.full((size,), torch.nan)
            self.register_buffer(f"{name}_mean", unset.clone() if fitted is None else fitted.mean.clone())
            self.register_buffer(f"{name}_std", unset.clone() if fitted is None else fitted.std.clone())

    @property
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments but for the standardisation, plain values: what a file holds beside weights."""
        return {
            "network": self._network_settings,
            **({"features": self._features_settings} if self._features_settings else {}),
            "coordinates": self.coordinates,
            "fps": self.fps,
            "joints_2d": self.joints_2d,
            "joints_3d": self.joints_3d,
            "training": self.training_record,
            "seed": self.seed,
            **({"scaled": True} if self.scaled else {}),
        }

    @property
    def receptive_field(self) -> int:
        """Frames that one output depends on."""
        return self.network.receptive_field  # type: ignore[return-value]  # checked when made

    @property
    def causal(self) -> bool:
        """Whether a pose depends on no frame after its own."""
        return self.network.causal  # type: ignore[return-value]  # checked when made

    @property
    def normalises_over_time(self) -> bool:
        """Whether the network takes whole sequences only, one in a call. It need not say so if it does not."""
        return getattr(self.network, "normalises_over_time", False)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.feature_mean.device

    @property
    def feature_standardiser(self) -> Standardiser:
        return Standardiser(self.feature_mean, self.feature_std)

    @property
    def target_standardiser(self) -> Standardiser:
        return Standardiser(self.target_mean, self.target_std)

    def forward(self, features: Tensor) -> Tensor:
        """Standardised features (B, T, F) -> standardised targets (B, T - receptive_field + 1, n_targets).

        ShapeError naming the network if it returns another shape.
        """
        return self._checked(self.network(features), features)

    def windows(self, features: Tensor) -> Tensor:
        """The same for windows of exactly the receptive field, by the network's faster form for them if it has one."""
        return self._checked(getattr(self.network, "forward_strided", self.network)(features), features)

    def _checked(self, outputs: Tensor, features: Tensor) -> Tensor:
        frames = features.shape[1] - self.receptive_field + 1
        name = f"outputs of {type(self.network).__name__}"
        check_shape(name, outputs, (len(features), frames, self.features.n_targets))
        return outputs
