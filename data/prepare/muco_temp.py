"""Steps that make MuCo-Temp out of a prepared MPI-INF-3DHP: clips and annotations, composed frames, detections.

Everything follows from the seed and from MPI-INF-3DHP. The clips of a video depend only on the seed, the camera, the
video, the settings of the choice and the annotations, so cameras can be made apart, in any order and on several
machines. Frames are composed in chunks: a chunk is what an interruption loses.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from functools import partial
from itertools import product
from pathlib import Path

from data.keypoints.detector import Detector
from data.prepare import muco_video as work
from data.prepare.detections import THRESHOLD_PX, check_detection_options
from data.prepare.muco_clips import Clip, recordings_of
from data.prepare.muco_composition import CHAIR_MASKS, FRAMES, PERSON_MASKS, source_path
from data.prepare.muco_detections import HIDDEN_SCORE, MOST_HIDDEN
from data.prepare.muco_video import Choice, Look, Video, clips_path, mpi_folder, muco_folder
from data.prepare.sources import Shortfalls
from data.prepare.steps import Step
from data.sets.mpi_inf_3dhp import CAMERAS, IMAGE_SIZE, SUBJECTS, detections_path, recording_folder
from data.sets.muco_temp import VIDEOS, annotations_path, metadata_path
from data.sets.reader import check_numbers
from pose.errors import ConfigError, check_number

#: Names of composed frames have four digits.
MOST_FRAMES = 10_000
MOST_PEOPLE = 4


def muco_temp_steps(
    root: Path | str,
    seed: int = 0,
    videos: int = len(VIDEOS),
    frames: int = 2000,
    people: Iterable[int] = (2, MOST_PEOPLE),
    cameras: Iterable[int] = CAMERAS,
    subjects: Iterable[int] = SUBJECTS,
    images: bool = True,
    detector: Detector | None = None,
    keypoints: Path | str | None = None,
    blur_sigma: float = 2.0,
    jpeg_quality: int = 80,
    image_size: int = IMAGE_SIZE,
    chunk: int = 250,
) -> list[Step]:
    """Steps for `run_steps(root, ...)` that read root/Mpi3DHP and write root/MucoTemp as data.sets.muco_temp reads it.

    seed: the same seed gives the same files. videos: of each camera, of `frames` frames at 25 fps. people: the fewest
    and the most of a video. subjects: those of MPI-INF-3DHP that are there. images: compose frames, which needs the
    frames and masks, `image_size` pixels squared. blur_sigma: of the masks' edges, px. chunk: frames of a step.

    Detections: what `detector` finds in the composed frames; or ready ones, `keypoints` being a folder with
    cam_{c}/vid_{v}.json in the format of keypoints_json.py; or, without either, those of the single-person clips
    (hrnet/hrnet_{c}.pkl of MPI-INF-3DHP) with the joints that a nearer person hides as missed, judged by the masks
    where `images`, else by capsules. MucoTemp/generated.json says which, and all settings.

    Raises ConfigError for values out of range, and DataError that lists what MPI-INF-3DHP lacks. The steps raise
    DataError for files that are unusable, and for single images that are missing.
    """
    for key, value, least, most in (
        ("seed", seed, 0, 2**63),
        ("videos", videos, 1, len(VIDEOS)),
        ("frames", frames, 2, MOST_FRAMES),
        ("image_size", image_size, 16, 8192),
        ("jpeg_quality", jpeg_quality, 1, 100),
        ("chunk", chunk, 1, MOST_FRAMES),
    ):
        check_number(key, value, least, most, whole=True)
    check_number("blur_sigma", blur_sigma, 0, 100, hint="px")
    subjects = check_numbers("subjects", subjects, SUBJECTS)
    numbers = check_numbers("cameras", cameras, CAMERAS)
    choice = Choice(seed, videos, frames, _checked_people(tuple(people), len(subjects)), subjects)
    look = Look(image_size, float(blur_sigma), jpeg_quality)
    check_detection_options(detector, keypoints)
    if detector is not None and not images:
        raise ConfigError("images=false leaves the detector nothing to look at; set images=true or give no detector")
    root, folder = Path(root), None if keypoints is None else Path(keypoints)
    _check_prepared(mpi_folder(root), subjects, numbers, images, detections=detector is None and folder is None)

    steps = [_clips_step(root, choice, camera) for camera in numbers]
    steps.append(
        Step(
            "muco_temp: metadata",
            (metadata_path(muco_folder(root)),),
            partial(work.write_metadata, root, numbers),
            {"cameras": numbers},
            inputs=tuple(clips_path(root, camera) for camera in numbers),
            after=tuple(step.name for step in steps),
        )
    )
    chunks = [(start, min(start + chunk, frames)) for start in range(0, frames, chunk)]
    for camera, number in product(numbers, range(videos)):
        video = Video(root, look, camera, number, frames)
        if images:
            steps += [_composition_step(video, *span) for span in chunks]
        steps += _detection_steps(video, chunks, images, detector, folder)
    detections = _origin(detector, folder, images)
    settings = {**asdict(choice), **asdict(look), "cameras": numbers, "images": images, "detections": detections}
    path = muco_folder(root) / "generated.json"
    describe = partial(work.write_description, path, settings)
    return [*steps, Step("muco_temp: description", (path,), describe, settings, after=tuple(s.name for s in steps))]


def _checked_people(people: tuple[int, ...], subjects: int) -> tuple[int, int]:
    most = min(MOST_PEOPLE, subjects)
    whole = all(isinstance(count, int) for count in people)
    if not whole or len(people) != 2 or not 2 <= people[0] <= people[1] <= most:
        raise ConfigError(
            f"people={list(people)}: the fewest and the most people of a video are expected, from 2 to {most} with "
            f"{subjects} subjects, for all people of a video are different subjects"
        )
    return people[0], people[1]


def _check_prepared(
    mpi: Path, subjects: tuple[int, ...], cameras: tuple[int, ...], images: bool, detections: bool
) -> None:
    """DataError listing what is missing of MPI-INF-3DHP; of images only each recording's first is looked for."""
    lacks = Shortfalls("muco_temp", mpi, "MPI-INF-3DHP as experiment=prepare prepare=mpi_inf_3dhp leaves it")
    filmed = {camera: recordings_of(subjects, camera) for camera in cameras}
    for recording in sorted({recording for recordings in filmed.values() for recording in recordings}):
        folder, place = recording_folder(mpi, *recording), "S{}/Seq{}".format(*recording)
        for name in ("annot.mat", "camera.calibration"):
            if not (folder / name).is_file():
                lacks.add(place, name, "annotations")
        for camera in [camera for camera in cameras if recording in filmed[camera]]:
            found = detections_path(folder, camera)
            if detections and not found.is_file():
                lacks.add(f"{place}/hrnet", found.name, "detections; or give a detector or keypoints")
            for kind in (FRAMES, PERSON_MASKS, CHAIR_MASKS) if images else ():
                first = source_path(mpi, kind, Clip(*recording, 0), camera, 0)
                if not first.is_file():
                    lacks.add(str(first.parent.relative_to(mpi)), first.name, "frames and masks, or images=false")
    lacks.check()


