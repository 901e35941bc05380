"""People of a stream in 3D, frame by frame: online tracking, causal lifting, refinement with a fixed lag.

`LiveStream` takes a frame's detections and gives everybody's pose of the frame `lag` frames earlier, from nothing that
came later; `people` is the whole recording. Frames that nobody looked at (dropped ones) get what lies between those
before and after: their poses count as inferred. What `predict` takes from the whole video is learnt on the way, at times
that double: what the detector's scores mean and where up is.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from data.keypoints.detections import VideoDetections
from inference.missing_joints import with_all_joints
from inference.resampling import TIME_LAPSE_FPS, at_rate, same_rate
from inference.score_calibration import fit_scores
from inference.tracking.online import LiveTracks
from inference.tracking.side_swaps import without_side_swaps
from lightning_modules.prediction import lift_newest
from pose.cameras import Camera
from pose.errors import ConfigError
from pose.joint_sets import MUPOTS_17
from pose.level import World
from pose.sequence import PoseSequence
from refinement.occlusion.fixed_lag import HISTORY_S, frame_of_stream
from refinement.occlusion.foothold import Foothold
from refinement.occlusion.person import Person

if TYPE_CHECKING:
    from lightning_modules.lifter import Lifter
    from refinement.occlusion.model import OcclusionRefinement

Array = np.ndarray

#: Of the past, for exchanged sides and for the places of missing joints; scores and up are learnt from so much.
SIDES_S, JOINTS_S, LEARN_S = 2.0, 1.0, 32.0
#: Dropped frames are bridged up to here: a longer stall counts as out of sight.
BRIDGE_S = 0.5
#: Who was seen in fewer frames or for a shorter time is noise.
MIN_FRAMES, MIN_S = 3, 0.25


@dataclass(frozen=True, eq=False)
class LivePose:
    """One person in one frame: pose (17, 3) mm, camera coordinates; observed (17,); keypoints_2d (19, 2) px and
    confidence (19,) as detected."""

    person: int
    pose: Array
    observed: Array
    keypoints_2d: Array
    confidence: Array


@dataclass
class _Track:
    """Rows of one person from frame `start` on: as detected; as lifter and refinement see them; lifted; refined."""

    label: int
    start: int
    least: float  # frames that a person is seen
    foothold: Foothold | None
    number: int = -1
    keypoints: list[Array] = field(default_factory=list)
    scores: list[Array] = field(default_factory=list)
    detected: list[bool] = field(default_factory=list)
    seen: list[bool] = field(default_factory=list)  # detected, or dropped between two that are
    repaired: list[tuple[Array, Array]] = field(default_factory=list)
    whole: list[tuple[Array, Array]] = field(default_factory=list)
    lifted: list[Array] = field(default_factory=list)
    refined: dict[int, tuple[Array, Array, Array]] = field(default_factory=dict)  # by frame: pose, observed, std
    count: int = 0
    last_detected: int = 0

    @property
    def is_person(self) -> bool:
        return self.count >= MIN_FRAMES and self.last_detected - self.start >= self.least


class LiveStream:
    """People of one camera's stream.

    refinement: with a `lag`, in frames. camera: its intrinsics, fixed. fps: of the stream's frame numbers. hidden_s: how
    long somebody out of sight is followed. up (3,): where up is in camera coordinates, None to find it. calibrate:
    scores, as `predict`.

    Raises ConfigError for a lifter that is not causal, a refinement without a lag and less than 5 frames per second.
    """

    def __init__(
        self,
        lifter: Lifter,
        refinement: OcclusionRefinement,
        tracks: LiveTracks,
        camera: Camera,
        fps: float,
        source: str = "stream",
        hidden_s: float = 2.0,
        up: Array | None = None,
        calibrate: bool = True,
    ):
        check_live(lifter, refinement)
        if fps < TIME_LAPSE_FPS:
            raise ConfigError(f"fps={fps:g}: live needs at least {TIME_LAPSE_FPS:g} frames per second")
        self.lifter, self.refinement, self.camera, self.fps, self.source = lifter, refinement, camera, fps, source
        self.lag: int = refinement.lag or 0
        self.world = World.fit(np.zeros((0, len(MUPOTS_17), 3)))
        self._follow, self._hidden, self._calibrate = tracks, round(hidden_s * fps), calibrate
        self._up, self._up_given = up, up is not None
        self._calibration, self._learn_at = None, round(fps)
        self._alive: list[_Track] = []
        self._ended: list[_Track] = []
        self._shown, self._first, self.n_frames = 0, None, 0

    def __call__(self, frame: int, found: VideoDetections) -> list[LivePose]:
        """Everybody's pose in frame `frame` - `lag`. Frames come in order; numbers that are left out were dropped."""
        label = self._follow(frame, found)
        rows = {int(name): row for row, name in enumerate(label) if name >= 0}
        for track in [one for one in self._alive if frame - one.last_detected > self._hidden]:
            self._alive.remove(track)
            self._end(track)
        known = {track.label for track in self._alive}
        for name in rows.keys() - known:
            stands = self.refinement.ground != "off" and self.lifter.coordinates == "normal"
            self._alive.append(_Track(name, frame, MIN_S * self.fps, Foothold(self.fps) if stands else None))
        for track in self._alive:
            row = rows.get(track.label)
            empty = np.zeros((19, 2), np.float32), np.zeros(19, np.float32)
            self._append(track, frame, *(empty if row is None else (found.keypoints_2d[row], found.confidence[row])))
        self._lift(frame)
        self.n_frames = frame + 1
        if self._first is None:
            self._first = frame
        if frame - self._first >= self._learn_at:
            self._learn()
            self._learn_at *= 2
        return [pose for track in self._alive if (pose := self._refined(track, frame - self.lag)) is not None]

    def people(self) -> list[PoseSequence]:
        """Everybody of the stream, which ends here, the longest seen first: as `predict` gives them."""
        for track in self._alive:
            self._end(track)
        self._alive = []
        order = sorted(self._ended, key=lambda track: (-track.count, track.start))
        return [self._sequence(track, number) for number, track in enumerate(order)]

    def recent_poses(self) -> Array:
        """(N, 17, 3) mm: what has been refined of those who are there, LEARN_S at most."""
        recent = round(LEARN_S * self.fps)
        poses = [one[0] for track in self._alive for one in list(track.refined.values())[-recent:]]
        return np.stack(poses) if poses else np.zeros((0, len(MUPOTS_17), 3))

    # --- rows ---

    def _append(self, track: _Track, frame: int, keypoints: Array, scores: Array) -> None:
        """The row of a frame, and those of dropped ones before it."""
        detected = bool((scores > 0).any())
        missed = frame - track.start - len(track.keypoints)
        bridged = detected and missed <= BRIDGE_S * self.fps and bool(track.seen) and track.seen[-1]
        for _ in range(missed):
            track.keypoints.append(np.zeros_like(keypoints))
            track.scores.append(np.zeros_like(scores))
        track.keypoints.append(keypoints)
        track.scores.append(scores)
        track.detected += [False] * missed + [detected]
        track.seen += [bridged] * missed + [detected]
        if detected:
            track.count, track.last_detected = track.count + 1, frame
        repaired = keypoints, scores
        if detected:
            sides = round(SIDES_S * self.fps)
            window = self._window(track.keypoints[-sides:], track.scores[-sides:], track.detected[-sides:])
            window, _ = without_side_swaps(window)
            if self._calibration is not None:
                window = self._calibration(window.selected(slice(-1, None)))
            repaired = window.keypoints_2d[-1].numpy(), window.confidence[-1].numpy()
        track.repaired += _between(track.repaired[-1:], repaired, missed, bridged)
        whole = repaired
        if detected:
            near = round(JOINTS_S * self.fps)
            points, values = zip(*track.repaired[-near:], strict=True)
            window = with_all_joints(self._window(points, values, track.seen[-near:]))
            whole = window.keypoints_2d[-1].numpy(), window.confidence[-1].numpy()
        track.whole += _between(track.whole[-1:], whole, missed, bridged)

    def _window(self, keypoints, scores, detected, lifted=None) -> PoseSequence:
        return PoseSequence(
            self.source,
            0,
            self._camera(),
            self.fps,
            torch.from_numpy(np.stack(keypoints)).float(),
            torch.from_numpy(np.stack(scores)).float(),
            detected=torch.tensor(detected, dtype=torch.bool),
            poses_3d=None if lifted is None else torch.from_numpy(np.stack(lifted)),
            coordinates=None if lifted is None else self.lifter.coordinates,
        )

    def _camera(self) -> Camera:
        if self._up is None:
            return self.camera
        x, y, z = (-self._up).tolist()
        return dataclasses.replace(self.camera, gravity=(x, y, z))

    # --- 3D ---

    def _lift(self, frame: int) -> None:
        """The newest row of everybody, all in one call."""
        rate = self.fps if same_rate(self.fps, self.lifter.fps) else float(self.lifter.fps or self.fps)
        reach = math.ceil((self.lifter.receptive_field - 1) * self.fps / rate) + 1
        windows = []
        for track in self._alive:
            points, scores = zip(*track.whole[-reach:], strict=True)
            window = self._window(points, scores, track.seen[-reach:])
            # Counted back from the newest frame, which is the one that matters.
            windows.append(window if rate == self.fps else _reversed(at_rate(_reversed(window), rate)))
        if not windows:
            return
        for track, pose in zip(self._alive, lift_newest(self.lifter, windows).numpy(), strict=True):
            missed = frame - track.start - len(track.lifted)
            for step in range(1, missed + 1):
                part = step / (missed + 1)
                track.lifted.append((1 - part) * track.lifted[-1] + part * pose)
            track.lifted.append(pose)

    def _refined(self, track: _Track, frame: int) -> LivePose | None:
        if frame < track.start or not track.is_person:
            return None
        if not track.refined and frame > track.start:
            self._solve(track, track.start)
        pose, observed, _ = self._solve(track, frame)
        if track.number < 0:
            track.number, self._shown = self._shown, self._shown + 1
        row = frame - track.start
        return LivePose(track.number, pose, observed, track.keypoints[row], track.scores[row])

    def _solve(self, track: _Track, frame: int) -> tuple[Array, Array, Array]:
        row = frame - track.start
        first = max(0, row - round(HISTORY_S * self.fps))
        rows = slice(first, row + self.lag + 1)
        points, scores = zip(*track.repaired[rows], strict=True)
        window = Person.of(self._window(points, scores, track.seen[rows], track.lifted[rows]))
        found = frame_of_stream(self.refinement, window, row - first, self.lag, track.foothold)
        track.refined[frame] = found.poses[0], found.observed[0] & track.detected[row], found.std[0]
        return track.refined[frame]

    def _learn(self) -> None:
        """What scores mean and where up is, from the last LEARN_S."""
        recent = round(LEARN_S * self.fps)
        tracks = [track for track in self._alive if track.is_person]
        if self._calibrate:
            raw = [self._window(t.keypoints[-recent:], t.scores[-recent:], t.detected[-recent:]) for t in tracks]
            self._calibration = fit_scores(raw) or self._calibration
        found = [one for track in tracks for one in list(track.refined.values())[-recent:]]
        if found:
            poses, observed, _ = (np.stack(values) for values in zip(*found, strict=True))
            self.world = World.fit(poses, observed)
            if self._up_given:
                self.world = World.of(self._up, float(np.percentile((poses @ self._up).min(1), 3)))
            elif self.world.how == "people":
                self._up = self.world.axes[2]

    # --- the recording ---

    def _end(self, track: _Track) -> None:
        """The frames that are still due, and nothing after the last one in which the person was seen."""
        last = track.last_detected
        if not track.is_person:
            return
        for frame in range(max(track.refined, default=track.start - 1) + 1, last + 1):
            self._solve(track, frame)
        self._ended.append(track)

    def _sequence(self, track: _Track, number: int) -> PoseSequence:
        length = track.last_detected - track.start + 1
        frames = np.array(sorted(track.refined)) - track.start
        poses, observed, std = (np.stack(v) for v in zip(*(track.refined[f + track.start] for f in frames), strict=True))
        rows = np.arange(length)
        after = np.searchsorted(frames, rows).clip(0, len(frames) - 1)
        before = np.where(frames[after] == rows, after, np.maximum(after - 1, 0))
        part = ((rows - frames[before]) / np.maximum(frames[after] - frames[before], 1))[:, None, None]
        known = torch.from_numpy((frames[after] == rows)[:, None] & observed[after])
        return dataclasses.replace(
            self._window(
                track.keypoints[:length], track.scores[:length], track.detected[:length], track.lifted[:length]
            ),
            person=number,
            camera=self.camera,
            frame=torch.arange(length) + track.start,
            poses_3d=torch.from_numpy((1 - part) * poses[before] + part * poses[after]).float(),
            lifted_3d=torch.from_numpy(np.stack(track.lifted[:length])).float(),
            observed=known,
            std_mm=torch.from_numpy(np.maximum(std[before], std[after])).float(),
        )


