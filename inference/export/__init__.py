"""Files that other programs open, one module per format; docs/exports.md says what is in each.

base        what an exporter is, the y-up frame of the motion formats, the facts of a scene
npz         predictions.npz, which `evaluate` and `refine` read
json_csv    predictions.json and predictions.csv
trc         person_0.trc, ... (OpenSim)
mot         person_0.mot, ... (OpenSim), joint angles on the skeleton of `bvh_pose`
c3d         scene.c3d (Visual3D, Mokka); needs ezc3d
glb         scene.glb (Blender, glTF viewers), on the skeleton of `bvh_pose`
bvh         person_0.bvh, ... (Blender); `bvh_pose` finds its rotations

To add a format: a class with the method of `base.Exporter` in a module of its own, `conf/exporter/NAME.yaml` with its
`_target_`, a test that reads the file back with a program that is not ours, a section of docs/exports.md.
"""
