"""The one list of settings that change no number, and what derives from it."""

from __future__ import annotations

from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from experiments.runs.hashing import CHANGES_NO_NUMBER, PLACES, deciding_settings, is_named

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


def test_folders_of_a_sweep_are_named_by_what_decides_numbers() -> None:
    names = OmegaConf.load(CONF / "config.yaml").hydra.job.config.override_dirname
    assert (names.kv_sep, names.item_sep) == ("-", "_")
    assert not [key for key in names.exclude_keys if key != "trainer" and is_named(key)]
    paths = [f"paths.{key}" for key in OmegaConf.load(CONF / "paths" / "default.yaml")]
    trainer = [key for key in CHANGES_NO_NUMBER if key.startswith("trainer.") and "_target_" not in key]
    listed = {*PLACES, *paths, *trainer, "logger", "logger.mode", "logger.project", "logger.group", "trainer"}
    assert listed <= set(names.exclude_keys)
