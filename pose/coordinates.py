"""The two kinds of coordinates: `normal` and `universal`. See docs/method.md §1.

normal: camera coordinates in mm at each actor's own size (`annot3`); millimetre metrics are about it.
universal: the same scaled about the camera centre, so that every actor has one height (`univ_annot3`); 3DPCK is
about it. Both project to the same pixels.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from pose.errors import ConfigError, MismatchError
from pose.joint_sets import MUPOTS_17

Coordinates = Literal["normal", "universal"]
COORDINATES: tuple[Coordinates, ...] = ("normal", "universal")

#: Names of the annotation fields that hold each coordinates.
ANNOTATION_FIELD: dict[Coordinates, str] = {"normal": "annot3", "universal": "univ_annot3"}

#: Knee to neck length of the universal actor, mm (this project's convention for data that it makes itself).
UNIVERSAL_KNEE_TO_NECK = 920.0


def check_coordinates(coordinates: str) -> Coordinates:
    """`coordinates` if it is one of COORDINATES, else ConfigError."""
    for known in COORDINATES:
        if coordinates == known:
            return known
    raise ConfigError(f"coordinates={coordinates}: must be one of {', '.join(COORDINATES)}")


def same_coordinates(name: str, found: str | None, expected: str | None) -> None:
    """Raise MismatchError naming both unless they agree."""
    if found != expected:
        raise MismatchError(
            f"{name}: coordinates={found} given, coordinates={expected} expected; "
            f"set coordinates={found} or use a {expected} source"
        )


def universal_scale(poses_3d: Tensor) -> Tensor:
    """Scale `s` of one actor with `universal = s * normal`: 920 mm over the mean knee to neck length.

    poses_3d (T, 17, 3) in mm, MuPoTS-17 -> scalar. The length is the chain of bones neck, spine, hip, hip joint, knee,
    the mean of both sides, so it does not depend on the pose.

    >>> import torch
    >>> person = torch.zeros(1, 17, 3)  # knees 500 mm below the hips, the neck 520 mm above
    >>> for joint, y in {"neck": -520.0, "spine": -200.0, "left_knee": 500.0, "right_knee": 500.0}.items():
    ...     person[0, MUPOTS_17.index(joint), 1] = y
    >>> round(float(universal_scale(person)), 3)  # 920 / 1020
    0.902
    """
    index = MUPOTS_17.index

    def bone(a: str, b: str) -> Tensor:
        return (poses_3d[:, index(a)] - poses_3d[:, index(b)]).norm(dim=-1).mean()

    legs = sum(bone("hip", f"{side}_hip") + bone(f"{side}_hip", f"{side}_knee") for side in ("left", "right"))
    return UNIVERSAL_KNEE_TO_NECK / (bone("neck", "spine") + bone("spine", "hip") + legs / 2)
