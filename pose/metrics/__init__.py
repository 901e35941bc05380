"""How good 3D poses are: every metric of this project.

joint_errors  the formulas, as torch functions on aligned poses: MPJPE, MRPE, their N- and PA- forms, acceleration, PCK,
              AUC, root AP; `sequence_errors` has them all joint by joint, for everything below to average
occlusion     their means over visible and occluded frames and joints, by the length of an occlusion, and by joint
bootstrap     intervals of the difference between two predictions of the same sequences
joint_groups  PCK and AUC of head, neck, shoulders, ... and of visible and occluded joints, as the MATLAB script's
mpi_inf_3dhp  the MPI-INF-3DHP protocol: scores of sequences and their mean
mupots        the MuPoTS-3D protocol: pairing people, bone rescaling, scores per sequence in all its switches
plausibility  whether poses can be what they are taken for: unit, axes, order of joints and people
trajectories  W-MPJPE, WA-MPJPE, root error after alignment of stretches of 100 frames; foot slide
procrustes_script  PCK as GnTCN and TDBU measured it, which is another protocol
scenes        `PoseSequence`s (one person each) gathered into the scenes that `mupots` scores

All positions are in millimetres in camera coordinates, PCK, AUC and rates in percent; result keys carry their unit.
A new metric is a function of `joint_errors`, a key in its `sequence_errors`, a column in experiments/results/table.py
and its plain version in tests/pose/metrics/plain.py.
"""
