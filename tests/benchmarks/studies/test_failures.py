"""docs/what_can_go_wrong.md: its pictures are those of the study, its quotations what the program says there."""

from __future__ import annotations

import re

import pytest
from matplotlib.figure import Figure

from benchmarks.studies.failures import CASES, PICTURES

SECTIONS = (PICTURES.parent / "what_can_go_wrong.md").read_text(encoding="utf-8").split("\n## ")
QUOTED = {
    re.findall(r"failure_(\w+)\.png", section)[0]: re.findall(r"```text\n(.*)\n```", section)
    for section in SECTIONS
    if "failure_" in section
}


def test_the_page_shows_every_case_and_its_picture() -> None:
    assert list(QUOTED) == list(CASES)
    assert all((PICTURES / f"failure_{name}.png").is_file() for name in CASES)


@pytest.mark.parametrize("name", [name for name, messages in QUOTED.items() if messages])
def test_the_program_says_what_the_page_quotes(name: str) -> None:
    assert QUOTED[name][0] in CASES[name](Figure())
