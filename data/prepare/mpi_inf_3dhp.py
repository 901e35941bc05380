"""MPI-INF-3DHP's training part out of its download: annotations, frames and masks of the videos, detections.

The official `get_dataset.sh` leaves `S{s}/Seq{q}/` with annot.mat, camera.calibration and, in imageSequence, FGmasks
and ChairMasks, the videos `video_{camera}.avi` or the zip archives that hold them (vnect_cameras.zip, and for cameras
3, 9 and 10 other_angled_cameras.zip). The test part is another download: `mpi_inf_3dhp_testset`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np

from data.keypoints.detector import Detector
from data.prepare.detections import THRESHOLD_PX, check_detection_options, detect, detected_before, write_matched
from data.prepare.mpi_inf_3dhp_testset import TEST_SET
from data.prepare.sources import Item, NumberedFiles, Shortfalls, collect, copy_checked, on_disk, source_folder
from data.prepare.steps import Step
from data.sets.mpi_inf_3dhp import (
    BEHIND_CAMERA,
    BEHIND_CAMERA_NUMBER,
    CAMERAS,
    IMAGE_SIZE,
    ONE_ANNOTATION_TOO_MANY,
    SEQUENCES,
    SUBJECTS,
    TEST_NUMBERS,
    camera_of,
    detections_path,
    read_annotations,
    read_cameras,
)
from data.sets.reader import check_numbers
from fileio.arrays import require, require_shape
from fileio.images import JPEG_QUALITY, write_jpeg
from fileio.mat_reader import read_mat
from fileio.video import exactly, video_frames
from pose.errors import ConfigError, DataError

PARTS = ("train", "test")
KINDS = ("imageSequence", "FGmasks", "ChairMasks")
ORIGIN = "https://vcai.mpi-inf.mpg.de/3dhp-dataset (its own licence): mpi_inf_3dhp.zip with get_dataset.sh and conf.ig"

_ANNOTATIONS = ("annot.mat", "camera.calibration")
_WALL_CAMERAS = (3, 9, 10)
_SIZE = (IMAGE_SIZE, IMAGE_SIZE)
_Recording = tuple[int, int]


def mpi_inf_3dhp_steps(
    root: Path | str,
    source: Path | str | None,
    frames: bool = True,
    detector: Detector | None = None,
    keypoints: Path | str | None = None,
    subjects: Iterable[int] = SUBJECTS,
    cameras: Iterable[int] = CAMERAS,
    parts: Iterable[str] = PARTS,
) -> list[Step]:
    """Steps for `run_steps(root, ...)` that make root/Mpi3DHP as data.sets.mpi_inf_3dhp reads it.

    source: the folder where get_dataset.sh and get_testset.sh put their files, unpacked or not; it may be root/Mpi3DHP.
    frames: also take the frames and masks out of the videos (MuCo-Temp is composed of them). detector: run over the
    videos for the 2D detections; or keypoints: a folder of detections made before, with the files
    S{s}/Seq{q}/keypoints_{camera:02d}.json and TS{n}/keypoints.json; with neither, none are written.
    parts: train, test. Raises ConfigError for options, and DataError that lists all that is missing or damaged in the
    download.
    """
    check_detection_options(detector, keypoints)
    chosen = set(parts)
    if not chosen or not chosen <= set(PARTS):
        raise ConfigError(f"parts={sorted(chosen)}: one or both of {', '.join(PARTS)} are expected")
    root, source = Path(root), source_folder(source, "MPI-INF-3DHP")
    folder = None if keypoints is None else Path(keypoints).absolute()
    lacks = Shortfalls("mpi_inf_3dhp", source, ORIGIN)
    steps: list[Step] = []
    if "train" in chosen:
        numbers = check_numbers("cameras", cameras, CAMERAS)
        for subject in check_numbers("subjects", subjects, SUBJECTS):
            for sequence in SEQUENCES:
                plan = _Plan(root / "Mpi3DHP", source, (subject, sequence), lacks)
                steps += plan.steps(numbers, frames, detector, folder)
    if "test" in chosen:
        steps += TEST_SET.steps(root / "Mpi3DHP", source, TEST_NUMBERS, lacks, frames, detector, folder)
    lacks.check()
    return steps


class _Plan:
    """The steps of one recording, and on `lacks` what its download misses."""

    def __init__(self, root: Path, source: Path, recording: _Recording, lacks: Shortfalls) -> None:
        self.root, self.recording, self.lacks = root, recording, lacks
        self.place = "S{}/Seq{}".format(*recording)
        # A download that was prepared and deleted is still in the data sets' folder, as far as annotations go.
        self.homes = [home / self.place for home in (source, source / "mpi_inf_3dhp", source / "Mpi3DHP", root)]
        self.folder = root / self.place

    def steps(
        self, cameras: tuple[int, ...], frames: bool, detector: Detector | None, keypoints: Path | None
    ) -> list[Step]:
        annotations = {name: self._find(name) for name in _ANNOTATIONS}
        count = self._frame_count(annotations["annot.mat"])
        kinds = KINDS if frames else KINDS[:1] if detector is not None else ()
        videos = {kind: self._videos(kind, cameras) for kind in kinds}
        if keypoints is not None:
            for camera in cameras:
                if not self._keypoints(keypoints, camera).is_file():
                    self.lacks.add(str(keypoints / self.place), f"keypoints_{camera:02d}.json", "prepare.keypoints")
        if count is None or any(path is None for path in annotations.values()):
            return []  # `lacks` knows
        steps = [self._annotation_step([path for path in annotations.values() if path is not None])]
        if frames:
            steps += [self._frames_step(kind, c, item, count) for kind in kinds for c, item in videos[kind].items()]
        if detector is not None:
            for camera, item in videos[KINDS[0]].items():
                run = partial(_detect, detector, item)
                steps.append(self._detection_step(camera, run, f"by {detector.name}", item.path))
        elif keypoints is not None:
            for camera in cameras:
                path = self._keypoints(keypoints, camera)
                steps.append(self._detection_step(camera, partial(_match_keypoints, path), "keypoints.json", path))
        return steps

    def _find(self, name: str) -> Path | None:
        for home in self.homes:
            if (home / name).is_file():
                return home / name
        self.lacks.add(self.place, name, "get_dataset.sh")
        return None

    def _frame_count(self, path: Path | None) -> int | None:
        """Frames of the recording's videos."""
        if path is not None:
            with self.lacks.noting():
                annotated = len(require(read_mat(path, ["frames"])["frames"], path, "frames", ("T", 1)))
                return annotated - (self.recording == ONE_ANNOTATION_TOO_MANY)
        return None

    def _videos(self, kind: str, cameras: tuple[int, ...]) -> dict[int, Item]:
        found: dict[str, Item] = {}
        for home in self.homes:
            with self.lacks.noting():
                places = [home / kind, *sorted((home / kind).glob("*.zip"))]
                found = {**collect(places, r"(?:^|/)(video_\d+\.avi)$"), **found}
        for camera in cameras:
            if f"video_{camera}.avi" not in found:
                archive = "other_angled_cameras.zip" if camera in _WALL_CAMERAS else "vnect_cameras.zip"
                settings = ["download_extra_wall_cameras=1"] if camera in _WALL_CAMERAS else []
                settings += ["download_masks=1"] if kind != KINDS[0] else []
                hint = f"; {', '.join(settings)} in conf.ig" if settings else ""
                self.lacks.add(f"{self.place}/{kind}", f"video_{camera}.avi", f"in {archive}{hint}")
        return {c: found[f"video_{c}.avi"] for c in cameras if f"video_{c}.avi" in found}

    def _keypoints(self, folder: Path, camera: int) -> Path:
        return folder / self.place / f"keypoints_{camera:02d}.json"

    def _name(self, text: str) -> str:
        return f"mpi_inf_3dhp {self.place}{text}"

    def _annotation_step(self, sources: list[Path]) -> Step:
        targets = tuple(self.folder / name for name in _ANNOTATIONS)
        run = partial(copy_checked, [Item(path) for path in sources], targets, _check_files)
        return Step(self._name(": annotations"), targets, run, settings={}, inputs=tuple(sources))

    def _frames_step(self, kind: str, camera: int, item: Item, count: int) -> Step:
        folder = self.root / "frames" / self.place / kind
        files = NumberedFiles(folder, f"img_{camera}_{{:06d}}.jpg", 1, count)
        run = partial(_extract_frames, item, files, folder / f".video_{camera}.avi")
        settings = {"quality": JPEG_QUALITY, "member": item.member}
        name, after = self._name(f" camera {camera}: {kind}"), (self._name(": annotations"),)
        return Step(name, files, run, settings, (item.path,), after)

    def _detection_step(self, camera: int, run: Callable[..., None], what: str, found_in: Path) -> Step:
        annotations, output = self.folder / "annot.mat", detections_path(self.folder, camera)
        run = partial(run, annotations, self.recording, camera, output)
        settings = {"detections": what, "threshold_px": THRESHOLD_PX}
        name, after = self._name(f" camera {camera}: detections"), (self._name(": annotations"),)
        return Step(name, (output,), run, settings, (found_in, annotations), after)


