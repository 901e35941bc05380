"""Every input of the project: a small valid example and what reads it, down to what the next stage is given."""

from __future__ import annotations

import json
import runpy
import zipfile
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

REPO = Path(__file__).resolve().parents[2]


class Target(NamedTuple):
    """make: writes the valid input into an empty folder. read: reads it. changes: text in the names of the files that
    are damaged, None for all."""

    name: str
    make: Callable[[Path], Any]
    read: Callable[[Path], Any]
    changes: str | None = None


@lru_cache
def _from_tests(name: str) -> Mapping[str, Any]:
    """The helpers of a test module."""
    return runpy.run_path(str(REPO / "tests" / name))


# --- data sets -------------------------------------------------------------------------------------------------------


def _stand_in(folder: Path, *numbers: int) -> None:
    """These jobs of the stand-in data: 0, 1 subject 1's recordings; 16 a test recording; 22, 33 MuCo; 34 MuPoTS."""
    from data.synthetic.datasets import jobs
    from data.synthetic.settings import SyntheticSettings

    settings = SyntheticSettings(
        seed=1, mpi_frames=4, muco_frames=4, test_frames=4, mupots_frames=4, muco_videos=1
    )  # fmt: skip
    work = jobs(folder, settings)
    for number in numbers:
        work[number]()


def _mupots(folder: Path) -> Any:
    from data.sets.mupots_3d import MuPoTS3D

    return MuPoTS3D(folder / "MuPoTS", [1]).sequences("universal")


def _mpi_train(folder: Path) -> Any:
    from data.sets.mpi_inf_3dhp import MpiInf3dhpTrain

    return MpiInf3dhpTrain(folder / "Mpi3DHP", [1], [0]).sequences("normal")


def _mpi_test(folder: Path) -> Any:
    from data.sets.mpi_inf_3dhp import MpiInf3dhpTest

    return MpiInf3dhpTest(folder / "Mpi3DHP", [1]).sequences("normal")


def _muco(folder: Path) -> Any:
    from data.sets.muco_temp import MuCoTemp

    return MuCoTemp(folder / "MucoTemp", folder / "Mpi3DHP", [0], [0]).sequences("normal")


def _make_calibration(folder: Path) -> None:
    _stand_in(folder, 0)
    path = folder / "Mpi3DHP" / "S1" / "Seq1" / "camera.calibration"
    path.replace(folder / "camera.calibration")


def _calibration(folder: Path) -> Any:
    from data.sets.mpi_inf_3dhp import read_cameras

    return read_cameras(folder / "camera.calibration")


def _make_keypoints(folder: Path) -> None:
    _from_tests("data/keypoints/formats/test_formats.py")["keypoints_json"](folder)


def _keypoints(folder: Path) -> Any:
    from data.keypoints.keypoints_json import read_keypoints_json

    return read_keypoints_json(folder / "keypoints.json")


