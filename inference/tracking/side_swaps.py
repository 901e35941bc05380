"""Left and right exchanged for a while: found along a track, undone where that is sure, scored 0 where it is not.

Detectors mistake the sides of people seen from behind or in profile, of the whole body, of the arms or of the legs. A
limb does not jump to the other side of the body and back: arms and legs are each a chain of two states (as detected,
exchanged), and the cheapest path through a track is the one whose joints move least. Exchanges are rare, so each
exchanged frame costs a little too. Which of two labellings is the right one also shows where shoulders and hips, or
shoulders and ears, point opposite ways. Source: our own; labellings by dynamic programming.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from pose.features import with_derived_joints
from pose.joint_sets import COCO_17
from pose.sequence import PoseSequence

#: A joint's step counts up to this distance, in heights of the person in the image.
STEP_CAP = 0.15
#: What an exchanged frame costs, in joints that are a whole cap away.
EXCHANGED_COST = 0.02
#: What it costs more that a track begins or ends exchanged: short tracks hardly tell otherwise.
END_COST = 0.2
#: What it costs, whatever the state, that a joint is found in one of two neighbouring frames only; at most.
LOST_COST = 0.5
#: Steps are as large as at this rate; at lower ones a frame counts as so many more. Below the slowest rate people move
#: too far from frame to frame for anything to be told.
STEP_FPS, SLOWEST_FPS = 30.0, 8.0
#: How much more probable a path is that costs one less: e to this power.
SHARPNESS = 10.0
#: What a frame costs whose shoulders point the other way than its hips.
TWIST_COST = 0.2
#: The same of shoulders and ears. One in a hundred frames of real people has it who turn their heads.
FACE_COST = 0.07
#: What it costs that eyes and ears change without the body. Their own steps in the image are too small to tell.
FACE_CHANGE_COST = 1.0
#: People who walk backward faster than this, in heights a second, more likely have their sides the wrong way round, if
#: something tells that they are exchanged in a part of their track.
BACKWARD = -0.06
#: Frames whose state is less probable than this are not sure.
SURE = 0.9
#: Left and right nearer than this, in heights, are the same place: whose is whose does not matter.
SAME_PLACE = 0.05
#: As near as that ears tell no direction.
NEAR_EARS = 0.02
_PARTS = {"arms": ("shoulder", "elbow", "wrist"), "legs": ("hip", "knee", "ankle")}
_PAIRS = {
    part: np.array([[COCO_17.index(f"left_{name}"), COCO_17.index(f"right_{name}")] for name in names])
    for part, names in _PARTS.items()
}
_ANKLES = [COCO_17.index(f"{side}_ankle") for side in ("left", "right")]
_FLIP = list(COCO_17.flip)
_FACE = np.array([[COCO_17.index(f"left_{name}"), COCO_17.index(f"right_{name}")] for name in ("eye", "ear")])


@dataclasses.dataclass(frozen=True)
class SideSwaps:
    """What was found in a track: frames with arms, legs or both exchanged (undone), frames that were not sure."""

    exchanged: int
    unsure: int


def without_side_swaps(sequence: PoseSequence) -> tuple[PoseSequence, SideSwaps]:
    """The track (COCO-19) with left and right as they most probably are; joints of unsure limbs lose their score."""
    n = len(COCO_17)
    points = sequence.keypoints_2d[:, :n].double().cpu().numpy()
    scores = sequence.confidence[:, :n].double().cpu().numpy()
    frames = np.flatnonzero(sequence.detected.cpu().numpy() & ((scores[:, 5:] > 0).sum(1) >= 4))
    if len(frames) < 3 or sequence.fps < SLOWEST_FPS:
        return sequence, SideSwaps(0, 0)
    height = _height(points[frames], scores[frames])
    swapped, unsure = {}, {}
    here, seen = points[frames], scores[frames] > 0
    slow = max(1.0, STEP_FPS / sequence.fps)
    apart = np.diff(frames) * slow
    steps = {part: _steps(here[:, pairs], seen[:, pairs], apart, height) for part, pairs in _PAIRS.items()}
    twisted, turned = (_opposite(here, seen, height, pair) for pair in (_PAIRS["legs"][0], _FACE[1]))
    states, sure = _path(steps["arms"], steps["legs"], twisted, turned, slow)
    whole = np.all(states, axis=1)
    if whole.any() and not whole.all():
        labelled = np.where(whole[:, None, None], here[:, _FLIP], here)
        if _forward(labelled, np.where(whole[:, None], seen[:, _FLIP], seen), frames, height, sequence.fps) < BACKWARD:
            states = ~states
    for number, (part, pairs) in enumerate(_PAIRS.items()):
        wide = np.linalg.norm(here[:, pairs[:, 0]] - here[:, pairs[:, 1]], axis=-1).max(1) > SAME_PLACE * height
        swapped[part], unsure[part] = states[:, number], ~sure[:, number] & wide
    if not any(values.any() for values in (*swapped.values(), *unsure.values())):
        return sequence, SideSwaps(0, 0)
    for part, pairs in {**_PAIRS, "face": _FACE}.items():
        rows = frames[states[:, 2] if part == "face" else swapped[part]]
        for left, right in pairs:
            for values in (points, scores):
                values[rows[:, None], [left, right]] = values[rows[:, None], [right, left]]
        if part != "face":
            scores[frames[unsure[part]][:, None], pairs.ravel()] = 0.0
            points[frames[unsure[part]][:, None], pairs.ravel()] = 0.0
    found = _with_derived(sequence, points, scores)
    any_of = [np.logical_or(*values.values()) for values in (swapped, unsure)]
    return found, SideSwaps(*(int(values.sum()) for values in any_of))


def _height(points: np.ndarray, scores: np.ndarray) -> float:
    """Median over frames of the larger side of the box, px."""
    seen = scores[..., None] > 0
    box = np.where(seen, points, -np.inf).max(1) - np.where(seen, points, np.inf).min(1)
    return max(1.0, float(np.median(box.max(1))))


def _forward(points: np.ndarray, seen: np.ndarray, frames: np.ndarray, height: float, fps: float) -> float:
    """Mean speed in heights a second with which the feet come down the picture where people face the camera, and go up
    where they turn their backs: above 0 for people who walk forward, 0 where nothing tells."""
    feet = np.fmax.reduce(np.where(seen[:, _ANKLES], points[:, _ANKLES, 1], np.nan), axis=1)
    front = np.where(seen[:, _PAIRS["arms"][0]].all(1), -np.diff(points[:, _PAIRS["arms"][0], 0])[:, 0] / height, 0.0)
    n = max(2, round(fps / 2))
    if len(frames) <= n:
        return 0.0
    speed = (feet[n:] - feet[:-n]) / height * fps / (frames[n:] - frames[:-n])
    faces = front[n // 2 : n // 2 + len(speed)]
    return float(np.mean(np.where(np.isfinite(speed) & (np.abs(faces) > SAME_PLACE), np.sign(faces) * speed, 0.0)))


def _steps(points: np.ndarray, seen: np.ndarray, steps: np.ndarray, height: float) -> np.ndarray:
    """(n, J, 2 sides, 2) px, (n, J, 2), steps (n - 1,) frames at STEP_FPS -> (n - 1, 2) costs of keeping and
    changing the state."""
    cost = np.zeros((len(steps), 2))
    # Joints that are missing at random are often found in one of two frames: that tells as much less of their sides.
    often = np.clip((seen[1:] ^ seen[:-1]).mean() if len(steps) else 0.0, 1e-6, 0.5)
    lost_cost = min(LOST_COST, float(np.log(1 / often - 1)) / SHARPNESS)
    for other in (0, 1):
        later, there = (points[1:, :, ::-1], seen[1:, :, ::-1]) if other else (points[1:], seen[1:])
        moved = np.linalg.norm(later - points[:-1], axis=-1) / (height * STEP_CAP * np.sqrt(steps)[:, None, None])
        lost = there ^ seen[:-1]
        cost[:, other] = (np.minimum(moved**2, 1) * (there & seen[:-1]) + lost_cost * lost).sum((1, 2))
    return cost


def _opposite(points: np.ndarray, seen: np.ndarray, height: float, pair: np.ndarray) -> np.ndarray:
    """(n,) 1 where the shoulders and a pair point opposite ways, -1 where the same way, 0 where that can't be told."""
    shoulders = _PAIRS["arms"][0]
    a, b = (points[:, two[0], 0] - points[:, two[1], 0] for two in (shoulders, pair))
    near = NEAR_EARS if pair[0] == _FACE[1, 0] else SAME_PLACE
    wide = (np.abs(a) > SAME_PLACE * height) & (np.abs(b) > near * height)
    return np.where(seen[:, [*shoulders, *pair]].all(1) & wide, -np.sign(a * b), 0.0)


