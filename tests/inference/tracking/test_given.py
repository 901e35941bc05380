"""`tracker=given`: the identities of the file, as they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from data.keypoints import read_detections
from inference.tracking import GivenTracker, sequences
from pose.errors import ConfigError

BODY = np.random.default_rng(0).uniform(100, 300, (17, 2))


def clip(tmp_path: Path, tracks: list[list[int | None]]) -> Path:
    """A file with these track_id in each frame."""
    frames = []
    for people in tracks:
        rows = [np.c_[BODY + 50 * place, np.full(17, 0.9)].tolist() for place in range(len(people))]
        frames.append([{"keypoints": row, "track_id": track} for row, track in zip(rows, people, strict=True)])
    path = tmp_path / "k.json"
    path.write_text(json.dumps(frames))
    return path


def test_people_are_who_the_file_says(tmp_path: Path):
    found = read_detections(clip(tmp_path, [[7, 3], [3, 7], [3, None], [3]]))
    assert found.identity is not None
    assert found.identity.tolist() == [7, 3, 3, 7, 3, -1, 3]
    tracks = GivenTracker()(found)
    assert tracks.identity.tolist() == [1, 0, 0, 1, 0, -1, 0]
    assert [len(person) for person in sequences(found, tracks, None, 30.0)] == [4, 2]


@pytest.mark.parametrize("tracks", [[[None, None], [None]], [[1, 1], [1]], [[1, 2], [3, 4]]])
def test_what_tells_no_people_apart(tracks, tmp_path: Path):
    """None at all, twice in a frame, or numbers of annotations."""
    found = read_detections(clip(tmp_path, tracks))
    assert found.identity is None
    with pytest.raises(ConfigError, match=r"tracker=given: .*k.json does not say who is who: .* leave"):
        GivenTracker()(found)
