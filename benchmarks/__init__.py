"""Speed and memory, each figure a ratio of two things timed in one run; docs/performance.md is made from them.

    run                every figure of the modules below: `make bench`
    figure, machine    what a figure is; what it was measured on
    startup, memory    importing and `--help`; resident memory of a call
    reading            data sets
    training, lifting, refinement_speed, evaluation   the lifter, the refinements, `evaluate`
    long_video, pictures   `predict` and its videos
    performance_page   docs/performance.md
    costs              not speed: what the lifters of each table cost, from counted operations
    multiview          not speed: `predict` on a real person with 3D truth, camera by camera
    studies/           tuning, coverage, tracking and error sources: how good methods are, not how fast

To add a figure: a module with `SIZES` and `figures(sizes)` (figure.py), its name in `run.MODULES`, a small test.
"""