# --- what the steps do -----------------------------------------------------------------------------------------------


def _check_files(paths: list[Path]) -> None:
    annotations, calibration = paths
    _check_annotations(annotations)
    cameras = read_cameras(calibration)
    for number in CAMERAS:
        camera_of(cameras, number, calibration)


def _check_annotations(path: Path) -> None:
    """DataError unless every camera of annot.mat has the same frames, of the documented shapes."""
    widths = {"annot2": 28 * 2, "annot3": 28 * 3, "univ_annot3": 28 * 3}
    content = read_mat(path, [*widths, "cameras", "frames"])
    sizes = {"T": len(require(content["frames"], path, "frames", ("T", 1)))}
    for key, width in widths.items():
        cells = content[key]
        require_shape(cells, path, key, (14, 1))
        if cells.dtype != object:
            raise DataError(f"{path}: {key}: a cell is expected, found an array of {cells.dtype}; fetch the file again")
        for camera in CAMERAS:
            require(cells[camera, 0], path, f"{key}[{camera}]", ("T", width), sizes)


def _extract_frames(item: Item, files: NumberedFiles, temporary: Path) -> None:
    with on_disk(item, temporary) as path:
        images = exactly(video_frames(path, str(item), _SIZE), len(files), str(item), "annot.mat")
        for target, image in zip(files, images, strict=True):
            write_jpeg(target, image)


