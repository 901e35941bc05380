"""Other programs' 3D poses -> `PoseRows`, for `experiment=refine input=FILE` (docs/refine_your_own.md has the list).

    rows       PoseRows: one person in one frame a row, in the file's own joints, axes and place as they come
    joints     their joints -> MuPoTS-17, and which of these had to be made up
    recognise  read_poses: which program wrote a file, by its content
    text, arrays, pickles, c3d, parameters   the readers, each from opened content to PoseRows
    body_model   joints of a body's parameters, by the user's own file of SMPL or SMPL-X

A further program is a function `content, path, options -> PoseRows` in one of these, a line in `recognise` that tells
its content from the others', and a sample that a test writes.
"""

from data.poses.recognise import read_poses
from data.poses.rows import PoseRows

__all__ = ["PoseRows", "read_poses"]
