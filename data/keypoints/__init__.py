"""2D keypoints that another program found, in its own format, as `VideoDetections`.

recognise       `read_detections` reads every format, `is_keypoints_input` tells a file of keypoints from a video
coco  openpose  mmpose  mediapipe_json  arrays     the formats, each into `People`
people          `People` in any joint set -> COCO-19, the only way in; detectors take it too
parsing         bounded JSON, numbers checked as whole arrays, frame numbers out of image names

A further format: a module with a function (content, path, joint_set) -> People, its recognition by content in
`recognise.py`, a section in docs/inputs.md, a test.
"""

from data.keypoints.recognise import MAX_BYTES, is_keypoints_input, read_detections

__all__ = ["MAX_BYTES", "is_keypoints_input", "read_detections"]
