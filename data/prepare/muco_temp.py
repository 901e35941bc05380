"""Steps that make MuCo-Temp out of a prepared MPI-INF-3DHP: clips and annotations, composed frames, detections.

Everything follows from the seed and from MPI-INF-3DHP. The clips of a video depend only on the seed, the camera, the
video, the settings of the choice and the annotations, so cameras can be made apart, in any order and on several
machines. Frames are composed in chunks: a chunk is what an interruption loses.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from functools import partial
from pathlib import Path

from data.prepare import muco_video as work
from data.prepare.detections import THRESHOLD_PX, Detector
from data.prepare.mpi_inf_3dhp_testset import check_detection_options
from data.prepare.muco_clips import Clip, annotations_path, recordings_of
from data.prepare.muco_composition import CHAIR_MASKS, FRAMES, PERSON_MASKS, source_path
from data.prepare.muco_detections import HIDDEN_SCORE, MOST_HIDDEN
from data.prepare.muco_layout import MucoFiles
from data.prepare.muco_video import Choice, Look, Video
from data.prepare.sources import Shortfalls
from data.prepare.steps import Step
from data.sets.mpi_inf_3dhp import CAMERAS, IMAGE_SIZE, SUBJECTS, calibration_path
from data.sets.muco_temp import VIDEOS
from data.sets.reader import check_numbers
from pose.errors import ConfigError

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
    (hrnet/hrnet_{c}.pkl of MPI-INF-3DHP) with the joints that somebody nearer hides as missed, judged by the masks
    where `images`, else by capsules. MucoTemp/generated.json says which, and all settings.

    Raises ConfigError for values out of range, and DataError that lists what MPI-INF-3DHP lacks. The steps raise
    DataError for files that are unusable, and for single images that are missing.
    """
    subjects = check_numbers("subjects", subjects, SUBJECTS)
    choice = Choice(seed, videos, frames, _checked_people(tuple(people), len(subjects)), subjects)
    look = Look(image_size, float(blur_sigma), jpeg_quality)
    _check(choice, look, chunk)
    check_detection_options(detector, keypoints)
    if detector is not None and not images:
        raise ConfigError("images=false leaves the detector nothing to look at; set images=true or give no detector")
    files, numbers = MucoFiles(Path(root)), check_numbers("cameras", cameras, CAMERAS)
    chunks = [(start, min(start + chunk, frames)) for start in range(0, frames, chunk)]
    folder = None if keypoints is None else Path(keypoints)
    _check_prepared(files.mpi, subjects, numbers, images, detections=detector is None and folder is None)

    steps = [_clips_step(files, choice, camera) for camera in numbers]
    steps.append(_metadata_step(files, numbers))
    for camera in numbers:
        for number in range(videos):
            video = Video(files, look, camera, number, frames)
            if images:
                steps += [_composition_step(video, *span) for span in chunks]
            if detector is not None:
                steps += [_detector_step(video, detector, *span) for span in chunks]
                steps.append(_matching_step(video, detector, chunks))
            elif folder is not None:
                steps.append(_keypoints_step(video, folder / f"cam_{camera}" / f"vid_{number}.json"))
            else:
                steps.append(_hiding_step(video, by_masks=images))
    detections = _origin(detector, folder, images)
    settings = {**asdict(choice), **asdict(look), "cameras": numbers, "images": images, "detections": detections}
    return [*steps, _description_step(files, settings, steps)]


