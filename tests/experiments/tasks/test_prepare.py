"""`experiment=prepare`: the tables of `check`, and a preparation from the command line to the manifest."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.sets.mupots_3d import MuPoTS3D
from data.synthetic.generate import ensure_synthetic
from data.synthetic.settings import SyntheticSettings
from experiments.tasks.prepare import ConfiguredDetector
from pose.joint_sets import COCO_17, MUPOTS_17


@pytest.fixture(scope="module")
def download(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MultiPersonTestSet.zip with all 20 sequences of two frames, and keypoints folders beside it."""
    settings = SyntheticSettings(seed=0, mpi_frames=2, muco_frames=2, test_frames=2, mupots_frames=2, muco_videos=1)
    genuine = ensure_synthetic(tmp_path_factory.mktemp("genuine"), settings) / "MuPoTS"
    source = tmp_path_factory.mktemp("download")
    pictures = {}
    for size in ((2048, 2048), (1920, 1080)):
        Image.new("RGB", size).save(source / "picture.jpg")
        pictures[size] = (source / "picture.jpg").read_bytes()
    with zipfile.ZipFile(source / "MultiPersonTestSet.zip", "w") as archive:
        for number in range(1, 21):
            folder = genuine / "MultiPersonTestSet" / f"TS{number}"
            for name in ("annot.mat", "occlusion.mat"):
                archive.write(folder / name, f"MultiPersonTestSet/TS{number}/{name}")
            people = MuPoTS3D(genuine, sequences=[number]).sequences("normal")
            size = (2048, 2048) if number <= 5 else (1920, 1080)
            content = {}
            for frame in range(len(people[0])):
                name = f"img_{frame:06d}.jpg"
                archive.writestr(f"MultiPersonTestSet/TS{number}/{name}", pictures[size])
                content[name] = [{"keypoints": seen(p.annotation_2d[frame].numpy()), "score": 1.0} for p in people]
            path = source / "keypoints" / f"TS{number}" / "keypoints.json"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(content))
    return source


def seen(pose: np.ndarray) -> list[float]:
    """A pose (17, 2) of MuPoTS-17 as keypoints of COCO-17."""
    keypoints = np.zeros((17, 3))
    for joint, name in enumerate(COCO_17.names):
        if name in MUPOTS_17.names:
            keypoints[joint] = *pose[MUPOTS_17.index(name)], 0.9
    return keypoints.ravel().tolist()


def test_check_prints_what_is_missing_and_what_it_enables(run_here, tmp_path: Path) -> None:
    done = run_here("experiment=prepare", f"paths.datasets={tmp_path / 'empty'}", "debug=true")
    assert done.returncode == 0, done.output
    text = (done.folder / "check.md").read_text()
    assert text in done.output
    row = next(line for line in text.splitlines() if line.startswith("| MuPoTS-3D: annotations"))
    for words in (
        "0 of 40 files",
        "MultiPersonTestSet/TS1/annot.mat and 39 more",
        "mupots_pck",
        "mupots_mm",
    ):
        assert words in row
    row = next(line for line in text.splitlines() if line.startswith("| mpii_3dhp "))
    assert "| lacks MPI-INF-3DHP test set: annotations, MPI-INF-3DHP test set: detections " in row
    assert "\n- MuPoTS-3D: annotations: https://vcai.mpi-inf.mpg.de/projects/SingleShotMultiPerson" in text
    assert (done.folder / "run.json").is_file() and (done.folder / "config.yaml").is_file()


def test_prepare_and_check_and_prepare_again(run_here, download: Path, tmp_path: Path) -> None:
    root = tmp_path / "datasets"
    words = ["experiment=prepare", f"paths.datasets={root}", "debug=true"]
    mupots = [*words, "prepare=mupots_3d", f"prepare.source={download}", f"prepare.keypoints={download / 'keypoints'}"]
    done = run_here(*mupots)
    assert done.returncode == 0, done.output
    assert "mupots_3d: 60 steps done, 0 found done and verified" in done.output
    assert len(json.loads((root / "manifest.json").read_text())["steps"]) == 60
    report = json.loads((done.folder / "report.json").read_text())
    assert (report["prepare"], report["done"], report["skipped"], report["failed"]) == ("mupots_3d", 60, 0, 0)
    people = MuPoTS3D(root / "MuPoTS").sequences("normal")
    assert all(bool(person.detected.all()) for person in people)

    done = run_here(*words, folder="check")
    row = next(line for line in done.output.splitlines() if line.startswith("| mupots_pck, mupots_mm "))
    assert row.split("|")[2].strip() == "ready"
    assert "40 images of 20 of 20 videos" in done.output

    (root / "MuPoTS" / "hrnet_pose2d" / "TS4.pkl").unlink()
    done = run_here(*mupots, "prepare.verify=true", folder="again")
    assert "mupots_3d: 1 steps done, 59 found done and verified" in done.output


def test_errors_are_said_in_words(run_here, tmp_path: Path) -> None:
    words = ["experiment=prepare", f"paths.datasets={tmp_path}"]
    for more, expected in (
        (["prepare=mpi_inf_3dhp"], "prepare.source: not given; name the folder with the download of MPI-INF-3DHP"),
        (["prepare=mupots_3d", f"prepare.source={tmp_path}"], "mupots_3d: 60 files are missing and 0 damaged in"),
        (
            ["prepare=mupots_3d", f"prepare.source={tmp_path}", "detector=plugin", "detector.name=no"],
            "detector.name=no",
        ),
        (["prepare=mocap"], "paths.mocap=null"),
    ):
        done = run_here(*words, *more)
        assert done.returncode == 2, done.output
        assert expected in done.output
        assert "Traceback" not in done.output


class Counting:
    """A detector that follows people: it numbers the pictures it has seen."""

    def __init__(self, name: str, device: str = "cpu", model: str = "small") -> None:
        self.seen = 0

    def __call__(self, image: np.ndarray) -> np.ndarray:
        self.seen += 1
        return np.full((1, 17, 3), self.seen, dtype=np.float32)


def test_a_configured_detector_starts_again_in_copies_and_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    import experiments.tasks.prepare as task
    from data.prepare.detections import detect

    monkeypatch.setattr(task, "instantiate", lambda options: Counting(**{k: options[k] for k in ("name", "device")}))
    detector = ConfiguredDetector({"_target_": "x", "name": "counting", "device": "cuda", "model": "small"})
    assert detector.name == 'counting {"model": "small"}'  # where it runs decides nothing
    image = np.zeros((4, 4, 3), np.uint8)
    for _ in range(2):
        assert [int(f[0, 0, 0]) for f in detect(detector, [image] * 3, "v")] == [1, 2, 3]
    detector(image)
    assert int(pickle.loads(pickle.dumps(detector))(image)[0, 0, 0]) == 1
    assert int(detector(image)[0, 0, 0]) == 2
