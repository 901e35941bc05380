"""`refinement=occlusion`, the default: the most probable trajectory, given lifter, 2D keypoints, motion and bones.

model.py               `OcclusionRefinement`: the model, its settings, the rounds of solves
person.py              what it knows of a person: the input as arrays and its noise
bones.py               a person's bone lengths
contact.py             feet that rest, and the terms that hold them
ground.py              one floor for the people of a scene, and who stands on it
shared_detections.py   frames in which two tracks have one person's detections
identity_switches.py   frames whose detections are another person's
solver.py              banded systems of points with 3x3 data terms, and their variances
fixed_lag.py           the same for streams: each frame from few later ones
foothold.py            feet that keep their place in a stream
"""
