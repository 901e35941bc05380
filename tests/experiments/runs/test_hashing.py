"""The one list of settings that change no number, and what derives from it."""

from __future__ import annotations

from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from experiments.runs.hashing import CHANGES_NO_NUMBER, deciding_settings

CONF = Path(__file__).resolve().parents[3] / "conf"


def test_settings_that_decide_numbers() -> None:
    def of(**changes) -> dict:
        cfg = {
            "seed": 0,
            "table": {"title": "a"},
            "paths": {"datasets": None, "outputs": "x"},
            "trainer": {"devices": 1},
        }
        return deciding_settings(OmegaConf.create({**cfg, **changes}))

    same = of()
    assert (
        of(table={"title": "b"}) == of(paths={"datasets": None, "outputs": "y"}) == of(trainer={"devices": 8}) == same
    )
    assert of(seed=1) != same
    assert of(paths={"datasets": "other", "outputs": "x"}) != same
    assert of(trainer={"devices": 1, "max_epochs": 3}) != same


def test_every_listed_setting_exists() -> None:
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        cfg = compose("config", overrides=["experiment=table_lifter", "data=synthetic", "test=synthetic"])
    missing = [key for key in CHANGES_NO_NUMBER if OmegaConf.select(cfg, key, default="?") == "?"]
    assert set(missing) == {"trainer.num_nodes", "trainer.max_time", "trainer.enable_progress_bar"}, (
        "arguments that a user may add"
    )
