"""Identities of `tracker=offline` beside those of a naive greedy tracker, on people whose identities are known:

    python -m benchmarks.studies.tracking                # two minutes on one core
    python -m benchmarks.studies.tracking --seeds 2      # seconds
    python -m benchmarks.studies.tracking --tune         # other seeds than those reported: to choose settings on

Scenes: three people for 10 to 20 s at 30 frames per second, made by data/synthetic, rows shuffled in every frame. Where
a person is not found behind another, half of the time this is prolonged to up to 2 s; one detection in a hundred is
missing, and now and then there is a second box of a person or of the halves of two people. `conformance` are the
MuPoTS people of tests/golden.

IDF1: 2 IDTP / (2 IDTP + IDFP + IDFN) under the one-to-one assignment of tracks to people that makes it largest. Switch:
a person's track changes from one detection to the next. Swap: a track's person does, two people in one track.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import linear_sum_assignment

from data.keypoints.detections import VideoDetections
from data.sets.mupots_3d import NUMBERS, MuPoTS3D, image_size
from data.synthetic.bodies import random_body
from data.synthetic.motions import procedural_motion
from data.synthetic.scenes import SeenPerson, View, compose_scene, look_at, render_scene
from inference.tracking import OfflineTracker, Tracker, Tracks
from inference.tracking.appearance import Appearance
from inference.tracking.duplicates import duplicate_boxes
from pose.cameras import Camera
from pose.features import with_derived_joints
from pose.joint_sets import COCO_19, MUPOTS_17

FPS = 30.0
CONFORMANCE = Path(__file__).resolve().parents[2] / "tests" / "golden" / "conformance"
#: The longest full occlusion of a scene, seconds.
LONGEST_S = 2.0
_HIP, _HIP_2D = MUPOTS_17.index("hip"), COCO_19.index("hip")


@dataclass(frozen=True, eq=False)
class Known:
    """Detections with the true person of each row, -1 for second boxes of a person."""

    detections: VideoDetections
    person: np.ndarray


# --- scores ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scores:
    """Counts of one or more videos; `+` adds them up."""

    idtp: int = 0
    idfp: int = 0
    idfn: int = 0
    switches: int = 0
    swaps: int = 0

    def __add__(self, other: Scores) -> Scores:
        return Scores(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))

    @property
    def idf1_pct(self) -> float:
        return 100 * 2 * self.idtp / max(2 * self.idtp + self.idfp + self.idfn, 1)


def score(person: np.ndarray, identity: np.ndarray) -> Scores:
    """Scores of tracks `identity` (N,) for rows of people `person` (N,), both -1 for none; rows in order of time."""
    true, found = person >= 0, identity >= 0
    both = true & found
    table = np.zeros((person.max(initial=-1) + 1, identity.max(initial=-1) + 1), dtype=int)
    np.add.at(table, (person[both], identity[both]), 1)
    idtp = int(table[linear_sum_assignment(-table)].sum())
    switches = sum(_changes(identity[both & (person == p)]) for p in range(len(table)))
    swaps = sum(_changes(person[both & (identity == i)]) for i in range(table.shape[1]))
    return Scores(idtp, int(found.sum()) - idtp, int(true.sum()) - idtp, switches, swaps)


def _changes(values: np.ndarray) -> int:
    return int((np.diff(values) != 0).sum())


# --- scenes ----------------------------------------------------------------------------------------------------------


def crossing(rng: np.random.Generator, alike: bool = False, anywhere: bool = False) -> Known:
    """Three people who walk about and pass in front of each other.

    alike: they are of the same build. anywhere: who was hidden may stay lost in plain sight.
    """
    frames = int(rng.integers(300, 601))
    bodies = [random_body(rng)] * 3 if alike else [random_body(rng) for _ in range(3)]
    kinds = ["cross", *rng.choice(("cross", "walk", "mixed"), 2)]
    motions = [procedural_motion(str(kind), frames, FPS, body, rng) for kind, body in zip(kinds, bodies, strict=True)]
    view = _view(rng)
    return _seen(compose_scene(motions, view, rng), view, rng, anywhere)


def alike(rng: np.random.Generator) -> Known:
    """As `crossing`, all of the same build."""
    return crossing(rng, alike=True)


def lost(rng: np.random.Generator) -> Known:
    """As `crossing`, with detections missing in plain sight too: no tracker could tell all of these apart by motion."""
    return crossing(rng, anywhere=True)


def together(rng: np.random.Generator) -> Known:
    """Three people of the same build one behind another, who walk to and fro and stop, at times side by side."""
    while True:
        frames = int(rng.integers(300, 601))
        body, motions, paths = random_body(rng), [], []
        for depth in np.cumsum([0.0, *rng.uniform(650, 950, 2)]):
            motion = procedural_motion(str(rng.choice(("walk", "mixed"))), frames, FPS, body, rng)
            follows = bool(paths) and rng.uniform() < 0.5
            path = (
                _delayed(paths[-1], int(rng.integers(-45, 46))) + rng.uniform(-500, 500)
                if follows
                else _to_and_fro(frames, rng)
            )
            paths.append(path)
            shift = np.stack([path, np.zeros(frames), np.full(frames, depth - 500)], axis=1) - motion[:, _HIP] * [
                1,
                0,
                1,
            ]
            motions.append(motion + shift[:, None])
        known = _seen(motions, _view(rng), rng)
        if _longest_gap(known) <= LONGEST_S * FPS:
            return known


def _delayed(path: np.ndarray, frames: int) -> np.ndarray:
    return path[np.clip(np.arange(len(path)) - frames, 0, len(path) - 1)]


def _to_and_fro(frames: int, rng: np.random.Generator) -> np.ndarray:
    """Places (frames,) in mm along a line: walks at several speeds and stops, turned back near +-1500 mm."""
    speed, place = np.zeros(frames), rng.uniform(-1200, 1200)
    at = 0
    while at < frames:
        length = int(rng.uniform(0.8, 3.0) * FPS)
        chosen = rng.choice((0.0, 1.0), p=(0.3, 0.7)) * rng.uniform(500, 1300) * rng.choice((-1, 1))
        end = place + chosen * length / FPS
        if abs(end) > 1500:
            chosen = -np.sign(place) * abs(chosen)
        speed[at : at + length] = chosen
        place += chosen * length / FPS
        at += length
    start = rng.uniform(-200, 200)
    path = start + np.cumsum(gaussian_filter1d(speed, 0.2 * FPS, mode="nearest")) / FPS
    return np.clip(path, -2200, 2200)


def _view(rng: np.random.Generator) -> View:
    focal = rng.uniform(1200, 1500)
    camera = Camera(focal, focal, 960.0, 540.0, 1920, 1080)
    return look_at(camera, np.array([0, rng.uniform(900, 2000), -4500.0]), np.array([0, 950.0, 0.0]))


def _seen(motions: list[np.ndarray], view: View, rng: np.random.Generator, anywhere: bool = False) -> Known:
    people = render_scene(motions, view, FPS, rng)
    found = np.stack([person.detection for person in people], axis=1).astype(float)
    detected = np.stack([person.detected for person in people], axis=1)
    behind = np.ones_like(detected) if anywhere else _behind(people)
    detected = _prolonged(detected, behind, rng) & (rng.uniform(size=detected.shape) > 0.01)
    camera = view.camera
    return shuffled(found, detected, FPS, (camera.width, camera.height), "scene", rng, duplicates=0.03)


def _behind(people: list[SeenPerson]) -> np.ndarray:
    """(T, P) bool: the person's box overlaps that of a nearer one."""
    low, high = (np.stack([f(p.annotation_2d[..., 0], axis=1) for p in people], axis=1) for f in (np.min, np.max))
    depth = np.stack([p.annotation_3d[:, _HIP, 2] for p in people], axis=1)
    overlap = (low[:, :, None] < high[:, None]) & (low[:, None] < high[:, :, None])
    return np.any(overlap & (depth[:, None] < depth[:, :, None]), axis=2)


