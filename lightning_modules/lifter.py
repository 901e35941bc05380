"""The lifter, for everything that predicts: a network with all that is needed to use it, and no Lightning.

Its settings are plain values: those of the network and the features, coordinates, frame rate, joint sets and the record
of its training.
Mean and std of features and targets are buffers beside the weights. `training.LifterTraining` trains it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lightning_modules.components import dotted_name
from lightning_modules.networks.tcn import TemporalConvNet
from pose.coordinates import Coordinates, check_coordinates
from pose.errors import check_number, check_shape
from pose.features import Features, PublishedFeatures, Standardiser
from pose.joint_sets import COCO_19, MUPOTS_17, joint_set, same_joint_set

#: Part of the hash by which a trained lifter is found again: raise it when the same settings would give other weights.
TRAINING_CODE_VERSION = 1


class Lifter(nn.Module):
    """2D detections of one person over time -> 3D poses.

    network: keyword arguments of TemporalConvNet.
    coordinates: "normal" or "universal", what it is trained on and predicts.
    fps: rate of the training material in frames per second, None if unknown.
    joints_2d, joints_3d: names of the joint sets of input and output.
    training: the configuration it was trained with, plain values, for the record.
    seed: start of the random streams of its training.
    features: what the network sees and predicts, by default as published.
    feature_standardiser, target_standardiser: of the training set; needed to train or predict, a checkpoint brings its
    own.

    Raises ConfigError for values outside these, MismatchError for joint sets that the features do not know.

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
        features: Features | None = None,
        feature_standardiser: Standardiser | None = None,
        target_standardiser: Standardiser | None = None,
    ):
        super().__init__()
        self.features = PublishedFeatures() if features is None else features
        same_joint_set("joints_2d", joint_set(joints_2d), self.features.joints_2d)
        same_joint_set("joints_3d", joint_set(joints_3d), self.features.joints_3d)
        if fps is not None:
            check_number("fps", fps, above=0, hint="frames per second, or null if unknown")
        sizes: Any = {"n_features": self.features.n_features, "n_targets": self.features.n_targets}
        self.network = TemporalConvNet(**network, **sizes)
        self.coordinates: Coordinates = check_coordinates(coordinates)
        self.fps, self.seed = fps, check_number("seed", seed, low=0, whole=True)
        self.joints_2d, self.joints_3d = joints_2d, joints_3d
        self.training_record = dict(training or {})
        self._register("feature", self.features.n_features, feature_standardiser)
        self._register("target", self.features.n_targets, target_standardiser)

    def _register(self, name: str, size: int, fitted: Standardiser | None) -> None:
        """Buffers for mean and std of one standardisation, NaN if it is not known."""
        for key in ("mean", "std"):
            values = torch.full((size,), torch.nan) if fitted is None else getattr(fitted, key).clone()
            check_shape(f"{name}_standardiser: {key}", values, (size,))
            self.register_buffer(f"{name}_{key}", values)

    @property
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments but for the standardisation, plain values: what a file holds beside weights."""
        return {
            "network": self.network.config,
            "features": {"_target_": dotted_name(type(self.features)), **self.features.config},
            "coordinates": self.coordinates,
            "fps": self.fps,
            "joints_2d": self.joints_2d,
            "joints_3d": self.joints_3d,
            "training": self.training_record,
            "seed": self.seed,
        }

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
        """Standardised features (B, T, F) -> standardised targets (B, T - receptive_field + 1, n_targets)."""
        return self.network(features)