def _make_predictions(folder: Path) -> None:
    rng = np.random.default_rng(0)
    n = 12
    np.savez(
        folder / "predictions.npz", version=1, sequence=np.repeat(["TS1", "TS2"], n // 2),
        frame=np.tile([0, 1, 2, 4, 5, 6], 2), person=np.zeros(n, int),
        poses_3d=rng.normal(0, 100, (n, 17, 3)) + [0, 0, 4000], poses_3d_plain=rng.normal(0, 100, (n, 17, 3)),
        keypoints_2d=rng.normal(900, 100, (n, 17, 2)), score=rng.random((n, 17)), fps=25.0,
        K=np.array([[1500.0, 0, 960], [0, 1500, 540], [0, 0, 1]]), observed=np.ones(n, bool),
        observed_joints=np.ones((n, 17), bool), std_mm=rng.random((n, 17)), confidence=rng.random(n),
        keypoints_coco19=rng.random((n, 19, 2)), n_frames=20, image_size=[1920, 1080], coordinates="normal",
        notes=np.array(["made up"]),
    )  # fmt: skip


def _predictions(folder: Path) -> Any:
    from data.predictions import read_predictions
    from experiments.results.rows import tracks_of

    found = read_predictions(folder / "predictions.npz")
    score = np.ones(len(found)) if found.score is None else found.score
    return tracks_of(found, found.fps or 25.0, "normal", score)


# --- motion capture --------------------------------------------------------------------------------------------------


def _make_asf_amc(folder: Path) -> None:
    texts = _from_tests("data/mocap/test_asf_amc.py")
    (folder / "01.asf").write_text(texts["ASF"])
    (folder / "01_01.amc").write_text(texts["AMC"])


def _asf_amc(folder: Path) -> Any:
    from data.mocap.asf_amc import read_amc, read_asf

    return read_amc(folder / "01_01.amc", read_asf(folder / "01.asf"))


def _make_bvh(folder: Path) -> None:
    helpers = _from_tests("data/mocap/conftest.py")
    person = helpers["person"].__wrapped__() if hasattr(helpers["person"], "__wrapped__") else helpers["PERSON"]
    rows = np.zeros((5, sum(len(joint[3].split()) for joint in person)))
    rows[:, 1] = 90
    (folder / "walk.bvh").write_text(helpers["bvh_text"](person, rows))


def _clips(folder: Path) -> Any:
    from data.mocap.clips import read_clips, resample

    return [resample(clip, 25.0) for clip in read_clips(folder)]


def _make_clips(folder: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(folder / "walks.npz", a_01=rng.normal(0, 500, (6, 17, 3)), b_02=np.zeros((9, 17, 3)), fps=30)


def _make_mocap_settings(folder: Path) -> None:
    (folder / "mocap.json").write_text(json.dumps({"videos": 3, "subjects": 2, "fps": 25.0, "names": ["a", "b"]}))


def _mocap_settings(folder: Path) -> Any:
    from data.mocap.sets import mocap_training

    return mocap_training(folder)


# --- prepare ---------------------------------------------------------------------------------------------------------


def _make_archives(folder: Path) -> None:
    with zipfile.ZipFile(folder / "S1.zip", "w") as archive:
        for number in range(4):
            archive.writestr(f"Seq1/annot_{number}.txt", f"content {number}" * 20)


def _archives(folder: Path) -> Any:
    from data.prepare.sources import collect, contents, copy_checked

    found = list(collect([folder / "S1.zip"], r"(\w+)\.\w+$").values())
    read = list(contents(found))
    targets = [folder.parent / f"{folder.name}-out" / str(number) for number in range(len(found))]
    copy_checked(found, targets, lambda paths: None)
    return read


def _step_outputs(folder: Path) -> None:
    (folder / "out" / "a.txt").write_text("done")


def _steps(folder: Path) -> list[Any]:
    from data.prepare.steps import Step

    return [Step("a", [folder / "out" / "a.txt"], partial(_step_outputs, folder), {"quality": 95})]


def _make_manifest(folder: Path) -> None:
    from data.prepare.steps import run_steps

    (folder / "out").mkdir()
    run_steps(folder, _steps(folder))


def _manifest(folder: Path) -> Any:
    from data.prepare.steps import run_steps

    return run_steps(folder, _steps(folder), verify=True)


def _make_clip_list(folder: Path) -> None:
    content = {"videos": [[[1, 1, 0], [2, 1, 30]]], "recordings": [[1, 1, 200], [2, 1, 300]]}
    (folder / "clips.json").write_text(json.dumps(content))


def _clip_list(folder: Path) -> Any:
    from data.prepare.muco_video import read_clips

    return read_clips(folder / "clips.json")


# --- checkpoints -----------------------------------------------------------------------------------------------------


def _lifter(folder: Path) -> Any:
    from lightning_modules.checkpoint import load_lifter

    lifter = load_lifter(folder)
    with torch.no_grad():
        return lifter(torch.zeros(1, lifter.network.receptive_field, 42))


def _small_lifter() -> Any:
    from lightning_modules.lifter import Lifter
    from pose.features import N_FEATURES, N_TARGETS, Standardiser

    sides = [Standardiser(torch.zeros(size), torch.ones(size)) for size in (N_FEATURES, N_TARGETS)]
    network = {"channels": 4, "filter_widths": [3, 3], "dropout": 0.25}
    return Lifter(network, "normal", 25.0, training={"data": "made up"}, features=sides[0], targets=sides[1])


def _make_published(folder: Path) -> None:
    from lightning_modules.checkpoint import export_published

    export_published(_small_lifter(), folder)


def _make_checkpoint(folder: Path) -> None:
    from lightning_modules.checkpoint import save_lifter

    (folder / "lifter").mkdir()
    save_lifter(folder / "lifter" / "lifter.ckpt", _small_lifter())
    (folder / "lifter.json").write_text(json.dumps({"folder": "lifter", "hash": "0"}))


def _make_safetensors(folder: Path) -> None:
    from lightning_modules.checkpoint import export_safetensors

    export_safetensors(folder / "lifter.safetensors", _small_lifter())


def _safetensors(folder: Path) -> Any:
    return _lifter(folder / "lifter.safetensors")


# --- predict's inputs ------------------------------------------------------------------------------------------------


def _make_detections(name: str, folder: Path) -> None:
    _from_tests("data/keypoints/formats/test_formats.py")[name](folder)


def _make_mediapipe(folder: Path) -> None:
    points = [{"x": 0.5, "y": 0.4, "z": 0.0, "visibility": 0.9} for _ in range(33)]
    content = {"fps": 30, "image_size": [640, 480], "frames": [None, points, {"landmarks": [points, points]}, []]}
    (folder / "pose.json").write_text(json.dumps(content))


def _detections(folder: Path) -> Any:
    from data.keypoints import is_keypoints_input, read_detections
    from inference.tracking.offline import OfflineTracker

    files = [path for path in folder.iterdir() if path.is_file()]
    path = files[0] if len(files) == 1 else folder
    is_keypoints_input(path)
    found = read_detections(path, fps=25.0)
    if found.n_frames < 2000:
        OfflineTracker()(found)
    return found


INPUTS = (
    "keypoints_json", "coco_numbers", "coco_names", "coco_annotations", "alphapose", "alphapose_open", "alphapose_cmu",
    "openpose", "mmpose_inferencer", "mmpose_demo", "mmpose_images", "npz_rows", "npz_frames",
)  # fmt: skip


def _make_video(ending: str, folder: Path) -> None:
    helpers = _from_tests("fileio/test_video.py")
    helpers["write_at"](folder / f"clip.{ending}", [40 * number for number in range(12)])


def _video(folder: Path) -> Any:
    from fileio.video import read_video

    (path,) = folder.iterdir()
    return sum(1 for _ in read_video(path))


def _make_images(folder: Path) -> None:
    from PIL import Image

    for number in range(3):
        Image.fromarray(np.full((48, 64, 3), 40 * number, np.uint8)).save(folder / f"img_{number}.png")
    Image.fromarray(np.full((48, 64, 3), 200, np.uint8)).save(folder / "img_3.jpg")


def _images(folder: Path) -> Any:
    from fileio.video import read_video

    return sum(1 for _ in read_video(folder))


# --- tables ----------------------------------------------------------------------------------------------------------


def _make_sweep(folder: Path) -> None:
    from experiments.runs.sweep import SWEEP_FILE

    metrics, settings = (_from_tests("experiments/results/test_tables.py")[key] for key in ("metrics", "SETTINGS"))
    rows = []
    for name in ("a", "b"):
        (folder / name / ".hydra").mkdir(parents=True)
        (folder / name / "metrics.json").write_text(json.dumps(metrics(100.0, 50.0)))
        (folder / name / ".hydra" / "overrides.yaml").write_text(f"- refinement={name}\n- seed=1\n")
        rows.append({"folder": name, "overrides": [f"refinement={name}", "seed=1"]})
    (folder / "c").mkdir()
    (folder / "c" / "failed.json").write_text(json.dumps({"error": "it broke", "traceback": ""}))
    rows.append({"folder": "c", "overrides": ["refinement=c", "seed=1"]})
    settings = {**settings, "figure": {"kind": "none", "columns": []}}  # drawn in seconds, from numbers in bounds
    (folder / SWEEP_FILE).write_text(json.dumps({"name": "t", "table": settings, "rows": rows}))


def _sweep(folder: Path) -> Any:
    from experiments.results.jobs import sweep_table
    from experiments.results.writers import write_table
    from experiments.tasks.tables import _sweep as read_sweep

    settings, jobs = read_sweep(folder)
    table = sweep_table(settings, jobs)
    return None if table is None else write_table(table, folder.parent / f"{folder.name}-out")


def _make_runs(folder: Path) -> None:
    from experiments.runs.sweep import SWEEP_FILE

    _make_sweep(folder)
    (folder / SWEEP_FILE).unlink()


def _runs(folder: Path) -> Any:
    from experiments.results.jobs import sweep_table
    from experiments.tasks.tables import _sweep as read_sweep

    settings = _from_tests("experiments/results/test_tables.py")["SETTINGS"]
    return sweep_table(settings, read_sweep(folder)[1])


TARGETS = (
    Target("mupots_3d", lambda folder: _stand_in(folder, 34), _mupots),
    Target("mpi_inf_3dhp train", lambda folder: _stand_in(folder, 0, 1), _mpi_train, "Seq1/"),
    Target("mpi_inf_3dhp test", lambda folder: _stand_in(folder, 16), _mpi_test),
    Target("muco_temp", lambda folder: _stand_in(folder, *range(16), 22, 33), _muco, "MucoTemp/"),
    Target("camera.calibration", _make_calibration, _calibration),
    Target("keypoints.json", _make_keypoints, _keypoints),
    Target("predictions.npz", _make_predictions, _predictions),
    Target("mocap asf/amc", _make_asf_amc, _asf_amc),
    Target("mocap bvh", _make_bvh, _clips),
    Target("mocap npz", _make_clips, _clips),
    Target("mocap settings", _make_mocap_settings, _mocap_settings),
    Target("prepare archives", _make_archives, _archives),
    Target("prepare manifest", _make_manifest, _manifest, "manifest.json"),
    Target("prepare clips.json", _make_clip_list, _clip_list),
    Target("checkpoint published", _make_published, _lifter),
    Target("checkpoint ckpt", _make_checkpoint, _lifter),
    Target("checkpoint safetensors", _make_safetensors, _safetensors),
    *(Target(f"predict {name}", partial(_make_detections, name), _detections) for name in INPUTS),
    Target("predict mediapipe", _make_mediapipe, _detections),
    *(Target(f"video {ending}", partial(_make_video, ending), _video) for ending in ("mp4", "mkv", "avi")),
    Target("video images", _make_images, _images),
    Target("tables sweep", _make_sweep, _sweep),
    Target("tables runs", _make_runs, _runs),
)
