"""What the steps of MuCo-Temp do: each function reads files, writes files, and can run in a process of its own.

`Video` says where a video's files are. Steps hand the clips on in `clips.json`, and what a detector found in a chunk of
frames, not yet matched, in an npz.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.keypoints.detector import Detector
from data.prepare.detections import detect, detected_before, write_detections, write_matched
from data.prepare.muco_clips import Clip, Recording, choose_clips, clip_annotations, composed_annotations, recordings_of
from data.prepare.muco_composition import back_to_front, check_sources, compose, read_rgb, source_files
from data.prepare.muco_detections import clip_detections, hidden_by_capsules, hidden_by_masks, with_hidden
from data.prepare.sources import NumberedFiles
from data.sets.muco_temp import annotations_path, detections_path, metadata_path
from fileio.arrays import member, read_npz, require, write_npz
from fileio.images import write_jpeg
from fileio.json_yaml import load_object, write_json
from fileio.limits import reading
from fileio.pickle_reader import read_pickle, write_pickle
from pose.joint_sets import MUPOTS_17

_HIP = MUPOTS_17.index("hip")
_KEYS = ("poses", "is_valid")
_REMEDY = "delete it and prepare again"


@dataclass(frozen=True)
class Choice:
    """What decides the clips: `people` are the fewest and the most of a video, `frames` those of a video at 25 fps."""

    seed: int
    videos: int
    frames: int
    people: tuple[int, int]
    subjects: tuple[int, ...]


@dataclass(frozen=True)
class Look:
    """What decides the composed frames, given the clips; sizes in px."""

    image_size: int
    blur_sigma: float
    jpeg_quality: int


@dataclass(frozen=True)
class Video:
    """One video to be made below `root`, the folder of all data sets; Mpi3DHP is read, MucoTemp is written."""

    root: Path
    look: Look
    camera: int
    number: int
    frames: int

    @property
    def mpi(self) -> Path:
        return mpi_folder(self.root)

    @property
    def muco(self) -> Path:
        return muco_folder(self.root)

    def images(self, start: int, stop: int) -> NumberedFiles:
        """The composed frames start..stop-1."""
        folder = self.muco / "frames" / f"cam_{self.camera}" / f"vid_{self.number}"
        return NumberedFiles(folder, "img_{:04d}.jpg", start, stop - start)

    def found(self, start: int) -> Path:
        """All people that a detector found in a chunk of frames, not yet matched."""
        return self.muco / "detector" / f"cam_{self.camera}" / f"vid_{self.number}" / f"from_{start:04d}.npz"

    @property
    def detections(self) -> Path:
        return detections_path(self.muco, self.camera, self.number)

    @property
    def scene_files(self) -> tuple[Path, Path]:
        """The clips and the annotations of this camera's videos."""
        return clips_path(self.root, self.camera), annotations_path(self.muco, self.camera)

    def clips(self) -> list[Clip]:
        return read_clips(self.scene_files[0])[0][self.number]

    def annotations(self) -> dict[str, np.ndarray]:
        """annot2 (F, P, 17, 2) px and annot3 (F, P, 17, 3) mm."""
        path = self.scene_files[1]
        entry = member(read_pickle(path), self.number, path, f"video {self.number}")
        sizes: dict[str, int] = {}
        return {
            key: require(member(entry, key, path), path, f"[{self.number}].{key}", ("F", "P", 17, axes), sizes, _REMEDY)
            for key, axes in (("annot2", 2), ("annot3", 3))
        }


def mpi_folder(root: Path) -> Path:
    return root / "Mpi3DHP"


def muco_folder(root: Path) -> Path:
    return root / "MucoTemp"


def clips_path(root: Path, camera: int) -> Path:
    return annotations_path(muco_folder(root), camera).with_name("clips.json")


def read_clips(path: Path) -> tuple[list[list[Clip]], dict[Recording, int]]:
    """The clips of each video of a camera, and the raw frames of the recordings that they are from."""
    content = load_object(path, _REMEDY)
    with reading(path, "a file of clips", _REMEDY):
        videos = [[Clip(*map(int, clip)) for clip in clips] for clips in content["videos"]]
        return videos, {(int(s), int(q)): int(length) for s, q, length in content["recordings"]}


