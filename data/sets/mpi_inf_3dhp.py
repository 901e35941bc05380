"""MPI-INF-3DHP, the training and the test part. Formats and faults of the data: docs/method.md §3.

The test part's six recordings and the training part's 16 come as different files, so there are two readers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from data.sets.reader import Reader, check_numbers, read_detections
from fileio.arrays import read_hdf5, require, require_mask, require_shape, to_tensor
from fileio.limits import reading
from fileio.mat_reader import read_mat
from pose.cameras import Camera
from pose.coordinates import ANNOTATION_FIELD, Coordinates
from pose.errors import ConfigError, DataError, check_finite
from pose.joint_sets import MUPOTS_17, MUPOTS_17_OF_MPI_28
from pose.progress import Progress
from pose.sequence import PoseSequence

logger = logging.getLogger(__name__)

SUBJECTS = range(1, 9)
SEQUENCES = range(1, 3)
CAMERAS = range(11)
IMAGE_SIZE = 2048

FILMED_AT_50_FPS = {(1, 2), (3, 1), (3, 2), (5, 1), (5, 2)}  # (subject, sequence); the others at 25

#: Training material is capped to this rate, then halved.
MAX_FPS = 25

# Faults of the published annotations (docs/method.md §3), as (subject, sequence).
ONE_ANNOTATION_TOO_MANY = (3, 1)
MIRRORED, MIRRORED_FRAMES = (4, 2), slice(3759, 5853)
BEHIND_CAMERA, BEHIND_CAMERA_NUMBER = (3, 2), 2


def read_cameras(path: Path | str, down: tuple[float, float, float] | None = None) -> dict[int, Camera]:
    """The cameras of a `camera.calibration` file by number; images are 2048x2048 where it states no size.

    down: gravity in the world coordinates of its extrinsics, where these are known to be those of the room.
    """
    cameras: dict[int, Camera] = {}
    number, size = None, (IMAGE_SIZE, IMAGE_SIZE)
    with reading(path, "a camera.calibration file"):
        for line, text in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), start=1):
            key, *values = text.split() or [""]
            try:
                if key == "name":
                    number, size = int(values[0]), (IMAGE_SIZE, IMAGE_SIZE)
                elif key == "size":
                    size = (int(values[0]), int(values[1]))
                elif key == "intrinsic" and number is not None:
                    matrix = np.array(values, dtype=float).reshape(4, 4)
                    cameras[number] = Camera(matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2], *size)
                elif key == "extrinsic" and number in cameras and down is not None:
                    matrix = np.array(values, dtype=float).reshape(4, 4)
                    x, y, z = (matrix[:3, :3] @ down).tolist()
                    cameras[number] = replace(cameras[number], gravity=(x, y, z))
            except (ValueError, IndexError, ConfigError):
                raise DataError(
                    f"{path}: line {line}: a camera number, a size or a 4x4 matrix of intrinsics is expected, found "
                    f"{text.strip()[:80]!r}; fetch the file again"
                ) from None
    if not cameras:
        raise DataError(f"{path}: has no 'name' and 'intrinsic' lines; fetch the file again")
    return cameras


def recording_folder(root: Path, subject: int, sequence: int) -> Path:
    """Where a training recording is."""
    return root / f"S{subject}" / f"Seq{sequence}"


def calibration_path(root: Path, subject: int, sequence: int) -> Path:
    """Where the intrinsics of a training recording are."""
    return recording_folder(root, subject, sequence) / "camera.calibration"


def detections_path(folder: Path, camera: int) -> Path:
    """Where a training recording's detections of one camera are."""
    return folder / "hrnet" / f"hrnet_{camera:02d}.pkl"


def testset_folder(root: Path, number: int) -> Path:
    """Where recording TS`number` of the test part is."""
    return root / "mpi_inf_3dhp_test_set" / f"TS{number}"


def camera_of(cameras: dict[int, Camera], number: int, path: Path) -> Camera:
    """The camera of that number; DataError if the calibration file has none."""
    if number not in cameras:
        raise DataError(f"{path}: has no camera {number}, found {sorted(cameras)}; fetch the file again")
    return cameras[number]


