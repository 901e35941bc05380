"""Refinement: predicted trajectories in, smoother trajectories out, through occlusions.

    from refinement import PaperRefinement, refine

    smooth = refine(poses_3d, score).poses_3d           # plain arrays: (T, 17, 3) mm and (T,) or (T, K) scores
    result = PaperRefinement(l2_cap=0.5)(sequences)     # a list of PoseSequence, with energies and iterations

Where to look:

    plug_in.py      `refine`: plain arrays of any skeleton and unit, NaN where nothing was found
    gaps.py, skeleton.py   what it needs for that: missing joints filled in, bones -> joint set
    refiner.py      sequences in, sequences out: `NoRefinement`, `PaperRefinement`
    occlusion.py    `OcclusionRefinement`, the default: the model; with occlusion_model.py (what it knows of a person),
                    wrong_spans.py (whom the detections show), blocks.py (the solver), fixed_lag.py (on streams)
    baselines.py    interpolation, 1-Euro, Savitzky-Golay, Gaussian, Kalman smoother
    energy.py       the terms of the published energy, their gradient, and `PublishedEnergy`, which joins them
    fast.py         the same energy by banded solves: `FastRefinement`; with windows.py, robust.py and banded.py
    visibility.py   detection scores -> how much each frame is believed
    adam.py         the optimiser of the published method and its stop rule

To add a refinement: write a class whose constructor takes its configuration keys, whose `name` is the option's name and
whose `__call__(sequences, progress=None)` returns a `RefinementResult`; export it here; give it a file in
conf/refinement/ and a test. It depends on `pose` alone. The formulas are in docs/refinement.md.
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
