"""A live session: from each frame of a source to the page, what was seen on record, and how fast it went."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data.keypoints.detections import VideoDetections
from fileio.arrays import write_npz
from inference.live.server import LivePage
from inference.live.sources import Newest, Source, StreamFrame
from inference.live.stream import LivePose, LiveStream
from inference.render.drawing import colour_of
from inference.render.page import surroundings
from pose.joint_sets import COCO_17
from pose.sequence import PoseSequence


@dataclass(frozen=True)
class LiveFigures:
    """frames_per_s: taken, over the whole session. lag_s: from when a frame was there until its refined poses were, of
    the median and of 95 % of the frames. taken, dropped: numbers of frames; taken in time order as they came."""

    frames_per_s: float
    lag_s: float
    lag_95_s: float
    taken: int
    dropped: int

    def __str__(self) -> str:
        return (
            f"{self.frames_per_s:.1f} frames/s, lag {self.lag_s:.2f} s (95 %: {self.lag_95_s:.2f} s), "
            f"{self.dropped} of {self.taken + self.dropped} frames dropped"
        )


class Session:
    """Sends the frames of `source` through `stream` to `page`, if any. Each call is one frame."""

    def __init__(self, source: Source, stream: LiveStream, page: LivePage | None):
        self.source, self.stream, self.page = source, stream, page
        self._rows: list[tuple[int, VideoDetections]] = []
        self._lags: list[float] = []
        self._times: list[float] = []
        self._world: Any = None
        self.dropped = 0

    def __call__(self, frame: StreamFrame) -> None:
        found = self.source.detections(frame.content)
        self._rows.append((frame.number, found))
        shown, poses = self.stream(frame.number, found)
        now = time.monotonic()
        self._times.append(now)
        if shown < 0:
            return
        self._lags.append(now - frame.arrived + (frame.number - shown) / self.stream.fps)
        if self.page is not None:
            self._show(self.page, shown, poses)

    def figures(self) -> LiveFigures:
        """How it has gone so far."""
        lags = np.array(self._lags or [0.0])
        passed = self._times[-1] - self._times[0] if len(self._times) > 1 else 0.0
        rate = (len(self._times) - 1) / passed if passed > 0 else 0.0
        return LiveFigures(rate, float(np.median(lags)), float(np.percentile(lags, 95)), len(self._times), self.dropped)

    def notes(self, people: list[PoseSequence]) -> list[str]:
        """What a user must know of the recorded people, one sentence each."""
        found = [
            f"Live: poses of the moment, from at most {self.stream.lag} later frames by a causal lifter; predict "
            "input=keypoints.npz looks at the whole recording."
        ]
        missed = [int((~torch.isin(one.frame, torch.tensor(self.stream.frames))).sum()) for one in people]
        if any(missed):
            found.append(
                f"Live: {sum(missed)} of {sum(map(len, people))} poses lie in dropped frames, between those before and "
                "after, and count as inferred; keypoints.npz lacks these frames."
            )
        return found

    def write_keypoints(self, path: Path) -> None:
        """What was detected, if anybody was, as `predict` reads it (docs/inputs.md, npz)."""
        size, rows = self.source.image_size, [(number, found) for number, found in self._rows if len(found)]
        if not rows:
            return
        every = [found for _, found in rows]
        write_npz(
            path,
            frame=np.concatenate([np.full(len(found), number) for number, found in rows]),
            keypoints=np.concatenate([found.keypoints_2d[:, : len(COCO_17)] for found in every]),
            confidence=np.concatenate([found.confidence[:, : len(COCO_17)] for found in every]),
            box_score=np.concatenate([found.box_score for found in every]),
            identity=np.concatenate([np.full(len(one), -1) if one.identity is None else one.identity for one in every]),
            joint_set=np.array(COCO_17.name),
            fps=np.array(self.stream.fps),
            n_frames=np.array(self._rows[-1][0] + 1),
            **({} if size is None else {"image_size": np.array(size)}),
        )

    def _show(self, page: LivePage, number: int, poses: list[LivePose]) -> None:
        stream = self.stream
        if stream.world is not self._world:  # learnt anew
            self._world = stream.world
            page.send(
                "scene",
                {
                    "source": self.source.name,
                    "fps": stream.fps,
                    "lag_s": stream.lag / stream.fps,
                    **surroundings(stream.camera, stream.world, stream.recent_poses()[0]),
                },
            )
        recent = slice(-max(2, round(2 * stream.fps)), None)
        times = self._times[recent]
        page.send(
            "frame",
            {
                "number": number,
                "lag_s": round(float(np.median(self._lags[recent])), 3),
                "rate": round((len(times) - 1) / max(times[-1] - times[0], 1e-6), 1),
                "dropped": self.dropped,
                "people": [
                    {
                        "number": one.person,
                        "colour": colour_of(one.person),
                        "pose": np.nan_to_num(one.pose).round().astype(int).ravel().tolist(),
                        "observed": np.packbits(one.observed, bitorder="little").tolist(),
                        "keypoints_2d": one.keypoints[:, :2].round().astype(int).ravel().tolist(),
                        "confidence": (255 * one.keypoints[:, 2]).round().astype(int).tolist(),
                    }
                    for one in poses
                ],
            },
        )


def run(frames: Newest, session: Session, tell: Callable[[LiveFigures], None], every_s: float) -> None:
    """All frames through the session. tell: called with its figures every so many seconds."""
    told = time.monotonic()
    for frame in frames:
        session.dropped = frames.dropped
        session(frame)
        if time.monotonic() - told >= every_s:
            told = time.monotonic()
            tell(session.figures())


def warm_up(stream: LiveStream) -> None:
    """Some frames of nobody real through a stream that is not used afterwards: what loads at its first use does so
    before anybody waits for it."""
    rng = np.random.default_rng(0)
    body = rng.uniform(100, 300, (19, 2))
    for frame in range(stream.lag + round(stream.fps / 2) + 2):
        points = (body + rng.normal(0, 1, (1, 19, 2))).astype(np.float32)
        scores = np.full((1, 19), 0.9, np.float32)
        one = VideoDetections(np.zeros(1, int), points, scores, scores[:, 0], 1, identity=np.zeros(1, int))
        stream(frame, one)