class MpiInf3dhpTrain(Reader):
    """The training part: `S{1..8}/Seq{1,2}` under `root`, one person each, a sequence `S1/Seq1/0` for each camera.

    The sequences are decimated to 12.5 fps from frame 0; `frame` holds the raw frame numbers.
    """

    name = "mpi_inf_3dhp"
    SOURCE = (
        "annotations and calibrations come from https://vcai.mpi-inf.mpg.de/3dhp-dataset (its own licence), the "
        "hrnet folders (HR-Net detections) with the code of arXiv 2011.00250"
    )

    def __init__(self, root: Path | str, subjects: Iterable[int] = SUBJECTS, cameras: Iterable[int] = CAMERAS) -> None:
        super().__init__(root)
        self.subjects = check_numbers("subjects", subjects, SUBJECTS)
        self.cameras = check_numbers("cameras", cameras, CAMERAS)

    def files(self) -> list[Path]:
        return sorted(path for recording in self._recordings() for path in self._files_of(*recording))

    def _read(self, coordinates: Coordinates) -> list[PoseSequence]:
        recordings = self._recordings()
        following = Progress(f"reading {self.name}", len(recordings), "recordings").each(recordings)
        return [person for recording in following for person in self._read_recording(*recording, coordinates)]

    def _recordings(self) -> list[tuple[int, int]]:
        pairs = [(subject, sequence) for subject in self.subjects for sequence in SEQUENCES]
        return [pair for pair in pairs if self._cameras_of(*pair)]

    def _cameras_of(self, subject: int, sequence: int) -> list[int]:
        left_out = BEHIND_CAMERA_NUMBER if (subject, sequence) == BEHIND_CAMERA else None
        return [camera for camera in self.cameras if camera != left_out]

    def _files_of(self, subject: int, sequence: int) -> list[Path]:
        folder = recording_folder(self.root, subject, sequence)
        detections = [detections_path(folder, camera) for camera in self._cameras_of(subject, sequence)]
        return [folder / "annot.mat", folder / "camera.calibration", *detections]

    def _read_recording(self, subject: int, sequence: int, coordinates: Coordinates) -> list[PoseSequence]:
        folder = recording_folder(self.root, subject, sequence)
        annotations, calibration = folder / "annot.mat", folder / "camera.calibration"
        logger.debug("reading %s", folder)
        cameras, numbers = read_cameras(calibration), self._cameras_of(subject, sequence)
        poses = read_annotations(annotations, (subject, sequence), numbers, ANNOTATION_FIELD[coordinates])
        fps = 50 if (subject, sequence) in FILMED_AT_50_FPS else 25
        step = 2 * (fps // MAX_FPS)
        found = []
        for number in numbers:
            path = detections_path(folder, number)
            keypoints_2d, confidence, detected = read_detections(path, annotations, len(poses[number]))
            found.append(
                PoseSequence(
                    sequence=f"S{subject}/Seq{sequence}/{number}",
                    person=0,
                    camera=camera_of(cameras, number, calibration),
                    fps=fps / step,
                    keypoints_2d=keypoints_2d[::step].clone(),
                    confidence=confidence[::step].clone(),
                    detected=detected[::step].clone(),
                    poses_3d=torch.from_numpy(poses[number][::step].copy()),
                    frame=torch.arange(0, len(detected), step),
                    coordinates=coordinates,
                )
            )
        return found


def read_annotations(
    path: Path, recording: tuple[int, int], numbers: list[int], key: str, finite: bool = True
) -> dict[int, np.ndarray]:
    """A field of annot.mat for some cameras, as MuPoTS-17, at the raw rate, the published faults repaired: float32.

    key: `annot2`, px, each camera (T, 17, 2); `annot3` or `univ_annot3`, mm, (T, 17, 3). recording: (subject,
    sequence). Raises DataError naming the file for what is missing, damaged or of another shape and, unless `finite` is
    false, for NaN and infinity.
    """
    axes = 2 if key == "annot2" else 3
    cells = read_mat(path, [key])[key]
    require_shape(cells, path, key, ("cameras", 1))
    if cells.dtype != object or len(cells) <= max(numbers):
        raise DataError(
            f"{path}: {key}: a cell with the annotations of cameras 0 to {max(numbers)} is expected, found an array of "
            f"{cells.dtype}, shape {cells.shape}; fetch the file again"
        )
    found, sizes = {}, {}
    for number in numbers:
        label = f"{key}[{number}]"
        flat = require(cells[number, 0], path, label, ("T", 28 * axes), sizes)
        joints = flat.reshape(-1, 28, axes)[:, list(MUPOTS_17_OF_MPI_28)].astype(np.float32)
        if finite:
            where = f"{path}: {label} (frame, joint of MuPoTS-17, axis)"
            check_finite(where, torch.from_numpy(joints), "fetch the file again")
        if recording == ONE_ANNOTATION_TOO_MANY:
            joints = joints[:-1]
        if recording == MIRRORED:
            joints[MIRRORED_FRAMES] = joints[MIRRORED_FRAMES][:, list(MUPOTS_17.flip)]
        found[number] = joints
    return found


#: The rate of the test recordings is documented nowhere that we could read; 25 fps is the training cameras' own rate.
TEST_FPS = 25.0

#: Of the test recordings.
TEST_NUMBERS = range(1, 7)

#: TS3 and TS4 have more images than annotations, so detections made on every image are longer by as much.
IMAGES_WITHOUT_ANNOTATION = {3: 1, 4: 2}


def camera_of_test_set(number: int) -> Camera:
    """Intrinsics of the test recordings: docs/method.md §3."""
    if number <= 4:
        focal = 0.732506 * 2048
        return Camera(focal, focal, 1024 - 0.00322884 * 2048, 1024 + 0.00929296 * 2048, 2048, 2048)
    focal = 0.8770747185 * 1920
    return Camera(focal, focal, 960 - 0.0104908645 * 1920, 540 + 0.0104899704 / 5.625 * 10 * 1080, 1920, 1080)


class MpiInf3dhpTest(Reader):
    """The test part: `mpi_inf_3dhp_test_set/TS{1..6}` under `root`, one person each, every frame kept.

    Frames that are not `annotated` (valid_frame 0) may hold any pose.
    """

    name = "mpi_inf_3dhp"
    SOURCE = (
        "mpi_inf_3dhp_test_set comes from https://vcai.mpi-inf.mpg.de/3dhp-dataset (its own licence), the hrnet.pkl "
        "files (HR-Net detections) with the code of arXiv 2011.00250"
    )

    def __init__(self, root: Path | str, numbers: Iterable[int] = TEST_NUMBERS) -> None:
        super().__init__(root)
        self.numbers = check_numbers("numbers", numbers, TEST_NUMBERS)

    def files(self) -> list[Path]:
        folders = [testset_folder(self.root, number) for number in self.numbers]
        return sorted(folder / name for folder in folders for name in ("annot_data.mat", "hrnet.pkl"))

    def activities(self) -> dict[str, torch.Tensor]:
        """Of each sequence whose file has them the labels (T,), 1 to 7 (`pose.metrics.mpi_inf_3dhp.ACTIVITIES`)."""
        found = {}
        for number in self.numbers:
            path = testset_folder(self.root, number) / "annot_data.mat"
            content = read_hdf5(path, ["valid_frame"], ["activity_annotation"])
            if "activity_annotation" in content:
                labels = require(content["activity_annotation"].reshape(-1), path, "activity_annotation", ("T",))
                if len(labels) != content["valid_frame"].size:
                    raise DataError(
                        f"{path}: activity_annotation: {content['valid_frame'].size} labels are expected, one for each "
                        f"frame, found {len(labels)}; fetch the file again"
                    )
                found[f"TS{number}"] = torch.from_numpy(labels.astype(np.int64))
        return found

    def _read(self, coordinates: Coordinates) -> list[PoseSequence]:
        return [self._read_recording(number, coordinates) for number in self.numbers]

    def _read_recording(self, number: int, coordinates: Coordinates) -> PoseSequence:
        path, key = testset_folder(self.root, number) / "annot_data.mat", ANNOTATION_FIELD[coordinates]
        content = read_hdf5(path, [key, "valid_frame"])
        poses = require(content[key], path, key, ("T", 1, 17, 3), sizes := {})[:, 0]
        annotated = require_mask(content["valid_frame"], path, "valid_frame", ("T", 1), sizes)[:, 0]
        scored = np.where(annotated[:, None, None], poses, 0.0)
        check_finite(f"{path}: {key} of valid frames (frame, joint, axis)", to_tensor(scored), "fetch the file again")
        keypoints_2d, confidence, detected = read_detections(
            path.with_name("hrnet.pkl"), path, len(poses), surplus=IMAGES_WITHOUT_ANNOTATION.get(number, 0)
        )
        return PoseSequence(
            sequence=f"TS{number}",
            person=0,
            camera=camera_of_test_set(number),
            fps=TEST_FPS,
            keypoints_2d=keypoints_2d,
            confidence=confidence,
            detected=detected,
            poses_3d=to_tensor(poses),
            annotated=to_tensor(annotated),
            coordinates=coordinates,
        )
