"""The examples of docs/refine_your_own.md give what the page says."""

from __future__ import annotations

import doctest
from pathlib import Path


def test_refine_your_own(repo: Path) -> None:
    failed, tried = doctest.testfile(str(repo / "docs" / "refine_your_own.md"), module_relative=False)
    assert tried > 10
    assert failed == 0
