"""MuCo-Temp: videos of two to four people composed of single-person clips of MPI-INF-3DHP. Formats: docs/method.md §3.

Every frame is kept (25 fps). The set holds no cameras: each person was filmed by the camera of the clip that it came
from, so the calibrations of MPI-INF-3DHP are read too.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from data.sets.mpi_inf_3dhp import CAMERAS, SEQUENCES, SUBJECTS, calibration_path, camera_of, read_cameras
from data.sets.reader import Reader, check_numbers, read_detections
from fileio.arrays import member, require, to_tensor
from fileio.pickle_reader import read_pickle
from pose.cameras import Camera
from pose.coordinates import ANNOTATION_FIELD, Coordinates
from pose.errors import DataError, check_finite
from pose.progress import Progress
from pose.sequence import PoseSequence

logger = logging.getLogger(__name__)

FPS = 25.0
VIDEOS = range(7)


def metadata_path(root: Path) -> Path:
    """The file that says which clips the people of each video came from."""
    return root / "sequence_meta.pkl"


def annotations_path(root: Path, camera: int) -> Path:
    """The annotations of all videos of a camera."""
    return root / "frames" / f"cam_{camera}" / "gt.pkl"


def detections_path(root: Path, camera: int, video: int) -> Path:
    """The detections in one video."""
    return root / "hrnet_keypoints" / f"cam_{camera}" / "gt_match_posedist_80" / f"vid_{video}.pkl"


class MuCoTemp(Reader):
    """Videos `{camera}/{video}` under `root`, people as the metadata lists them; `mpi_root` holds the calibrations.

    videos: the numbers to read. subjects, recordings: the numbers of people and of their recordings that the metadata
    may name, and fps: sets made in this format can differ from the published one.
    """

    ALLOWED_VIDEOS: ClassVar[range] = VIDEOS
    #: Gravity in the world coordinates of the calibrations, where these are known to be those of the room.
    DOWN: ClassVar[tuple[float, float, float] | None] = None
    name = "muco_temp"
    SOURCE = (
        "MuCo-Temp is composed of MPI-INF-3DHP clips; sequence_meta.pkl, gt.pkl and the detections come with the code "
        "of arXiv 2011.00250, the camera.calibration files from https://vcai.mpi-inf.mpg.de/3dhp-dataset"
    )

    def __init__(
        self,
        root: Path | str,
        mpi_root: Path | str,
        cameras: Iterable[int] = CAMERAS,
        videos: Iterable[int] = VIDEOS,
        subjects: range = SUBJECTS,
        recordings: range = SEQUENCES,
        fps: float = FPS,
    ) -> None:
        super().__init__(root)
        self.mpi_root = Path(mpi_root)
        self.cameras = check_numbers("cameras", cameras, CAMERAS)
        self.videos = check_numbers("videos", videos, self.ALLOWED_VIDEOS)
        self.subjects, self.recordings, self.fps = subjects, recordings, fps

    def files(self) -> list[Path]:
        """Every file that `sequences` opens, sorted; all calibrations while the metadata that names them is missing."""
        if metadata_path(self.root).is_file():
            recordings = {clip for clips in self._clips().values() for clip in clips}
        else:
            recordings = {(subject, sequence) for subject in self.subjects for sequence in self.recordings}
        return sorted(
            [metadata_path(self.root)]
            + [annotations_path(self.root, camera) for camera in self.cameras]
            + [detections_path(self.root, camera, video) for camera in self.cameras for video in self.videos]
            + [calibration_path(self.mpi_root, *recording) for recording in recordings]
        )

    def _read(self, coordinates: Coordinates) -> list[PoseSequence]:
        clips = self._clips()
        calibrations = {
            clip: read_cameras(calibration_path(self.mpi_root, *clip), self.DOWN)
            for clip in sorted({clip for people in clips.values() for clip in people})
        }
        found = []
        for camera in Progress(f"reading {self.name}", len(self.cameras), "cameras").each(self.cameras):
            path = annotations_path(self.root, camera)
            logger.debug("reading %s", path)
            content = read_pickle(path)
            for video in self.videos:
                intrinsics = [
                    camera_of(calibrations[clip], camera, calibration_path(self.mpi_root, *clip))
                    for clip in clips[camera, video]
                ]
                annotation = member(content, video, path, f"video {video}")
                found += self._read_video(camera, video, annotation, intrinsics, coordinates)
        return found

    def _clips(self) -> dict[tuple[int, int], list[tuple[int, int]]]:
        """(subject, sequence) that each person of video (camera, video) came from."""
        path = metadata_path(self.root)
        content = read_pickle(path)
        clips = {}
        for camera in self.cameras:
            videos = member(content, camera, path, f"camera {camera}")
            for video in self.videos:
                label = f"camera {camera}, video {video}"
                people = require(member(videos, video, path, label), path, label, ("P", 3))
                for subject, sequence, _ in people.tolist():
                    if subject not in self.subjects or sequence not in self.recordings:
                        raise DataError(
                            f"{path}: {label}: clips of subjects {self.subjects.start} to {self.subjects[-1]}, "
                            f"sequences {self.recordings.start} to {self.recordings[-1]}, are expected, found "
                            f"S{subject}/Seq{sequence}; fetch the file again"
                        )
                clips[camera, video] = [(int(subject), int(sequence)) for subject, sequence, _ in people]
        return clips

    def _read_video(
        self, camera: int, video: int, annotation: Any, intrinsics: list[Camera], coordinates: Coordinates
    ) -> list[PoseSequence]:
        path, key = annotations_path(self.root, camera), ANNOTATION_FIELD[coordinates]
        label, sizes = f"[{video}].{key}", {"P": len(intrinsics)}
        poses = to_tensor(require(member(annotation, key, path, label), path, label, ("T", "P", 17, 3), sizes))
        check_finite(f"{path}: {label}", poses, "fetch the file again")
        keypoints_2d, confidence, detected = read_detections(
            detections_path(self.root, camera, video), path, len(poses), len(intrinsics)
        )
        return [
            PoseSequence(
                sequence=f"{camera}/{video}",
                person=person,
                camera=intrinsics[person],
                fps=self.fps,
                keypoints_2d=keypoints_2d[:, person].clone(),
                confidence=confidence[:, person].clone(),
                detected=detected[:, person].clone(),
                poses_3d=poses[:, person].clone(),
                coordinates=coordinates,
            )
            for person in range(len(intrinsics))
        ]
