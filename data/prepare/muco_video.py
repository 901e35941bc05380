"""What the steps of MuCo-Temp do: each function reads files, writes files, and can run in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.prepare.detections import (
    Detector,
    check_any,
    detect,
    detected_before,
    matched_detections,
    write_detections,
)
from data.prepare.muco_clips import Clip, choose_clips, clip_annotations, composed_annotations, recordings_of
from data.prepare.muco_composition import back_to_front, check_sources, compose, read_rgb, source_files
from data.prepare.muco_detections import clip_detections, hidden_by_capsules, hidden_by_masks, with_hidden
from data.prepare.muco_layout import MucoFiles, read_clips, read_video_annotations, write_clips
from data.prepare.sources import NumberedFiles
from data.sets.writers import write_pickle
from fileio.arrays import atomic_path, read_npz
from fileio.images import write_jpeg
from pose.joint_sets import MUPOTS_17

_HIP = MUPOTS_17.index("hip")


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
    """One video to be made."""

    files: MucoFiles
    look: Look
    camera: int
    number: int
    frames: int

    def images(self, start: int, stop: int) -> NumberedFiles:
        """The composed frames start..stop-1."""
        return self.files.images(self.camera, self.number, start, stop)

    def found(self, start: int) -> Path:
        return self.files.found(self.camera, self.number, start)

    @property
    def detections(self) -> Path:
        return self.files.detections(self.camera, self.number)

    def clips(self) -> list[Clip]:
        return read_clips(self.files.clips(self.camera))[0][self.number]

    def annotations(self) -> dict[str, np.ndarray]:
        """annot2 (F, P, 17, 2) px and annot3 (F, P, 17, 3) mm."""
        return read_video_annotations(self.files.annotations(self.camera), self.number)


def choose_and_annotate(files: MucoFiles, choice: Choice, camera: int) -> None:
    """Write clips.json and gt.pkl of a camera."""
    found = {r: clip_annotations(files.mpi, r, camera) for r in recordings_of(choice.subjects, camera)}
    hips = {recording: fields["annot3"][:, _HIP] for recording, fields in found.items()}
    videos = []
    for number in range(choice.videos):
        rng = np.random.default_rng(np.random.SeedSequence(choice.seed, spawn_key=(camera, number)))
        videos.append(choose_clips(hips, choice.frames, choice.people, rng))
    with atomic_path(files.annotations(camera)) as partial:
        write_pickle(partial, [composed_annotations(found, clips, choice.frames) for clips in videos])
    write_clips(files.clips(camera), videos, {recording: len(track) for recording, track in hips.items()})


def write_metadata(files: MucoFiles, cameras: Sequence[int]) -> None:
    """Write sequence_meta.pkl; cameras that were not made have no videos."""
    videos = {camera: read_clips(files.clips(camera))[0] for camera in cameras}
    people = [
        [[(clip.subject, clip.sequence, clip.first_frame) for clip in clips] for clips in videos.get(camera, [])]
        for camera in range(max(cameras) + 1)
    ]
    with atomic_path(files.metadata) as partial:
        write_pickle(partial, people)


def write_description(path: Path, settings: Mapping[str, Any]) -> None:
    """Write generated.json: how this set came about."""
    with atomic_path(path) as partial:
        partial.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


def compose_frames(video: Video, start: int, stop: int) -> None:
    """Write the composed JPEGs start..stop-1."""
    look, orders = video.look, back_to_front(video.annotations()["annot3"][start:stop])
    sources = list(source_files(video.files.mpi, video.clips(), video.camera, orders, start))
    check_sources(sources)
    for path, layers in zip(video.images(start, stop), sources, strict=True):
        write_jpeg(path, compose(layers, look.image_size, look.blur_sigma), look.jpeg_quality)


def detect_frames(video: Video, detector: Detector, start: int, stop: int) -> None:
    """Write everybody whom the detector finds in frames start..stop-1: people (N, 17, 3), count (F,) of each frame."""
    paths = video.images(start, stop)
    images = (read_rgb(path, video.look.image_size) for path in paths)
    people = list(detect(detector, images, f"{paths.folder}, frames from {start}"))
    with atomic_path(video.found(start)) as partial:
        np.savez(partial, people=np.concatenate(people), count=np.array([len(found) for found in people]))


def match_found(video: Video, starts: Sequence[int]) -> None:
    """Write the detection file from what `detect_frames` left."""
    people: list[np.ndarray] = []
    for start in starts:
        content = read_npz(video.found(start))
        people += np.split(content["people"], np.cumsum(content["count"])[:-1])
    _write_matched(video, people)


def match_keypoints(video: Video, path: Path) -> None:
    """Write the detection file from a keypoints.json of the composed frames."""
    _write_matched(video, detected_before(path, video.frames, first=0))


def _write_matched(video: Video, people: Sequence[np.ndarray]) -> None:
    poses, detected = matched_detections(video.annotations()["annot2"], people)
    check_any(detected, f"MuCo-Temp camera {video.camera}, video {video.number}")
    write_detections(video.detections, poses, detected)


def hide_in_clips(video: Video, by_masks: bool) -> None:
    """Write the detection file from the detections of the clips, as if those hidden had been missed."""
    files, camera = video.files, video.camera
    videos, lengths = read_clips(files.clips(camera))
    clips, annotations = videos[video.number], video.annotations()
    keypoints, detected = clip_detections(
        files.mpi, clips, [lengths[clip.recording] for clip in clips], camera, video.frames
    )
    if by_masks:
        size = video.look.image_size
        hidden = hidden_by_masks(files.mpi, clips, camera, keypoints, annotations["annot3"], size)
    else:
        hidden = hidden_by_capsules(files.mpi, clips, camera, annotations["annot2"], annotations["annot3"])
    write_detections(video.detections, *with_hidden(keypoints, detected, hidden))
