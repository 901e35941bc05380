"""People of a stream in 3D, frame by frame: online tracking, causal lifting, refinement with a fixed lag.

`LiveStream` takes a frame's detections and gives everybody's pose of the frame `lag` frames earlier, from nothing that
came later; `people` is the whole recording. Frames that did not come (dropped ones) lie between those before and after,
and count as inferred. What `predict` takes from the whole video is learnt on the way, at times that double: what the
detector's scores mean and where up is.
"""

from __future__ import annotations

import dataclasses
import math
from bisect import bisect_right
from collections.abc import Sequence
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
from pose.joint_sets import COCO_19, MUPOTS_17
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
    """One person in one frame: pose (17, 3) mm in camera coordinates, observed (17,), and keypoints (19, 3) as
    detected: x px, y px, score."""

    person: int
    pose: Array
    observed: Array
    keypoints: Array


@dataclass(eq=False)
class _Track:
    """Rows of one person from frame `start` on. Keypoints (19, 3) are raw: as detected; repaired: as the refinement
    sees them; whole: as the lifter does. seen: detected, or dropped between two frames that are."""

    label: int
    start: int
    foothold: Foothold | None
    number: int = -1
    raw: list[Array] = field(default_factory=list)
    repaired: list[Array] = field(default_factory=list)
    whole: list[Array] = field(default_factory=list)
    detected: list[bool] = field(default_factory=list)
    seen: list[bool] = field(default_factory=list)
    lifted: list[Array] = field(default_factory=list)
    refined: dict[int, tuple[Array, Array, Array]] = field(default_factory=dict)  # by frame: pose, observed, std
    count: int = 0
    last_detected: int = 0