def _check(choice: Choice, look: Look, chunk: int) -> None:
    for key, value, least, most in (
        ("seed", choice.seed, 0, 2**63),
        ("videos", choice.videos, 1, len(VIDEOS)),
        ("frames", choice.frames, 2, MOST_FRAMES),
        ("image_size", look.image_size, 16, 8192),
        ("jpeg_quality", look.jpeg_quality, 1, 100),
        ("chunk", chunk, 1, MOST_FRAMES),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ConfigError(f"{key}={value!r}: must be a whole number from {least} to {most}")
    if not 0 <= look.blur_sigma <= 100:
        raise ConfigError(f"blur_sigma={look.blur_sigma}: must be from 0 to 100 px")


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
    for recording in sorted({recording for camera in cameras for recording in recordings_of(subjects, camera)}):
        annotations = annotations_path(mpi, recording)
        for path in (annotations, calibration_path(mpi, *recording)):
            if not path.is_file():
                lacks.add("S{}/Seq{}".format(*recording), path.name, "annotations")
        for camera in cameras:
            if recording not in recordings_of(subjects, camera):
                continue
            found = annotations.parent / "hrnet" / f"hrnet_{camera:02d}.pkl"
            if detections and not found.is_file():
                lacks.add(
                    "S{}/Seq{}/hrnet".format(*recording), found.name, "detections; or give a detector or keypoints"
                )
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


def _found_name(video: Video, start: int, stop: int) -> str:
    return f"{_video_name(video)}: detector on {start} to {stop - 1}"


def _scene_files(video: Video) -> tuple[Path, Path]:
    return video.files.clips(video.camera), video.files.annotations(video.camera)


def _clips_step(files: MucoFiles, choice: Choice, camera: int) -> Step:
    return Step(
        _clips_name(camera),
        (files.clips(camera), files.annotations(camera)),
        partial(work.choose_and_annotate, files, choice, camera),
        asdict(choice),
        inputs=tuple(annotations_path(files.mpi, recording) for recording in recordings_of(choice.subjects, camera)),
    )


def _metadata_step(files: MucoFiles, cameras: tuple[int, ...]) -> Step:
    return Step(
        "muco_temp: metadata",
        (files.metadata,),
        partial(work.write_metadata, files, cameras),
        {"cameras": cameras},
        inputs=tuple(files.clips(camera) for camera in cameras),
        after=tuple(_clips_name(camera) for camera in cameras),
    )


def _composition_step(video: Video, start: int, stop: int) -> Step:
    return Step(
        _frames_name(video, start, stop),
        video.images(start, stop),
        partial(work.compose_frames, video, start, stop),
        asdict(video.look),
        inputs=_scene_files(video),
        after=(_clips_name(video.camera),),
    )


def _detector_step(video: Video, detector: Detector, start: int, stop: int) -> Step:
    return Step(
        _found_name(video, start, stop),
        (video.found(start),),
        partial(work.detect_frames, video, detector, start, stop),
        {"detector": detector.name},
        inputs=tuple(video.images(start, stop)),
        after=(_frames_name(video, start, stop),),
    )


def _matching_step(video: Video, detector: Detector, chunks: list[tuple[int, int]]) -> Step:
    starts = [start for start, _ in chunks]
    return Step(
        f"{_video_name(video)}: detections",
        (video.detections,),
        partial(work.match_found, video, starts),
        {"detector": detector.name, "threshold_px": THRESHOLD_PX},
        inputs=(*_scene_files(video), *(video.found(start) for start in starts)),
        after=tuple(_found_name(video, *span) for span in chunks),
    )


def _keypoints_step(video: Video, path: Path) -> Step:
    return Step(
        f"{_video_name(video)}: detections",
        (video.detections,),
        partial(work.match_keypoints, video, path),
        {"keypoints": str(path), "threshold_px": THRESHOLD_PX},
        inputs=(*_scene_files(video), path),
        after=(_clips_name(video.camera),),
    )


def _hiding_step(video: Video, by_masks: bool) -> Step:
    return Step(
        f"{_video_name(video)}: detections",
        (video.detections,),
        partial(work.hide_in_clips, video, by_masks),
        {"hidden_by": "masks" if by_masks else "capsules", "score": HIDDEN_SCORE, "most_hidden": MOST_HIDDEN},
        inputs=_scene_files(video),
        after=(_clips_name(video.camera),),
    )


def _description_step(files: MucoFiles, settings: dict, steps: list[Step]) -> Step:
    return Step(
        "muco_temp: description",
        (files.description,),
        partial(work.write_description, files.description, settings),
        settings,
        after=tuple(step.name for step in steps),
    )
