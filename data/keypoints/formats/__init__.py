"""One module for each format of 2D keypoints; `data.keypoints` says how to add one."""
