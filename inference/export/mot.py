"""OpenSim's motion files: joint angles over time, one file per person, of Rajagopal's full-body model.

Angles are about the model's own axes (Rajagopal2016.osim): bodies have x forward, y up, z to the right, and a joint
turns about z, then x, then y of the body that it moves; on the left the last two are mirrored. What 17 joints do not
tell is left out, and the model keeps it at rest: ankles, toes, forearms, hands, the twist of a limb that never bends.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fileio.atomic import atomic_path
from inference.export.base import check_scene, finite_y_up, person_path
from inference.export.bvh_pose import Array, bone_pose, euler_deg
from inference.scene import Scene
from pose.joint_sets import MUPOTS_17

#: Columns: OpenSim's axes of a body, in the rest pose of `bvh_pose`, which faces +z.
_AXES = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
#: From hanging arms, the model's rest, to the T of `bvh_pose`.
_RAISED = {
    "right": np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
    "left": np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
}
_MIRRORED = {"right": np.ones(3), "left": np.array([1.0, -1.0, -1.0])}
#: A limb that never bends so far does not tell how its upper bone is twisted, degrees.
_LEAST_BEND = 5.0


class MotExporter:
    """Writes `person_{n}.mot`: degrees and m, y up (`base.y_up`), frames of the track at their times in the video.

    Raises DataError for positions that are not finite, which have no angles.
    """

    def write(self, scene: Scene, folder: Path) -> list[Path]:
        check_scene(scene)
        paths = []
        for person in scene.people:
            poses = finite_y_up(scene, person, "mot")
            columns = {"time": person.frame.numpy() / scene.fps, **coordinates(poses, scene.fps)}
            path = person_path(folder, person, ".mot")
            with atomic_path(path) as partial, open(partial, "w", encoding="utf-8", newline="") as file:
                file.write(f"{path.stem}\nversion=1\nnRows={len(person)}\nnColumns={len(columns)}\ninDegrees=yes\n")
                file.write("endheader\n" + "\t".join(columns) + "\n")
                np.savetxt(file, np.stack(list(columns.values()), axis=1), fmt="%.6f", delimiter="\t")
            paths.append(path)
        return paths


def coordinates(poses: Array, fps: float) -> dict[str, NDArray[np.floating]]:
    """Finite poses (T, 17, 3), mm, y up, MuPoTS-17 -> (T,) by coordinate: degrees, pelvis_tx, ty, tz in m.

    The pelvis lies across between the hips and upright along the lower spine; its place is the middle of the hips.
    """
    bones = bone_pose(poses, fps).rotations
    hips = [poses[:, MUPOTS_17.index(f"{side}_hip")] for side in ("left", "right")]
    pelvis = _pelvis(hips[1] - hips[0], bones["lower_spine"] @ [0.0, 1.0, 0.0])
    torso = bones["spine"] @ _AXES
    found: dict[str, NDArray[np.floating]] = {}

    def add(names: list[str], rotations: Array, signs: Array | float = 1.0) -> None:
        found.update(zip(names, (euler_deg(rotations, "ZXY") * signs).T, strict=False))

    add(["pelvis_tilt", "pelvis_list", "pelvis_rotation"], pelvis)
    found.update(zip(["pelvis_tx", "pelvis_ty", "pelvis_tz"], (hips[0] + hips[1]).T / 2000, strict=True))
    for side, signs in _MIRRORED.items():
        thigh, shank = (bones[f"{side}_{joint}"] @ _AXES for joint in ("hip", "knee"))
        arm, forearm = (bones[f"{side}_{joint}"] @ _RAISED[side] @ _AXES for joint in ("shoulder", "elbow"))
        end = f"_{side[0]}"
        for turns, parent, upper, lower, bend, way in (
            (("hip_flexion", "hip_adduction", "hip_rotation"), pelvis, thigh, shank, "knee_angle", -1.0),
            (("arm_flex", "arm_add", "arm_rot"), torso, arm, forearm, "elbow_flex", 1.0),
        ):
            bent = way * euler_deg(_within(upper, lower), "ZXY")[:, 0]
            told = 3 if np.abs(bent).max() >= _LEAST_BEND else 2
            add([turn + end for turn in turns[:told]], _within(parent, upper), signs)
            found[bend + end] = bent
    add(["lumbar_extension", "lumbar_bending", "lumbar_rotation"], _within(pelvis, torso))
    return found


def _within(parent: Array, child: Array) -> Array:
    return np.swapaxes(parent, 1, 2) @ child


def _pelvis(right: Array, up: Array) -> Array:
    """(T, 3, 3), columns x forward, y up, z right: z along `right`, y as near to `up` as may be."""
    z = right / np.maximum(np.linalg.norm(right, axis=1, keepdims=True), 1e-9)
    x = np.cross(up, z)
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)
    return np.stack([x, np.cross(z, x), z], axis=2)
