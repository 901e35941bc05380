"""2D keypoints of a video, from a file of another program or from a detector, as `VideoDetections`.

recognise       `read_detections` reads every format; `FORMATS` is the table of those in JSON
formats/        openpose coco: strict readers of the two that most tools write;
                loose_json: all other JSON, with points (the joints of one person) and json_facts (what else the
                file says); tables: CSV and h5; yolo: label files; arrays: npy, npz. Each into `RawDetections`
coco19          `RawDetections` in any joint set, scale and unit -> COCO-19, the only way in, for detectors too
anatomy         whether a file's bodies fit the joint set that they were read in
parsing         bounded JSON, numbers checked as whole arrays, frame numbers out of image names
detections      `VideoDetections`, what trackers take
detector        the `Detector` protocol, and a detector over the frames of a video
keypoints_json  the people of each image by name, for `data.prepare`

To add a format: see whether the names of its members in formats/loose_json.py are all that it needs. Otherwise a module
in formats/ whose `reader_of(content)` gives the function that reads such a file into `RawDetections` (a
`parsing.Reader`) and its entry in `recognise.FORMATS`. Either way a sample in docs/inputs.md and a writer of real
people in tests/data/keypoints/formats/test_many_tools.py.
"""

from data.keypoints.recognise import MAX_BYTES, is_keypoints_input, read_detections

__all__ = ["MAX_BYTES", "is_keypoints_input", "read_detections"]
