"""Text on its way through Hydra's grammar and OmegaConf's references comes out as it was."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from experiments.command_line import hydra_words, meant, quoted, quoted_value
from experiments.main import CONF


@pytest.mark.parametrize(
    "text",
    ["a b", "k=v,w", "it's", "[x]{y:z}", "täst(1)", "${name}", '"q"', "100%", "a:b#c", "a\\", "b\\${c}", "c\\\\${d}"],
)
def test_a_quoted_value_means_itself(text: str) -> None:
    override = OverridesParser.create().parse_override(f"hydra.run.dir={quoted_value(text)}")
    assert OmegaConf.create({"dir": override.value()}).dir == text


def test_a_reference_is_literal_only_where_a_file_has_that_name(tmp_path: Path) -> None:
    word = f"predictions={tmp_path}/${{seed}}.npz"
    assert quoted(word) == word
    (tmp_path / "${seed}.npz").touch()
    assert quoted(word) == f'predictions="{tmp_path}/\\${{seed}}.npz"'


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["experiment=predict", "exporter=[bvh,gltf]"], "exporter=gltf: must be of bvh, .*, trc; did you mean glb?"),
        (["detector=mediapip"], "detector=mediapip: must be of mediapipe, .*; did you mean mediapipe?"),
        (["fsp=60"], "fsp=60: there is no fsp; did you mean fps?"),
        (["camrea.fx=900"], "camrea.fx=900: there is no camrea; did you mean camera?"),
        (["zzzzzz=1"], "zzzzzz=1: there is no zzzzzz$"),
        (
            ["experiment=live", "live.port=0", "refinement/published=x", "+a=1", "hydra.run.dir=b", "size=tiny,small"],
            None,
        ),
        (["--config-dir=mine", "model=one_filter"], None),
    ],
)
def test_what_was_meant(words: list[str], line: str | None) -> None:
    found = meant(words, CONF)
    assert found is None if line is None else re.match(line.replace("?", "[?]"), str(found)), found


def test_a_word_without_a_key_is_told_what_it_lacks(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch()
    for words, remedy in (
        (["camera.image_size=[1920,", "1080]"], "'1080]' is no key=value; a list has no spaces"),
        ([f"{tmp_path}/clip.mp4"], f"did you mean input={tmp_path}/clip.mp4 ?"),
        (["input=my", "video.mp4"], "needs quotes"),
    ):
        with pytest.raises(SystemExit):
            hydra_words(words)
        assert remedy in capsys.readouterr().err