def _path(
    arms: np.ndarray, legs: np.ndarray, twisted: np.ndarray, turned: np.ndarray, slow: float
) -> tuple[np.ndarray, np.ndarray]:
    """Cheapest path: exchanged (n, 3) bool of arms, legs and face, and (n, 3) bool, whether that is sure.

    arms, legs (n - 1, 2): steps; twisted, turned (n,): whether hips and ears point the other way than the shoulders.
    slow: how many frames at STEP_FPS one frame stands for.
    """
    n, all_states = len(twisted), np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0), (1, 1, 1)])
    change = np.abs(all_states[:, None] - all_states[None])  # (from, to, part)
    alone = change[..., 2] * (change.sum(-1) < 3)
    step = SHARPNESS * (arms[:, change[..., 0]] + legs[:, change[..., 1]] + FACE_CHANGE_COST * alone)
    mixed = np.where(all_states[:, :1] != all_states[:, 1:], -1.0, 1.0)  # (state, legs or face)
    unary = SHARPNESS * (
        slow * EXCHANGED_COST * all_states.any(1)
        + TWIST_COST * np.maximum(twisted[:, None] * mixed[:, 0], 0)
        + FACE_COST * np.maximum(turned[:, None] * mixed[:, 1], 0)
    )
    unary[[0, -1]] += SHARPNESS * END_COST * all_states.any(1)
    best, back = unary[0].copy(), np.zeros((n, len(all_states)), dtype=int)
    for i in range(1, n):
        total = best[:, None] + step[i - 1]
        back[i], best = total.argmin(0), total.min(0) + unary[i]
    state = np.zeros(n, dtype=int)
    state[-1] = best.argmin()
    for i in range(n - 1, 0, -1):
        state[i - 1] = back[i, state[i]]
    # Where sides change can be sure although nothing tells which of two labellings of the whole track is right: the
    # other frames are judged beside the surest one, whose state counts as given.
    surest = _probability(unary, step)[np.arange(n), state].argmax()
    unary[surest, np.arange(len(all_states)) != state[surest]] = np.inf
    alike = all_states[None] == all_states[state][:, None]
    sure = (_probability(unary, step)[..., None] * alike).sum(1) >= SURE
    return all_states[state].astype(bool), sure


