"""`--cfg job` is one page for every experiment: YAML of what it uses, with the very values that Hydra composed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from experiments.runs.hashing import decides_numbers
from experiments.runs.used_keys import _USED, check_used
from experiments.shown_config import asked_for, page
from pose.errors import ConfigError

CONF = Path(__file__).resolve().parents[2] / "conf"
EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))
PAGE = 88


def printed_by_hydra(*words: str) -> str:
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        return OmegaConf.to_yaml(compose("config", list(words)))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_is_one_page_of_what_it_uses(name: str) -> None:
    whole = printed_by_hydra(f"experiment={name}")
    shown = page(whole)
    assert len(shown.splitlines()) <= PAGE < len(whole.splitlines())
    before, after = yaml.safe_load(whole), yaml.safe_load(shown)
    assert after == {key: before[key] for key in after}, "the same values"
    used = _USED[before["task"]["_target_"].rpartition(".")[2]]
    assert used & set(before) - {"predict", "tables"} <= set(after)
    for key in set(before) - set(after) - {"predict", "tables"}:
        try:
            check_used([f"{key}=1"], before["task"]["_target_"])
        except ConfigError:
            continue
        assert not decides_numbers(key) or key in ("size", "trainer"), "taken, but not shown"


def test_a_short_form_is_shown_once_unless_both_differ() -> None:
    assert "predict:" not in page(printed_by_hydra("experiment=predict", "people=2"))
    shown = yaml.safe_load(page(printed_by_hydra("experiment=predict", "predict.people=2", "predict.camera.fx=900")))
    assert shown["predict"] == {"people": 2, "camera": {"fx": 900}} and shown["people"] is None
    assert "predict:" not in page("task: {_target_: predict}\npeople: 2\npredict: {people: 2}\n"), "of --resolve"


def test_what_is_no_configuration_of_ours_is_printed_as_it_is() -> None:
    for text in ("", "- 1\n- 2\n", "key: [\n", "task: {_target_: mine.verb}\ntracker: {gate: 1}\n"):
        assert page(text) == text


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["experiment=train", "--cfg", "job"], True),
        (["-c", "job", "--resolve"], True),
        (["--cfg=job"], True),
        (["--cfg", "job", "-p", "model"], False),
        (["--cfg", "all"], False),
        (["input=job"], False),
    ],
)
def test_asked_for(words: list[str], asked: bool) -> None:
    assert asked_for(words) == asked


def test_the_command_prints_it(run_here) -> None:
    done = run_here("--cfg", "job", "experiment=export", "format=published")
    assert done.returncode == 0
    assert done.output.startswith("name: export\n") and done.output.endswith("format: published\n")
    assert "tracker" not in done.output
    whole = run_here("--cfg", "job", "-p", "_global_", "experiment=export").output
    assert "tracker:\n  _target_:" in whole
