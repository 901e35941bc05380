"""2D keypoints of a video, from a file of another program or from a detector, as `VideoDetections`.

recognise       `read_detections` reads every format; `FORMATS` is their one table
formats/        coco openpose mmpose mediapipe_json arrays: each into `RawDetections`
coco19          `RawDetections` in any joint set -> COCO-19, the only way in, for detectors too
parsing         bounded JSON, numbers checked as whole arrays, frame numbers out of image names
detections      `VideoDetections`, what trackers take
detector        the `Detector` protocol, and a detector over the frames of a video
keypoints_json  the people of each image by name, for `data.prepare`

To add a format: a module in formats/ whose `reader_of(content)` gives the function that reads such a file into
`RawDetections` (a `parsing.Reader`), its entry in `recognise.FORMATS`, a row in docs/inputs.md, one sample in
tests/data/keypoints/formats.
"""

from data.keypoints.recognise import MAX_BYTES, is_keypoints_input, read_detections

__all__ = ["MAX_BYTES", "is_keypoints_input", "read_detections"]