def check_live(lifter: Lifter, refinement: OcclusionRefinement) -> None:
    """ConfigError for parts that look at frames which a stream does not have yet."""
    if not lifter.causal or lifter.normalises_over_time:
        raise ConfigError(
            "checkpoint: this lifter looks at later frames; live needs a causal one, builtin:mocap_normal_causal or "
            "your own trained with model.network.causal=true"
        )
    if refinement.name != "occlusion" or refinement.lag is None:
        raise ConfigError(
            f"refinement={refinement.name}: live needs refinement=occlusion with refinement.lag=FRAMES, such as 15"
        )


def _reversed(sequence: PoseSequence) -> PoseSequence:
    return sequence.selected(torch.arange(len(sequence) - 1, -1, -1))


def _between(
    last: list[tuple[Array, Array]], new: tuple[Array, Array], missed: int, bridged: bool
) -> list[tuple[Array, Array]]:
    """The rows of `missed` frames, between two where bridged (joints that both have), else empty; and the new one."""
    rows = []
    for step in range(1, missed + 1):
        if not bridged:
            rows.append((np.zeros_like(new[0]), np.zeros_like(new[1])))
            continue
        part, (points, scores) = step / (missed + 1), last[0]
        lower = np.minimum(scores, new[1])
        rows.append((((1 - part) * points + part * new[0]) * (lower > 0)[:, None], lower))
    return [*rows, new]