def _probability(unary: np.ndarray, step: np.ndarray) -> np.ndarray:
    """(n, S) costs of states and (n - 1, S, S) of going from one to the next -> (n, S) how probable each state is."""
    forward, backward = -unary, np.zeros_like(unary)
    for i in range(1, len(unary)):
        forward[i] += np.logaddexp.reduce(forward[i - 1][:, None] - step[i - 1], axis=0)
    for i in range(len(unary) - 1, 0, -1):
        backward[i - 1] = np.logaddexp.reduce(backward[i] - unary[i] - step[i - 1], axis=1)
    log = forward + backward
    return np.exp(log - np.logaddexp.reduce(log, axis=1)[:, None])


def _with_derived(sequence: PoseSequence, points: np.ndarray, scores: np.ndarray) -> PoseSequence:
    """The sequence with these COCO-17 joints, hip and neck made of them, missing where one of the two is."""
    keypoints, confidence = with_derived_joints(
        torch.from_numpy(points).to(sequence.keypoints_2d), torch.from_numpy(scores).to(sequence.confidence)
    )
    for name, part in (("hip", "legs"), ("neck", "arms")):
        lost = (confidence[:, _PAIRS[part][0]] == 0).any(1)
        at = {"hip": len(COCO_17), "neck": len(COCO_17) + 1}[name]
        keypoints[lost, at], confidence[lost, at] = 0.0, 0.0
    same = (keypoints[:, : len(COCO_17)] == sequence.keypoints_2d[:, : len(COCO_17)]).flatten(1).all(1)
    keypoints[same], confidence[same] = sequence.keypoints_2d[same], sequence.confidence[same]
    return dataclasses.replace(sequence, keypoints_2d=keypoints, confidence=confidence)
