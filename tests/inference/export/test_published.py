"""predictions.pkl: protocol 2, plain, and read by the unpickler that trusts nobody."""

from __future__ import annotations

import pickletools
from dataclasses import replace
from pathlib import Path

import numpy as np

from fileio.pickle_reader import load_pickle
from inference.export.published import PickleExporter
from inference.scene import PredictedScene


def test_round_trip(scene: PredictedScene, tmp_path: Path) -> None:
    people = [scene.people[0], replace(scene.people[1], std_mm=None)]
    (path,) = PickleExporter().write(replace(scene, people=people), tmp_path)
    assert next(pickletools.genops(path.read_bytes()))[1] == 2
    found = load_pickle(path)
    assert (found["version"], found["fps"], found["coordinates"]) == (1, 29.97, "normal")
    assert [entry["person"] for entry in found["people"]] == [0, 1]
    assert found["people"][1]["std_mm"] is None
    for entry, person in zip(found["people"], people, strict=True):
        for key in ("frame", "poses_3d", "poses_3d_plain", "observed", "confidence", "keypoints_2d", "scores"):
            np.testing.assert_array_equal(entry[key], getattr(person, key))
