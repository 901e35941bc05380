"""Text on its way through Hydra's grammar and OmegaConf's references comes out as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from experiments.command_line import quoted, quoted_value


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
