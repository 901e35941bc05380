"""Refinement: predicted trajectories in, smoother trajectories out, through occlusions.

    from refinement import PaperRefinement, refine

    smooth = refine(poses_3d, score).poses_3d           # plain arrays: (T, 17, 3) mm and (T,) or (T, K) scores
    result = PaperRefinement(l2_cap=0.5)(sequences)     # a list of PoseSequence, with energies and iterations

Where to look:

    api.py          `refine`: plain arrays of any skeleton and unit, NaN where nothing was found
    gaps.py, skeleton.py   what it needs for that: missing joints filled in, bones -> joint set
    refiner.py      what every refiner is: `Refiner`, `RefinementResult`, checks; `NoRefinement`
    baselines.py    interpolation, 1-Euro, Savitzky-Golay, Gaussian, Kalman smoother
    occlusion/      `OcclusionRefinement`, the default
    published/      the published energy, `PaperRefinement` (by Adam) and `FastRefinement` (by banded solves)

To add a refinement: write a class with explicit constructor arguments, the keys of its configuration, each checked
there (`pose.errors.check_number`); a `name`, the option's; and `__call__(sequences)` that returns a
`RefinementResult` whose sequences come from `refiner.with_refined`, which sets `observed` and `lifted_3d`. Export it
here; give it a file in conf/refinement/ and a test. It depends on `pose` alone. The formulas are in docs/refinement.md.
"""

from refinement.api import refine
from refinement.baselines import (
    GaussianRefinement,
    InterpolationRefinement,
    KalmanRTSRefinement,
    OneEuroRefinement,
    SavitzkyGolayRefinement,
)
from refinement.occlusion.model import OcclusionRefinement
from refinement.published.adam import AdamSettings, Minimum, minimise_adam
from refinement.published.direct import minimise_fast
from refinement.published.energy import PublishedEnergy
from refinement.published.refinements import FastRefinement, PaperRefinement
from refinement.published.visibility import visibility
from refinement.refiner import Energies, NoRefinement, RefinementResult, Refiner

__all__ = [
    "AdamSettings",
    "Energies",
    "FastRefinement",
    "GaussianRefinement",
    "InterpolationRefinement",
    "KalmanRTSRefinement",
    "Minimum",
    "NoRefinement",
    "OcclusionRefinement",
    "OneEuroRefinement",
    "PaperRefinement",
    "PublishedEnergy",
    "RefinementResult",
    "Refiner",
    "SavitzkyGolayRefinement",
    "minimise_adam",
    "minimise_fast",
    "refine",
    "visibility",
]
