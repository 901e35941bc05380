"""The parts of `experiments.tasks.evaluate` that no whole run shows."""

from __future__ import annotations

from typing import Any

import pytest
from omegaconf import OmegaConf

from experiments.tasks.evaluate import lift_and_score
from inference.render import clip, figures
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


@pytest.mark.parametrize(
    ("benchmark", "title"), [("mupots_3d", ", through an occlusion"), ("mpi_inf_3dhp", "person 0")]
)
def test_the_figure_says_what_it_shows(run_here, monkeypatch: pytest.MonkeyPatch, benchmark: str, title: str) -> None:
    """What the given lifter was trained on, not what `data=` would train on; an occlusion only where there is one."""
    drawn: list[tuple] = []
    monkeypatch.setattr(clip, "scene_clip", lambda *what, **how: None)
    monkeypatch.setattr(figures, "trajectory_figure", lambda *what, **how: drawn.append(what))
    words = ["experiment=mupots_mm", "size=tiny", "test=synthetic", f"test.benchmark={benchmark}", "logger=csv"]
    done = run_here(*words, "checkpoint=builtin:mocap_normal", "refinement=none", "pictures=true")
    assert done.returncode == 0, done.output
    ((*_, said, note),) = drawn
    assert note == "synthetic data, lifter trained on mocap"
    assert said.endswith(title)
