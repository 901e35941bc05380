"""How good 3D poses are: every metric of this project.

errors      torch functions on aligned poses: MPJPE, MRPE, their N- and PA- forms, acceleration, PCK, AUC, root AP,
            and the scores of the MPI-INF-3DHP protocol
occlusion   the same errors split by visible and occluded joints and by how long an occlusion lasts
mupots      the MuPoTS-3D protocol: pairing people, bone rescaling, scores per sequence in all its switches
scenes      `PoseSequence`s (one person each) gathered into the scenes that `mupots` scores

All positions are in millimetres in camera coordinates, all shares in percent; keys of results carry their unit.
"""
