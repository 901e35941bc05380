"""Where up is in a scene and where its floor lies, for exporters and pictures: from the people, or from a given tilt.

Up is the direction in which people stand, from the ankles over the hips to the neck: a box, stairs or a jump don't turn
it. The feet then correct it by a few degrees at most, since people at two places of different heights look like people
on a slope, and set the height of the floor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pose.errors import ConfigError
from pose.joint_sets import MUPOTS_17

Array = NDArray[np.floating]
Leveling = Literal["auto", "camera"]
How = Literal["given", "people", "camera"]

#: Up of a camera that is held level, in its coordinates (x right, y down, z forward).
CAMERA_UP = np.array([0.0, -1.0, 0.0])
#: The up that is found is no farther than this from the camera's, degrees.
MAX_TILT_DEG = 45.0
#: How much a frame tells up: less as the angle between legs and trunk grows (degrees), as the legs bend (1 - the
#: distance from hips to ankles as a fraction of their bones) and as the feet are apart (fraction of the legs' length),
#: each by a normal curve of this width. With unobserved joints it tells UNOBSERVED as much.
BENT_DEG, SHORTENED, APART, UNOBSERVED = 12.0, 0.05, 0.4, 0.25
#: Less than this many frames of people who stand straight, all people together, tell nothing.
MIN_STANDING = 3.0
#: The floor's slope against the people's up: its prior standard deviation and its limit, degrees; and the spread of
#: the feet's heights that the prior is weighed against, mm.
SLOPE_STD_DEG, SLOPE_MAX_DEG, FOOT_STD_MM = 3.0, 4.0, 80.0
#: The floor lies at this percentile of the lowest joints: feet are sometimes found below it.
FLOOR_PERCENTILE = 3.0
_JOINTS = {
    name: [MUPOTS_17.index(joint) for joint in joints]
    for name, joints in {
        "ankles": ("left_ankle", "right_ankle"),
        "knees": ("left_knee", "right_knee"),
        "hips": ("left_hip", "right_hip"),
        "neck": ("neck",),
    }.items()
}


def check_leveling(level: Any) -> None:
    """Raise ConfigError unless `level` is auto or camera."""
    if level not in get_args(Leveling):
        raise ConfigError(f"level={level}: must be one of {', '.join(get_args(Leveling))}")


@dataclass(frozen=True, eq=False)
class World:
    """Camera coordinates in mm -> coordinates that stand on the floor.

    axes (3, 3): unit vectors right, forward and up in camera coordinates. floor_mm: the floor's height over the camera,
    so below 0 where the camera stands above it. how: given, from the people, or camera: its own up.
    """

    axes: Array
    floor_mm: float
    how: How = "camera"

    @classmethod
    def of(cls, up: Array, floor_mm: float = 0.0, how: How = "given") -> World:
        """The world of an up, a unit vector in camera coordinates."""
        return cls(_axes(up), floor_mm, how)

    @classmethod
    def fit(
        cls,
        poses: Array,
        observed: np.ndarray | None = None,
        tilt_deg: float | None = None,
        roll_deg: float | None = None,
        level: Leveling = "auto",
    ) -> World:
        """The world of people's poses (..., 17, 3) in mm, all people and frames together.

        observed (..., 17): those of which hips, neck and ankles are true tell up, if there are enough. tilt_deg: by
        how much the camera looks down; roll_deg: by how much it is turned clockwise, seen from behind it; what is not
        given is found. level: camera takes the camera's own up and only finds the floor's height.

        >>> tilted = World.fit(np.zeros((0, 17, 3)), tilt_deg=90.0)
        >>> tilted(np.array([0.0, 0.0, 2000.0])).round(6).tolist()  # straight below the camera
        [0.0, 0.0, -2.0]
        """
        poses = np.asarray(poses, dtype=np.float64).reshape(-1, len(MUPOTS_17), 3)
        known = np.isfinite(poses).all(axis=(1, 2))
        poses = poses[known]
        if observed is not None:
            observed = observed.reshape(-1, len(MUPOTS_17))[known]
        up: Array = CAMERA_UP
        how: How = "camera"
        if level == "auto":
            standing = _standing_up(poses, observed)
            if standing is not None:
                level_up = _without_slope(standing, _lowest(poses, standing))
                up, how = _toward(CAMERA_UP, level_up, MAX_TILT_DEG), "people"
            if tilt_deg is not None or roll_deg is not None:
                own_tilt, own_roll = angles_of(up)
                up = up_of(own_tilt if tilt_deg is None else tilt_deg, own_roll if roll_deg is None else roll_deg)
                how = "given"
        heights = _lowest(poses, up) @ up
        floor_mm = float(np.percentile(heights, FLOOR_PERCENTILE)) if len(heights) else 0.0
        return cls(_axes(up), floor_mm, how)

    def __call__(self, poses: Array) -> Array:
        """(..., 3) mm -> (..., 3) m: right, forward, up."""
        return (poses @ self.axes.T - np.array([0.0, 0.0, self.floor_mm])) / 1000.0

    @property
    def rotation(self) -> Array:
        """(3, 3): camera coordinates -> x right, y up, z backward, toward the viewer."""
        right, forward, up = self.axes
        return np.stack([right, up, -forward])

    def y_up(self, points: Array) -> Array:
        """(..., 3) mm -> (..., 3) mm: x right, y up, z backward; the floor at y = 0, below the camera the origin."""
        return points @ self.rotation.T - np.array([0.0, self.floor_mm, 0.0])

    @property
    def angles_deg(self) -> tuple[float, float]:
        """How far the camera looks down and how far it is turned clockwise, degrees."""
        return angles_of(self.axes[2])


def up_of(tilt_deg: float, roll_deg: float) -> Array:
    """Up in the coordinates of a camera that looks down by `tilt_deg` and is turned clockwise by `roll_deg`.

    >>> up_of(0.0, 0.0).round(3).tolist()
    [-0.0, -1.0, -0.0]
    """
    tilt, roll = math.radians(tilt_deg), math.radians(roll_deg)
    return -np.array([math.sin(roll) * math.cos(tilt), math.cos(roll) * math.cos(tilt), math.sin(tilt)])


def angles_of(up: Array) -> tuple[float, float]:
    """(tilt_deg, roll_deg) of `up_of`."""
    x, y, z = up.tolist()
    return math.degrees(math.asin(max(-1.0, min(1.0, -z)))), math.degrees(math.atan2(-x, -y))


def _standing_up(poses: Array, observed: np.ndarray | None) -> Array | None:
    """The geometric median of the directions in which people (N, 17, 3) stand; None where too few do."""
    ankles, knees, hips = (poses[:, _JOINTS[name]] for name in ("ankles", "knees", "hips"))  # (N, 2, 3)
    neck = poses[:, _JOINTS["neck"]].mean(axis=1)
    legs, trunk, body = (hips - ankles).mean(axis=1), neck - hips.mean(axis=1), neck - ankles.mean(axis=1)
    bones = np.maximum(np.linalg.norm(hips - knees, axis=2) + np.linalg.norm(knees - ankles, axis=2), 1.0)
    bent = np.degrees(np.arccos(np.clip(_cosine(legs, trunk), -1, 1)))
    shortened = 1 - (np.linalg.norm(hips - ankles, axis=2) / bones).mean(axis=1)
    apart = np.linalg.norm(ankles[:, 0] - ankles[:, 1], axis=1) / bones.mean(axis=1)
    weight = np.exp(-((bent / BENT_DEG) ** 2 + (shortened / SHORTENED) ** 2 + (apart / APART) ** 2) / 2)
    length = np.linalg.norm(body, axis=1)
    weight *= body @ CAMERA_UP > math.cos(math.radians(MAX_TILT_DEG + 5)) * length
    if weight.sum() < MIN_STANDING:
        return None
    if observed is not None:
        seen = observed[:, [joint for name in ("ankles", "hips", "neck") for joint in _JOINTS[name]]].all(axis=1)
        weight *= np.where(seen, 1.0, UNOBSERVED)
    some = weight > 0
    directions, weight = body[some] / length[some, None], weight[some]
    median = (directions * weight[:, None]).sum(axis=0) / weight.sum()
    for _ in range(30):
        pull = weight / np.maximum(np.linalg.norm(directions - median, axis=1), 1e-4)
        median = (directions * pull[:, None]).sum(axis=0) / pull.sum()
    return median / np.linalg.norm(median)


def _cosine(a: Array, b: Array) -> Array:
    """(N,) of the angles between vectors (N, 3)."""
    return (a * b).sum(axis=1) / np.maximum(np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1), 1e-9)


def _lowest(poses: Array, up: Array) -> Array:
    """(N, 3): the lowest joint of every pose (N, 17, 3)."""
    return np.take_along_axis(poses, (poses @ up).argmin(axis=1)[:, None, None], axis=1)[:, 0]


def _without_slope(up: Array, feet: Array) -> Array:
    """`up` turned by the slope of the floor under feet (N, 3), which the prior and the limit hold near none.

    Feet leave the floor but hardly go below it, so a point below the plane weighs nine times one above it.
    """
    axes = _axes(up)
    x, y, height = ((feet - feet.mean(axis=0)) @ axes.T).T
    design = np.stack([np.ones_like(x), x, y], axis=1)
    stiffness = (FOOT_STD_MM / math.tan(math.radians(SLOPE_STD_DEG))) ** 2
    plane, prior = np.zeros(3), np.diag([1e-9, stiffness, stiffness])
    for _ in range(20):
        weight = np.where(height < design @ plane, 0.9, 0.1)
        weight /= weight.sum()
        plane = np.linalg.solve(design.T @ (design * weight[:, None]) + prior, design.T @ (weight * height))
    normal = axes.T @ np.array([-plane[1], -plane[2], 1.0])
    return _toward(up, normal / np.linalg.norm(normal), SLOPE_MAX_DEG)


def _toward(start: Array, end: Array, limit_deg: float) -> Array:
    """The unit vector `end`, or where it is farther than the limit from the unit vector `start`, one at the limit."""
    angle = math.acos(float(np.clip(start @ end, -1, 1)))
    limit = math.radians(limit_deg)
    if angle <= limit:
        return end
    across = end - (start @ end) * start
    return math.cos(limit) * start + math.sin(limit) * across / np.linalg.norm(across)


def _axes(up: Array) -> Array:
    """Right, forward, up (3, 3): forward is where the camera looks, or above its picture if it looks up or down."""
    ahead = np.array([0.0, 0.0, 1.0])
    if abs(up[2]) > 0.95:
        ahead = CAMERA_UP if up[2] < 0 else -CAMERA_UP
    forward = ahead - (ahead @ up) * up
    forward /= np.linalg.norm(forward)
    return np.stack([np.cross(forward, up), forward, up])
