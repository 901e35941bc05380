"""From a video or 2D keypoints to metric 3D trajectories, files of other programs and pictures.

`inputs` and `detectors` find people in frames, `trackers` tell who is who, `camera` finds the intrinsics,
`pipeline.predict` does it all in one call; `export`, `page`, `overlay`, `animation` write the result. cv2, av and
matplotlib load only where they are used.
"""
