"""How good methods are, on data whose truth is known: the studies behind docs/refinement_results.md and the defaults.

    error_sources        scenes with a truth, and the errors of a real or simulated lifter on them
    detection_noise      the synthetic detections beside real ones
    tracking             identities of the trackers
    refinement           every refinement on every source of errors, with its page (refinement_page)
    refinement_coverage  whether the standard deviations hold what they promise
    refinement_lag       the refinement on streams
    refinement_motion    gaps, speed, feet and bones of refinements on real motion
    cases, side_swaps    real detections with the faults that detectors make; exchanged left and right
    live                 `experiment=live` at the stream's rate, beside `predict`
    failures             the pictures of docs/what_can_go_wrong.md
    networks             the networks at equal CPU time
    lifter               errors of a lifter by distance, tilt, joint, and with joints missing

To add a study: a module with `main` for `python -m benchmarks.studies.NAME`, and a test of what it computes by hand.
"""
