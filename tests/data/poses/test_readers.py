"""Each program's file gives back the bodies that went into it, in the right axes, with what else it says."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from data.poses import PoseRows, read_poses
from data.poses.joints import to_mupots
from data.poses.rows import Options
from fileio.joblib_reader import read_joblib
from pose.errors import DataError, MismatchError
from pose.joint_sets import MUPOTS_17
from tests.data.poses.writers import ALL, FOCAL, SIZE, T, trc, walks

LIMBS = [i for i, name in enumerate(MUPOTS_17.names) if name.startswith(("left_", "right_"))]
SPACES = {
    "trc": "world",
    "c3d": "world",
    "freemocap": "world",
    "motionbert": "body",
    "mmpose": "body",
    "mediapipe": "body",
    "rtmlib": "body",
}
#: Whose bodies are a weak perspective's, of no size, and how far joints may then be off, mm.
FLAT = {"motionbert": 100.0, "rtmlib": 150.0}


def read(name: str, folder: Path) -> PoseRows:
    write, file, _ = ALL[name]
    return read_poses(write(folder / file), Options(image_size=SIZE))


@pytest.mark.parametrize("name", ALL)
def test_bodies_come_back(name: str, tmp_path: Path) -> None:
    if name == "c3d":
        pytest.importorskip("ezc3d")
    rows = read(name, tmp_path)
    assert rows.space == SPACES.get(name, "camera")
    bodies, made = to_mupots(rows.poses_3d, rows.joints)
    assert not made[LIMBS].any()
    truth = walks()
    if rows.identity is not None:
        assert len(np.unique(rows.identity)) == ALL[name][2]
    middle = slice(10, 20)  # of frames in which nothing is missing
    for frame in range(T)[middle]:
        for row in np.flatnonzero(rows.frame == frame):
            body = bodies[row, LIMBS] - bodies[row, LIMBS].mean(0)
            errors = []
            for person in truth[:, frame]:
                true = person[LIMBS] - person[LIMBS].mean(0)
                scale = (body * true).sum() / (body * body).sum() if name in FLAT else 1.0
                errors.append(float(np.abs(scale * body - true).max()))
            assert min(errors) < FLAT.get(name, 1.0)


def test_what_each_says_beside_the_bodies(tmp_path: Path) -> None:
    markers = read("trc", tmp_path)
    assert markers.fps == 60 and 7 not in markers.frame
    assert np.isnan(markers.poses_3d[list(markers.frame).index(9), markers.joints.index("nose")]).all()
    assert (read("sam3d", tmp_path).focal_px == FOCAL).all()
    tracked = read("phalp", tmp_path)
    assert tracked.image_size == SIZE and tracked.focal_px is not None
    assert tracked.focal_px[0] == pytest.approx(5000 / 256 * 1920)
    assert not ((tracked.frame == 20) & (tracked.identity == 8)).any(), "tracked_time > 0 was not seen"
    uncertain = read("metrabs", tmp_path)
    assert uncertain.std_mm is not None and (uncertain.std_mm == 50).all()
    assert not ((uncertain.frame == 5).sum() - 1)
    assert "mirror" in read("mmpose", tmp_path).notes[0]
    whole = read("rtmlib", tmp_path)
    assert whole.keypoints_2d is not None and "stature of about 1.7 m" in whole.notes[0] and len(whole.notes) == 1


def test_a_depth_the_other_way_is_turned_round(tmp_path: Path) -> None:
    path = ALL["rtmlib"][0](tmp_path / "wholebody3d.pkl")
    straight = read_poses(path)
    frames = [(points * [1, 1, -1], *others) for points, *others in pickle.loads(path.read_bytes())]
    path.write_bytes(pickle.dumps(frames))
    turned = read_poses(path)
    np.testing.assert_allclose(turned.poses_3d, straight.poses_3d)
    assert "turned round" in turned.notes[1]


def test_what_a_file_lacks_is_said(tmp_path: Path) -> None:
    path = trc(tmp_path / "clip.trc")
    path.write_text(path.read_text().replace("LKnee", "LTHI1"))
    with pytest.raises(MismatchError, match=r"clip\.trc: no markers named left_knee .*joints are needed"):
        read_poses(path)
    np.savez(tmp_path / "poses.npz", poses3d=np.zeros((4, 30, 3)))
    with pytest.raises(MismatchError, match=r"which 30 joints .* give input_options.joint_set="):
        read_poses(tmp_path / "poses.npz")
    np.save(tmp_path / "hands.npy", np.zeros((4, 21, 3)))
    with pytest.raises(DataError, match=r"hands\.npy: 21 joints; 17 \(MotionBERT\) or 33"):
        read_poses(tmp_path / "hands.npy")
    (tmp_path / "other.json").write_text('{"a": 1}')
    with pytest.raises(DataError, match=r"no known 3D poses, an object with a was found; known: TRC"):
        read_poses(tmp_path / "other.json")


class _Program:
    def __reduce__(self):
        return (print, ("a program",))


def test_no_program_runs(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for name, content in {
        "a.pkl": _Program(),
        "b.pkl": {"img_1.jpg": {"3d_joints": [_Program()], "camera": []}},
    }.items():
        (tmp_path / name).write_bytes(pickle.dumps(content))
        with pytest.raises(DataError, match=r"refused to load builtins\.print"):
            read_poses(tmp_path / name)
    assert "a program" not in capsys.readouterr().out


def test_an_array_that_is_not_in_joblibs_file(tmp_path: Path) -> None:
    import joblib

    joblib.dump({"a": np.arange(1000.0)}, tmp_path / "whole.pkl")
    np.testing.assert_array_equal(read_joblib(tmp_path / "whole.pkl")["a"], np.arange(1000.0))
    (tmp_path / "cut.pkl").write_bytes((tmp_path / "whole.pkl").read_bytes()[:-500])
    with pytest.raises(DataError, match=r"cut\.pkl: not a file of joblib or damaged"):
        read_joblib(tmp_path / "cut.pkl")
