"""Fixed lag: each frame from a window that ends `lag` frames after it, for streams.

Each window is solved from its own data, in fewer rounds than the whole: one that starts from the solution of the window
before keeps its mistakes, such as a root that drifted while unseen and then outweighs what is seen. The window is long
enough that what happened before it hardly matters. The cost per frame is that of one window, whatever the length of the
stream and wherever the frame is in it.
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from pose.joint_sets import MUPOTS_17
from pose.level import CAMERA_UP
from refinement.occlusion.contact import resting
from refinement.occlusion.foothold import Foothold
from refinement.occlusion.person import Person, Solution

if TYPE_CHECKING:
    from refinement.occlusion.model import OcclusionRefinement

#: Seconds of the past that a window holds.
HISTORY_S = 2.0
#: And of the past in which a foot must have come to rest to be held.
REST_HISTORY_S = 0.5
#: Rounds of each window; docs/refinement.md tells what they cost and lose.
ROUNDS = 4
#: Few frames say less about the lengths of the bones, and so about the depth that keypoints and bones give together:
#: the standard deviations of both terms are so many times those for a whole track.
KEYPOINT_ROOT_FACTOR, BONE_FACTOR = 3.0, 4.0


def frame_of_stream(
    method: OcclusionRefinement, person: Person, frame: int, lag: int, foothold: Foothold | None = None
) -> Solution:
    """The solution of one frame, shapes (1, J, ...), from frames `frame - history` to `frame + lag` of the person.

    foothold: of a stream whose frames are asked for in order, so that feet keep their place.
    """
    first = max(0, frame - round(HISTORY_S * person.fps))
    own = slice(frame - first, frame - first + 1)
    found = _for_windows(method).solve(person[first : frame + lag + 1], min(ROUNDS, method.rounds), asked=own)
    poses = found.poses[own]
    if foothold is not None:
        recent = slice(max(0, frame - first - round(REST_HISTORY_S * person.fps)), None)
        rests = resting(found.poses[recent], found.observed[recent], CAMERA_UP, person.fps)
        poses = foothold(poses[0], rests[frame - first - recent.start])[None]
    return Solution(poses, found.observed[own], found.std, found.scale_std)


@lru_cache(maxsize=8)
def _for_windows(method: OcclusionRefinement) -> OcclusionRefinement:
    return dataclasses.replace(
        method,
        keypoint_root_std_mm=KEYPOINT_ROOT_FACTOR * method.keypoint_root_std_mm,
        bone_std_mm=BONE_FACTOR * method.bone_std_mm,
    )


def solve_fixed_lag(method: OcclusionRefinement, person: Person, lag: int) -> Solution:
    """As `method.solve`, but each frame from its own window."""
    stands = method.ground != "off" and person.joints == MUPOTS_17 and person.metric and person.rays is not None
    foothold = Foothold(person.fps) if stands else None
    frames = [frame_of_stream(method, person, frame, lag, foothold) for frame in range(len(person.poses))]
    poses, observed, std = (
        np.concatenate([getattr(frame, name) for frame in frames]) for name in ("poses", "observed", "std")
    )
    return Solution(poses, observed, std, max(frame.scale_std for frame in frames))
