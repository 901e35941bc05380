"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("WANDB_MODE", "offline")

REPO = Path(__file__).resolve().parents[1]
SHARED = REPO.parent / "shared"


@pytest.fixture(scope="session")
def repo() -> Path:
    """The project's root folder."""
    return REPO


@pytest.fixture(scope="session")
def golden() -> Path:
    """Small expected numbers that travel with the project."""
    return REPO / "tests" / "golden"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The larger reference material beside the checkout; tests that need it skip where it is absent."""
    if not (SHARED / "conformance").is_dir():
        pytest.skip("needs the reference data in ../shared/conformance, which is not here")
    return SHARED


@pytest.fixture(scope="session")
def conformance(shared: Path) -> Path:
    """Data sets in the genuine formats with the numbers of an independent implementation."""
    return shared / "conformance"
