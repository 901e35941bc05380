"""From a video or its 2D keypoints to everybody's trajectory in one metric space, in one call.

The stages: detect, or read keypoints; track; find the camera; lift everybody in one call, at the lifter's frame rate;
refine everybody in one call, at the video's; fix the scale. docs/own_videos.md shows how to use it.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data.keypoints import is_keypoints_input, read_detections
from data.keypoints.detections import VideoDetections
from data.keypoints.detector import Detector, detect_video
from inference.cameras.camera import CameraEstimate, CameraSettings, KnownHeights
from inference.cameras.motion import CameraMotion, of_people, of_video
from inference.detectors import load_detector
from inference.lifting import lift_upright
from inference.resampling import TIME_LAPSE_FPS, same_rate, spread
from inference.scene import Scene
from inference.score_calibration import fit_scores
from inference.tracking import GivenTracker, OfflineTracker, Tracker, sequences
from inference.tracking.duplicates import excess, excess_note
from inference.tracking.side_swaps import without_side_swaps
from lightning_modules.checkpoint import load_lifter
from pose.errors import ConfigError, DataError, MismatchError, check_number, check_rate
from pose.level import World
from pose.sequence import PoseSequence
from refinement import OcclusionRefinement
from refinement.refiner import Refiner

if TYPE_CHECKING:
    from fileio.video import VideoInfo
    from lightning_modules.lifter import Lifter

log = logging.getLogger(__name__)

DEFAULT_LIFTER = "builtin:mocap_normal"
#: Where nothing tells the frame rate.
DEFAULT_FPS = 30.0
#: Scales of people that differ by less leave them on one floor.
ALIKE = 0.02


@dataclass(frozen=True, eq=False)
class Prediction:
    """scene: the result. camera: how it was found. stage_seconds: wall time of each stage, in order."""

    scene: Scene
    camera: CameraEstimate
    stage_seconds: dict[str, float]


@dataclass(frozen=True, eq=False)
class Pipeline:
    """Everything that `predict` takes beside its source.

    lifter: a trained one, or what `load_lifter` takes. refinement, tracker: by default the product's. camera: what is
    known of the camera. detector: for videos, its name or the thing itself. fps: frames per second, before what the
    source says. people: keep that many, those seen longest. heights: known statures in mm by person number (longest
    track first), which fix the scale. input_options: further arguments of `read_detections`. video: the one that
    keypoints come from, which tells their rate and frames where they don't.
    scores: calibrated (inference/score_calibration.py) or raw.
    """

    lifter: Lifter | str | Path = DEFAULT_LIFTER
    refinement: Refiner = field(default_factory=OcclusionRefinement)
    tracker: Tracker = field(default_factory=OfflineTracker)
    camera: CameraSettings = field(default_factory=CameraSettings)
    detector: Detector | str | None = None
    fps: float | None = None
    people: int | None = None
    heights: Mapping[int, float] = field(default_factory=dict)
    input_options: Mapping[str, Any] = field(default_factory=dict)
    scores: str = "calibrated"
    video: VideoInfo | None = None

    def __post_init__(self) -> None:
        if self.fps is not None:
            check_rate(self.fps)
        if self.people is not None:
            check_number("people", self.people, low=1, whole=True, hint="or null to keep all")
        if self.scores not in ("calibrated", "raw"):
            raise ConfigError(f"scores={self.scores}: must be calibrated or raw")

    def run(self, source: str | Path | VideoDetections) -> Prediction:
        """See `predict`."""
        clock, notes = _Clock(), []
        heights = KnownHeights(dict(self.heights))
        with clock("lifter"):
            lifter = load_lifter(self.lifter) if isinstance(self.lifter, str | Path) else self.lifter
        if heights.heights and lifter.coordinates != "normal":
            raise ConfigError("heights: fix the size of people, which universal coordinates do not have; use normal")
        with clock("keypoints"):
            detections = self._detections(source, notes)
        fps = self._frame_rate(detections, notes)
        notes += detections.notes
        whole, every = detections, detections.stride
        if every > 1:
            detections, fps = whole.compact(), fps / every
            notes.append(
                f"Frames: people are in one frame of {every} alone, so these count as a video of {fps:.4g} frames per "
                "second; what lies between them is interpolated."
            )
            log.warning("%s: %s", detections.source, notes[-1])
        if detections.identity is not None and not isinstance(self.tracker, GivenTracker):
            notes.append("Identities: those in the file are not used; tracker=given uses them.")
        elif detections.identity is not None and (detections.identity < 0).any():
            unknown = int((detections.identity < 0).sum())
            notes.append(f"Identities: {unknown} of {len(detections)} detections have none and are not used.")
        if isinstance(self.tracker, OfflineTracker) and (beyond := excess(detections)).any():
            notes.append(excess_note(beyond))
        with clock("tracking"):
            tracks = self.tracker(detections)
            seen = self._repaired(sequences(detections, tracks, None, fps, self.people), notes)
        if not seen:
            raise DataError(
                f"{detections.source}: no person was found in {detections.n_frames} frames; check the video and the "
                "detector's scores"
            )
        with clock("camera"):
            size = self.camera.size(detections.image_size, detections.source)
            motion = self._motion(source, whole, seen, fps * every, notes)
            camera = self.camera.resolve(size, seen, bool(motion.moves))
        log.info(camera.note)
        notes.append(camera.note)
        seen = [dataclasses.replace(person, camera=camera.camera) for person in seen]
        if lifter.fps is None:
            notes.append("Rate: the lifter does not tell which rate it was trained at, so nothing was resampled.")
        elif fps < TIME_LAPSE_FPS:
            notes.append(
                f"Rate: {fps:g} frames per second are a time lapse, which does not show how people move between two "
                f"frames: each is lifted by itself, sides and scores are as detected; frames of {TIME_LAPSE_FPS:g} per "
                "second and more are lifted together."
            )
        elif not same_rate(fps, lifter.fps):
            notes.append(
                f"Rate: resampled from {fps:g} to {lifter.fps:g} frames per second for the lifter, which was trained "
                "at that rate, and back."
            )
        with clock("lifting"):
            tilt, roll = self.camera.tilt_deg, self.camera.roll_deg
            lifted = lift_upright(lifter, heights.told(seen), tilt, roll, bool(motion.moves))
        with clock("refinement"):
            refined = (without_floor(self.refinement) if motion.moves else self.refinement)(lifted)
        with clock("result"):
            name = Path(detections.source).name
            first = int(whole.frame[0]) % every
            people = [spread(dataclasses.replace(one, sequence=name), every, first) for one in refined.sequences]
            notes += refined.notes
            ground = next((one for one in refined.ground or () if one is not None), None)
            people, ground = _scaled(people, heights, notes, ground)
        scene = Scene(
            people, fps * every, whole.n_frames, camera.camera, lifter.coordinates, name, notes,
            tilt_deg=self.camera.tilt_deg, roll_deg=self.camera.roll_deg, ground=ground, motion=motion,
        )  # fmt: skip
        clock.log(sum(map(len, people)), len(people))
        return Prediction(scene, camera, clock.seconds)

    def _motion(
        self,
        source: str | Path | VideoDetections,
        found: VideoDetections,
        seen: list[PoseSequence],
        fps: float,
        notes: list[str],
    ) -> CameraMotion:
        """Whether the camera moves: as the video of that rate tells, else the people."""
        rate = seen[0].fps
        told = of_people(seen, rate) if rate >= TIME_LAPSE_FPS else CameraMotion()
        told = dataclasses.replace(told, px_per_frame=told.px_per_frame * rate / fps)
        is_video = not isinstance(source, VideoDetections) and not is_keypoints_input(source)
        path = source if is_video else None if self.video is None else self.video.source
        if path is None or isinstance(path, VideoDetections):
            return told
        from fileio.video import read_video

        try:
            # Keypoints count the frames of their video, whatever its rate.
            frames = (frame.image for frame in read_video(path, self.fps if is_video else fps))
            shown = of_video(frames, found, fps)
        except (ConfigError, DataError) as error:  # OpenCV is missing, or the end of the video
            notes.append(f"Camera: whether it moves was told from the people alone; {error}.")
            return told
        return told if shown.moves is None else shown

    def _repaired(self, seen: list[PoseSequence], notes: list[str]) -> list[PoseSequence]:
        """The tracks with left and right as they are and scores that mean what lifter and refinement take them for."""
        if seen and seen[0].fps < TIME_LAPSE_FPS:
            return seen
        repaired = []
        for person in seen:
            found, swaps = without_side_swaps(person)
            repaired.append(found)
            said = []
            if swaps.exchanged:
                said.append(f"an exchange of left and right was undone in {swaps.exchanged} frames")
            if 3 * swaps.exchanged > len(person):
                said.append("so many that the sides of the whole track may be the wrong way round")
            if swaps.unsure:
                said.append(f"limbs count as not seen in {swaps.unsure} frames in which their sides are not sure")
            if said:
                notes.append(f"Sides of person {person.person}: {'; '.join(said)}.")
        if self.scores == "raw":
            return repaired
        calibration = fit_scores(repaired)
        if calibration is None:
            notes.append("Scores: too few frames to tell what the detector's scores mean; taken as they are.")
            return repaired
        notes.append(f"Scores: calibrated by how much the joints jitter, {calibration}; scores=raw keeps them.")
        return [calibration(person) for person in repaired]

    def _detections(self, source: str | Path | VideoDetections, notes: list[str]) -> VideoDetections:
        if isinstance(source, VideoDetections):
            return source
        path = Path(source)
        if not path.exists():
            raise DataError(f"input={source}: no such file or folder")
        if is_keypoints_input(path):
            return self._read(path, notes)
        if self.input_options:
            raise ConfigError(
                f"input_options.{next(iter(self.input_options))}: only for 2D keypoints, and {path} is a video or "
                "pictures; leave it out"
            )
        return self._detect(path, notes)

    def _read(self, path: Path, notes: list[str]) -> VideoDetections:
        """Keypoints, counted as the frames of `video` where they fit."""
        options = {"fps": self.fps, "image_size": self.camera.image_size, **self.input_options}
        if self.video is None or "n_frames" in options:
            return read_detections(path, **options)
        try:
            return read_detections(path, **options, n_frames=self.video.n_frames)
        except MismatchError as error:
            found = read_detections(path, **options)
            notes.append(f"Frames: numbered as without video=, which does not fit: {error}.")
            return found

    def _detect(self, path: Path, notes: list[str]) -> VideoDetections:
        from fileio.video import probe, read_video

        info = probe(path, self.fps)
        if self.detector is None:
            raise ConfigError(
                f"detector: {path} is a video, and none is given; give detector=rtmpose or detector=mediapipe, or 2D "
                "keypoints as the input"
            )
        if self.camera.image_size not in (None, (info.width, info.height)):
            raise MismatchError(
                f"camera.image_size={list(self.camera.image_size or ())}: {path} has {info.width} x {info.height}; "
                "leave it out for a video"
            )
        detector = load_detector(self.detector) if isinstance(self.detector, str) else self.detector
        notes += info.notes
        frames = (frame.image for frame in read_video(path, self.fps))
        return detect_video(frames, detector, info.fps, source=path.name, total=info.n_frames)

    def _frame_rate(self, detections: VideoDetections, notes: list[str]) -> float:
        fps = self.fps if self.fps is not None else detections.fps
        of_video = None if self.video is None else self.video.fps
        if fps is None and of_video is not None:
            notes.append(f"Rate: {of_video:g} frames per second, as video= has.")
            fps = of_video
        elif fps is not None and self.fps is None and of_video is not None and not same_rate(fps, of_video):
            notes.append(f"Rate: {fps:g} frames per second, as the keypoints say; video= has {of_video:g}.")
        if fps is None:
            notes.append(f"Rate: not known, {DEFAULT_FPS:g} frames per second are assumed; give fps= if it is another.")
            log.warning("%s: %s", detections.source, notes[-1])
            return DEFAULT_FPS
        check_rate(fps)
        return float(fps)


def predict(source: str | Path | VideoDetections, **settings: Any) -> Scene:
    """Everybody's 3D trajectory in a video.

    source: a video file, a folder of images, a file or folder of 2D keypoints (docs/inputs.md), or detections.
    settings: the fields of `Pipeline`, such as lifter="builtin:mocap_normal", fps=30, people=3.

    Raises ConfigError for a setting and DataError for a source that cannot be used, DataError if nobody is found.

    >>> import numpy as np
    >>> step = np.arange(60)[:, None, None]
    >>> walk = np.array([400.0, 500.0]) + 4.0 * step * [1, 0] + np.random.default_rng(0).uniform(-80, 80, (1, 19, 2))
    >>> found = VideoDetections(
    ...     np.arange(60), walk, np.full((60, 19), 0.9), np.full(60, 0.9), 60, fps=30.0, image_size=(1920, 1080)
    ... )
    >>> scene = predict(found, lifter="builtin:mocap_normal", camera=CameraSettings(fx=1500.0))
    >>> person = scene.people[0]
    >>> person.poses_3d.shape, person.observed.shape, person.std_mm.shape  # mm, camera coordinates
    (torch.Size([60, 17, 3]), torch.Size([60, 17]), torch.Size([60, 17]))
    """
    return Pipeline(**settings).run(source).scene


def _scaled(
    people: list[PoseSequence], heights: KnownHeights, notes: list[str], ground: World | None
) -> tuple[list[PoseSequence], World | None]:
    """Everybody at the scale of the known statures: moved along the line of sight, so that the picture stays; and the
    floor, None where two scales leave no common one. What a refinement made of the statures leaves little to do."""
    if not heights.heights:
        return people, ground
    factors = heights.factors(people)
    given = ", ".join(f"{mm:g} mm for person {person}" for person, mm in sorted(heights.heights.items()))
    notes.append(
        f"Scale: fixed by the given stature, {given}; positions were multiplied by "
        + ", ".join(f"{factor:.3f}" for factor in factors[:8])
        + (", ..." if len(factors) > 8 else "")
        + "."
    )
    scaled = [_times(person, factor) for person, factor in zip(people, factors.tolist(), strict=True)]
    if ground is not None:
        alike = np.ptp(factors) < ALIKE
        ground = dataclasses.replace(ground, floor_mm=ground.floor_mm * float(factors.mean())) if alike else None
    return scaled, ground


def _times(person: PoseSequence, factor: float) -> PoseSequence:
    lengths = {key: getattr(person, key) for key in ("poses_3d", "lifted_3d", "std_mm")}
    scaled = {key: value * factor for key, value in lengths.items() if value is not None}
    return dataclasses.replace(person, **scaled)


def without_floor(refinement: Refiner) -> Refiner:
    """The same, without a floor unless one is asked for."""
    if isinstance(refinement, OcclusionRefinement) and refinement.ground == "auto":
        return dataclasses.replace(refinement, ground="off")
    return refinement


class _Clock:
    """Wall time of named stages."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[stage] = time.perf_counter() - start

    def log(self, frames: int, people: int) -> None:
        each = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in self.seconds.items())
        log.info("%d people, %d frames of them: %.1f s (%s)", people, frames, sum(self.seconds.values()), each)
