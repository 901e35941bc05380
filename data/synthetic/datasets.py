"""The three synthetic data sets: which recordings there are, at which rates, by which cameras; docs/method.md §3.

Every recording is a job of its own with random numbers of its own, so jobs may run in any order. Rates and faults of
the annotations are stated here again rather than taken from the readers: what reads back right was understood twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch

from data.sets import mpi_inf_3dhp, muco_temp, writers
from data.sets.mpi_inf_3dhp import recording_folder, testset_folder
from data.sets.mupots_3d import sequence_files
from data.synthetic.bodies import Body, random_body
from data.synthetic.motions import procedural_motion
from data.synthetic.scenes import SeenPerson, View, compose_scene, look_at, render_scene
from data.synthetic.settings import SyntheticSettings
from fileio.atomic import atomic_path
from fileio.pickle_reader import write_pickle
from pose.cameras import Camera
from pose.coordinates import universal_scale

_SUBJECTS, _SEQUENCES = range(1, 9), (1, 2)
_N_CAMERAS, _N_DETECTED = 14, 11
_MUCO_FPS = 25

Job = Callable[[], None]


def jobs(root: Path, settings: SyntheticSettings) -> list[Job]:
    """What to run, in any order, for the folders Mpi3DHP, MucoTemp and MuPoTS in `root` to be complete."""
    found: list[Job] = [
        partial(_mpi_recording, root / "Mpi3DHP", settings, subject, sequence)
        for subject in _SUBJECTS
        for sequence in _SEQUENCES
    ]
    found += [partial(_mpi_test_recording, root / "Mpi3DHP", settings, number) for number in range(1, 7)]
    found += [partial(_muco_camera, root / "MucoTemp", settings, camera) for camera in range(_N_DETECTED)]
    found += [partial(_muco_metadata, root / "MucoTemp", settings)]
    found += [partial(_mupots_sequence, root / "MuPoTS", settings, number) for number in range(1, 21)]
    return found


def _generator(settings: SyntheticSettings, *key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(settings.seed, spawn_key=key))


# First numbers of the generators' keys.
_SUBJECT, _STUDIO, _MPI, _MPI_TEST, _MUCO, _MUPOTS, _MUCO_CAST = range(7)


def _made(path: Path) -> Path:
    """`path`, its folder made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


# --- a seen scene in the formats, for motion capture too -------------------------------------------------------------


def stacked(people: Sequence[SeenPerson]) -> dict[str, np.ndarray]:
    """Arrays (T, P, ...) of a scene; `universal_3d` is the annotation with all people at one height."""
    arrays = {
        field.name: np.stack([getattr(person, field.name) for person in people], axis=1) for field in fields(SeenPerson)
    }
    scales = [float(universal_scale(torch.from_numpy(person.annotation_3d))) for person in people]
    return arrays | {"universal_3d": arrays["annotation_3d"] * np.array(scales)[:, None, None]}


