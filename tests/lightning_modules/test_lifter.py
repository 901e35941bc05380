"""A lifter without training: its settings, and what it refuses."""

from __future__ import annotations

import json

import pytest
import torch

from pose.errors import ConfigError, MismatchError


def test_it_is_a_plain_module_with_plain_settings(make_lifter) -> None:
    lifter = make_lifter(training={"epochs": 3})
    assert type(lifter).__mro__[1] is torch.nn.Module
    assert lifter.settings == {
        "network": {"channels": 8, "filter_widths": [3, 3], "dropout": 0.25},
        "coordinates": "normal",
        "fps": 25.0,
        "joints_2d": "COCO-19",
        "joints_3d": "MuPoTS-17",
        "training": {"epochs": 3},
        "seed": 0,
    }
    assert json.loads(json.dumps(lifter.settings)) == lifter.settings


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"coordinates": "metric"}, ConfigError, "coordinates=metric: must be one of normal, universal"),
        ({"fps": 0.0}, ConfigError, "fps=0.0: must be"),
        ({"seed": -1}, ConfigError, "seed=-1: must be"),
        ({"joints_2d": "COCO-17"}, MismatchError, "joints_2d: joint set COCO-17 given, COCO-19 expected"),
        ({"joints_3d": "Halpe-26"}, MismatchError, "joints_3d: joint set Halpe-26 given, MuPoTS-17 expected"),
        ({"joints_2d": "nothing"}, MismatchError, "unknown joint set 'nothing'"),
    ],
)
def test_impossible_settings_are_refused(make_lifter, options, error, message: str) -> None:
    with pytest.raises(error, match=message):
        make_lifter(**options)
