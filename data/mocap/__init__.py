"""Motion capture -> training data.

clips       Clip, read_clips, resample, motion_files: one person's motion in MuPoTS-17 from any accepted file
asf_amc     the format of the CMU database: a skeleton and its trials
bvh         BVH files of any channel order
kinematics  rotations and forward kinematics, vectorised over frames
joint_maps  which joints of a skeleton make up MuPoTS-17, one table per naming convention
textfile    text formats line by line, with errors that name the line
"""