def _origin(detector: Detector | None, keypoints: Path | None, images: bool) -> str:
    """For people: where the detections come from."""
    if detector is not None:
        return f"{detector.name} on the composed frames, matched within {THRESHOLD_PX:.0f} px"
    if keypoints is not None:
        return f"given keypoints, matched within {THRESHOLD_PX:.0f} px"
    by = "the masks" if images else "the capsules"
    return (
        f"those of the single-person clips; joints hidden by {by} of nearer people scored {HIDDEN_SCORE} at most, "
        f"people hidden by more than {MOST_HIDDEN:.0%} undetected"
    )


# --- the steps -------------------------------------------------------------------------------------------------------


def _clips_name(camera: int) -> str:
    return f"muco_temp camera {camera}: clips and annotations"


def _video_name(video: Video) -> str:
    return f"muco_temp camera {video.camera}, video {video.number}"


def _frames_name(video: Video, start: int, stop: int) -> str:
    return f"{_video_name(video)}: frames {start} to {stop - 1}"


def _clips_step(root: Path, choice: Choice, camera: int) -> Step:
    recordings = recordings_of(choice.subjects, camera)
    return Step(
        _clips_name(camera),
        (clips_path(root, camera), annotations_path(muco_folder(root), camera)),
        partial(work.choose_and_annotate, root, choice, camera),
        asdict(choice),
        inputs=tuple(recording_folder(mpi_folder(root), *recording) / "annot.mat" for recording in recordings),
    )


def _composition_step(video: Video, start: int, stop: int) -> Step:
    return Step(
        _frames_name(video, start, stop),
        video.images(start, stop),
        partial(work.compose_frames, video, start, stop),
        asdict(video.look),
        inputs=video.scene_files,
        after=(_clips_name(video.camera),),
    )


def _detector_step(video: Video, detector: Detector, start: int, stop: int) -> Step:
    return Step(
        f"{_video_name(video)}: detector on {start} to {stop - 1}",
        (video.found(start),),
        partial(work.detect_frames, video, detector, start, stop),
        {"detector": detector.name},
        inputs=tuple(video.images(start, stop)),
        after=(_frames_name(video, start, stop),),
    )


def _detection_steps(
    video: Video, chunks: list[tuple[int, int]], by_masks: bool, detector: Detector | None, keypoints: Path | None
) -> list[Step]:
    """The steps that end with the video's detections."""
    steps: list[Step] = []
    inputs: tuple[Path, ...] = ()
    if detector is not None:
        steps = [_detector_step(video, detector, *span) for span in chunks]
        inputs = tuple(video.found(start) for start, _ in chunks)
        run = partial(work.match_found, video, inputs)
        settings = {"detector": detector.name, "threshold_px": THRESHOLD_PX}
    elif keypoints is not None:
        path = keypoints / f"cam_{video.camera}" / f"vid_{video.number}.json"
        inputs, run = (path,), partial(work.match_keypoints, video, path)
        settings = {"keypoints": str(path), "threshold_px": THRESHOLD_PX}
    else:
        run = partial(work.hide_in_clips, video, by_masks)
        settings = {"hidden_by": "masks" if by_masks else "capsules", "score": HIDDEN_SCORE, "most_hidden": MOST_HIDDEN}
    after = tuple(step.name for step in steps) or (_clips_name(video.camera),)
    name = f"{_video_name(video)}: detections"
    return [*steps, Step(name, (video.detections,), run, settings, (*video.scene_files, *inputs), after)]
