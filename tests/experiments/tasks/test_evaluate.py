"""The parts of `experiments.tasks.evaluate` that no whole run shows."""

from __future__ import annotations

from typing import Any

import pytest
from omegaconf import OmegaConf

from experiments.tasks.evaluate import lift_and_score
from lightning_modules import prediction


@pytest.mark.parametrize("flip_average", [True, False])
def test_mirrored_detections_are_a_setting(flip_average: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Lifted(Exception):
        pass

    def lift(lifter: Any, sequences: list[Any], flip: bool = True) -> None:
        raise Lifted(flip)

    monkeypatch.setattr(prediction, "lift", lift)
    with pytest.raises(Lifted, match=str(flip_average)):
        unused: Any = None
        lift_and_score(OmegaConf.create({"flip_average": flip_average}), unused, [], unused)
