"""From a video or 2D keypoints to metric 3D trajectories, files of other programs and pictures.

pipeline     `predict`, all of it in one call
detectors/   programs that find people in images        tracking/   who is who
cameras/     the intrinsics: given, estimated, guessed  lifting     2D sequences -> 3D
resampling   to the lifter's frame rate and back        scene       `Scene`, the result
quality      figures and warnings of a result
export/      files of other programs                    render/     pictures, videos, the page
live/        streams, while they run

Each package's docstring says how to add one of its kind. cv2, av and matplotlib load only where they are used.
"""
