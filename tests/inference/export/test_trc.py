"""TRC files, read by trc-data-reader and, where cells are empty, by a plain reader of tab-separated text.

trc-data-reader 0.4.1 splits at any white space, so it cannot tell an empty cell from none.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inference.export.trc import TrcExporter
from inference.scene import Scene, array_of
from pose.errors import ConfigError
from pose.joint_sets import MUPOTS_17

Y_UP = np.array([1, -1, -1])


def cells(path: Path) -> tuple[list[list[str]], np.ndarray]:
    """The six lines of the head and the positions (T, 17, 3), NaN for empty cells."""
    lines = [line.split("\t") for line in path.read_text().split("\n")]
    assert lines.pop() == [""]
    head, rows = lines[:6], lines[6:]
    for row in [*head[3:5], *rows]:
        assert len(row) == 2 + 3 * 17 + 1 and row.pop() == ""  # OpenSim wants a tab at the end
    numbers = [[float(cell) if cell else np.nan for cell in row[2:]] for row in rows]
    return head, np.array(numbers).reshape(-1, 17, 3)


def test_another_library_reads_it(scene: Scene, tmp_path: Path) -> None:
    trc = pytest.importorskip("trc", reason="pip install trc-data-reader")
    for path, person in zip(TrcExporter().write(scene, tmp_path), scene.people, strict=True):
        found = trc.TRCData()
        found.load(path)
        assert tuple(found["Markers"]) == MUPOTS_17.names
        assert (found["DataRate"], found["CameraRate"], found["OrigDataRate"]) == (29.97,) * 3
        assert (found["NumFrames"], found["OrigNumFrames"], found["NumMarkers"]) == (len(person), len(person), 17)
        assert found["Units"] == "mm" and found["FileName"] == path.name
        assert found["OrigDataStartFrame"] == found["Frame#"][0] == person.frame[0] + 1
        np.testing.assert_allclose(found["Time"], person.frame / 29.97, atol=1e-6)
        places = np.stack([found[name] for name in MUPOTS_17.names], axis=1)
        np.testing.assert_allclose(places, array_of(person, "poses_3d") * Y_UP, atol=1e-3)


def test_head(scene: Scene, tmp_path: Path) -> None:
    head, places = cells(TrcExporter().write(scene, tmp_path)[1])
    assert head[0] == ["PathFileType", "4", "(X/Y/Z)", "person_1.trc"]
    assert head[3][:6] == ["Frame#", "Time", "head_top", "", "", "neck"]
    assert head[4][:6] == ["", "", "X1", "Y1", "Z1", "X2"] and head[4][-1] == "Z17"
    assert head[5] == [""]
    # Upright in a y-up frame: every head is above the ankles.
    heights = places[..., 1]
    assert (heights[:, 0] > heights[:, MUPOTS_17.index("left_ankle")] + 500).all()


def test_observed_only_leaves_cells_empty(scene: Scene, tmp_path: Path) -> None:
    person = scene.people[1]
    _, places = cells(TrcExporter(observed_only=True).write(scene, tmp_path)[1])
    poses, observed = array_of(person, "poses_3d"), array_of(person, "observed")
    np.testing.assert_array_equal(np.isfinite(places).all(axis=2), observed)
    np.testing.assert_allclose(places[observed], (poses * Y_UP)[observed], atol=1e-3)


def test_unknown_positions_are_empty(scene_with_nan: Scene, tmp_path: Path) -> None:
    _, places = cells(TrcExporter().write(scene_with_nan, tmp_path)[1])
    assert np.argwhere(~np.isfinite(places).all(axis=2)).tolist() == [[2, MUPOTS_17.index("head")]]


def test_filled_files_have_no_empty_cell(scene_with_nan: Scene, tmp_path: Path) -> None:
    path = TrcExporter(missing="fill").write(scene_with_nan, tmp_path)[1]
    _, places = cells(path)
    head = places[:, MUPOTS_17.index("head")]
    assert np.isfinite(places).all() and "nan" not in path.read_text().lower()
    np.testing.assert_allclose(head[2], (head[1] + head[3]) / 2, atol=1e-3)


def test_markers_of_pose2sim(scene: Scene, tmp_path: Path) -> None:
    trc = pytest.importorskip("trc", reason="pip install trc-data-reader")
    found = trc.TRCData()
    found.load(TrcExporter(marker_names="pose2sim").write(scene, tmp_path)[0])
    assert found["Markers"] == [
        *("Hip", "RHip", "RKnee", "RAnkle", "LHip", "LKnee", "LAnkle", "Neck", "Head"),
        *("RShoulder", "RElbow", "RWrist", "LShoulder", "LElbow", "LWrist"),
    ]
    poses = array_of(scene.people[0], "poses_3d") * Y_UP
    left, right = (poses[:, MUPOTS_17.index(f"{side}_hip")] for side in ("left", "right"))
    np.testing.assert_allclose(found["Hip"], (left + right) / 2, atol=1e-3)
    np.testing.assert_allclose(found["LWrist"], poses[:, MUPOTS_17.index("left_wrist")], atol=1e-3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"missing": "zero"}, "missing=zero: must be one of keep, fill"),
        ({"marker_names": "halpe"}, "marker_names=halpe: must be one of mupots, pose2sim"),
        ({"missing": "fill", "observed_only": True}, "observed_only=true leaves cells empty"),
    ],
)
def test_options_are_checked(options: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        TrcExporter(**options)
