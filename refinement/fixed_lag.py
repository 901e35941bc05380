"""Fixed lag: each frame from a window that ends `lag` frames after it, for streams.

The window is solved afresh as it moves on; it is long enough that what happened before it hardly matters. The cost per
frame is that of one window, whatever the length of the stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from refinement.occlusion import OcclusionRefinement, Person

#: Seconds of the past that a window holds.
HISTORY_S = 2.0


def solve_fixed_lag(method: OcclusionRefinement, person: Person, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """As `method.solve`, frame t from frames t - history .. t + lag: poses (T, J, 3) mm, deviations (T, J) mm."""
    history = round(HISTORY_S * person.fps)
    poses, deviations = np.empty_like(person.poses), np.empty(person.poses.shape[:2])
    for frame in range(len(poses)):
        first = max(0, frame - history)
        window, deviation = method.solve(person[first : frame + lag + 1])
        poses[frame], deviations[frame] = window[frame - first], deviation[frame - first]
    return poses, deviations
