"""People of a camera or a stream of keypoints in 3D while it runs (docs/live.md).

stream      `LiveStream`: a frame's detections in, everybody's pose of some frames earlier out; the recording
sources     JSON lines, a video file at its rate, a camera; always the newest frame
server      the page that shows it, on this machine only
"""
