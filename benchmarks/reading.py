"""Seconds to read each data format, and peak memory:

    python -m benchmarks.run --only reading    # 0.1 and 1 times the real lengths, under a minute
    python -m benchmarks.run --only reading --sizes 0.1

The files are written in the genuine formats, with noise as content, into a temporary folder. Of MPI-INF-3DHP's training
part one subject of eight is written, of MuCo-Temp one camera of eleven: both are read part by part, so that the rest
takes as many times longer. Files are in the system's file cache, so that a read is all parsing.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.figure import Figure, timed
from benchmarks.memory import PeakMemory
from data.sets import writers
from data.sets.mpi_inf_3dhp import CAMERAS, MpiInf3dhpTest, MpiInf3dhpTrain
from data.sets.muco_temp import MuCoTemp
from data.sets.mupots_3d import MuPoTS3D
from data.sets.reader import Reader
from fileio.pickle_reader import write_pickle
from pose.cameras import Camera

SIZES = (0.1, 1.0)
ROUNDS, AT_LEAST_S = 3, 0.3
CAMERA = Camera(1500.0, 1500.0, 960.0, 540.0, 1920, 1080)

# Frames of the real sets: 20 sequences of MuPoTS-3D, a training recording, a MuCo-Temp video, the test recordings.
MUPOTS_FRAMES = 420
MPI_FRAMES = 6250
MUCO_FRAMES, MUCO_VIDEOS = 2000, 7
TEST_FRAMES = (6150, 6080, 5840, 6010, 320, 490)
MPI_CAMERAS = 14


def figures(sizes: Sequence[float]) -> Iterator[Figure]:
    """Of each format and size: the read, against taking in the bytes of the files."""
    for size in sizes:
        for name, write in FORMATS.items():
            with tempfile.TemporaryDirectory() as folder:
                reader, of = write(Path(folder), size)
                yield _measure(f"read/{name}", size, of, reader)


def _measure(name: str, size: float, of: str, reader: Reader) -> Figure:
    ours, theirs = [], []
    count = sum(map(len, reader.sequences("normal")))
    while len(ours) < ROUNDS or sum(ours) < AT_LEAST_S:
        ours.append(timed(lambda: reader.sequences("normal")))
        theirs.append(timed(lambda: [path.read_bytes() for path in reader.files()]))
    with PeakMemory() as peak:
        reader.sequences("normal")
    value, reference = statistics.median(ours), statistics.median(theirs)
    return Figure(name, size, count, of, value, "s", "the bytes alone", reference, reference / value, peak.mib)


# --- files in the genuine formats ------------------------------------------------------------------------------------


def _mupots(root: Path, size: float) -> tuple[Reader, str]:
    """TS1 to TS20, two people in the odd ones and three in the others; all odd ones are alike, and all even ones."""
    frames = _frames(MUPOTS_FRAMES, size)
    for number in range(1, 21):
        folder = root / "MultiPersonTestSet" / f"TS{number}"
        detections = root / "hrnet_pose2d" / f"TS{number}.pkl"
        if number > 2:
            alike = 2 - number % 2
            shutil.copytree(folder.with_name(f"TS{alike}"), folder)
            shutil.copy(detections.with_name(f"TS{alike}.pkl"), detections)
            continue
        folder.mkdir(parents=True)
        detections.parent.mkdir(exist_ok=True)
        shape = (frames, 1 + number)
        poses, points, detected = _noise(*shape)
        valid = np.ones(shape, dtype=bool)
        writers.write_mupots_annotations(folder / "annot.mat", points, poses, 1.1 * poses, valid)
        writers.write_mupots_occlusion(folder / "occlusion.mat", poses[..., 0] > 300)
        write_pickle(detections, {"pose": detected, "valid_pose": valid})
    return MuPoTS3D(root), "person-frames of 20 sequences"


def _mpi(root: Path, size: float) -> tuple[Reader, str]:
    """Both recordings of subject 2, camera 0's content in every camera."""
    frames, subject = _frames(MPI_FRAMES, size), 2
    poses, points, detected = _noise(frames)
    poses_28, points_28 = (np.concatenate([a, a[:, :11]], axis=1).astype(np.float32) for a in (poses, points))
    for sequence in (1, 2):
        folder = _calibrated(root, subject, sequence)
        (folder / "hrnet").mkdir()
        cells = [[a] * MPI_CAMERAS for a in (points_28, poses_28, poses_28)]
        writers.write_mpi_annotations(folder / "annot.mat", *cells)
        for camera in CAMERAS:
            content = {"poses": detected, "is_valid": np.ones(frames, dtype=bool)}
            write_pickle(folder / "hrnet" / f"hrnet_{camera:02d}.pkl", content)
    return MpiInf3dhpTrain(root, subjects=[subject]), "frames kept of 2 recordings by 11 cameras (of 16 recordings)"


