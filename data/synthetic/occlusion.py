"""Which joints are hidden, by other people or by the own body.

A body is a set of capsules (bones with a radius). Seen from the camera a joint is covered where its pixel lies inside
a capsule's outline and the capsule is nearer there: a z-buffer over joints instead of pixels, which needs nothing but
the poses and so works on motion capture too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose.coordinates import UNIVERSAL_KNEE_TO_NECK
from pose.joint_sets import MUPOTS_17

#: A forearm's capsule goes on over the hand by this part of its length.
_HAND = 0.4
_N = len(MUPOTS_17)
_POINTS = (*MUPOTS_17.names, "left_hand", "right_hand")


def _limbs() -> list[tuple[str, str, float, str]]:
    """(from, to, radius in mm of the universal actor, joints of the same person that it never hides)."""
    trunk = "neck spine hip left_shoulder right_shoulder left_hip right_hip"
    limbs = [
        ("hip", "neck", 115.0, trunk + " head"),
        ("left_shoulder", "left_hip", 85.0, trunk),
        ("right_shoulder", "right_hip", 85.0, trunk),
        ("left_shoulder", "right_shoulder", 70.0, trunk + " head"),
        ("neck", "head_top", 85.0, "neck head head_top"),
    ]
    for side in ("left", "right"):
        arm = f"{side}_shoulder {side}_elbow {side}_wrist"
        leg = f"{side}_hip {side}_knee {side}_ankle"
        limbs += [
            (f"{side}_shoulder", f"{side}_elbow", 50.0, arm),
            (f"{side}_elbow", f"{side}_hand", 42.0, arm),
            (f"{side}_hip", f"{side}_knee", 78.0, leg + " hip"),
            (f"{side}_knee", f"{side}_ankle", 55.0, leg),
        ]
    return limbs


_LIMBS = _limbs()
_FROM = [_POINTS.index(a) for a, _, _, _ in _LIMBS]
_TO = [_POINTS.index(b) for _, b, _, _ in _LIMBS]
_RADIUS = np.array([radius for _, _, radius, _ in _LIMBS], dtype=np.float32)
#: (17, limbs): the limb can hide that joint of its own body.
_CAN_HIDE_OWN = np.array([[name not in spared.split() for _, _, _, spared in _LIMBS] for name in MUPOTS_17.names])


@dataclass(frozen=True, eq=False)
class Cover:
    """How far each joint of one person is covered: 0 free, 0.5 at the outline of what hides it, 1 well inside.

    by_others (T, 17), by_self (T, 17); occluder (T, 17): index in the scene of the person that covers it most,
    where one does.
    """

    by_others: np.ndarray
    by_self: np.ndarray
    occluder: np.ndarray

    @property
    def visible(self) -> np.ndarray:
        """(T, 17) bool: covered neither by others nor by the own body."""
        return np.maximum(self.by_others, self.by_self) < 0.5


#: Frames worked on at once, to stay within the processor's cache.
_BLOCK = 256


def scene_cover(annotation_2d: np.ndarray, annotation_3d: np.ndarray, focal: np.ndarray) -> list[Cover]:
    """Covers of the P people of a scene.

    annotation_2d (P, T, 17, 2) px and annotation_3d (P, T, 17, 3) mm, camera coordinates; focal (P,) px.
    """
    pixels, points = annotation_2d.astype(np.float32), annotation_3d.astype(np.float32)
    starts = range(0, pixels.shape[1], _BLOCK)
    blocks = [_block_cover(pixels[:, i : i + _BLOCK], points[:, i : i + _BLOCK], focal) for i in starts]
    by_others, by_self, occluder = (np.concatenate(parts, axis=1) for parts in zip(*blocks, strict=True))
    return [Cover(*person) for person in zip(by_others, by_self, occluder, strict=True)]


def _block_cover(pixels: np.ndarray, points: np.ndarray, focal: np.ndarray) -> tuple[np.ndarray, ...]:
    """The three arrays of `Cover`, each (P, T, 17)."""
    depth = points[..., 2]
    outlines = [_outlines(*body) for body in zip(pixels, points, focal, strict=True)]
    by_self = np.stack([_covered(*body, own=True) for body in zip(pixels, depth, outlines, strict=True)])
    by_others = np.zeros_like(by_self)
    occluder = np.zeros(by_self.shape, dtype=int)
    for p in range(len(points)):
        for other, outline in enumerate(outlines):
            if other != p:
                by_other = _covered(pixels[p], depth[p], outline, own=False)
                occluder[p] = np.where(by_other > by_others[p], other, occluder[p])
                by_others[p] = np.maximum(by_others[p], by_other)
    return by_others, by_self, occluder


@dataclass(frozen=True, eq=False)
class _Outlines:
    start: np.ndarray  # (T, limbs, 2) px
    along: np.ndarray  # (T, limbs, 2) px
    depth: np.ndarray  # (T, limbs, 2) mm, at both ends
    radius: np.ndarray  # (limbs,) mm
    focal: float


def _outlines(pixels: np.ndarray, points: np.ndarray, focal: float) -> _Outlines:
    index = MUPOTS_17.index

    def with_hands(values: np.ndarray) -> np.ndarray:
        wrists = values[:, [index("left_wrist"), index("right_wrist")]]
        elbows = values[:, [index("left_elbow"), index("right_elbow")]]
        return np.concatenate([values, wrists + _HAND * (wrists - elbows)], axis=1)

    pixels, depth = with_hands(pixels), with_hands(points[..., 2])
    torso = np.linalg.norm(points[:, index("neck")] - points[:, index("hip")], axis=1).mean()
    thigh = np.linalg.norm(points[:, index("left_knee")] - points[:, index("left_hip")], axis=1).mean()
    size = (torso + thigh) / (0.87 * UNIVERSAL_KNEE_TO_NECK)
    return _Outlines(
        pixels[:, _FROM],
        pixels[:, _TO] - pixels[:, _FROM],
        np.stack([depth[:, _FROM], depth[:, _TO]], axis=-1),
        _RADIUS * size,
        focal,
    )


def _covered(pixels: np.ndarray, depth: np.ndarray, limbs: _Outlines, own: bool) -> np.ndarray:
    """Cover (T, 17) of joints at `pixels` (T, 17, 2) and `depth` (T, 17) by one body's limbs."""
    # Coordinates apart, as (T, 17, limbs): several times faster than a trailing axis of length 2.
    from_x = pixels[:, :, None, 0] - limbs.start[:, None, :, 0]
    from_y = pixels[:, :, None, 1] - limbs.start[:, None, :, 1]
    along_x, along_y = limbs.along[:, None, :, 0], limbs.along[:, None, :, 1]
    at = (from_x * along_x + from_y * along_y) / (along_x**2 + along_y**2 + 1e-6)
    at = np.clip(at, 0, 1)
    distance = np.hypot(from_x - at * along_x, from_y - at * along_y)
    limb_depth = limbs.depth[:, None, :, 0] * (1 - at) + limbs.depth[:, None, :, 1] * at
    outside = distance * limb_depth / (limbs.focal * limbs.radius)
    # A joint of the own body lies inside flesh itself, so it counts as behind only at some distance.
    nearer = depth[:, :, None] - limb_depth > (0.7 * limbs.radius + 40 if own else 0.0)
    hidden = nearer & (limb_depth > 0)
    if own:
        hidden &= _CAN_HIDE_OWN
    return np.where(hidden, np.clip(1.7 - 1.2 * outside, 0, 1), 0).max(axis=-1)
