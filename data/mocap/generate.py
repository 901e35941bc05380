"""Captured motion to data sets in the genuine formats: MuCo-Temp to train on, MPI-INF-3DHP and MuPoTS-3D to test on.

`mocap_steps` lists the work for `data.prepare.steps.run_steps`. The set is written below `Mocap/all`. Every scene has
random numbers of its own, drawn from the seed and its place, so steps may run in any order and in any number of
processes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from data.mocap.clips import Clip, motion_files, read_clips
from data.mocap.scenes import Cast, Take, evaluation_cast, film, training_cast
from data.mocap.sets import MPI, MUCO, MUPOTS, SETTINGS_FILE, mocap_folder
from data.prepare.steps import Step
from data.sets.mpi_inf_3dhp import calibration_path, camera_of_test_set, testset_folder
from data.sets.muco_temp import annotations_path, detections_path, metadata_path
from data.sets.mupots_3d import image_size, sequence_files
from data.synthetic.datasets import (
    muco_annotations,
    stacked,
    write_mupots_sequence,
    write_test_recording,
    write_views,
)
from data.synthetic.settings import GENERATOR_VERSION
from fileio.atomic import atomic_path
from fileio.pickle_reader import write_pickle
from pose.errors import ConfigError, check_number

#: Raise it with every change that alters what is generated.
MOCAP_VERSION = 3
CAMERAS = range(11)
_TEST, _VALIDATION = range(1, 21), range(1, 7)
#: First numbers of the random streams' keys.
_STREAM = {"cast": 0, "film": 1, "test": 2, "validation": 3}


@dataclass(frozen=True)
class MocapSettings:
    """What decides the content of a set.

    seed: the same seed gives the same files. videos: training scenes of each of the 11 cameras, `frames` frames long,
    at `fps`. procedural: fraction of the people in them who move as in the synthetic data. test_frames: of each of the
    20 + 6 test sequences. clip_fps: rate of files that do not say theirs. joint_map: MuPoTS-17 joint -> its name in BVH
    files of an unknown naming. Raises ConfigError for values out of range.
    """

    seed: int = 0
    videos: int = 160
    frames: int = 250
    fps: float = 25.0
    procedural: float = 0.1
    test_frames: int = 300
    clip_fps: float | None = None
    joint_map: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        for key, least in (("seed", 0), ("videos", 1), ("frames", 2), ("test_frames", 2)):
            check_number(f"prepare.{key}", getattr(self, key), least, whole=True)
        check_number("prepare.procedural", self.procedural, 0, 1)
        check_number("prepare.fps", self.fps, above=0, high=1000, hint="frames per second")


def mocap_steps(
    root: Path | str, mocap: Path | str | None, test: Path | str | None = None, **settings: Any
) -> list[Step]:
    """The steps that make a set, with `settings` as in MocapSettings, from the motion capture below `mocap`.

    test: a folder of other people's motion, for the validation and test scenes; None: those are of the same motion, and
    say nothing about people who were not trained on.
    Raises ConfigError for settings out of range and where somebody is in both folders, DataError where there is no
    motion capture.
    """
    if mocap is None:
        raise ConfigError("paths.mocap=null: give the folder that holds the motion capture files (.npz, .amc, .bvh)")
    chosen = MocapSettings(**settings)
    folder = mocap_folder(root)
    source = _Source(str(Path(mocap).resolve()), None if test is None else str(Path(test).resolve()), chosen)
    if test is not None and (both := sorted(set(source.subjects) & set(source.test_subjects))):
        raise ConfigError(f"paths.mocap_test={test}: {', '.join(both)} also in paths.mocap; test on other people")
    inputs = tuple(motion_files(mocap)) + (() if test is None else tuple(motion_files(test)))
    content = {"versions": [MOCAP_VERSION, GENERATOR_VERSION], **asdict(chosen)}

    def step(name: str, outputs: list[Path], run: Callable[..., None], *arguments: Any) -> Step:
        return Step(f"{folder.name}: {name}", outputs, partial(run, source, *arguments), content, inputs)

    muco, mpi, mupots = folder / MUCO, folder / MPI, folder / MUPOTS
    steps = [step("cast", [folder / SETTINGS_FILE, *_cast_files(source, muco, mpi)], _write_casts, folder)]
    for camera in CAMERAS:
        outputs = [annotations_path(muco, camera), *(detections_path(muco, camera, v) for v in range(chosen.videos))]
        steps.append(step(f"training camera {camera}", outputs, _write_camera, muco, camera))
    for number in _VALIDATION:
        place = testset_folder(mpi, number)
        outputs = [place / "annot_data.mat", place / "hrnet.pkl"]
        steps.append(step(f"validation TS{number}", outputs, _write_validation, place, number))
    for number in _TEST:
        steps.append(step(f"test TS{number}", list(sequence_files(mupots, number)), _write_test, mupots, number))
    return steps


# --- what a step works from ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Source:
    """The captured motion and the settings; small, so that it travels to worker processes."""

    mocap: str
    test: str | None
    settings: MocapSettings

    @property
    def clips(self) -> list[Clip]:
        return self._read(self.mocap)

    @property
    def subjects(self) -> list[str]:
        return sorted({clip.subject for clip in self.clips})

    @property
    def test_clips(self) -> list[Clip]:
        return self.clips if self.test is None else self._read(self.test)

    @property
    def test_subjects(self) -> list[str]:
        return sorted({clip.subject for clip in self.test_clips})

    def _read(self, folder: str) -> list[Clip]:
        named = self.settings.joint_map
        return _read(folder, self.settings.clip_fps, None if named is None else tuple(named.items()))

    def generator(self, stream: str, *key: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self.settings.seed, spawn_key=(_STREAM[stream], *key)))

    def cast(self, camera: int, video: int) -> Cast:
        chosen = self.settings
        rng = self.generator("cast", camera, video)
        return training_cast(self.clips, chosen.frames, chosen.fps, chosen.procedural, rng)


@lru_cache(maxsize=2)
def _read(mocap: str, clip_fps: float | None, joint_map: tuple[tuple[str, str], ...] | None) -> list[Clip]:
    return read_clips(mocap, clip_fps, None if joint_map is None else dict(joint_map))


# --- the training set, as MuCo-Temp ----------------------------------------------------------------------------------


def _origins(source: _Source) -> list[list[list[tuple[int, int, int]]]]:
    """sequence_meta.pkl: for each camera and video (subject, sequence, first frame) of the people.

    Subjects are numbered from 1 in the order of their names; people who move as in the synthetic data have the number
    after the last. `sequence` is the number of the video, from 1, for all of them: the calibration of that name holds
    its cameras.
    """
    subjects, clips = source.subjects, source.clips

    def origin(take: Take | None, video: int) -> tuple[int, int, int]:
        if take is None:
            return len(subjects) + 1, video + 1, 0
        return subjects.index(clips[take.clip].subject) + 1, video + 1, int(take.start)

    videos = range(source.settings.videos)
    return [[[origin(take, v) for take in source.cast(c, v).takes] for v in videos] for c in CAMERAS]


def _cast_files(source: _Source, muco: Path, mpi: Path) -> list[Path]:
    recordings = {(s, q) for videos in _origins(source) for people in videos for s, q, _ in people}
    return [metadata_path(muco), *(calibration_path(mpi, *recording) for recording in sorted(recordings))]


def _write_casts(source: _Source, folder: Path) -> None:
    """The metadata, and the cameras of each video under the name of every person in it."""
    muco, mpi = folder / MUCO, folder / MPI
    origins = _origins(source)
    for video in range(source.settings.videos):
        views = [source.cast(camera, video).view for camera in CAMERAS]
        for subject in sorted({subject for videos in origins for subject, _, _ in videos[video]}):
            write_views(calibration_path(mpi, subject, video + 1), views)
    write_pickle(metadata_path(muco), origins)
    content = {"version": MOCAP_VERSION, **asdict(source.settings), "subjects": len(source.subjects)}
    with atomic_path(folder / SETTINGS_FILE) as path:
        path.write_text(
            json.dumps({**content, "names": source.subjects, "test_names": source.test_subjects}, indent=2) + "\n"
        )


def _write_camera(source: _Source, muco: Path, camera: int) -> None:
    """All videos of one camera."""
    chosen, annotations = source.settings, []
    for video in range(chosen.videos):
        rng = source.generator("film", camera, video)
        seen = stacked(film(source.cast(camera, video), source.clips, chosen.frames, chosen.fps, rng))
        annotations.append(muco_annotations(seen))
        write_pickle(detections_path(muco, camera, video), {"poses": seen["detection"], "is_valid": seen["detected"]})
    write_pickle(annotations_path(muco, camera), annotations)


# --- the test sets ---------------------------------------------------------------------------------------------------


def _write_validation(source: _Source, folder: Path, number: int) -> None:
    """A sequence of one person, as in the test set of MPI-INF-3DHP, by that set's camera."""
    chosen, rng = source.settings, source.generator("validation", number)
    cast = evaluation_cast(source.test_clips, chosen.test_frames, chosen.fps, 1, camera_of_test_set(number), rng)
    seen = film(cast, source.test_clips, chosen.test_frames, chosen.fps, rng)
    write_test_recording(folder, stacked(seen))


def _write_test(source: _Source, mupots: Path, number: int) -> None:
    """A sequence of one to four people, as in MuPoTS-3D."""
    chosen, rng = source.settings, source.generator("test", number)
    cast = evaluation_cast(source.test_clips, chosen.test_frames, chosen.fps, 1 + number % 4, image_size(number), rng)
    seen = film(cast, source.test_clips, chosen.test_frames, chosen.fps, rng)
    write_mupots_sequence(mupots, number, stacked(seen))