def _prolonged(detected: np.ndarray, behind: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Half of the spells without a detection, (T, P), prolonged to up to LONGEST_S where `behind` (T, P)."""
    result = detected.copy()
    for person in range(detected.shape[1]):
        for start, end in _gaps(detected[:, person]):
            more = max(int(rng.uniform(0.3, LONGEST_S) * FPS) - (end - start), 0)
            before = int(rng.integers(more + 1))
            if rng.uniform() < 0.5:
                lost = slice(max(start - before, 0), end + more - before)
                result[lost, person] &= ~behind[lost, person]
        for start, end in _gaps(result[:, person]):  # prolonged ones may have merged
            late = slice(start + int(LONGEST_S * FPS), end)
            result[late, person] = detected[late, person]
    return result


def _gaps(detected: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[True], detected, [True]]).astype(int)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _longest_gap(known: Known) -> int:
    gaps = [np.diff(known.detections.frame[known.person == p]).max(initial=1) - 1 for p in range(3)]
    return int(max(gaps))


def shuffled(
    keypoints: np.ndarray,
    detected: np.ndarray,
    fps: float,
    size: tuple[int, int],
    source: str,
    rng: np.random.Generator,
    duplicates: float = 0.0,
) -> Known:
    """Detections (T, P, 19, 3) where `detected` (T, P), people in random order in each frame.

    duplicates: fraction of detections with another box of the same person, or of one half of each of two people.
    """
    rows, people, frames = [], [], []
    for frame in range(len(keypoints)):
        present = np.flatnonzero(detected[frame])
        found = [(keypoints[frame, p], int(p)) for p in present]
        found += [
            (_duplicate_box(keypoints[frame], int(p), present, rng), -1) for p in present if rng.uniform() < duplicates
        ]
        for index in rng.permutation(len(found)):
            rows.append(found[index][0])
            people.append(found[index][1])
            frames.append(frame)
    points = np.reshape(rows, (-1, 19, 3))
    detections = VideoDetections(
        frame=np.array(frames, dtype=int),
        keypoints_2d=points[..., :2],
        confidence=points[..., 2],
        box_score=points[..., :17, 2].mean(1),
        n_frames=len(keypoints),
        fps=fps,
        image_size=size,
        source=source,
    )
    return Known(detections, np.array(people, dtype=int))


def _duplicate_box(people: np.ndarray, person: int, present: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(19, 3): the person again, less sure and a little off, at times with the legs of the nearest person."""
    box = people[person, :17].copy()
    height = np.ptp(box[:, 1])
    others = [p for p in present if p != person]
    if others:
        near = min(others, key=lambda p: float(np.linalg.norm(people[p, _HIP_2D, :2] - people[person, _HIP_2D, :2])))
        if np.linalg.norm(people[near, _HIP_2D, :2] - people[person, _HIP_2D, :2]) < 0.3 * height:
            box[11:] = people[near, 11:17]
    box[:, :2] += rng.normal(0, 0.015 * height, (17, 2))
    box[:, 2] *= rng.uniform(0.5, 1.0)
    points, scores = with_derived_joints(torch.from_numpy(box[:, :2]), torch.from_numpy(box[:, 2]))
    return np.concatenate([points.numpy(), scores.numpy()[:, None]], axis=1)


def conformance(rng: np.random.Generator) -> Iterator[Known]:
    """The MuPoTS people of tests/golden/conformance, twenty short videos."""
    sequences = MuPoTS3D(CONFORMANCE / "MuPoTS", fps=FPS).sequences("normal")
    for number in NUMBERS:
        people = [person for person in sequences if person.sequence == f"TS{number}"]
        points = [np.concatenate([p.keypoints_2d.numpy(), p.confidence.numpy()[..., None]], axis=2) for p in people]
        detected = np.stack([p.detected.numpy() for p in people], axis=1)
        yield shuffled(np.stack(points, axis=1), detected, FPS, image_size(number), f"TS{number}", rng)


# --- trackers --------------------------------------------------------------------------------------------------------


def greedy(detections: VideoDetections) -> Tracks:
    """The naive tracker: each detection continues the nearest hip of the last 2 s, nearest pairs first.

    Duplicate boxes of nearly the same pose are left out, as every tracker does.
    """
    label = np.full(len(detections), -1)
    single = ~duplicate_boxes(Appearance.of(detections), OfflineTracker().duplicate_distance)
    hips = detections.keypoints_2d[:, _HIP_2D]
    last: dict[int, tuple[np.ndarray, int]] = {}
    for frame in np.unique(detections.frame):
        rows = np.flatnonzero((detections.frame == frame) & single).tolist()
        last = {name: seen for name, seen in last.items() if frame - seen[1] <= LONGEST_S * FPS}
        pairs = [(float(np.linalg.norm(hips[row] - hip)), row, name) for row in rows for name, (hip, _) in last.items()]
        used: set[int] = set()
        for distance, row, name in sorted(pairs):
            limit = 0.5 * float(np.ptp(detections.keypoints_2d[row, :, 1]))
            if label[row] < 0 and name not in used and distance < limit:
                label[row] = name
                used.add(name)
        for row in rows:
            if label[row] < 0:
                label[row] = label.max() + 1
            last[int(label[row])] = (hips[row], int(frame))
    return Tracks.numbered(label)


TRACKERS: dict[str, Callable[[], Tracker]] = {"greedy": lambda: greedy, "offline": OfflineTracker}
SCENES: dict[str, Callable[[np.random.Generator], Known]] = {
    "crossing": crossing,
    "alike": alike,
    "together": together,
    "lost": lost,
}


def videos(kind: str, seeds: int, part: int) -> Iterator[Known]:
    """Videos of a kind; part 0 is reported, any other is for choosing settings."""
    if kind == "conformance":
        yield from conformance(np.random.default_rng(part))
        return
    for seed in range(seeds):
        yield SCENES[kind](np.random.default_rng((part, list(SCENES).index(kind), seed)))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="scenes of each kind (20)")
    parser.add_argument("--tune", action="store_true", help="other seeds than those reported")
    given = parser.parse_args(arguments)
    kinds = [*SCENES, "conformance"]
    head = ("scenes", "tracker", "videos", "frames", "IDF1 %", "worst", "switches", "swaps", "us/frame")
    print("{:12} {:8} {:>6} {:>7} {:>7} {:>6} {:>8} {:>6} {:>8}".format(*head))
    for kind in kinds:
        known = list(videos(kind, given.seeds, part=int(given.tune)))
        frames = sum(video.detections.n_frames for video in known)
        for name, make in TRACKERS.items():
            started = time.perf_counter()
            tracks = [make()(video.detections) for video in known]
            seconds = time.perf_counter() - started
            scores = [score(video.person, found.identity) for video, found in zip(known, tracks, strict=True)]
            total = sum(scores, Scores())
            worst = min(s.idf1_pct for s in scores)
            print(
                f"{kind:12} {name:8} {len(known):6} {frames:7} {total.idf1_pct:7.2f} {worst:6.1f} {total.switches:8} "
                f"{total.swaps:6} {1e6 * seconds / frames:8.0f}"
            )


if __name__ == "__main__":
    main()
