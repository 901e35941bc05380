"""From predictions to what a person looks at. Imports data and pose; only experiments import it.

visualise   `choose_occlusion`, `trajectory_figure` (PNG) and `scene_clip` (GIF): PoseSequences in, files out
stage       floor, view and skeletons of the clip: arrays in, Pillow images out

Detectors, trackers and the pipeline from a video to 3D trajectories will live here too.
"""
