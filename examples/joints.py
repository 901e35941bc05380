"""The joints of COCO-19 (detections) and MuPoTS-17 (poses) on a person of a run, by number and name:

python examples/joints.py outputs/person/predictions.npz joints.png
"""

import sys

import matplotlib

from data.predictions import read_predictions
from inference.render.drawing import COCO_BONES
from pose.joint_sets import COCO_19, MUPOTS_17

matplotlib.use("Agg")
from matplotlib import pyplot as plt

source, target = sys.argv[1:]
person = read_predictions(source)[0]
figure, panels = plt.subplots(1, 2, figsize=(8, 4.4), layout="constrained")
for panel, title, joints, bones, points in (
    (panels[0], "COCO-19, px", COCO_19, COCO_BONES, person.keypoints_2d[0]),
    (panels[1], "MuPoTS-17, x and y in mm", MUPOTS_17, MUPOTS_17.bones, person.require("poses_3d")[0, :, :2]),
):
    x, y = points.numpy().T
    for bone in bones:
        panel.plot(*points[list(bone)].T, color="#cccccc", zorder=0)
    for number, name in enumerate(joints.names):
        colour = "#0072B2" if name.startswith("left") else "#D55E00" if name.startswith("right") else "#333333"
        panel.plot(x[number], y[number], "o", color=colour, markersize=4)
        panel.annotate(str(number), (x[number], y[number]), (3, 3), textcoords="offset points", fontsize=7)
        panel.plot([], [], " ", label=f"{number} {name}")
    panel.set(title=title, aspect="equal")
    panel.invert_yaxis()
    panel.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=7, handlelength=0, frameon=False)
figure.savefig(target, dpi=90)
