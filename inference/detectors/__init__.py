"""Programs that find people in images, behind one protocol; their libraries are optional and imported when asked for.

base             `Detector`, `load_detector` by name, `detect_video` over a stream of frames
rtmpose          RTMPose through rtmlib: several people, recommended
mediapipe_pose   MediaPipe Pose: one person, works offline

A further detector: a class with a `name` that takes an image and gives (N, 17, 3), listed in `base._BUILT_IN` or
registered by its own package in the entry point group `temporal_smoothing.detectors`.
"""

from data.keypoints.detector import Detector, detect_video, load_detector

__all__ = ["Detector", "detect_video", "load_detector"]
