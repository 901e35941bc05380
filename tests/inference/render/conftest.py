from __future__ import annotations

import pytest

from pose.sequence import PoseSequence
from tests.inference.render.people import walking_scene


@pytest.fixture
def people() -> list[PoseSequence]:
    """Three annotated people over two seconds; the second passes behind the first."""
    return walking_scene()
