"""The published energy and its two solvers.

    energy.py        its keys (`EnergySettings`), its terms and their gradient (`PublishedEnergy`)
    visibility.py    detection scores -> how much each frame counts
    adam.py          the optimiser of the published method and its stop rule
    direct.py        the same energy by banded solves
    refinements.py   both as options of `refinement=`: `PaperRefinement`, `FastRefinement`

To change the energy: a term in `BoundEnergy` and in `direct._Part`, its key in `EnergySettings` and in
conf/refinement/{paper,energy_fast}.yaml; tests/refinement/published compares both with plain loops.
"""
