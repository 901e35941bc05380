"""MuPoTS-3D: 20 test sequences of two to three people, with matched 2D detections. Formats: docs/method.md §3.

No calibration is shipped, so the camera of each sequence is fitted to its own 2D and 3D annotations.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from data.sets.reader import Reader, check_numbers, read_detections
from fileio.arrays import require, require_mask, require_shape, to_tensor
from fileio.mat_reader import read_mat
from pose.cameras import Camera, fit_intrinsics
from pose.coordinates import ANNOTATION_FIELD, Coordinates
from pose.errors import DataError, check_finite, check_number
from pose.joint_sets import COCO_19
from pose.progress import Progress
from pose.sequence import PoseSequence

logger = logging.getLogger(__name__)

NUMBERS = range(1, 21)

#: TS1 to TS5 are square images at 30 fps, the others wide ones at 60 fps.
N_SQUARE = 5


def image_size(number: int) -> tuple[int, int]:
    """Width and height in pixels of sequence TS`number`."""
    return (2048, 2048) if number <= N_SQUARE else (1920, 1080)


def sequence_files(root: Path, number: int) -> tuple[Path, Path, Path]:
    """Annotations, occlusion labels and detections of sequence TS`number`."""
    folder = root / "MultiPersonTestSet" / f"TS{number}"
    return folder / "annot.mat", folder / "occlusion.mat", root / "hrnet_pose2d" / f"TS{number}.pkl"


class MuPoTS3D(Reader):
    """The test sequences TS1 to TS20 under `root`, people in annotation order.

    sequences: the numbers to read. fps: frames per second of all of them, where they differ from the published set
    (30 for TS1-5, 60 for the others). detections: False reads none: keypoints and confidence are zero, everybody
    counts as detected.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as empty:
    ...     missing = MuPoTS3D(empty).missing_files()
    >>> len(missing), missing[0].name
    (60, 'annot.mat')
    """

    name = "mupots_3d"
    SOURCE = (
        "MultiPersonTestSet comes from https://vcai.mpi-inf.mpg.de/projects/SingleShotMultiPerson (its own licence), "
        "hrnet_pose2d (matched HR-Net detections) with the code of arXiv 2011.00250; given predictions are scored "
        "without these by test.detections=false"
    )

    def __init__(
        self,
        root: Path | str,
        sequences: Iterable[int] = NUMBERS,
        fps: float | None = None,
        detections: bool = True,
    ) -> None:
        super().__init__(root)
        self.numbers = check_numbers("sequences", sequences, NUMBERS)
        self.fps = fps if fps is None else check_number("fps", fps, above=0, hint="null takes the set's own")
        self.detections = detections

    def files(self) -> list[Path]:
        n = 3 if self.detections else 2
        return sorted(path for number in self.numbers for path in sequence_files(self.root, number)[:n])

    def _read(self, coordinates: Coordinates) -> list[PoseSequence]:
        numbers = Progress(f"reading {self.name}", len(self.numbers), "sequences").each(self.numbers)
        return [person for number in numbers for person in self._read_sequence(number, coordinates)]

    def _read_sequence(self, number: int, coordinates: Coordinates) -> list[PoseSequence]:
        path, occlusion_path, detections_path = sequence_files(self.root, number)
        logger.debug("reading %s", path.parent)
        cells = _read_cell(path, "annotations", sizes := {})
        occluded = _read_occlusions(occlusion_path, sizes)
        shape = sizes["T"], sizes["P"]
        if self.detections:
            found = read_detections(detections_path, path, *shape, keys=("pose", "valid_pose"))
        else:
            K = len(COCO_19)
            found = torch.zeros(*shape, K, 2), torch.zeros(*shape, K), torch.ones(shape, dtype=torch.bool)
        keypoints_2d, confidence, detected = found
        annotated = _read_valid(cells, path)
        annotation_2d = _read_points(cells, "annot2", path, annotated)
        metric = _read_points(cells, "annot3", path, annotated)
        poses = (
            metric if coordinates == "normal" else _read_points(cells, ANNOTATION_FIELD[coordinates], path, annotated)
        )
        camera = _fit_camera(number, metric, annotation_2d, annotated, path)
        own_fps = 30.0 if number <= N_SQUARE else 60.0
        return [
            PoseSequence(
                sequence=f"TS{number}",
                person=person,
                camera=camera,
                fps=own_fps if self.fps is None else self.fps,
                keypoints_2d=keypoints_2d[:, person].clone(),
                confidence=confidence[:, person].clone(),
                detected=detected[:, person].clone(),
                poses_3d=to_tensor(poses[:, person]),
                annotation_2d=to_tensor(annotation_2d[:, person]),
                annotated=to_tensor(annotated[:, person]),
                visible=to_tensor(~occluded[:, person]),
                coordinates=coordinates,
            )
            for person in range(sizes["P"])
        ]


def read_annotation_2d(path: Path, occlusion_path: Path) -> np.ndarray:
    """The 2D annotations of a sequence (T, P, 17, 2) px.

    Everything else in both files is checked as for `MuPoTS3D.sequences`. Raises DataError for what cannot be used.
    """
    cells = _read_cell(path, "annotations", sizes := {})
    _read_occlusions(occlusion_path, sizes)
    annotated = _read_valid(cells, path)
    for field in ANNOTATION_FIELD.values():
        _read_points(cells, field, path, annotated)
    return _read_points(cells, "annot2", path, annotated)


def _read_cell(path: Path, key: str, sizes: dict[str, int]) -> np.ndarray:
    """The cell (T, P) of that name: an array of objects."""
    cells = read_mat(path, [key])[key]
    require_shape(cells, path, key, ("T", "P"), sizes)
    if cells.dtype != object:
        raise DataError(f"{path}: {key}: a cell is expected, found an array of {cells.dtype}; fetch the file again")
    return cells


def _read_occlusions(path: Path, sizes: dict[str, int]) -> np.ndarray:
    """(T, P, 17) bool, true where a joint is occluded."""
    key = "occlusion_labels"
    cells = _read_cell(path, key, sizes)
    labels = _stacked(list(cells.flat), cells.shape, (1, 17), path, key)
    return require_mask(labels[:, :, 0], path, key, ("T", "P", 17), sizes)


def _read_field(cells: np.ndarray, field: str, shape: tuple[int, int], path: Path) -> np.ndarray:
    """One field of the struct in every cell: (T, P, *shape)."""
    values = []
    for i, cell in enumerate(cells.flat):
        if not isinstance(cell, np.ndarray) or cell.size != 1 or field not in (cell.dtype.names or ()):
            label = f"annotations{[int(j) for j in np.unravel_index(i, cells.shape)]}.{field}"
            raise DataError(f"{path}: {label}: missing; one struct with this field is expected; fetch the file again")
        values.append(cell[field].item())
    return _stacked(values, cells.shape, shape, path, "annotations", f".{field}")


def _stacked(
    values: list, cells: tuple[int, ...], shape: tuple[int, int], path: Path, key: str, field: str = ""
) -> np.ndarray:
    """The arrays found in every cell, as one: (T, P, *shape). DataError naming the first that is none of numbers."""
    if not all(isinstance(v, np.ndarray) and v.shape == shape and v.dtype.kind in "fiub" for v in values):
        places = np.ndindex(cells)
        values = [require(v, path, f"{key}{list(p)}{field}", shape) for p, v in zip(places, values, strict=True)]
    stacked = np.concatenate(values).reshape(*cells, *shape)
    return stacked.astype(stacked.dtype.newbyteorder("="), copy=False)


def _read_valid(cells: np.ndarray, path: Path) -> np.ndarray:
    """(T, P) bool, true where a person's annotation counts."""
    valid = require_mask(_read_field(cells, "isValidFrame", (1, 1), path), path, "isValidFrame", ("T", "P", 1, 1))
    if not valid.any():
        raise DataError(f"{path}: isValidFrame: no frame is valid, the camera cannot be fitted; fetch the file again")
    return valid[..., 0, 0]


def _read_points(cells: np.ndarray, field: str, path: Path, annotated: np.ndarray) -> np.ndarray:
    """The points (dim, 17) of every cell -> (T, P, 17, dim), finite where `annotated` (T, P)."""
    points = _read_field(cells, field, (2 if field == "annot2" else 3, 17), path).swapaxes(2, 3)
    scored = to_tensor(np.where(annotated[:, :, None, None], points, 0.0))
    check_finite(f"{path}: {field} of valid people (frame, person, joint, axis)", scored, "fetch the file again")
    return points


def _fit_camera(
    number: int, poses_3d: np.ndarray, annotation_2d: np.ndarray, annotated: np.ndarray, path: Path
) -> Camera:
    """The camera that projects annot3 to annot2: valid people, all joints."""
    points = torch.from_numpy(poses_3d[annotated].reshape(-1, 3))
    pixels = torch.from_numpy(annotation_2d[annotated].reshape(-1, 2))
    return fit_intrinsics(points, pixels, *image_size(number), source=str(path))