def _annotated_2d(path: Path, recording: _Recording, camera: int) -> np.ndarray:
    """annot2 of one camera: (T, 17, 2) px, MuPoTS-17, a row for each frame of the video; not finite where damaged."""
    return read_annotations(path, recording, [camera], "annot2", finite=False)[camera]


def _detect(
    detector: Detector, item: Item, annotations: Path, recording: _Recording, camera: int, output: Path
) -> None:
    people = _annotated_2d(annotations, recording, camera)
    with on_disk(item, output.with_name(f".video_{camera}.avi")) as path:
        images = exactly(video_frames(path, str(item), _SIZE), len(people), str(item), str(annotations))
        found = list(detect(detector, images, str(item)))
    _write(people, found, str(item), recording, camera, output)


def _match_keypoints(path: Path, annotations: Path, recording: _Recording, camera: int, output: Path) -> None:
    people = _annotated_2d(annotations, recording, camera)
    _write(people, detected_before(path, len(people), first=1), str(path), recording, camera, output)


def _write(
    people: np.ndarray, found: list[np.ndarray], label: str, recording: _Recording, camera: int, output: Path
) -> None:
    unusable = (recording, camera) == (BEHIND_CAMERA, BEHIND_CAMERA_NUMBER)
    write_matched(output, people, found, label, none_is_fine=unusable)
