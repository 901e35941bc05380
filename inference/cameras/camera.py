"""Which camera filmed it: what the user gave, what the people tell, or a stated guess; and the scale of the scene.

A lifter sees the picture through the focal length, so every depth is in proportion to it: with a focal length that is
10 % too long all people are placed 10 % too far away, and their sizes and poses hardly change. Known heights of people
fix their own sizes, and with them all distances in proportion.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from inference.cameras.focal import USUAL_DEG, estimate_focal, focal_of_fov
from pose.cameras import Camera
from pose.errors import ConfigError, check_number
from pose.joint_sets import MUPOTS_17
from pose.sequence import PoseSequence

How = Literal["given", "fov", "estimated", "guessed", "file", "made up"]

#: An estimate from the people is used if its standard deviation is at most this fraction of the focal length.
USABLE_STD = 0.25
#: The soles lie below the ankles by this fraction of the stature (data of adults, as in focal.NECK_MM).
ANKLE_FRACTION = 0.045
#: An image's size is wrong if more than this fraction of joints with at least this score lies outside, by more than
#: this fraction of the size.
OUTSIDE_FRACTION, SEEN_SCORE, OUTSIDE_MARGIN = 0.2, 0.3, 0.1
#: No lens of a pinhole camera is shorter than this fraction of the image's width: it would see 136 degrees.
SHORTEST_FOCAL = 0.2
#: No camera's centre, focal length or image's side is as long, px.
FARTHEST_PX = 1e6
#: Statures that a person can have, mm.
SHORTEST_MM, TALLEST_MM = 400.0, 2600.0


@dataclass(frozen=True)
class CameraEstimate:
    """camera: the intrinsics to use, px. how: where the focal length is from. note: that in a sentence for the user."""

    camera: Camera
    how: How
    note: str


@dataclass(frozen=True)
class CameraSettings:
    """What is known of the camera; all may be None.

    fx, fy, cx, cy: px; fy defaults to fx, the centre to that of the image. fov_deg: across the image's width, degrees,
    instead of fx. tilt_deg: how far the camera looks down; roll_deg: how far it is turned clockwise, seen from behind
    it. image_size: (width, height) in px, where the input does not say it or says it wrongly.
    Raises ConfigError naming the key for what cannot be used.

    >>> CameraSettings(fx=1500.0).resolve((1920, 1080), sequences=[]).camera
    Camera(fx=1500.0, fy=1500.0, cx=960.0, cy=540.0, width=1920, height=1080)
    """

    fx: float | None = None
    fy: float | None = None
    cx: float | None = None
    cy: float | None = None
    fov_deg: float | None = None
    tilt_deg: float | None = None
    roll_deg: float | None = None
    image_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        for key, above in {"fx": 0, "fy": 0, "cx": None, "cy": None}.items():
            if (value := getattr(self, key)) is not None:
                low = None if above is not None else -FARTHEST_PX
                check_number(f"camera.{key}", value, low, FARTHEST_PX, above=above, hint="pixels")
        if self.fov_deg is not None:
            check_number("camera.fov_deg", self.fov_deg, 3.2, 170, hint="degrees, not radians")
        if self.tilt_deg is not None:
            check_number("camera.tilt_deg", self.tilt_deg, -90, 90, hint="degrees, looking down is positive")
        if self.roll_deg is not None:
            check_number("camera.roll_deg", self.roll_deg, -180, 180, hint="degrees, clockwise is positive")
        if self.fx is None and self.fy is not None:
            raise ConfigError(f"camera.fy={self.fy}: given without camera.fx; give camera.fx, or both")
        if self.fov_deg is not None and self.fx is not None:
            raise ConfigError(f"camera.fov_deg={self.fov_deg}: given beside camera.fx={self.fx}; give one of them")
        size = self.image_size
        if size is not None:
            if not _is_size(size):
                raise ConfigError(
                    f"camera.image_size={size}: must be [width, height] in whole pixels, at most {FARTHEST_PX:g}"
                )
            object.__setattr__(self, "image_size", (int(size[0]), int(size[1])))

    def size(self, found: tuple[int, int] | None, source: str) -> tuple[int, int]:
        """The size of the image: given, found in the input, or twice the given centre; else ConfigError."""
        if self.image_size is not None:
            return self.image_size
        if found is not None:
            return found
        if self.cx is not None and self.cy is not None and self.cx > 0 and self.cy > 0:
            return round(2 * self.cx), round(2 * self.cy)
        raise ConfigError(f"{source}: the size of the image is not known; give camera.image_size=[WIDTH,HEIGHT]")

    def resolve(
        self, image_size: tuple[int, int], sequences: list[PoseSequence], moves: bool = False
    ) -> CameraEstimate:
        """The camera of an image of that size, in which these people (COCO-19, px) were seen. moves: it did not stand
        still, so that how they stand tells no focal length.

        Raises ConfigError for a size that they don't fit.
        """
        check_image_size(image_size, sequences)
        self._check_focal(*image_size)
        width, height = image_size
        how, focal, note = self._focal(image_size, sequences, moves)
        fy = focal if self.fy is None else self.fy
        cx = width / 2 if self.cx is None else self.cx
        cy = height / 2 if self.cy is None else self.cy
        return CameraEstimate(Camera(float(focal), float(fy), float(cx), float(cy), width, height), how, note)

    def _check_focal(self, width: int, height: int) -> None:
        """ConfigError for a focal length that no lens has: one in mm puts people behind the camera."""
        for key in ("fx", "fy"):
            value = getattr(self, key)
            if value is not None and value < SHORTEST_FOCAL * width:
                raise ConfigError(
                    f"camera.{key}={value:g}: is no focal length in pixels of an image {width} px wide; of a lens in "
                    f"mm it is fx_px = f_mm * longer_side_px / sensor_mm, as for 35 mm film (36 mm) {value:g} mm are "
                    f"{value * max(width, height) / 36:.0f} px; or give camera.fov_deg"
                )

    def _focal(self, image_size: tuple[int, int], sequences: list[PoseSequence], moves: bool) -> tuple[How, float, str]:
        """Where the focal length is from, px, and that in a sentence."""
        if self.fx is not None:
            return "given", self.fx, f"Camera: the given focal length, {self.fx:.0f} px."
        if self.fov_deg is not None:
            focal = focal_of_fov(self.fov_deg, image_size[0])
            origin = f"from the given field of view of {self.fov_deg:g} degrees"
            return "fov", focal, f"Camera: focal length {focal:.0f} px, {origin}."
        remedy = "Depth is in proportion to it; give camera.fx or camera.fov_deg if you know them."
        found = None if moves else estimate_focal(sequences, image_size)
        if found is not None and found.relative_std <= USABLE_STD:
            note = (
                f"Camera: focal length {found.px:.0f} px (give or take {found.relative_std:.0%}), estimated from how "
                f"people stand at {found.places} places; the camera looks down by {found.pitch_deg:.0f} degrees. "
            )
            return "estimated", found.px, note + remedy
        focal = focal_of_fov(USUAL_DEG, max(image_size))
        reason = "the camera moves" if moves else "too few upright people were seen"
        reason = reason if sequences else "it is not estimated from people here"
        reason = reason if found is None else "how the people stand does not tell it"
        note = (
            f"Camera: focal length {focal:.0f} px is a guess, a field of view of {USUAL_DEG:g} degrees across the "
            f"longer side of the image, because {reason}. {remedy}"
        )
        return "guessed", focal, note


def check_image_size(image_size: tuple[int, int], sequences: list[PoseSequence]) -> None:
    """Raise ConfigError where many of these people's joints (px) lie clearly outside an image of (width, height)."""
    seen = [person.keypoints_2d[person.confidence >= SEEN_SCORE] for person in sequences]
    points = np.concatenate([points.double().numpy() for points in seen] or [np.zeros((0, 2))])
    size = np.array(image_size)
    outside = ((points < -OUTSIDE_MARGIN * size) | (points > (1 + OUTSIDE_MARGIN) * size)).any(axis=1)
    if len(points) and outside.mean() > OUTSIDE_FRACTION:
        (left, top), (right, bottom) = np.percentile(points, [1, 99], axis=0)
        raise ConfigError(
            f"camera.image_size={list(image_size)}: the keypoints don't fit it, {outside.mean():.0%} of them lie "
            f"outside; they reach from x={left:.0f} to {right:.0f} and from y={top:.0f} to {bottom:.0f} px; give the "
            "width and height of the video that they come from"
        )


