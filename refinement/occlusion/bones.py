"""Bone lengths of a person, constant over the frames: what the lifter said, drawn toward the proportions of adults.

A lifter that is not sure of a limb's direction predicts a mean of directions, which is shorter than the limb, most of
all in depth, where the keypoints don't show it. But a body's bones keep their lengths, so how much the lifter's change
over time (v, standard deviation of their logarithm) says how far off they may be in the mean. In logarithms, the mean
over the bones apart from what each bone differs by it:

    common part:  prior stature_mm, variance (stature_std_mm / stature_mm)²;  the lifter's, (lifter_length_factor v)²
                  (of a person whose stature is known that one, with KNOWN_STD_MM)
    each bone:    prior proportions, variance PROPORTION_STD²;                the lifter's, the same

each the mean of the two, weighted by 1/variance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy  # its parts load when they are used

from pose.joint_sets import JointSet

if TYPE_CHECKING:
    from refinement.occlusion.model import OcclusionRefinement
    from refinement.occlusion.person import Person

#: Lengths of the bones that end in a joint, as fractions of the stature: means over 31 people of motion capture.
PROPORTIONS = {
    "spine": 0.145, "neck": 0.157, "head": 0.058, "head_top": 0.167,
    "shoulder": 0.108, "elbow": 0.171, "wrist": 0.159, "hip": 0.053, "knee": 0.234, "ankle": 0.252,
}  # fmt: skip
#: How much bones differ between people beside the stature: 3 to 11 % in the same 31 people.
PROPORTION_STD = 0.08
#: How far the bones of a person whose stature is known add up to another, standard deviation, mm.
KNOWN_STD_MM = 30.0
#: Not even a lifter whose lengths never change is believed more than this.
LEAST_STD = 0.02
#: And the mean of lengths that change is shorter than the bone by about so many times their standard deviation.
SHORTENED = 1.1
#: Jitter is averaged over so many seconds before lengths are compared between frames.
MEAN_S = 0.5
#: Lengths that differ more from the prior (of their logarithms the mean; what the bones differ by it, root mean square)
#: are not a human's, or of a skeleton with joints elsewhere, and stay as they are. Proportions of the training subjects
#: differ by less than 0.1 in nine of ten predictions; those of CMU's own joints by 0.33.
ODD_SIZE, ODD_PROPORTIONS = 0.6, 0.2


@dataclass(frozen=True, eq=False)
class Bones:
    """pairs (B, 2) of joint and parent, from the root outward; lengths (B,) mm, constant; order: the joints to move.

    scale_std: standard deviation of the logarithm of what all lengths have in common; 0 where there is no prior.
    """

    pairs: np.ndarray
    lengths: np.ndarray
    order: np.ndarray
    scale_std: float = 0.0

    @classmethod
    def of(cls, keys: OcclusionRefinement, person: Person, frames: np.ndarray) -> Bones:
        """Each bone's median length, frames (T,) weighted; drawn toward the prior where keypoints and camera can tell
        what that means for the rest of the body, in metric coordinates."""
        root, parents = person.joints.root, list(person.joints.parents)
        if not parents:
            joints = [joint for joint in range(len(person.joints)) if joint != root]
            return cls(np.zeros((0, 2), dtype=int), np.zeros(0), np.array(joints, dtype=int))
        # Left and right lie equally deep, so that the order treats a mirrored person alike.
        outward = [root]
        for joint in outward:  # grows while it is walked
            outward += [child for child, parent in enumerate(parents) if parent == joint and child != joint]
        order = np.array(outward[1:], dtype=int)
        pairs = np.stack([order, np.array(parents, dtype=int)[order]], axis=1)
        length = np.linalg.norm(person.poses[:, pairs[:, 0]] - person.poses[:, pairs[:, 1]], axis=-1)
        ranked = np.argsort(length, axis=0)
        below = np.cumsum(frames[ranked], axis=0)
        middle = (below >= below[-1:] / 2).argmax(axis=0)
        lengths = np.take_along_axis(length, np.take_along_axis(ranked, middle[None], axis=0), axis=0)[0]
        # Jitter across a bone makes it longer on average: by its variance in one direction over the length.
        jitter = _jitter(length, frames)
        lengths = np.maximum(lengths - jitter / np.maximum(lengths, 1e-6), lengths / 2)
        usual = _usual([person.joints.names[joint] for joint in order])
        if person.rays is None or not person.metric or usual is None:
            return cls(pairs, lengths, order)
        changes = _variation(length, frames, person.fps)
        stature, std = (keys.stature_mm, keys.stature_std_mm)
        if person.stature_mm is not None:
            stature, std = person.stature_mm, KNOWN_STD_MM
        said, prior = np.log(np.maximum(lengths, 1.0)) + SHORTENED * changes, np.log(usual * stature)
        varied = (keys.lifter_length_factor * changes) ** 2 + LEAST_STD**2
        common = 1 / np.array([(std / stature) ** 2, varied])
        each = 1 / np.array([PROPORTION_STD**2, varied])
        # Bones count as they are long: a short one says little about the stature.
        size = (usual * (said - prior)).sum() / usual.sum()
        if abs(size) > ODD_SIZE or ((said - prior - size) ** 2).mean() > ODD_PROPORTIONS**2:
            return cls(pairs, lengths, order)
        share, own = common[1] / common.sum(), each[1] / each.sum()
        logarithm = prior + share * size + own * (said - prior - size)
        return cls(pairs, np.exp(logarithm), order, float(common.sum() ** -0.5))

    def exact(self, poses: np.ndarray) -> np.ndarray:
        """Poses (T, J, 3) with the constant lengths and the directions that the bones have, from the root outward."""
        exact, (joints, parents) = poses.copy(), self.pairs.T
        bones = poses[:, joints] - poses[:, parents]
        bones *= self.lengths[:, None] / np.maximum(np.linalg.norm(bones, axis=-1, keepdims=True), 1e-6)
        for bone, (joint, parent) in enumerate(self.pairs.tolist()):
            exact[:, joint] = exact[:, parent] + bones[:, bone]
        return exact

    def bounded(self, variance: np.ndarray) -> np.ndarray:
        """Variances (T, J) of coordinates, mm², none larger than that of a bone that may point anywhere from where its
        parent may be: two thirds of its length squared more."""
        bounded = variance.copy()
        for (joint, parent), length in zip(self.pairs, self.lengths, strict=True):
            bounded[:, joint] = np.minimum(bounded[:, joint], bounded[:, parent] + 2 / 3 * length**2)
        return bounded


def with_rigid_head(poses: np.ndarray, joints: JointSet) -> np.ndarray:
    """Poses (T, J, 3) with the angle at the neck between `head` and `head_top` at its median, so the head keeps its
    shape: of a skeleton in which both hang on one joint. Others as they are."""
    names, parents = joints.names, joints.parents
    if not parents or "head" not in names or "head_top" not in names:
        return poses
    head, top = names.index("head"), names.index("head_top")
    if parents[head] != parents[top]:
        return poses
    neck = poses[:, parents[head]]
    ahead, up = poses[:, head] - neck, poses[:, top] - neck
    length = np.linalg.norm(ahead, axis=-1)
    up /= np.maximum(np.linalg.norm(up, axis=-1, keepdims=True), 1e-6)
    along = (ahead * up).sum(axis=-1)
    across = ahead - along[:, None] * up
    aside = np.linalg.norm(across, axis=-1)
    # Where the two point the same way the plane is unknown, and any perpendicular does.
    other = np.cross(up, np.eye(3)[np.abs(up).argmin(axis=1)])
    other /= np.maximum(np.linalg.norm(other, axis=-1, keepdims=True), 1e-6)
    across = np.where(aside[:, None] > 1e-6, across / np.maximum(aside[:, None], 1e-6), other)
    angle = np.median(np.arctan2(aside, along))
    rigid = poses.copy()
    rigid[:, head] = neck + length[:, None] * (np.cos(angle) * up + np.sin(angle) * across)
    return rigid


def _variation(length: np.ndarray, frames: np.ndarray, fps: float) -> float:
    """How much the logarithm of lengths (T, B) changes over the frames, weighted, beside the jitter of single frames:
    standard deviation of its means over MEAN_S, root mean square over the bones."""
    width = 2 * round(MEAN_S * fps / 2) + 1
    said = np.log(np.maximum(length, 1.0))
    means = scipy.ndimage.uniform_filter1d(said, width, axis=0, mode="nearest")
    variance = np.average((means - np.average(means, axis=0, weights=frames)) ** 2, axis=0, weights=frames)
    return float(np.sqrt(np.maximum(variance - _jitter(said, frames) / width, 0.0).mean()))


def _jitter(values: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Variance (B,) of what is independent from frame to frame in values (T, B)."""
    if len(values) < 2:
        return np.zeros(values.shape[1])
    return np.average(np.diff(values, axis=0) ** 2, axis=0, weights=frames[1:] + frames[:-1]) / 2


def _usual(names: list[str]) -> np.ndarray | None:
    """Fractions of the stature of the bones that end in these joints, or None unless all are known."""
    kinds = [name.removeprefix("left_").removeprefix("right_") for name in names]
    return np.array([PROPORTIONS[kind] for kind in kinds]) if set(kinds) <= set(PROPORTIONS) else None
