"""Motion capture -> training data.

    clips       Clip and read_clips: one person's motion in MuPoTS-17, mm, y up, from any accepted file
    asf_amc     the format of the CMU database: a skeleton and its trials
    bvh         BVH files of any channel order, unit and upward axis
    joint_maps  which joints of a skeleton make up MuPoTS-17, one table per naming convention
    kinematics  rotations and forward kinematics, vectorised over frames
    variation   other bodies, speeds and combinations of captured motion
    scenes      one to four people before a camera: who does what, seen by which detector
    generate    the steps of `prepare=mocap`, which write scenes in the data sets' formats
    sets        where a prepared set lies, and its readers

To add a file format: a module that gives a `kinematics.Motion`, and its ending in `clips.ACCEPTED` and `read_clips`. To
add a naming convention: a table in `joint_maps`.
"""