def choose_and_annotate(root: Path, choice: Choice, camera: int) -> None:
    """Write clips.json and gt.pkl of a camera."""
    found = {r: clip_annotations(mpi_folder(root), r, camera) for r in recordings_of(choice.subjects, camera)}
    hips = {recording: fields["annot3"][:, _HIP] for recording, fields in found.items()}
    videos = []
    for number in range(choice.videos):
        rng = np.random.default_rng(np.random.SeedSequence(choice.seed, spawn_key=(camera, number)))
        videos.append(choose_clips(hips, choice.frames, choice.people, rng))
    write_pickle(
        annotations_path(muco_folder(root), camera),
        [composed_annotations(found, clips, choice.frames) for clips in videos],
    )
    content = {
        "videos": [[[clip.subject, clip.sequence, clip.first_frame] for clip in clips] for clips in videos],
        "recordings": [[*recording, len(track)] for recording, track in sorted(hips.items())],
    }
    write_json(clips_path(root, camera), content, indent=None)


def write_metadata(root: Path, cameras: Sequence[int]) -> None:
    """Write sequence_meta.pkl; cameras that were not made have no videos."""
    videos = {camera: read_clips(clips_path(root, camera))[0] for camera in cameras}
    people = [
        [[(clip.subject, clip.sequence, clip.first_frame) for clip in clips] for clips in videos.get(camera, [])]
        for camera in range(max(cameras) + 1)
    ]
    write_pickle(metadata_path(muco_folder(root)), people)


def write_description(path: Path, settings: Mapping[str, Any]) -> None:
    """Write generated.json: how this set came about."""
    write_json(path, settings, indent=1)


def compose_frames(video: Video, start: int, stop: int) -> None:
    """Write the composed JPEGs start..stop-1."""
    look, orders = video.look, back_to_front(video.annotations()["annot3"][start:stop])
    sources = list(source_files(video.mpi, video.clips(), video.camera, orders, start))
    check_sources(sources)
    for path, layers in zip(video.images(start, stop), sources, strict=True):
        write_jpeg(path, compose(layers, look.image_size, look.blur_sigma), look.jpeg_quality)


def detect_frames(video: Video, detector: Detector, start: int, stop: int) -> None:
    """Write all people that the detector finds in frames start..stop-1: people (N, 17, 3), count (F,) of each frame."""
    paths = video.images(start, stop)
    images = (read_rgb(path, video.look.image_size) for path in paths)
    people = list(detect(detector, images, f"{paths.folder}, frames from {start}"))
    write_npz(video.found(start), people=np.concatenate(people), count=np.array([len(found) for found in people]))


def match_found(video: Video, found: Sequence[Path]) -> None:
    """Write the detection file from what `detect_frames` left."""
    people: list[np.ndarray] = []
    for path in found:
        content = read_npz(path)
        people += np.split(content["people"], np.cumsum(content["count"])[:-1])
    _write_matched(video, people)


def match_keypoints(video: Video, path: Path) -> None:
    """Write the detection file from a keypoints.json of the composed frames."""
    _write_matched(video, detected_before(path, video.frames, first=0))


def _write_matched(video: Video, people: Sequence[np.ndarray]) -> None:
    label = f"MuCo-Temp camera {video.camera}, video {video.number}"
    write_matched(video.detections, video.annotations()["annot2"], people, label)


def hide_in_clips(video: Video, by_masks: bool) -> None:
    """Write the detection file from the detections of the clips, as if those hidden had been missed."""
    mpi, camera, annotations = video.mpi, video.camera, video.annotations()
    videos, lengths = read_clips(video.scene_files[0])
    clips = videos[video.number]
    keypoints, detected = clip_detections(mpi, clips, [lengths[c.recording] for c in clips], camera, video.frames)
    if by_masks:
        hidden = hidden_by_masks(mpi, clips, camera, keypoints, annotations["annot3"], video.look.image_size)
    else:
        hidden = hidden_by_capsules(mpi, clips, camera, annotations["annot2"], annotations["annot3"])
    write_detections(video.detections, *with_hidden(keypoints, detected, hidden), _KEYS)