def muco_annotations(seen: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A `stacked` scene as an entry of MuCo-Temp's gt.pkl."""
    names = {"annot2": "annotation_2d", "annot3": "annotation_3d", "univ_annot3": "universal_3d"}
    return {key: seen[name].astype(np.float32) for key, name in names.items()}


def write_views(path: Path, views: Sequence[View]) -> None:
    """camera.calibration of a recording."""
    with atomic_path(path) as partial:
        writers.write_calibration(
            partial, [v.camera for v in views], [v.rotation for v in views], [v.position for v in views]
        )


def write_test_recording(folder: Path, seen: dict[str, np.ndarray]) -> None:
    """A `stacked` scene of one person as a recording of MPI-INF-3DHP's test part."""
    names = ("annotation_2d", "annotation_3d", "universal_3d", "in_image")
    with atomic_path(folder / "annot_data.mat") as path:
        writers.write_mpi_test_annotations(path, *(seen[name][:, 0] for name in names))
    write_pickle(folder / "hrnet.pkl", {"poses": seen["detection"][:, 0], "is_valid": seen["detected"][:, 0]})


def write_mupots_sequence(root: Path, number: int, seen: dict[str, np.ndarray]) -> None:
    """A `stacked` scene as sequence TS`number` of MuPoTS-3D."""
    annotations, occlusion, detections = sequence_files(root, number)
    names = ("annotation_2d", "annotation_3d", "universal_3d", "in_image")
    with atomic_path(annotations) as path:
        writers.write_mupots_annotations(path, *(seen[name] for name in names))
    with atomic_path(occlusion) as path:
        writers.write_mupots_occlusion(path, ~seen["visible"])
    write_pickle(detections, {"pose": seen["detection"], "valid_pose": seen["detected"]})


# --- MPI-INF-3DHP ----------------------------------------------------------------------------------------------------


def _subject(settings: SyntheticSettings, subject: int) -> Body:
    return random_body(_generator(settings, _SUBJECT, subject))


@lru_cache(maxsize=16)
def _studio(settings: SyntheticSettings, subject: int, sequence: int) -> list[View]:
    """The 14 cameras around a recording, the middle of the studio at the origin.

    0 to 4 at chest height, 5 to 8 high and looking down, 9 and 10 near the floor, 11 to 13 under the ceiling.
    """
    rng = _generator(settings, _STUDIO, subject, sequence)
    heights = [1250.0] * 5 + [2400.0] * 4 + [600.0] * 2 + [3400.0] * 3
    views = []
    for number, height in enumerate(heights):
        # Neighbouring numbers stand apart, so that each height sees every side.
        azimuth = 2 * np.pi * (number * 4 % 11) / 11 + rng.normal(0, 0.08)
        distance = rng.uniform(3600, 5000) if number < _N_DETECTED else rng.uniform(2500, 3200)
        position = [distance * np.sin(azimuth), height * rng.uniform(0.92, 1.08), distance * np.cos(azimuth)]
        fx = round(rng.normal(1500, 20), 4)
        centre = np.round(rng.normal([1024, 1030], [8, 15]), 4)
        camera = Camera(fx, round(fx * rng.normal(1, 0.0005), 4), *centre.tolist(), width=2048, height=2048)
        target = rng.normal([0, 950, 0], [80, 40, 80])
        views.append(look_at(camera, np.array(position), target, roll=rng.normal(0, 0.01)))
    return views


def _mpi_recording(root: Path, settings: SyntheticSettings, subject: int, sequence: int) -> None:
    folder = recording_folder(root, subject, sequence)
    rng = _generator(settings, _MPI, subject, sequence)
    fps = 50 if subject in (3, 5) or (subject, sequence) == (1, 2) else 25
    n_frames = settings.mpi_frames * fps // 25
    # One annotation too many, and 2,094 frames with left and right exchanged: faults of the published files.
    n_annotated = n_frames + 1 if (subject, sequence) == (3, 1) else n_frames
    exchanged = slice(3759, 5853) if (subject, sequence) == (4, 2) else slice(0, 0)

    motion = procedural_motion(str(rng.choice(("mixed", "walk"))), n_annotated, fps, _subject(settings, subject), rng)
    scale = float(universal_scale(torch.from_numpy(motion)))
    joints = writers.mpi_28_joints(motion)
    joints[exchanged] = joints[exchanged][:, list(writers.MPI_28.flip)]
    views = _studio(settings, subject, sequence)
    annot3 = [view.to_camera(joints) for view in views]
    annot2 = [v.camera.project(torch.from_numpy(points)).numpy() for v, points in zip(views, annot3, strict=True)]
    writers.write_mpi_annotations(_made(folder / "annot.mat"), annot2, annot3, [scale * points for points in annot3])
    write_views(folder / "camera.calibration", views)
    for number, view in enumerate(views[:_N_DETECTED]):
        (person,) = render_scene([motion[:n_frames]], view, fps, rng)
        content = {"poses": person.detection, "is_valid": person.detected}
        write_pickle(_made(mpi_inf_3dhp.detections_path(folder, number)), content, sync=False)


def _mpi_test_recording(root: Path, settings: SyntheticSettings, number: int) -> None:
    rng = _generator(settings, _MPI_TEST, number)
    motion = procedural_motion("mixed", settings.test_frames, _MUCO_FPS, random_body(rng), rng)
    # A 16:9 picture needs more distance to hold a standing person.
    distance = rng.uniform(3800, 4600) if number <= 4 else rng.uniform(5200, 6000)
    azimuth = rng.uniform(0, 2 * np.pi)
    position = np.array([distance * np.sin(azimuth), rng.uniform(900, 1900), distance * np.cos(azimuth)])
    view = look_at(mpi_inf_3dhp.camera_of_test_set(number), position, np.array([0, 950.0, 0]), roll=rng.normal(0, 0.01))
    write_test_recording(testset_folder(root, number), stacked(render_scene([motion], view, _MUCO_FPS, rng)))


# --- scenes of several people ----------------------------------------------------------------------------------------


def _motions(bodies: list[Body], n_frames: int, fps: float, rng: np.random.Generator) -> list[np.ndarray]:
    """What the people of a scene do: the farthest anything, at least one of the others walks across."""
    kinds = [str(rng.choice(("mixed", "walk", "turn", "wave", "reach", "sit", "stand", "cross")))]
    kinds += ["cross"] + [str(rng.choice(("cross", "walk", "mixed"))) for _ in bodies[2:]]
    return [procedural_motion(kind, n_frames, fps, body, rng) for kind, body in zip(kinds, bodies, strict=True)]


def _muco_cast(settings: SyntheticSettings, camera: int, video: int) -> list[tuple[int, int, int]]:
    """(subject, sequence, first frame) of a video's people."""
    rng = _generator(settings, _MUCO_CAST, camera, video)
    n_people = int(rng.integers(2, 5))
    return [(int(s), int(rng.choice(_SEQUENCES)), 0) for s in rng.permutation(list(_SUBJECTS))[:n_people]]


def _muco_metadata(root: Path, settings: SyntheticSettings) -> None:
    cast = [[_muco_cast(settings, camera, v) for v in range(settings.muco_videos)] for camera in range(_N_DETECTED)]
    write_pickle(_made(muco_temp.metadata_path(root)), cast)


def _muco_camera(root: Path, settings: SyntheticSettings, camera: int) -> None:
    """All videos of one camera. People move afresh, with the bodies and the cameras of the recordings named."""
    annotations = []
    for video in range(settings.muco_videos):
        rng = _generator(settings, _MUCO, camera, video)
        cast = _muco_cast(settings, camera, video)
        motions = _motions([_subject(settings, s) for s, _, _ in cast], settings.muco_frames, _MUCO_FPS, rng)
        sources = [_studio(settings, subject, sequence)[camera] for subject, sequence, _ in cast]
        views = [View(source.camera, sources[0].rotation, sources[0].position) for source in sources]
        scene = compose_scene(motions, views[0], rng)
        seen = stacked(render_scene(scene, views, _MUCO_FPS, rng))
        annotations.append(muco_annotations(seen))
        content = {"poses": seen["detection"], "is_valid": seen["detected"]}
        write_pickle(_made(muco_temp.detections_path(root, camera, video)), content, sync=False)
    write_pickle(_made(muco_temp.annotations_path(root, camera)), annotations)


def _mupots_view(number: int, n_frames: int, fps: float, rng: np.random.Generator) -> View:
    """Square pictures for TS1 to TS5, wide ones of several focal lengths for the others, every third hand-held."""
    if number <= 5:
        camera = Camera(1500.0, 1500.0, 1024.0, 1034.0, 2048, 2048)
    else:
        fx = rng.uniform(1100, 1650)
        camera = Camera(fx, fx * rng.normal(1, 0.001), *rng.normal([960, 540], 8).tolist(), width=1920, height=1080)
    view = look_at(camera, np.array([0, rng.uniform(1000, 2000), 0]), np.array([0, 950.0, 4300]), rng.normal(0, 0.015))
    return view.hand_held(n_frames, fps, rng) if number % 3 == 0 else view


def _mupots_sequence(root: Path, settings: SyntheticSettings, number: int) -> None:
    rng = _generator(settings, _MUPOTS, number)
    n_frames, fps = settings.mupots_frames, 30 if number <= 5 else 60
    view = _mupots_view(number, n_frames, fps, rng)
    bodies = [random_body(rng) for _ in range(2 + number % 3)]
    scene = compose_scene(_motions(bodies, n_frames, fps, rng), view, rng)
    people = render_scene(scene, view, fps, rng)
    write_mupots_sequence(root, number, stacked([people[i] for i in rng.permutation(len(scene))]))
