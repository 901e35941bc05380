"""Damaged bytes for every reader: a right read, or one line that names the file. `make fuzz` tries many more of them.

Each reader gets one small file of the genuine format, whose bytes are flipped, cut, put in and written over.
"""

from __future__ import annotations

import json
import os
import runpy
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from data.keypoints import read_detections
from data.keypoints.keypoints_json import read_keypoints_json
from data.mocap.asf_amc import read_amc, read_asf
from data.mocap.bvh import read_bvh
from data.mocap.clips import read_clips
from data.poses import read_poses
from data.poses.rows import Options
from data.predictions import read_predictions
from data.prepare.sources import collect, contents
from data.sets import writers
from data.sets.mpi_inf_3dhp import read_cameras
from fileio.arrays import read_hdf5, read_npz
from fileio.json_yaml import load_json, read_yaml
from fileio.mat_reader import read_mat
from fileio.pickle_reader import read_pickle, write_pickle
from fileio.torch_reader import load_tensors
from fileio.video import read_video
from lightning_modules.checkpoint import export_safetensors, load_lifter, save_lifter
from pose.cameras import Camera
from pose.errors import PoseError
from pose.sequence import PoseSequence
from tests.data.poses import bodies
from tests.data.poses.writers import ALL, SIZE

TESTS = Path(__file__).resolve().parents[1]
GOLDEN = TESTS / "golden" / "checkpoint"

#: Damaged files of each reader, always the same ones; `make fuzz` sets a number and takes new ones.
FUZZ = os.environ.get("FUZZ_EXAMPLES")
EXAMPLES = settings(
    max_examples=int(FUZZ or 40),
    derandomize=FUZZ is None,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

#: Kind of change, place as a part of the file, bytes.
CHANGE = st.tuples(
    st.sampled_from(("flip", "cut", "take out", "put in", "write over")), st.floats(0, 1), st.binary(min_size=1)
)


def damaged(content: bytes, changes: list[tuple[str, float, bytes]]) -> bytes:
    for kind, part, piece in changes:
        at = int(part * max(len(content) - 1, 0))
        if kind == "flip":
            content = content[:at] + bytes(byte ^ (piece[0] or 1) for byte in content[at : at + 1]) + content[at + 1 :]
        elif kind == "cut":
            content = content[:at]
        else:
            new, after = (b"", len(piece)) if kind == "take out" else (piece, 0 if kind == "put in" else len(piece))
            content = content[:at] + new + content[at + after :]
    return content


def helpers(name: str) -> dict[str, Any]:
    return runpy.run_path(str(TESTS / name))


# --- small files of the genuine formats ------------------------------------------------------------------------------


def poses(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 300, shape)


def make_mpi(path: Path) -> None:
    writers.write_mpi_annotations(path, poses(14, 4, 28, 2), poses(14, 4, 28, 3), poses(14, 4, 28, 3))


def make_mpi_test(path: Path) -> None:
    writers.write_mpi_test_annotations(path, poses(4, 17, 2), poses(4, 17, 3), poses(4, 17, 3), np.ones(4, bool))


def make_mupots(path: Path) -> None:
    valid = np.ones((3, 2), bool)
    writers.write_mupots_annotations(path, poses(3, 2, 17, 2), poses(3, 2, 17, 3), poses(3, 2, 17, 3), valid)


def make_calibration(path: Path) -> None:
    camera = Camera(1500.0, 1500.0, 1024.0, 1024.0, 2048, 2048)
    writers.write_calibration(path, [camera] * 14, [np.eye(3)] * 14, [np.zeros(3)] * 14)


def make_pickle(path: Path) -> None:
    write_pickle(path, {"poses": poses(4, 19, 3).astype(np.float32), "is_valid": np.ones(4, bool), "clips": [(1, 2)]})


def make_npz(path: Path) -> None:
    np.savez(path, keypoints=poses(6, 17, 2), frame=np.arange(6), joint_set="COCO-17", fps=25.0)


def make_json(path: Path) -> None:
    path.write_text(json.dumps({"a": [1, 2.5, "text"], "b": {"c": None}}))


def make_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"Seq1/annot_{number}.txt", f"content {number}" * 20)


def make_clips(path: Path) -> None:
    np.savez(path, a_01=poses(6, 17, 3), fps=30)


def make_asf(path: Path) -> None:
    texts = helpers("data/mocap/test_asf_amc.py")
    path.write_text(texts["ASF"])
    path.with_suffix(".amc").write_text(texts["AMC"])


def make_amc(path: Path) -> None:
    make_asf(path.with_suffix(".asf"))


def make_bvh(path: Path) -> None:
    joints = [("hip", -1, (0, 900, 0), "Xposition Yposition Zposition Zrotation"), ("toe", 0, (0, -9, 0), "")]
    path.write_text(helpers("data/mocap/conftest.py")["bvh_text"](joints, np.zeros((3, 4))))


def make_ckpt(path: Path) -> None:
    save_lifter(path, load_lifter(GOLDEN))


def make_safetensors(path: Path) -> None:
    export_safetensors(path, load_lifter(GOLDEN))


def make_published(path: Path) -> None:
    shutil.copytree(GOLDEN, path.parent, dirs_exist_ok=True)


def make_video(path: Path) -> None:
    pytest.importorskip("av")
    helpers("fileio/test_video.py")["write_at"](path, [40 * number for number in range(6)])


def make_image(path: Path) -> None:
    Image.fromarray(np.full((48, 64, 3), 90, np.uint8)).save(path)


