"""Miniature downloads in the genuine formats: synthetic annotations, tiny real videos, pictures, archives."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.synthetic.generate import ensure_synthetic
from data.synthetic.settings import SyntheticSettings
from fileio.pickle_reader import read_pickle

N_FRAMES = 3  # at 25 fps; twice as many in S1/Seq2, and as many images of each test sequence
CAMERAS = (0, 3)
_CAMERA_GROUPS = {"vnect_cameras.zip": (0,), "other_angled_cameras.zip": (3,)}


@pytest.fixture(scope="session")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with complete Mpi3DHP, MucoTemp and MuPoTS of a few frames, detections included."""
    settings = SyntheticSettings(
        seed=1, mpi_frames=N_FRAMES, muco_frames=2, test_frames=N_FRAMES, mupots_frames=N_FRAMES
    )
    return ensure_synthetic(tmp_path_factory.mktemp("genuine"), settings)


def grey(frame: int) -> int:
    """The brightness by which the pictures of a video tell their numbers."""
    return 20 + 25 * frame


def write_video(path: Path, n_frames: int, size: tuple[int, int] = (2048, 2048)) -> None:
    av = pytest.importorskip("av")
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(n_frames):
            image = np.full((size[1], size[0], 3), grey(number), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def jpeg(size: tuple[int, int], value: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (value,) * 3).save(file, "JPEG")
    return file.getvalue()


def write_keypoints(path: Path, poses: np.ndarray, first: int, names: str = "img_{:06d}.jpg") -> None:
    """keypoints.json of COCO-19 poses (T, P, 19, 3), people reversed behind a bystander; zeros = undetected."""
    content = {}
    for frame, people in enumerate(poses):
        found = [np.full((17, 3), 5.0), *(p[:17] for p in people[::-1] if p.any())]
        content[names.format(frame + first)] = [{"keypoints": p.ravel().tolist(), "score": 0.9} for p in found]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


@pytest.fixture(scope="session")
def _mpi_download(genuine: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("download")
    for sequence in (1, 2):
        place = source / "S1" / f"Seq{sequence}"
        place.mkdir(parents=True)
        for name in ("annot.mat", "camera.calibration"):
            shutil.copy(genuine / "Mpi3DHP" / "S1" / f"Seq{sequence}" / name, place)
        video = source / "video.avi"
        write_video(video, N_FRAMES * sequence)
        for kind in ("imageSequence", "FGmasks", "ChairMasks"):
            (place / kind).mkdir()
            for camera in CAMERAS:
                shutil.copy(video, place / kind / f"video_{camera}.avi")
        video.unlink()
        for archive, cameras in _CAMERA_GROUPS.items():  # Seq1 as unzip leaves it, Seq2 still packed
            if sequence == 2:
                for kind in ("imageSequence", "FGmasks", "ChairMasks"):
                    with zipfile.ZipFile(place / kind / archive, "w", zipfile.ZIP_DEFLATED) as packed:
                        for camera in cameras:
                            packed.write(place / kind / f"video_{camera}.avi", f"{kind}/video_{camera}.avi")
                            (place / kind / f"video_{camera}.avi").unlink()
    with zipfile.ZipFile(source / "mpi_inf_3dhp_test_set.zip", "w") as packed:
        for number in range(1, 7):
            annotations = genuine / "Mpi3DHP" / "mpi_inf_3dhp_test_set" / f"TS{number}" / "annot_data.mat"
            packed.write(annotations, f"mpi_inf_3dhp_test_set/TS{number}/annot_data.mat")
            image = jpeg((2048, 2048) if number <= 4 else (1920, 1080), 90)
            for frame in range(N_FRAMES + {3: 1, 4: 2}.get(number, 0)):
                packed.writestr(f"mpi_inf_3dhp_test_set/TS{number}/imageSequence/img_{frame + 1:06d}.jpg", image)
    return source


@pytest.fixture
def mpi_download(_mpi_download: Path, tmp_path: Path) -> Path:
    """MPI-INF-3DHP as downloaded, cut to S1 and cameras 0 and 3: a copy to spoil."""
    return Path(shutil.copytree(_mpi_download, tmp_path / "download"))


@pytest.fixture(scope="session")
def keypoints(genuine: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a detector found in all of them: synthetic detections, shuffled, with a bystander."""
    folder = tmp_path_factory.mktemp("keypoints")
    mpi = genuine / "Mpi3DHP"
    for sequence in (1, 2):
        for camera in CAMERAS:
            found = read_pickle(mpi / "S1" / f"Seq{sequence}" / "hrnet" / f"hrnet_{camera:02d}.pkl")
            path = folder / "S1" / f"Seq{sequence}" / f"keypoints_{camera:02d}.json"
            write_keypoints(path, found["poses"][:, None], 1, names=f"img_{camera}_{{:06d}}.jpg")
    for number in range(1, 7):
        found = read_pickle(mpi / "mpi_inf_3dhp_test_set" / f"TS{number}" / "hrnet.pkl")
        write_keypoints(folder / f"TS{number}" / "keypoints.json", found["poses"][:, None], 1)
    for number in (1, 6):
        found = read_pickle(genuine / "MuPoTS" / "hrnet_pose2d" / f"TS{number}.pkl")
        write_keypoints(folder / "mupots" / f"TS{number}" / "keypoints.json", found["pose"], 0)
    return folder


@pytest.fixture
def mupots_download(genuine: Path, tmp_path: Path) -> Path:
    """MultiPersonTestSet.zip with TS1 and TS6."""
    source = tmp_path / "mupots"
    source.mkdir()
    with zipfile.ZipFile(source / "MultiPersonTestSet.zip", "w") as packed:
        for number in (1, 6):
            for name in ("annot.mat", "occlusion.mat"):
                path = genuine / "MuPoTS" / "MultiPersonTestSet" / f"TS{number}" / name
                packed.write(path, f"MultiPersonTestSet/TS{number}/{name}")
            n_frames = len(read_pickle(genuine / "MuPoTS" / "hrnet_pose2d" / f"TS{number}.pkl")["pose"])
            image = jpeg((2048, 2048) if number == 1 else (1920, 1080), 90)
            for frame in range(n_frames):
                packed.writestr(f"MultiPersonTestSet/TS{number}/img_{frame:06d}.jpg", image)
    return source


def repacked(path: Path, change) -> None:
    """Write a zip archive again with `change(name, content)` -> content, or None to leave the member out."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            if (new := change(name, content)) is not None:
                archive.writestr(name, new)


@pytest.fixture
def repack():
    return repacked


@pytest.fixture
def make_video():
    return write_video
