"""Whether the camera moves, from the people's feet or from the video: a floor, gravity and paths need a still one.

From the people: a foot that carries somebody rests, so before a still camera the speed that most feet share is none,
however alike people walk. Where they share another one for a second the camera moved by it, or everybody skates, rides
or walks on a treadmill: that looks the same. Where feet are not seen, the hips of several people who move alike tell.
Slow or small motion, zoom, and the camera that follows one person whose feet are not seen cannot be told so.

From the video: sparse optical flow over the picture without people, a shift, turn and scale of it between frames.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from data.keypoints.detections import VideoDetections
from pose.errors import ConfigError
from pose.joint_sets import COCO_19
from pose.progress import Progress
from pose.sequence import PoseSequence

#: Motion is looked at in windows of WINDOW_S, half of each in the next; at FEWEST or more velocities, of SOME at
#: most, of clips of LEAST_S and more.
WINDOW_S, FEWEST, SOME, LEAST_S = 0.75, 10, 200, 1.5
#: A velocity is that over FOOT_S, of a joint of MIN_SCORE; those within NEAR of one another are alike, and are the
#: camera's where they are SHARED of all and faster than FAST, all three in lengths of the trunk a second.
FOOT_S, MIN_SCORE, NEAR, SHARED, FAST, REST = 0.1, 0.3, 0.5, 0.3, 0.6, 0.4
#: Hips of several people must agree more: this fraction of them.
ALIKE = 0.8
#: Two pictures of a video are STEP_S apart and so many px wide at most. Of the points that are followed so many, and
#: this fraction, must agree; a picture whose corners move by DRIFT of its width in a window moves.
STEP_S, WIDTH_PX, FEWEST_POINTS, AGREE, DRIFT = 0.2, 480, 12, 0.5, 0.005
#: The camera moves if it does in this fraction of the windows that tell; by hips in that one, as people walk together.
OFTEN, MOSTLY = 0.1, 0.5
_ANKLES = [COCO_19.index("left_ankle"), COCO_19.index("right_ankle")]
_SHOULDERS = [COCO_19.index("left_shoulder"), COCO_19.index("right_shoulder")]
_HIP = COCO_19.index("hip")


@dataclass(frozen=True)
class CameraMotion:
    """moves: None where nothing tells. px_per_frame: how fast, while it moves. how: what told."""

    moves: bool | None = None
    px_per_frame: float = 0.0
    first_s: float = 0.0
    last_s: float = 0.0
    how: Literal["people", "video"] | None = None

    @property
    def note(self) -> str | None:
        """What a user must know, None of a camera that is not known to move."""
        if not self.moves:
            return None
        seen = {
            "video": "the picture behind the people moves",
            "people": "people's feet do not rest in the picture (they may also skate, ride or use a treadmill)",
        }[self.how or "video"]
        return (
            f"Warning: the camera moves, by about {self.px_per_frame:.1f} px per frame between {self.first_s:.1f} and "
            f"{self.last_s:.1f} s: {seen}. Positions are relative to the camera, so the room moves; paths in it and "
            "speeds are wrong. No floor holds the feet, and how people stand does not tell gravity or the focal length."
        )


def of_people(people: list[PoseSequence], fps: float) -> CameraMotion:
    """What the detections (COCO-19, px) of the people of one video tell; frames count at `fps` a second."""
    step = max(1, round(FOOT_S * fps))
    feet, hips, trunks = [], [], []
    for number, person in enumerate(people):
        points, known = person.keypoints_2d.double().numpy(), (person.confidence >= MIN_SCORE).numpy()
        whole = known[:, [_HIP, *_SHOULDERS]].all(axis=1)
        if not whole.any():
            continue
        trunks.append(np.median(np.linalg.norm(points[:, _SHOULDERS].mean(axis=1) - points[:, _HIP], axis=1)[whole]))
        frame = person.frame.numpy()[:-step]
        for found, joint in ((feet, _ANKLES[0]), (feet, _ANKLES[1]), (hips, _HIP)):
            both = known[step:, joint] & known[:-step, joint]
            velocity, along = ((points[step:, one] - points[:-step, one]) / step for one in (joint, _HIP))
            along[~(known[step:, _HIP] & known[:-step, _HIP])] = np.nan
            found.append(np.column_stack([frame, np.full(len(frame), number), velocity, velocity - along])[both])
    trunk = float(np.median(trunks or [0.0])) / fps  # px per frame at one length a second
    if not trunk:
        return CameraMotion()
    shared, often = _shared(np.concatenate(feet), fps, trunk, SHARED), OFTEN
    if not shared and len(hips) > 1:
        shared, often = _shared(np.concatenate(hips), fps, trunk, ALIKE), MOSTLY
    return _motion(shared, FAST * trunk, fps, "people", often)


def _shared(found: np.ndarray, fps: float, trunk: float, enough: float) -> list[tuple[float, float]]:
    """(frame at which a window begins, speed px per frame) of windows in which `enough` of the velocities agree.

    found (N, 6): frame, person, velocity in px per frame, and the same less that of the hips.
    """
    windows, length = [], WINDOW_S * fps
    first, last = found[:, 0].min(initial=np.inf), found[:, 0].max(initial=0.0)
    if last - first < LEAST_S * fps:
        return []
    found = found[np.argsort(found[:, 0], kind="stable")]
    starts = np.arange(first, last - length + 1.0, length / 2)
    rows = zip(starts, *(np.searchsorted(found[:, 0], starts + more) for more in (0.0, length)), strict=True)
    for start, low, high in rows:
        inside = found[low:high]
        inside = inside[np.random.default_rng(0).permutation(len(inside))[:SOME]]  # of everybody's, some
        if len(inside) >= FEWEST:
            velocity = inside[:, 2:4] / trunk
            near = np.linalg.norm(velocity[:, None] - velocity, axis=-1) < NEAR
            share, best = near.mean(axis=1).max(), near[near.sum(axis=1).argmax()]
            if share >= enough and _by_several(inside[:, 1], best, inside[:, 4:] / trunk, enough):
                rests = bool((np.linalg.norm(velocity, axis=1) < NEAR).mean() > REST * share)
                speed = float(np.linalg.norm(velocity[best].mean(axis=0))) * trunk
                windows.append((float(start), 0.0 if rests else speed))
    return windows


def _by_several(person: np.ndarray, near: np.ndarray, against_hips: np.ndarray, enough: float) -> bool:
    """Whether most people share a velocity, or the only one does while the feet go apart from the hips: who slides
    along with both feet may skate."""
    shares = [near[person == one].mean() for one in np.unique(person)]
    if len(shares) > 1:
        return sum(share >= enough for share in shares) > len(shares) / 2
    apart = np.linalg.norm(against_hips, axis=1)
    return bool(np.nanmedian(apart) > NEAR) if np.isfinite(apart).any() else False


def of_video(frames: Iterable[np.ndarray], detections: VideoDetections, fps: float) -> CameraMotion:
    """What the pictures (H, W, 3) of a video tell, without those parts in which people were detected.

    Raises ConfigError where OpenCV is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise ConfigError(
            "camera motion needs OpenCV, which is not installed; pip install opencv-python-headless"
        ) from error
    step = max(1, round(STEP_S * fps))
    steps: list[np.ndarray | None] = []
    before: np.ndarray | None = None
    scale = 1.0
    for number, image in enumerate(Progress("camera motion", detections.n_frames).each(frames)):
        if number % step:
            continue
        scale = min(1.0, WIDTH_PX / image.shape[1])
        grey = cv2.cvtColor(
            cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY
        )
        if before is not None:
            steps.append(_flow(cv2, before, grey, _background(detections, number - step, scale, before.shape)))
        before = grey
    if before is None:
        return CameraMotion()
    height, width = before.shape
    corners = np.array([[0.0, 0.0, 1.0], [width, 0.0, 1.0], [0.0, height, 1.0], [width, height, 1.0]])
    windows, count = [], max(1, round(WINDOW_S * fps / step))
    for start in range(0, max(1, len(steps) - count + 1), max(1, count // 2)):
        part = [one for one in steps[start : start + count] if one is not None]
        if len(part) >= count / 2:
            whole = np.eye(3)
            for one in part:
                whole = one @ whole
            moved = float(np.linalg.norm(corners @ whole[:2].T - corners[:, :2], axis=1).mean())
            windows.append((float(start * step), moved / scale / (len(part) * step)))
    return _motion(windows, DRIFT * width / scale / (count * step), fps, "video")


def _background(detections: VideoDetections, frame: int, scale: float, shape: tuple[int, ...]) -> np.ndarray:
    """(H, W) uint8: 0 where people are, with a margin."""
    mask = np.full(shape, 255, dtype=np.uint8)
    low, high = np.searchsorted(detections.frame, [frame, frame + 1])
    for row in range(int(low), int(high)):
        points = detections.keypoints_2d[row][detections.confidence[row] > 0] * scale
        if len(points):
            margin = 0.2 * np.ptp(points, axis=0).max()
            left, top = np.maximum(points.min(axis=0) - margin, 0).astype(int)
            right, bottom = np.maximum(points.max(axis=0) + margin, 0).astype(int)
            mask[top : bottom + 1, left : right + 1] = 0
    return mask


def _flow(cv2: Any, before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> np.ndarray | None:
    """(3, 3): how the picture where `mask` is moves from one grey image to the next; None where that is not clear."""
    points = cv2.goodFeaturesToTrack(before, maxCorners=200, qualityLevel=0.01, minDistance=8, mask=mask)
    if points is None or len(points) < FEWEST_POINTS:
        return None
    moved, found, _ = cv2.calcOpticalFlowPyrLK(before, after, points, None)
    back, again, _ = cv2.calcOpticalFlowPyrLK(after, before, moved, None)
    kept = (found & again).ravel().astype(bool) & (np.abs(back - points).reshape(-1, 2).max(axis=1) < 1.0)
    if kept.sum() < FEWEST_POINTS:
        return None
    affine, agree = cv2.estimateAffinePartial2D(points[kept], moved[kept], ransacReprojThreshold=1.0)
    if affine is None or agree.sum() < max(FEWEST_POINTS, AGREE * kept.sum()):
        return None
    return np.vstack([affine, [0.0, 0.0, 1.0]])


def _motion(
    windows: list[tuple[float, float]], fast: float, fps: float, how: Literal["people", "video"], often: float = OFTEN
) -> CameraMotion:
    """windows: (first frame, px per frame) of those that tell."""
    if not windows:
        return CameraMotion()
    moving = [window for window in windows if window[1] > fast]
    if len(moving) < max(often * len(windows), min(2, len(windows))):
        return CameraMotion(False, how=how)
    (first, _), (last, _) = moving[0], moving[-1]
    speed = float(np.median([speed for _, speed in moving]))
    return CameraMotion(True, speed, first / fps, last / fps + WINDOW_S, how)
