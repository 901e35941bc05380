"""Whether keypoints can be people in the joint order that they were read in: symmetric limbs, joints in between.

`data.keypoints.coco19` asks for every input that does not name its joints.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pose.joint_sets import JointSet

#: Real detections have penalties of up to 0.25, people who crouch at the image's edge or sit 0.35 to 0.52, all of them
#: 0.2 to 0.3 less where the order has joints in the middle of others; other orders 0.2 and more above the right one.
FITS, NO_BODY = 0.4, 0.5
_MIDDLES = {
    "hip": ("left_hip", "right_hip"), "neck": ("left_shoulder", "right_shoulder"),
    "thorax": ("left_shoulder", "right_shoulder"), "spine": ("hip", "neck"),
}  # fmt: skip
#: As far as this from there, in the spread of a body, they count neither for nor against an order.
_NEAR = 0.3
_LIMBS = (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))
_NEEDED = tuple(
    f"{side}_{joint}" for side in ("left", "right") for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
)


def implausibility(keypoints: np.ndarray, confidence: np.ndarray, joints: JointSet, middles: int = 2) -> float | None:
    """How little N people (N, K, 2), (N, K) look like bodies in this order, 0 for well; None where nothing tells.

    The mean of capped penalties, each a median over people: unequal left and right limbs, unequal halves of a limb, a
    joint that is not between its neighbours, a torso of no human length, a face far from the shoulders.
    middles: joints in the middle of others tell if there are so many.
    """
    at = {name: joints.names.index(name) for name in (*_NEEDED, "nose") if name in joints.names}
    if any(name not in at for name in _NEEDED):
        return None
    p = {name: np.where(confidence[:, [i]] > 0, keypoints[:, i], np.nan) for name, i in at.items()}

    def length(a: str, b: str) -> np.ndarray:
        return np.linalg.norm(p[a] - p[b], axis=1)

    def differ(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.abs(np.log((a + 1e-3) / (b + 1e-3)))

    limb = {
        (side, *ends): length(f"{side}_{ends[0]}", f"{side}_{ends[1]}") for side in ("left", "right") for ends in _LIMBS
    }
    neck, hip = ((p[f"left_{name}"] + p[f"right_{name}"]) / 2 for name in ("shoulder", "hip"))
    torso = np.linalg.norm(neck - hip, axis=1)
    penalties = [differ(limb["left", *ends], limb["right", *ends]) for ends in _LIMBS]
    for side in ("left", "right"):
        for a, b in (_LIMBS[:2], _LIMBS[2:]):
            penalties.append(differ(limb[side, *a], limb[side, *b]))
            whole = length(f"{side}_{a[0]}", f"{side}_{b[1]}")
            penalties.append(np.log((limb[side, *a] + limb[side, *b] + 1e-3) / (whole + 1e-3)))
        penalties.append(np.maximum(differ(torso, limb[side, "hip", "knee"]) - 0.3, 0))
    penalties.append(np.maximum(length("left_hip", "right_hip") / np.maximum(torso, 1e-3) - 0.5, 0))
    if "nose" in p:
        ratio = np.linalg.norm(p["nose"] - neck, axis=1) / np.maximum(np.linalg.norm(p["nose"] - hip, axis=1), 1e-3)
        penalties.append(np.maximum(ratio - 0.5, 0))
    medians = [np.nanmedian(np.minimum(one, 2.0)) for one in penalties if np.isfinite(one).any()]
    return float(np.mean(medians)) + _off_middles(keypoints, confidence, joints, middles) if len(medians) >= 6 else None


def _off_middles(keypoints: np.ndarray, confidence: np.ndarray, joints: JointSet, least: int) -> float:
    """How far joints that lie between others in any pose are from there: below 0 if they all are there, 0 without any.

    Limbs can look alike in two orders, in people who sit or crouch; this cannot.
    """
    several = (confidence > 0).sum(axis=1) > 2
    points = np.where(confidence[several, :, None] > 0, keypoints[several], np.nan)
    size = np.median(np.linalg.norm(np.nanstd(points, axis=1), axis=-1)) if several.any() else 0.0
    off = []
    for middle, ends in _MIDDLES.items():
        if all(name in joints.names for name in (middle, *ends)) and (middle != "neck" or "thorax" not in joints.names):
            i, a, b = (joints.names.index(name) for name in (middle, *ends))
            seen = (confidence[:, [i, a, b]] > 0).all(axis=1)
            far = np.linalg.norm(keypoints[:, i] - (keypoints[:, a] + keypoints[:, b]) / 2, axis=1)[seen]
            off += [np.median(far) / max(size, 1e-3)] if len(far) else []
    return min(max(off) - _NEAR, 1.0) if len(off) >= least else 0.0


def fitting(
    keypoints: np.ndarray, confidence: np.ndarray, candidates: Iterable[JointSet], middles: int = 2
) -> list[tuple[str, float]]:
    """Names and penalties of the candidates with as many joints or fewer, the best first."""
    scored = []
    for joints in candidates:
        if len(joints) <= keypoints.shape[1]:
            value = implausibility(keypoints, confidence, joints, middles)
            if value is not None:
                scored.append((joints.name, value))
    return sorted(scored, key=lambda one: one[1])
