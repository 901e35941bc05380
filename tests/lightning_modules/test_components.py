"""Networks and features by name: what a file may name, what the user adds, and what a network must say."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from lightning_modules import components
from lightning_modules.checkpoint import load_lifter, save_lifter
from lightning_modules.components import make_features, make_network
from lightning_modules.prediction import lift
from pose.errors import ConfigError, MismatchError, ShapeError
from pose.features import PublishedFeatures

PUBLISHED = "pose.features.PublishedFeatures"
TCN = "lightning_modules.networks.tcn.TemporalConvNet"
#: A module of somebody's own: a network of one frame and what can be wrong about one.
SOURCE = """
from torch import nn
from torch.nn import Linear


class Frame(nn.Module):
    receptive_field, causal = 1, False

    def __init__(self, n_features, n_targets, width=8):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(n_features, width), nn.ReLU(), nn.Linear(width, n_targets))

    def forward(self, features):
        return self.layers(features)


class Silent(Frame):
    causal = None


class Even(Frame):
    receptive_field = 4


class Turned(Frame):
    def forward(self, features):
        return super().forward(features).transpose(1, 2)


def function(n_features, n_targets):
    return Frame(n_features, n_targets)
"""


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """`own_nets`, importable but named by nobody."""
    (tmp_path / "own_nets.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(components, "_named", set())
    yield tmp_path / "own_nets.py"
    sys.modules.pop("own_nets", None)


def network(name: str, **arguments):
    return make_network({"_target_": name, **arguments}, PublishedFeatures())


def test_nothing_named_is_what_the_paper_used() -> None:
    assert type(make_features(None)) is PublishedFeatures
    assert f"{type(make_network({'channels': 4}, PublishedFeatures())).__module__}.TemporalConvNet" == TCN


@pytest.mark.parametrize(
    "target",
    ["os.system", "antigravity.fly", "torch.nn.Linear", "Frame", "", "lightning_modules.lifter.Lifter",
     "own_nets.Frame"],
)  # fmt: skip
def test_classes_that_the_user_did_not_name_are_not_even_imported(own_module, target: str) -> None:
    with pytest.raises(MismatchError, match="which is not part of this project; if you trust that code, add plugins"):
        network(target)
    assert "antigravity" not in sys.modules and "own_nets" not in sys.modules


@pytest.mark.parametrize(
    "target",
    [f"{TCN}s", "lightning_modules.networks.nothing.Net", "lightning_modules.networks.tcn.nn", "pose.features.torch",
     "lightning_modules.networks.tcn.prod", PUBLISHED, "lightning_modules.networks.tcn.nn.Linear"],
)  # fmt: skip
def test_what_is_no_network_of_this_project_is_refused(target: str) -> None:
    with pytest.raises(ConfigError, match=r"^model\.network\._target_="):
        network(target)


def test_a_checkpoint_runs_no_code_of_its_choice(make_lifter, tmp_path, own_module) -> None:
    path = tmp_path / "lifter.ckpt"
    save_lifter(path, make_lifter())
    content = torch.load(path, weights_only=True)
    for key, settings in (
        ("network", {"_target_": "os.system", "command": f"touch {tmp_path / 'ran'}"}),
        ("features", {"_target_": "own_nets.Frame"}),
        ("features", {"_target_": ["os", "system"]}),
    ):
        torch.save({**content, "hyper_parameters": {**content["hyper_parameters"], key: settings}}, path)
        with pytest.raises(MismatchError, match=rf"lifter\.ckpt: its {key} is .*not part of this project"):
            load_lifter(path)
    assert not (tmp_path / "ran").exists() and "own_nets" not in sys.modules


@pytest.mark.parametrize("plugin", ["own_nets", "own_nets.Frame"])
def test_a_network_of_somebodys_own_is_kept_and_loaded(make_lifter, make_person, tmp_path, own_module, plugin) -> None:
    components.trust([plugin])
    lifter = make_lifter(network={"_target_": "own_nets.Frame", "width": 5})
    save_lifter(tmp_path / "lifter.ckpt", lifter)
    components._named.clear()
    with pytest.raises(MismatchError, match=r"its network is own_nets\.Frame, .* add plugins=\[own_nets\]"):
        load_lifter(tmp_path / "lifter.ckpt")
    loaded = load_lifter(tmp_path / "lifter.ckpt", plugins=[plugin])
    assert loaded.settings["network"] == {"_target_": "own_nets.Frame", "width": 5}
    before, after = (lift(one, [make_person()])[0].poses_3d for one in (lifter, loaded))
    assert before is not None and after is not None and torch.equal(before, after)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("Silent", {}, r"own_nets\.Silent has no attribute causal \(bool\)"),
        ("Even", {}, "has a receptive field of 4 frames; it must be positive, and odd unless"),
        ("Frame", {"depth": 3}, "own_nets.Frame: .*unexpected keyword argument 'depth'"),
        ("Nothing", {}, r"own_nets\.Nothing: own_nets has no class Nothing"),
        ("function", {}, r"own_nets\.function: must be a subclass of torch\.nn\.modules\.module\.Module"),
    ],
)
def test_a_network_that_cannot_be_used_is_told_why(own_module, name: str, arguments, message: str) -> None:
    components.trust(["own_nets"])
    with pytest.raises(ConfigError, match=message):
        network(f"own_nets.{name}", **arguments)


def test_a_network_of_the_wrong_shape_is_no_quiet_mistake(make_lifter, make_person, own_module) -> None:
    components.trust(["own_nets"])
    lifter = make_lifter(network={"_target_": "own_nets.Turned"})
    with pytest.raises(ShapeError, match=r"outputs of Turned: expected shape \(2, 40, 51\), found \(2, 51, 40\)"):
        lift(lifter, [make_person()])
    with pytest.raises(ShapeError, match="outputs of Turned"):
        lifter.windows(torch.zeros(4, 1, 42))
