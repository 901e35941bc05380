"""The camera of a video, for `predict`.

camera   given, estimated or guessed intrinsics; the scale from known statures
focal    the estimator of the focal length
motion   whether it moves

To add an estimator: a function of sequences and image size like `focal.estimate_focal`, tried in
`CameraSettings._focal`, with a sentence for the user and a test on people whose camera is known.
"""
