"""How many cases a property test tries, relative to the profile (tests/conftest.py)."""

from __future__ import annotations

from hypothesis import settings


def cases(factor: float) -> settings:
    """As many cases as the profile says, times `factor`: for tests that are cheaper or dearer than others."""
    return settings(max_examples=int(factor * settings().max_examples))
