"""Body parameters of four programs, through a small body model: joints as 4 x 4 matrices give them."""

from __future__ import annotations

import pickle
from pathlib import Path

import joblib
import numpy as np
import pytest

from data.poses import read_poses
from data.poses.rows import Options
from pose.errors import ConfigError, DataError
from tests.data.poses import bodies

#: What writes it, the file, the model, its ending, the first frames of the people.
ALL = {
    "WHAM": (bodies.wham, "wham_output.pkl", "smpl", ".pkl", [0, 5]),
    "WHAM, vertices": (bodies.wham_vertices, "wham_output.pkl", "smpl", ".npz", [0]),
    "GVHMR": (bodies.gvhmr, "hmr4d_results.pt", "smplx", ".npz", [0]),
    "TRAM": (bodies.tram, "hps_track_0.npy", "smpl", ".pkl", [3]),
    "PromptHMR": (bodies.prompthmr, "results.pkl", "smplx", ".npz", [0, 5]),
}


@pytest.mark.parametrize("name", ALL)
def test_joints(name: str, tmp_path: Path) -> None:
    write, file, kind, ending, first = ALL[name]
    model = bodies.body_model(tmp_path / f"model{ending}", kind)
    rows = read_poses(write(tmp_path / file), Options(body_model=str(model)))
    assert (rows.program, rows.space, rows.identity is not None) == (name.split(",")[0], "camera", True)
    truth = bodies.truth(kind)
    for person, start in enumerate(first):
        own = rows.identity == person
        np.testing.assert_array_equal(rows.frame[own], np.arange(bodies.T) + start)
        np.testing.assert_allclose(rows.poses_3d[own], truth[person][:, : len(rows.joints)], atol=0.1)  # mm, of float32


def test_the_camera_of_the_file(tmp_path: Path) -> None:
    model = Options(body_model=str(bodies.body_model(tmp_path / "m.npz", "smplx")))
    rows = read_poses(bodies.gvhmr(tmp_path / "a.pt"), model)
    assert rows.image_size == (1920, 1080) and rows.focal_px is not None and (rows.focal_px == bodies.FOCAL).all()
    half = read_poses(bodies.prompthmr(tmp_path / "b.pkl"), model)
    assert half.image_size == (960, 540) and half.focal_px is not None and (half.focal_px == bodies.FOCAL / 2).all()
    whole = read_poses(tmp_path / "b.pkl", model._replace(image_size=(1920, 1080)))
    assert whole.image_size == (1920, 1080) and whole.focal_px is not None and (whole.focal_px == bodies.FOCAL).all()


def test_no_camera_and_more_shape_than_the_model_has(tmp_path: Path) -> None:
    model = Options(body_model=str(bodies.body_model(tmp_path / "m.npz", "smplx")))
    path = bodies.prompthmr(tmp_path / "b.pkl")
    held = joblib.load(path)
    for camera in ({"img_focal": np.nan}, {"img_focal": -3.0}, {"img_center": np.zeros(2)}):
        joblib.dump(held | {"camera": held["camera"] | camera}, path)
        with pytest.raises(DataError, match=r"b\.pkl: PromptHMR: focal length .* px, image .*: no camera"):
            read_poses(path, model)
    for person in held["people"].values():
        person["smplx_cam"]["shape"] = np.zeros((len(person["frames"]), 300))
    joblib.dump(held, path)
    with pytest.raises(DataError, match=r"b\.pkl: 300 shape numbers, body_model= knows \d+"):
        read_poses(path, model)


def test_what_a_model_lacks_is_one_line(tmp_path: Path) -> None:
    source = bodies.wham(tmp_path / "wham_output.pkl")
    with pytest.raises(ConfigError, match=r"wham_output\.pkl: WHAM writes .* give body_model=SMPL_NEUTRAL\.pkl"):
        read_poses(source)
    other = bodies.body_model(tmp_path / "SMPLX_NEUTRAL.npz", "smplx")
    with pytest.raises(DataError, match=r"SMPLX_NEUTRAL\.npz: J_regressor: .*\(J=24, V=6890\).* SMPL's own file"):
        read_poses(source, Options(body_model=str(other)))
    np.savez(tmp_path / "half.npz", v_template=np.zeros((6890, 3)))
    with pytest.raises(DataError, match=r"half\.npz: has no J_regressor, shapedirs, kintree_table"):
        read_poses(source, Options(body_model=str(tmp_path / "half.npz")))
    with pytest.raises(DataError, match=r"absent\.npz"):
        read_poses(source, Options(body_model=str(tmp_path / "absent.npz")))
    (tmp_path / "chumpy.pkl").write_bytes(b"cchumpy.ch\nCh\n.")
    with pytest.raises(DataError, match=r"chumpy\.pkl: holds chumpy's arrays"):
        read_poses(source, Options(body_model=str(tmp_path / "chumpy.pkl")))


def test_a_chain_that_is_none_is_refused(tmp_path: Path) -> None:
    source = bodies.wham(tmp_path / "wham_output.pkl")
    path = bodies.body_model(tmp_path / "model.pkl", "smpl")
    held = pickle.loads(path.read_bytes())
    held["kintree_table"][0, 4] = 9
    path.write_bytes(pickle.dumps(held))
    with pytest.raises(DataError, match=r"kintree_table: parents before their children"):
        read_poses(source, Options(body_model=str(path)))
