"""A setting that a task does not use is refused by name; every setting that it uses is taken."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from experiments.runs.used_keys import _USED, check_used
from pose.errors import ConfigError

CONF = Path(__file__).resolve().parents[3] / "conf"


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (
            "train",
            ["checkpoint=a", "seed=2", "model.optimizer.lr=1", "+callbacks.stop={}", "logger=csv", "table.title=x"],
        ),
        ("evaluate", ["seed=1", "data=synthetic", "refinement.lag=3", "trainer.max_epochs=2", "+metrics.knee={}"]),
        ("evaluate", ["checkpoint=a", "model=mine", "seed=1", "trainer=cpu", "size=tiny", "paths.datasets=x"]),
        ("evaluate", ["checkpoint=null", "data=both"]),
        ("evaluate_predictions", ["predictions=a", "refinement=none", "protocol.pairing=by2d", "test=synthetic"]),
        ("a_verb_of_ones_own", ["anything=1"]),
    ],
)
def test_what_is_used_is_taken(task: str, words: list[str]) -> None:
    check_used(words, f"experiments.tasks.x.{task}")


@pytest.mark.parametrize(
    ("task", "words", "varying", "named"),
    [
        ("train", ["refinement=none"], [], "refinement=none: is not used by this experiment"),
        ("train", ["predictions=a"], [], "predictions=a"),
        ("evaluate", ["input=a.mp4"], [], "input=a.mp4: is not used .*; give experiment=predict too"),
        ("evaluate_predictions", ["predictions=a", "seed=1"], [], "seed=1"),
        ("evaluate_predictions", ["checkpoint=a"], [], "checkpoint=a"),
        ("refine", ["trainer.max_epochs=3"], [], "trainer.max_epochs=3"),
        ("refine", ["predict.heights=[1700]"], [], "predict.heights"),
        ("live", ["predict.people=2"], [], r"predict\.people=2: is not used by this experiment \(task: live\)"),
        ("predict", ["model.network.channels=3"], [], "model.network.channels=3"),
        ("evaluate", ["data=both", "checkpoint=a"], [], "data=both: nothing is trained beside checkpoint=a"),
        ("evaluate", ["checkpoint=a", "trainer.max_epochs=2"], [], "trainer.max_epochs=2"),
        ("evaluate", ["checkpoint=a", "model.network.channels=2"], [], "channels=2"),
        ("evaluate", ["checkpoint=a", "seed=1,2"], ["seed"], "seed=1,2: nothing is trained beside checkpoint=a"),
    ],
)
def test_what_is_not_used_is_named(task: str, words: list[str], varying: list[str], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        check_used(words, f"experiments.tasks.x.{task}", varying)


def test_every_listed_key_and_task_exists() -> None:
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        keys = {str(key) for name in ("train", "search_refinement", "pretrain_mocap", "export", "live")
                for key in compose("config", overrides=[f"experiment={name}"])}  # fmt: skip
    groups = {path.name for path in CONF.iterdir() if path.is_dir()}
    assert set().union(*_USED.values()) <= keys | groups
    tasks = {line.rpartition(".")[2] for path in (CONF / "task").glob("*.yaml") for line in path.read_text().split()}
    assert set(_USED) <= tasks
