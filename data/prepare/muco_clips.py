"""Which single-person clips of MPI-INF-3DHP make a MuCo-Temp video, and what is annotated in them.

People of one video are different subjects filmed by cameras of the same number, so their camera coordinates can be
taken as one scene. The clips are drawn so that people rarely stand inside each other and, where possible, pass in
front of each other: that is what the set is for.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.sets.mpi_inf_3dhp import (
    BEHIND_CAMERA,
    BEHIND_CAMERA_NUMBER,
    FILMED_AT_50_FPS,
    SEQUENCES,
    read_annotations,
    recording_folder,
)
from pose.errors import DataError
from pose.joint_sets import MUPOTS_17

logger = logging.getLogger(__name__)

#: Hips nearer than this, mm, mean that two people stand inside each other.
TOO_CLOSE = 500.0
#: A video in which that happens in a larger part of the frames is reported.
MANY_TOO_CLOSE = 0.1

#: Clips that are tried for a person of a video, the best being taken, and how often each person is tried again.
_CANDIDATES, _ROUNDS = 100, 3
#: A clip that crosses no other is as bad as one that is too close to another in this part of its frames.
_NO_CROSSING = 0.05
#: Frames at which a clip is judged, spread evenly.
_JUDGED_FRAMES = 400

_HIP = MUPOTS_17.index("hip")
_FIELDS = ("annot2", "annot3", "univ_annot3")

Recording = tuple[int, int]  # (subject, sequence)


def frame_step(recording: Recording) -> int:
    """Raw frames of a recording between two frames of a video at 25 fps."""
    return 2 if recording in FILMED_AT_50_FPS else 1


@dataclass(frozen=True)
class Clip:
    """A part of the recording (subject, sequence) from raw frame `first_frame`, 0-based."""

    subject: int
    sequence: int
    first_frame: int

    @property
    def recording(self) -> Recording:
        return self.subject, self.sequence

    def raw_frames(self, start: int, stop: int) -> range:
        """Raw frame numbers of frames start..stop-1 of the video at 25 fps."""
        step = frame_step(self.recording)
        return range(self.first_frame + start * step, self.first_frame + stop * step, step)


def recordings_of(subjects: Sequence[int], camera: int) -> list[Recording]:
    """The recordings whose people that camera films properly."""
    unusable = BEHIND_CAMERA if camera == BEHIND_CAMERA_NUMBER else None
    return [(s, q) for s in sorted(subjects) for q in SEQUENCES if (s, q) != unusable]


def clip_annotations(mpi_root: Path, recording: Recording, camera: int) -> dict[str, np.ndarray]:
    """annot2 (T, 17, 2) px, annot3 and univ_annot3 (T, 17, 3) mm of one camera, at the raw rate, faults repaired."""
    path = recording_folder(mpi_root, *recording) / "annot.mat"
    return {key: read_annotations(path, recording, [camera], key)[camera] for key in _FIELDS}


def composed_annotations(
    annotations: Mapping[Recording, Mapping[str, np.ndarray]], clips: Sequence[Clip], frames: int
) -> dict[str, np.ndarray]:
    """annot2 (F, P, 17, 2), annot3 and univ_annot3 (F, P, 17, 3) of a video's people, as gt.pkl holds them."""
    return {
        key: np.stack([annotations[clip.recording][key][clip.raw_frames(0, frames)] for clip in clips], axis=1)
        for key in _FIELDS
    }


def choose_clips(
    hips: Mapping[Recording, np.ndarray], frames: int, people: tuple[int, int], rng: np.random.Generator
) -> list[Clip]:
    """Clips of `frames` frames at 25 fps for one video, of different subjects, in random order of depth.

    hips: (T, 3) mm in camera coordinates of every recording, at its raw rate. people: fewest and most.
    Raises DataError where too few subjects have recordings long enough.
    """
    starts = {recording: len(track) - (frames - 1) * frame_step(recording) for recording, track in hips.items()}
    starts = {recording: count for recording, count in starts.items() if count > 0}
    subjects = sorted({subject for subject, _ in starts})
    if len(subjects) < people[1]:
        raise DataError(
            f"MPI-INF-3DHP: {len(subjects)} subjects have a recording of {frames} frames at 25 fps, {people[1]} are "
            f"needed for {people[1]} people; prepare more subjects, or lower frames or people"
        )
    judged = np.linspace(0, frames - 1, min(frames, _JUDGED_FRAMES)).astype(int)

    def draw(used: set[int]) -> Clip:
        subject = int(rng.choice([s for s in subjects if s not in used]))
        recording = (subject, int(rng.choice([q for s, q in starts if s == subject])))
        return Clip(*recording, int(rng.integers(starts[recording])))

    def track(clip: Clip) -> np.ndarray:
        return hips[clip.recording][clip.first_frame + judged * frame_step(clip.recording)]

    def best(others: Sequence[Clip], known: Sequence[Clip] = ()) -> Clip:
        """The clip that goes best with `others`: one of `known` or of freshly drawn ones."""
        tracks = [track(clip) for clip in others]
        used = {clip.subject for clip in others}
        return min([*known, *(draw(used) for _ in range(_CANDIDATES))], key=lambda c: _faults(track(c), tracks))

    clips = [draw(set())]
    for _ in range(int(rng.integers(people[0], people[1] + 1)) - 1):
        clips.append(best(clips))
    for person in list(range(len(clips))) * _ROUNDS:
        clips[person] = best(clips[:person] + clips[person + 1 :], known=[clips[person]])
    tracks = [track(clip) for clip in clips]
    if (fraction := _fraction_too_close(tracks)) > MANY_TOO_CLOSE:
        logger.warning(
            "%s: people are within %.0f mm of each other in %.0f %% of frames", clips, TOO_CLOSE, 100 * fraction
        )
    return clips


def _faults(track: np.ndarray, others: Sequence[np.ndarray]) -> float:
    """What speaks against a clip with hips at `track` (F, 3) beside `others`."""
    close = np.any([_distance(track, other) < TOO_CLOSE for other in others], axis=0).mean()
    return float(close) + (0.0 if any(_cross(track, other) for other in others) else _NO_CROSSING)


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.linalg.norm(a - b, axis=-1)


def _cross(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether one passes in front of the other: their order from left to right in the image changes."""
    order = np.sign(a[:, 0] / a[:, 2] - b[:, 0] / b[:, 2])
    return bool((order[1:] * order[:-1] < 0).any())


def _fraction_too_close(tracks: Sequence[np.ndarray]) -> float:
    """The part of frames in which any two people are too close."""
    pairs = [_distance(a, b) < TOO_CLOSE for i, a in enumerate(tracks) for b in tracks[:i]]
    return float(np.any(pairs, axis=0).mean())
