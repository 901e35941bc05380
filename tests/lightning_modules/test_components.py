"""Which classes a name in a file may stand for."""

from __future__ import annotations

import sys

import pytest
import torch

from lightning_modules.checkpoint import load_lifter, save_lifter
from lightning_modules.components import component_class, dotted_name
from pose.errors import ConfigError, ShapeError
from pose.features import Features, PublishedFeatures


def test_a_class_is_found_by_its_name() -> None:
    assert component_class("features", dotted_name(PublishedFeatures), Features) is PublishedFeatures


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "antigravity.fly",
        "pose.features.Standardiser",
        "pose.features.torch.nn.Module",
        "pose.features.PoseSequence",
        "pose.nothing.Features",
        "pose.features.",
        "PublishedFeatures",
        "",
        None,
        3,
        ["pose.features.PublishedFeatures"],
    ],
)
def test_other_names_are_refused(target) -> None:
    with pytest.raises(ConfigError, match=r"^features=.*: is no Features of this project"):
        component_class("features", target, Features)
    assert "antigravity" not in sys.modules


def test_a_checkpoint_says_its_features_and_runs_no_others(make_lifter, tmp_path) -> None:
    path = tmp_path / "lifter.ckpt"
    save_lifter(path, make_lifter())
    assert type(load_lifter(path).features) is PublishedFeatures
    content = torch.load(path, weights_only=True)
    assert content["hyper_parameters"].pop("features") == {"_target_": "pose.features.PublishedFeatures"}
    torch.save(content, path)
    assert type(load_lifter(path).features) is PublishedFeatures  # files from before features had a name
    content["hyper_parameters"]["features"] = {"_target_": "os.system", "command": f"touch {tmp_path / 'ran'}"}
    torch.save(content, path)
    with pytest.raises(ConfigError, match=r"lifter\.ckpt: features=os\.system: is no Features of this project"):
        load_lifter(path)
    assert not (tmp_path / "ran").exists()


def test_standardisers_must_fit_the_features(make_lifter, unit) -> None:
    with pytest.raises(ShapeError, match=r"feature_standardiser: mean: expected shape \(42\), found \(41,\)"):
        make_lifter(feature_standardiser=unit(41))