class LiveStream:
    """People of one camera's stream.

    refinement: with a `lag`, in frames. camera: its intrinsics, fixed. fps: of the stream's frame numbers. hidden_s:
    how long somebody out of sight is followed. up (3,): where up is in camera coordinates, None to find it. calibrate:
    scores, as `predict`. frames: the numbers of all that came. world: up and floor, as far as they are known.

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
        self.lag, self.frames = int(refinement.lag or 0), list[int]()
        self.world = World.fit(np.zeros((0, len(MUPOTS_17), 3)))
        self._follow, self._hidden, self._calibrate = tracks, round(hidden_s * fps), calibrate
        self._up, self._up_given = up, up is not None
        self._calibration, self._learn_at = None, round(fps)
        self._stands = refinement.ground != "off" and lifter.coordinates == "normal"
        self._alive: list[_Track] = []
        self._ended: list[_Track] = []
        self._shown = 0

    def __call__(self, frame: int, found: VideoDetections) -> tuple[int, list[LivePose]]:
        """The newest frame that came `lag` frames ago or more, -1 without one, and everybody's pose in it.

        Frames come in order; numbers that are left out were dropped.
        """
        label = self._follow(frame, found)
        rows = {int(name): row for row, name in enumerate(label) if name >= 0}
        for track in [one for one in self._alive if frame - one.last_detected > self._hidden]:
            self._alive.remove(track)
            self._end(track)
        for name in rows.keys() - {track.label for track in self._alive}:
            self._alive.append(_Track(name, frame, Foothold(self.fps) if self._stands else None))
        keypoints = np.concatenate([found.keypoints_2d, found.confidence[..., None]], axis=2).astype(np.float32)
        nothing = np.zeros((len(COCO_19), 3), np.float32)
        for track in self._alive:
            self._append(track, frame, keypoints[rows[track.label]] if track.label in rows else nothing)
        self._lift()
        self.frames.append(frame)
        if frame - self.frames[0] >= self._learn_at and self._learn():
            self._learn_at = 2 * (frame - self.frames[0])
        due = self.frames[at - 1] if (at := bisect_right(self.frames, frame - self.lag)) else -1
        return due, [pose for track in self._alive if (pose := self._refined(track, due)) is not None]

    def people(self) -> list[PoseSequence]:
        """Everybody of the stream, which ends here, the longest seen first: as `predict` gives them."""
        for track in self._alive:
            self._end(track)
        self._alive = []
        order = sorted(self._ended, key=lambda track: (-track.count, track.start))
        return [self._sequence(track, number) for number, track in enumerate(order)]

    def recent_poses(self) -> tuple[Array, Array]:
        """Poses (N, 17, 3) mm and observed (N, 17) of the last LEARN_S of those who are there."""
        recent = round(LEARN_S * self.fps)
        found = [one for track in self._alive for one in list(track.refined.values())[-recent:]]
        empty = np.zeros((0, len(MUPOTS_17), 3)), np.zeros((0, len(MUPOTS_17)), bool)
        return (np.stack([one[0] for one in found]), np.stack([one[1] for one in found])) if found else empty

    # --- rows ---

    def _append(self, track: _Track, frame: int, row: Array) -> None:
        """The row of a frame, and those of dropped ones before it."""
        detected, missed = bool((row[:, 2] > 0).any()), frame - track.start - len(track.raw)
        bridged = detected and missed <= BRIDGE_S * self.fps and bool(track.seen) and track.seen[-1]
        track.raw += [np.zeros_like(row)] * missed + [row]
        track.detected += [False] * missed + [detected]
        track.seen += [bridged] * missed + [detected]
        repaired = whole = row
        if detected:
            track.count, track.last_detected = track.count + 1, frame
            past = slice(-round(SIDES_S * self.fps), None)
            window, _ = without_side_swaps(self._window(track.raw[past], track.detected[past]))
            window = window.selected(slice(-1, None))
            repaired = _newest(window if self._calibration is None else self._calibration(window))
        track.repaired += _bridge(track.repaired, repaired, missed, bridged)
        if detected:
            past = slice(-round(JOINTS_S * self.fps), None)
            whole = _newest(with_all_joints(self._window(track.repaired[past], track.seen[past])))
        track.whole += _bridge(track.whole, whole, missed, bridged)

    def _window(self, rows: Sequence[Array], seen: Sequence[bool], lifted: Sequence[Array] | None = None):
        camera, values = self.camera, torch.from_numpy(np.stack(rows))
        if self._up is not None:
            x, y, z = (-self._up).tolist()
            camera = dataclasses.replace(camera, gravity=(x, y, z))
        return PoseSequence(
            self.source,
            0,
            camera,
            self.fps,
            values[..., :2],
            values[..., 2],
            detected=torch.tensor(seen, dtype=torch.bool),
            poses_3d=None if lifted is None else torch.from_numpy(np.stack(lifted)),
            coordinates=None if lifted is None else self.lifter.coordinates,
        )

    # --- 3D ---

    def _lift(self) -> None:
        """The newest row of everybody, all in one call."""
        rate = self.fps if same_rate(self.fps, self.lifter.fps) else float(self.lifter.fps or self.fps)
        past = slice(-math.ceil((self.lifter.receptive_field - 1) * self.fps / rate) - 1, None)
        windows = [self._window(track.whole[past], track.seen[past]) for track in self._alive]
        if rate != self.fps:  # counted back from the newest frame, which is the one that matters
            windows = [_reversed(at_rate(_reversed(window), rate)) for window in windows]
        poses = lift_newest(self.lifter, windows).numpy() if windows else []
        for track, pose in zip(self._alive, poses, strict=True):
            missed = len(track.raw) - len(track.lifted) - 1
            track.lifted += [*_line(track.lifted[-1], pose, missed), pose] if missed else [pose]

    def _refined(self, track: _Track, frame: int) -> LivePose | None:
        if frame < track.start or not self._is_person(track):
            return None
        for one in (frame,) if track.refined else (track.start, frame):
            if one not in track.refined:
                self._solve(track, one)
        if track.number < 0:
            track.number, self._shown = self._shown, self._shown + 1
        pose, observed, _ = track.refined[frame]
        return LivePose(track.number, pose, observed, track.raw[frame - track.start])

    def _is_person(self, track: _Track) -> bool:
        return track.count >= MIN_FRAMES and track.last_detected - track.start >= MIN_S * self.fps

    def _solve(self, track: _Track, frame: int) -> None:
        """The refined pose of a frame, from HISTORY_S before it to the newest."""
        row = frame - track.start
        past = slice(max(0, row - round(HISTORY_S * self.fps)), None)
        person = Person.of(self._window(track.repaired[past], track.seen[past], track.lifted[past]))
        found = frame_of_stream(self.refinement, person, row - past.start, len(person.poses), track.foothold)
        pose, std = (values[0].astype(np.float32) for values in (found.poses, found.std))  # copies: not whole windows
        track.refined[frame] = pose, found.observed[0] & track.detected[row], std

    def _learn(self) -> bool:
        """What scores mean and where up is, from the last LEARN_S, if anybody was there."""
        poses, observed = self.recent_poses()
        if not len(poses):
            return False
        past = slice(-round(LEARN_S * self.fps), None)
        if self._calibrate:
            raw = [self._window(track.raw[past], track.detected[past]) for track in self._alive]
            self._calibration = fit_scores(raw) or self._calibration
        self.world = World.fit(poses, observed)
        if self._up is not None and self._up_given:
            self.world = World.of(self._up, float(np.percentile((poses @ self._up).min(1), 3)))
        elif self.world.how == "people":
            self._up = self.world.axes[2]
        return True

    # --- the recording ---

    def _end(self, track: _Track) -> None:
        """The frames that are still due, and nothing after the last one in which the person was seen."""
        if self._is_person(track):
            for frame in range(max(track.refined, default=track.start - 1) + 1, track.last_detected + 1):
                self._solve(track, frame)
            self._ended.append(track)

    def _sequence(self, track: _Track, number: int) -> PoseSequence:
        length = track.last_detected - track.start + 1
        rows, known = np.arange(length), np.array(sorted(track.refined)) - track.start
        poses, observed, std = (
            np.stack([track.refined[row + track.start][part] for row in known.tolist()]) for part in range(3)
        )
        after = np.searchsorted(known, rows).clip(0, len(known) - 1)
        exact = known[after] == rows
        before = np.where(exact, after, np.maximum(after - 1, 0))
        part = ((rows - known[before]) / np.maximum(known[after] - known[before], 1))[:, None, None]
        own = slice(length)
        return dataclasses.replace(
            self._window(track.raw[own], track.detected[own], track.lifted[own]),
            person=number,
            camera=self.camera,
            frame=torch.arange(length) + track.start,
            poses_3d=torch.from_numpy((1 - part) * poses[before] + part * poses[after]).float(),
            lifted_3d=torch.from_numpy(np.stack(track.lifted[own])).float(),
            observed=torch.from_numpy(exact[:, None] & observed[after]),
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


def _newest(window: PoseSequence) -> Array:
    """The last row, (19, 3)."""
    return torch.cat([window.keypoints_2d[-1], window.confidence[-1, :, None]], dim=-1).numpy()


def _line(start: Array, end: Array, steps: int) -> list[Array]:
    """So many arrays on the way between two."""
    return [start + (end - start) * ((step + 1) / (steps + 1)) for step in range(steps)]


def _bridge(rows: list[Array], new: Array, missed: int, bridged: bool) -> list[Array]:
    """The rows of `missed` frames, where bridged between the last and the new one, of the joints and with the scores
    that both have, else empty; and the new one."""
    if not bridged or not missed:
        return [np.zeros_like(new)] * missed + [new]
    lower = np.minimum(rows[-1][:, 2], new[:, 2])
    between = [np.where(lower[:, None] > 0, row, 0) for row in _line(rows[-1], new, missed)]
    for row in between:
        row[:, 2] = lower
    return [*between, new]