def from_formats(name: str) -> Callable[[Path], None]:
    """A keypoint file of the formats' own tests, under the wanted name."""

    def make(path: Path) -> None:
        found = helpers("data/keypoints/formats/test_formats.py")[name](path.parent)
        (found if found.is_file() else next(found.iterdir())).replace(path)

    return make


def read_archive(path: Path) -> None:
    for _ in contents(collect([path], r"(\w+)\.\w+$").values()):
        pass


class Target(NamedTuple):
    name: str
    make: Callable[[Path], None]
    read: Callable[[Path], Any]


def from_program(name: str) -> Target:
    """Another program's 3D poses."""
    make, file, _ = ALL[name]
    return Target(file, make, lambda path: read_poses(path, Options(image_size=SIZE)))


def from_parameters(damage: str, write: Callable[[Path], Path]) -> Target:
    """Body parameters and their model's file; `damage`: which of the two."""

    def make(path: Path) -> None:
        write(path.with_name("hps_track_0.npy"))
        bodies.body_model(path.with_name("model.pkl"), "smpl")

    def read(path: Path) -> None:
        read_poses(path.with_name("hps_track_0.npy"), Options(body_model=str(path.with_name("model.pkl"))))

    return Target(damage, make, read)


KEYPOINTS = ("keypoints_json", "coco_annotations", "alphapose_open", "openpose", "mmpose_inferencer")


def make_script_files(path: Path) -> None:
    for axes in (2, 3):
        images = {f"TS1_img_{frame:06d}": poses(2, 17, axes) for frame in range(3)}
        scipy.io.savemat(path.with_name(path.name.replace("3d", f"{axes}d")), images)


def make_inference_data(path: Path) -> None:
    scipy.io.savemat(path, {f"TS{number}": poses(3, 17, 1, 5) for number in (1, 2)})


def read_foreign(path: Path) -> list[PoseSequence]:
    return read_predictions(path, "normal", 25.0)


TARGETS = {
    "pickle": Target("a.pkl", make_pickle, read_pickle),
    "npz": Target("a.npz", make_npz, read_npz),
    "mat of MPI-INF-3DHP": Target("annot.mat", make_mpi, read_mat),
    "mat of MuPoTS-3D": Target("annot.mat", make_mupots, read_mat),
    "hdf5": Target("annot_data.mat", make_mpi_test, lambda path: read_hdf5(path, ["annot2", "annot3", "valid_frame"])),
    "calibration": Target("camera.calibration", make_calibration, read_cameras),
    "torch file": Target("lifter.ckpt", make_ckpt, load_tensors),
    "checkpoint": Target("lifter.ckpt", make_ckpt, load_lifter),
    "safetensors": Target("lifter.safetensors", make_safetensors, load_lifter),
    **{
        f"published {name}": Target(name, make_published, lambda path: load_lifter(path.parent))
        for name in ("config.json", "preprocess_params.pkl", "model_params.pkl")
    },
    "json": Target("a.json", make_json, load_json),
    "yaml": Target("a.yaml", make_json, read_yaml),
    "predictions npy": Target("TS1.npy", lambda path: np.save(path, poses(4, 2, 17, 3)), read_foreign),
    "predictions pkl": Target("1.pkl", lambda path: write_pickle(path, poses(4, 2, 3, 17)), read_foreign),
    "predictions mat": Target("preds_3d_kpt_mupots.mat", make_script_files, read_foreign),
    "inference_data.mat": Target("inference_data.mat", make_inference_data, read_foreign),
    "keypoints.json": Target("k.json", from_formats("keypoints_json"), read_keypoints_json),
    **{name: Target("k.json", from_formats(name), read_detections) for name in KEYPOINTS},
    "keypoints npz": Target("k.npz", from_formats("npz_rows"), read_detections),
    **{name: from_program(name) for name in ALL if name not in ("c3d", "freemocap")},
    "wham": from_parameters("hps_track_0.npy", bodies.wham),
    "tram": from_parameters("hps_track_0.npy", bodies.tram),
    "body model": from_parameters("model.pkl", bodies.tram),
    "asf": Target("01.asf", make_asf, read_asf),
    "amc": Target("01.amc", make_amc, lambda path: read_amc(path, read_asf(path.with_suffix(".asf")))),
    "bvh": Target("walk.bvh", make_bvh, read_bvh),
    "clips": Target("walk.npz", make_clips, lambda path: read_clips(path.parent)),
    "archive": Target("S1.zip", make_zip, read_archive),
    **{
        f"video {ending}": Target(f"clip.{ending}", make_video, lambda path: list(read_video(path)))
        for ending in ("mp4", "mkv", "avi")
    },
    "images": Target("img_0.png", make_image, lambda path: list(read_video(path.parent, fps=25))),
}


@pytest.mark.parametrize("name", TARGETS)
def test_damage_is_a_right_read_or_one_line(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    path = tmp_path / target.name
    target.make(path)
    content = path.read_bytes()
    target.read(path)  # the undamaged file

    @EXAMPLES
    @given(st.lists(CHANGE, min_size=1, max_size=3))
    def read_damaged(changes: list[tuple[str, float, bytes]]) -> None:
        path.write_bytes(damaged(content, changes))
        try:
            target.read(path)
        except PoseError as error:
            text = str(error)
            assert text.isprintable() and len(text) < 3000, text
            assert path.name in text or path.stem in text or str(tmp_path) in text, text

    read_damaged()