@dataclass(frozen=True)
class KnownHeights:
    """Statures that the user knows, mm, by person number (people are numbered longest track first).

    Raises ConfigError for a stature that no person has.
    """

    heights: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for person, height in self.heights.items():
            check_number(f"heights[{person}]", height, SHORTEST_MM, TALLEST_MM, hint="mm")

    def told(self, people: list[PoseSequence]) -> list[PoseSequence]:
        """The people with the statures that are known of them. Raises ConfigError for an unknown person."""
        unknown = [person for person in self.heights if not 0 <= person < len(people)]
        if unknown:
            raise ConfigError(f"heights[{unknown[0]}]: there is no such person; people are 0 to {len(people) - 1}")
        return [dataclasses.replace(one, stature_mm=self.heights.get(i)) for i, one in enumerate(people)]

    def factors(self, people: list[PoseSequence]) -> np.ndarray:
        """By what to multiply each person's positions, (P,).

        people: with `poses_3d` and `observed`. A person with a known height gets its own factor, all others the mean of
        those.
        """
        if not self.heights:
            return np.ones(len(people))
        own = {}
        for number, height in self.heights.items():
            poses_3d, observed = (people[number].require(key).numpy() for key in ("poses_3d", "observed"))
            own[number] = height / stature(poses_3d, observed)
        mean = math.exp(float(np.mean(np.log(list(own.values())))))
        return np.array([own.get(person, mean) for person in range(len(people))])


def stature(poses_3d: np.ndarray, observed: np.ndarray) -> float:
    """Stature in mm of a person with poses (T, 17, 3) mm, from the medians of its bones where they were observed.

    The way from the ankles over knees, hips, spine and neck to the top of the head, and the height of the ankles.
    """

    def place(joint: str) -> np.ndarray:
        return poses_3d[:, MUPOTS_17.index(joint)]

    def length(a: np.ndarray, b: np.ndarray, *joints: str) -> float:
        seen = observed[:, [MUPOTS_17.index(joint) for joint in joints]].all(axis=1)
        distance = np.linalg.norm(a - b, axis=1)
        return float(np.median(distance[seen] if seen.any() else distance))

    def bone(a: str, b: str) -> float:
        return length(place(a), place(b), a, b)

    hips = (place("left_hip") + place("right_hip")) / 2
    leg = sum(bone(f"{s}_hip", f"{s}_knee") + bone(f"{s}_knee", f"{s}_ankle") for s in ("left", "right")) / 2
    trunk = length(hips, place("spine"), "left_hip", "right_hip", "spine") + bone("spine", "neck")
    return (leg + trunk + bone("neck", "head_top")) / (1 - ANKLE_FRACTION)


def _is_size(size: Any) -> bool:
    """Whether this is a width and a height in whole pixels, of whatever type they were given."""
    return (
        isinstance(size, list | tuple)
        and len(size) == 2
        and all(isinstance(side, int | float) and 0 < side <= FARTHEST_PX and side == side // 1 for side in size)
    )