def _muco(root: Path, size: float) -> tuple[Reader, str]:
    """The seven videos of camera 0, of three people each."""
    frames, people = _frames(MUCO_FRAMES, size), 3
    _calibrated(root / "Mpi3DHP", 2, 1)
    write_pickle(root / "sequence_meta.pkl", [[[(2, 1, 0)] * people] * MUCO_VIDEOS])
    detections = root / "hrnet_keypoints" / "cam_0" / "gt_match_posedist_80"
    annotations = root / "frames" / "cam_0"
    detections.mkdir(parents=True)
    annotations.mkdir(parents=True)
    truth = []
    for video in range(MUCO_VIDEOS):
        poses, points, detected = _noise(frames, people)
        poses, points = poses.astype(np.float32), points.astype(np.float32)
        truth.append({"annot2": points, "annot3": poses, "univ_annot3": 1.1 * poses})
        content = {"poses": detected, "is_valid": np.ones((frames, people), dtype=bool)}
        write_pickle(detections / f"vid_{video}.pkl", content)
    write_pickle(annotations / "gt.pkl", truth)
    reader = MuCoTemp(root, root / "Mpi3DHP", cameras=[0])
    return reader, "person-frames of 7 videos by one camera (of 11)"


def _mpi_test(root: Path, size: float) -> tuple[Reader, str]:
    """TS1 to TS6."""
    for number, real in enumerate(TEST_FRAMES, start=1):
        frames = _frames(real, size)
        folder = root / "mpi_inf_3dhp_test_set" / f"TS{number}"
        folder.mkdir(parents=True)
        poses, points, detected = _noise(frames)
        valid = np.ones(frames, dtype=bool)
        writers.write_mpi_test_annotations(folder / "annot_data.mat", points, poses, 1.1 * poses, valid)
        write_pickle(folder / "hrnet.pkl", {"poses": detected, "is_valid": valid})
    return MpiInf3dhpTest(root), "frames of 6 recordings"


FORMATS: dict[str, Callable[[Path, float], tuple[Reader, str]]] = {
    "mupots_3d": _mupots,
    "mpi_inf_3dhp": _mpi,
    "mpi_inf_3dhp_test": _mpi_test,
    "muco_temp": _muco,
}


def _frames(real: int, size: float) -> int:
    return max(2, round(real * size))


def _noise(*shape: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Poses (..., 17, 3) mm before CAMERA, their pixels (..., 17, 2), detections (..., 19, 3) as x, y, score."""
    random = np.random.default_rng(0)
    poses = random.normal(0, 300, (*shape, 17, 3)) + [0, 0, 4000]
    points = poses[..., :2] / poses[..., 2:] * CAMERA.fx + [CAMERA.cx, CAMERA.cy]
    return poses, points, random.uniform(0, 1, (*shape, 19, 3))


def _calibrated(root: Path, subject: int, sequence: int) -> Path:
    """The folder of a training recording with its camera.calibration."""
    folder = root / f"S{subject}" / f"Seq{sequence}"
    folder.mkdir(parents=True)
    many = [CAMERA] * MPI_CAMERAS, [np.eye(3)] * MPI_CAMERAS, [np.zeros(3)] * MPI_CAMERAS
    writers.write_calibration(folder / "camera.calibration", *many)
    return folder
