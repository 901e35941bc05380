"""Scenes: people placed so that they pass in front of each other, cameras, and what is seen of them.

Takes any motions, (T, 17, 3) mm in world coordinates with y up: procedural or captured ones. `compose_scene`
places them, a `View` brings them into camera coordinates, `render_scene` annotates and detects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from data.synthetic.bodies import rotation
from data.synthetic.detections import HRNET, SimulatedDetector, detect
from data.synthetic.occlusion import scene_cover
from pose.cameras import Camera
from pose.errors import ConfigError, check_shape
from pose.joint_sets import MUPOTS_17

_HIP = MUPOTS_17.index("hip")
_FLOOR = [0, 2]
#: Hips nearer than this, mm, mean that two people walk through each other.
_TOO_CLOSE = 420.0
#: Hips nearer than this across the line of sight, mm at the farther person, hide each other.
_BODY_WIDTH = 300.0


@dataclass(frozen=True, eq=False)
class View:
    """A camera in the world: rotation (3, 3) or (T, 3, 3) from world to camera axes, position (3,) or (T, 3) in mm."""

    camera: Camera
    rotation: np.ndarray
    position: np.ndarray

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """World points (T, J, 3) -> camera coordinates (T, J, 3): x right, y down, z forward."""
        return (points - self.position[..., None, :]) @ np.swapaxes(self.rotation, -1, -2)

    def hand_held(self, n_frames: int, fps: float, rng: np.random.Generator) -> View:
        """The same view from an unsteady hand: about 12 mm and a quarter of a degree, below 1.5 Hz."""
        t = np.arange(n_frames)[:, None, None] / fps
        frequency, phase = rng.uniform(0.1, 1.5, (1, 4, 6)), rng.uniform(0, 2 * np.pi, (1, 4, 6))
        sway = np.sin(2 * np.pi * frequency * t + phase).sum(1) / 2
        small = np.radians(0.25) * sway[:, :3]
        tilt = np.stack([rotation(axis, small[:, axis]) for axis in range(3)])
        return replace(
            self, rotation=tilt[0] @ tilt[1] @ tilt[2] @ self.rotation, position=self.position + 12 * sway[:, 3:]
        )


def look_at(camera: Camera, position: np.ndarray, target: np.ndarray, roll: float = 0.0) -> View:
    """The view from `position` (3,) toward `target` (3,), mm, upright but for `roll` radians about its axis."""
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    upright = np.stack([right, np.cross(forward, right), forward])
    return View(camera, rotation(2, roll) @ upright, np.asarray(position, dtype=float))


@dataclass(frozen=True, eq=False)
class Placement:
    """Where a motion is put: turned about the vertical by `yaw` radians, then moved by `offset` (x, z) mm."""

    yaw: float
    offset: np.ndarray

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """World points (..., 3) -> the same shape."""
        return points @ rotation(1, self.yaw).T + [self.offset[0], 0, self.offset[1]]


def compose_scene(
    motions: Sequence[np.ndarray],
    view: View,
    rng: np.random.Generator,
    attempts: int = 24,
    farthest: tuple[float, float] | None = None,
    behind: float = 1.0,
) -> list[np.ndarray]:
    """Place the motions before a view so that each further person crosses in front of one farther away.

    motions: each (T, 17, 3) mm, world, y up. The first is the farthest; each later one stands on the line from the
    camera to an earlier person at some moment of the middle half, and walks across that line if it walks then.
    farthest: limits of the first person's distance in mm, 4.3 to 5 m and more for more than two people unless given.
    behind: fraction of the time that a person may stand right behind another: more of it counts as a fault, and people
    who do not walk are placed a little aside.
    Of the arrangements tried, the one with the fewest collisions and people out of the picture is returned.
    """
    _check_motions(motions)
    hips = np.stack([motion[:, _HIP] for motion in motions])
    # A moving camera is taken as it stands in the first frame.
    still = View(view.camera, view.rotation.reshape(-1, 3, 3)[0], view.position.reshape(-1, 3)[0])
    best, least = _arrange(hips, still, rng, farthest, behind < 1), np.inf
    for _ in range(attempts):
        scene = _arrange(hips, still, rng, farthest, behind < 1)
        faults = _faults(np.stack([place(track) for place, track in zip(scene, hips, strict=True)]), still, behind)
        if faults < least:
            best, least = scene, faults
        if faults == 0:
            break
    return [place(motion) for place, motion in zip(best, motions, strict=True)]


def _arrange(
    hips: np.ndarray, view: View, rng: np.random.Generator, farthest: tuple[float, float] | None, aside: bool
) -> list[Placement]:
    """One random arrangement of people with hip tracks (P, T, 3)."""
    eye = view.position[_FLOOR]
    axis = view.rotation[2, _FLOOR] / np.linalg.norm(view.rotation[2, _FLOOR])
    sideways = np.array([-axis[1], axis[0]])
    n_people, length = hips.shape[:2]
    distance = rng.uniform(*farthest) if farthest else rng.uniform(4300, 5000) + 350 * (n_people - 2)
    scene: list[Placement] = []
    for track in hips:
        frame = int(rng.uniform(0.25, 0.75) * length)
        step = track[min(frame + 3, length - 1), _FLOOR] - track[max(frame - 3, 0), _FLOOR]
        yaw = rng.uniform(0, 2 * np.pi)
        if not scene:
            target = eye + distance * axis + sideways * rng.uniform(-400, 400)
        else:
            behind = int(rng.integers(len(scene)))
            ray = scene[behind](hips[behind, frame])[_FLOOR] - eye
            target = eye + ray / (ray @ axis) * distance
            if np.linalg.norm(step) > 15:  # walking: across the line of sight, within 35 degrees
                across = sideways * rng.choice((-1, 1))
                yaw = np.arctan2(*across) - np.arctan2(*step) + rng.uniform(-0.6, 0.6)
            elif aside:
                target = target + sideways * rng.choice((-1, 1)) * rng.uniform(150, 1000)
        turned = Placement(yaw, np.zeros(2))(track[frame])
        scene.append(Placement(yaw, target - turned[_FLOOR]))
        distance -= rng.uniform(650, 1000)
    return scene


def _faults(hips: np.ndarray, view: View, behind: float) -> float:
    """How much is wrong with hip tracks (P, T, 3): collisions, frames out of the picture or at the camera, hiding."""
    tracks = hips[:, :: max(1, hips.shape[1] // 100)]
    gaps = np.linalg.norm((tracks[:, None] - tracks[None])[..., _FLOOR], axis=-1)
    gaps[np.arange(len(hips)), np.arange(len(hips))] = np.inf
    seen = view.to_camera(tracks)
    pixels = view.camera.project(torch.from_numpy(seen)).numpy()
    inside = (pixels > 0).all(-1) & (pixels < [view.camera.width, view.camera.height]).all(-1) & (seen[..., 2] > 2000)
    faults = (gaps < _TOO_CLOSE).mean() + 0.5 * max((~inside).mean() - 0.05, 0)
    if behind < 1:
        across = seen[..., 0] / seen[..., 2]
        apart = np.abs(across[:, None] - across[None]) * seen[..., 2]
        hidden = (apart < _BODY_WIDTH) & (seen[None, ..., 2] < seen[:, None, ..., 2])
        faults += max(float(hidden.any(1).mean(-1).max()) - behind, 0.0)
    return float(faults)


def _check_motions(motions: Sequence[np.ndarray]) -> None:
    if not motions:
        raise ConfigError("motions: none given, a scene needs at least one")
    sizes: dict[str, int] = {}
    for index, motion in enumerate(motions):
        check_shape(f"motions[{index}]", motion, ("T", len(MUPOTS_17), 3), sizes)


@dataclass(frozen=True, eq=False)
class SeenPerson:
    """One person of a rendered scene over T frames.

    annotation_2d (T, 17, 2) px, annotation_3d (T, 17, 3) mm in camera coordinates, visible (T, 17), detection
    (T, 19, 3) COCO-19 x, y, score in float32, zeros where not detected, detected (T,), in_image (T,): the hip and
    most joints lie in the image.
    """

    annotation_2d: np.ndarray
    annotation_3d: np.ndarray
    visible: np.ndarray
    detection: np.ndarray
    detected: np.ndarray
    in_image: np.ndarray


def render_scene(
    motions: Sequence[np.ndarray],
    views: View | Sequence[View],
    fps: float,
    rng: np.random.Generator,
    detector: SimulatedDetector = HRNET,
) -> list[SeenPerson]:
    """What a camera sees of the people, and what a detector makes of it.

    motions: each (T, 17, 3) mm, world, y up, in one common length. views: one for all, or one per person (composed
    scenes, whose people were filmed by different cameras). fps: rate of the motions, which sets how long errors last.
    """
    _check_motions(motions)
    views = [views] * len(motions) if isinstance(views, View) else list(views)
    if len(views) != len(motions):
        raise ConfigError(f"{len(motions)} motions and {len(views)} views: one view, or one per person, is needed")
    cameras = [view.camera for view in views]
    poses_3d = np.stack([view.to_camera(motion) for view, motion in zip(views, motions, strict=True)])
    pixels = np.stack([c.project(torch.from_numpy(p)).numpy() for c, p in zip(cameras, poses_3d, strict=True)])
    covers = scene_cover(pixels, poses_3d, np.array([c.fy for c in cameras]))
    detections, detected = detect(poses_3d, covers, cameras, fps, rng, detector)
    people = []
    for p, camera in enumerate(cameras):
        inside = ((pixels[p] >= 0) & (pixels[p] <= [camera.width, camera.height])).all(-1)
        inside &= poses_3d[p, ..., 2] > 0
        in_image = inside[:, _HIP] & (inside.mean(-1) > 0.6)
        people.append(SeenPerson(pixels[p], poses_3d[p], covers[p].visible, detections[p], detected[p], in_image))
    return people
