"""Real people for every layout: the first frames of tests/golden/detections."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from data.keypoints import read_detections
from data.keypoints.detections import VideoDetections
from tests.data.keypoints.formats.writers import N_FRAMES


@pytest.fixture(scope="module")
def source(golden: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[np.ndarray], VideoDetections]:
    """The people (P, 17, 3) of each frame, and the same as they are read from COCO-like JSON."""
    content = json.loads((golden / "detections" / "ts1_keypoints.json").read_text())
    frames = [content[name] for name in sorted(content)[:N_FRAMES]]
    people = [
        np.array([one["keypoints"] for one in frame]).reshape(-1, 17, 3).clip(0, [1e9, 1e9, 1]) for frame in frames
    ]
    assert {len(frame) for frame in people} == {3}
    listed = {f"{i}.jpg": [{"keypoints": p.ravel().tolist()} for p in frame] for i, frame in enumerate(people)}
    path = tmp_path_factory.mktemp("source") / "k.json"
    path.write_text(json.dumps(listed))
    return people, read_detections(path)
