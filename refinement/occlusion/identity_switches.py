"""Identity switches: spans in which a track follows another person, the detections jumping away and, later, back.

A detector that loses a hidden person often finds the one in front, with high scores. No score tells, but the body as a
whole cannot move that far from one frame to the next. The track is cut into pieces where the median keypoint moves
farther than `JUMP_MM` plus what `TOP_SPEED` allows, and the chain of pieces of most value is kept: each second kept
counts one, each impossible step between pieces kept costs half of the longest span that may be rejected. So a short
piece between two that fit together is dropped, and where a track changes for good (a cut in the video) both sides stay.
A person who runs for a good part of the track is granted a higher speed.
"""

from __future__ import annotations

import numpy as np

#: What noise alone can move the median keypoint, mm, and how fast a body goes, mm/s. On the tuning clips the median
#: keypoint moved by at most 122 mm from one frame at 30 fps to the next and jumped to another person by 226 mm or more.
JUMP_MM, TOP_SPEED = 110.0, 2000.0
#: The top speed is at least so many times the speed that is reached in a tenth of the frames.
OWN_SPEED = 1.5
#: Keypoints below this score do not count; with fewer than so many in common two frames are not compared.
MIN_SCORE, MIN_JOINTS = 0.2, 3
#: Pieces looked back at for a predecessor, which keeps the cost linear.
LOOK_BACK = 32


def identity_switch_frames(points: np.ndarray, scores: np.ndarray, fps: float, longest_s: float) -> np.ndarray:
    """(T,) bool: frames of pieces that do not fit the rest.

    points (T, M, 2) keypoints in mm beside the camera's axis at the person's usual distance; scores (T, M); longest_s:
    spans up to this many seconds may be rejected (half as long at either end of the track), 0 rejects none.
    """
    switched = np.zeros(len(points), dtype=bool)
    good = scores > MIN_SCORE
    frames = np.flatnonzero(good.sum(axis=1) >= MIN_JOINTS)
    if longest_s == 0 or len(frames) < 2:
        return switched
    moved, comparable = _movement(points, good, frames[:-1], frames[1:])
    seconds = np.diff(frames) / fps
    speeds = (moved / seconds)[comparable]
    top_speed = max(TOP_SPEED, OWN_SPEED * np.quantile(speeds, 0.9)) if len(speeds) else TOP_SPEED
    starts = np.flatnonzero(comparable & (moved > JUMP_MM + top_speed * seconds)) + 1
    if len(starts) == 0:
        return switched
    pieces = np.split(frames, starts)
    kept = _best_chain(points, good, pieces, fps, top_speed, longest_s / 2)
    for number, piece in enumerate(pieces):
        if number not in kept:
            switched[piece] = True
    return switched


def _movement(
    points: np.ndarray, good: np.ndarray, before: np.ndarray, after: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Movement of the median keypoint from frames `before` to `after` (N,), mm, and whether enough are in both."""
    both = good[before] & good[after]
    moved = np.where(both, np.linalg.norm(points[after] - points[before], axis=-1), np.inf)
    # The median over the joints that both have: sorted, the others at the end.
    count = both.sum(axis=1)
    median = np.take_along_axis(np.sort(moved, axis=1), np.maximum(count - 1, 0)[:, None] // 2, axis=1)[:, 0]
    return median, count >= MIN_JOINTS


def _best_chain(
    points: np.ndarray, good: np.ndarray, pieces: list[np.ndarray], fps: float, top_speed: float, step_cost: float
) -> set[int]:
    """Numbers of the pieces to keep: the most seconds, less `step_cost` for each impossible step between two."""
    value, previous = np.zeros(len(pieces)), np.full(len(pieces), -1)
    for number, piece in enumerate(pieces):
        earlier = np.arange(max(0, number - LOOK_BACK), number)
        value[number] = len(piece) / fps
        if number == 0:
            continue
        ends = np.array([pieces[i][-1] for i in earlier])
        moved, comparable = _movement(points, good, ends, np.full(len(ends), piece[0]))
        impossible = comparable & (moved > JUMP_MM + top_speed * (piece[0] - ends) / fps)
        gains = value[earlier] - np.where(impossible, step_cost, 0.0)
        # Without a predecessor the track starts here, which must not be cheaper than an impossible step.
        best = int(gains.argmax())
        if gains[best] > 0:
            value[number] += gains[best]
            previous[number] = earlier[best]
    number, kept = int(value.argmax()), set()
    while number >= 0:
        kept.add(number)
        number = int(previous[number])
    return kept
